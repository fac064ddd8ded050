//! The queries of a sweep, with the ACL permissions that they need. Pure.

use crate::query::Query;

/// Returns the next keys. If it is rejected, there is no sweep; a reply that is too large is
/// followed by a smaller COUNT.
pub static SCAN: Query = Query::new(&[&["SCAN"]], "+scan").retried();
/// Describes the server. A section that is rejected is omitted later.
pub static INFO: Query = Query::new(&[&["INFO"]], "+info").retried();
/// Counts the keys of the selected database.
pub static SIZE: Query = Query::new(&[&["DBSIZE"]], "+dbsize").retried();
/// Selects a database.
pub static SELECT: Query = Query::new(&[&["SELECT"]], "+select").retried();
/// Keeps the server from closing the connection when clients take too much memory.
pub static NO_EVICT: Query =
    Query::new(&[&["CLIENT", "NO-EVICT", "on"]], "+client|no-evict").retried();
/// Leaves the access times of keys as they are.
pub static NO_TOUCH: Query =
    Query::new(&[&["CLIENT", "NO-TOUCH", "on"]], "+client|no-touch").retried();
/// Permits reading from a replica of a cluster.
pub static READ_ONLY: Query = Query::new(&[&["READONLY"]], "+readonly").retried();
/// Measures a key by a few of its elements.
pub static MEMORY: Query = Query::new(&[&["MEMORY", "USAGE"]], "+memory|usage");
/// Measures a key by many of its elements. Some servers know no SAMPLES.
pub static SAMPLED_MEMORY: Query = Query::new(&[&["MEMORY", "USAGE"]], "+memory|usage");
/// Returns the TTL of a key.
pub static EXPIRY: Query = Query::new(&[&["PTTL"]], "+pttl");
/// Returns the type of a key.
pub static TYPE: Query = Query::new(&[&["TYPE"]], "+type");
/// Returns how long a key was not used.
pub static IDLE: Query = Query::new(&[&["OBJECT", "IDLETIME"]], "+object|idletime");
/// Returns the type of a key that is exported by name. A key that the user may not read implies
/// nothing about others.
pub static KEY_TYPE: Query = Query::new(&[&["TYPE"]], "+type");
/// Measures a key that is exported by name.
pub static KEY_MEMORY: Query = Query::new(&[&["MEMORY", "USAGE"]], "+memory|usage");
/// Draws a key.
pub static RANDOM_KEY: Query = Query::new(&[&["RANDOMKEY"]], "+randomkey").retried();
/// Returns the first bytes of a string.
pub static VALUE: Query = Query::new(&[&["GETRANGE"]], "+getrange");
/// Describes a stream.
pub static STREAM: Query = Query::new(&[&["XINFO", "STREAM"]], "+xinfo|stream");
/// Lists the groups of a stream.
pub static GROUPS: Query = Query::new(&[&["XINFO", "GROUPS"]], "+xinfo|groups");
/// Lists the consumers of a group.
pub static CONSUMERS: Query = Query::new(&[&["XINFO", "CONSUMERS"]], "+xinfo|consumers");

/// Return the size of a key, by its type in the reply to TYPE. PFCOUNT is not among them: it is an
/// error for a plain string, and writes to a `HyperLogLog`. The size of a `HyperLogLog` is that of
/// its string.
pub static SIZES: [(&[u8], Query); 7] = [
    (b"string", Query::new(&[&["STRLEN"]], "+strlen")),
    (b"list", Query::new(&[&["LLEN"]], "+llen")),
    (b"set", Query::new(&[&["SCARD"]], "+scard")),
    (b"zset", Query::new(&[&["ZCARD"]], "+zcard")),
    (b"hash", Query::new(&[&["HLEN"]], "+hlen")),
    (b"stream", Query::new(&[&["XLEN"]], "+xlen")),
    (b"array", Query::new(&[&["ARCOUNT"]], "+arcount")),
];
