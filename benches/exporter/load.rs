//! Sends many distinct commands to a Redis, so that it resembles one that was used for a long time.

use redis::Value;

use crate::Outcome;
use crate::child::Redis;

/// Commands that every application sends.
const COMMON: &[&str] = &[
    "PING",
    "SET session:1 a EX 3600",
    "SETEX session:2 3600 b",
    "GET session:1",
    "MGET session:1 session:2",
    "DEL nothing",
    "EXISTS session:1",
    "INCR ratelimit:1",
    "EXPIRE ratelimit:1 60",
    "TTL ratelimit:1",
    "HSET websocket:1 user 1 room 2",
    "HGET websocket:1 user",
    "HGETALL websocket:1",
    "HDEL websocket:1 nothing",
    "LPUSH queue 1 2 3",
    "RPOP queue",
    "LLEN queue",
    "SADD set 1 2 3",
    "SISMEMBER set 1",
    "ZADD board 1 a 2 b",
    "ZRANGE board 0 -1",
    "PUBLISH prism:events x",
    "DBSIZE",
    "TYPE session:1",
    "SCAN 0",
];

/// Nearly all other commands that return immediately and do no harm.
const RARE: &[&str] = &[
    "APPEND text abc",
    "STRLEN text",
    "GETRANGE text 0 1",
    "SETRANGE text 1 x",
    "SUBSTR text 0 1",
    "GETSET text abc",
    "GETEX text",
    "SETNX text x",
    "PSETEX text 90000 abc",
    "MSET m1 1 m2 2",
    "MSETNX m1 1 m3 2",
    "GETDEL m1",
    "INCRBY count 2",
    "INCRBYFLOAT count 1.5",
    "DECR down",
    "DECRBY down 2",
    "SETBIT bits 7 1",
    "GETBIT bits 7",
    "BITCOUNT bits",
    "BITPOS bits 1",
    "BITOP NOT bits2 bits",
    "BITFIELD bits GET u8 0",
    "BITFIELD_RO bits GET u8 0",
    "LCS text m2",
    "RPUSH list a b c d",
    "RPUSHX list e",
    "LPUSHX list f",
    "LPOP list",
    "LRANGE list 0 -1",
    "LINDEX list 0",
    "LSET list 0 z",
    "LREM list 0 b",
    "LTRIM list 0 5",
    "LINSERT list BEFORE z y",
    "LPOS list z",
    "LMOVE list list2 LEFT RIGHT",
    "RPOPLPUSH list list2",
    "LMPOP 1 list LEFT",
    "BLPOP list2 1",
    "SCARD set",
    "SMEMBERS set",
    "SMISMEMBER set 1 9",
    "SRANDMEMBER set",
    "SREM set 9",
    "SPOP set",
    "SMOVE set set2 2",
    "SINTER set set2",
    "SINTERCARD 2 set set2",
    "SINTERSTORE set3 set set2",
    "SUNION set set2",
    "SUNIONSTORE set3 set set2",
    "SDIFF set set2",
    "SDIFFSTORE set3 set set2",
    "SSCAN set 0",
    "HSETNX websocket:1 other 1",
    "HMSET websocket:1 a 1",
    "HMGET websocket:1 a user",
    "HLEN websocket:1",
    "HKEYS websocket:1",
    "HVALS websocket:1",
    "HEXISTS websocket:1 a",
    "HINCRBY websocket:1 a 1",
    "HINCRBYFLOAT websocket:1 a 1.5",
    "HSTRLEN websocket:1 a",
    "HRANDFIELD websocket:1",
    "HSCAN websocket:1 0",
    "ZCARD board",
    "ZCOUNT board 0 9",
    "ZINCRBY board 1 a",
    "ZSCORE board a",
    "ZMSCORE board a b",
    "ZRANK board a",
    "ZREVRANK board a",
    "ZRANGEBYSCORE board 0 9",
    "ZREVRANGE board 0 -1",
    "ZREVRANGEBYSCORE board 9 0",
    "ZRANGEBYLEX board - +",
    "ZREVRANGEBYLEX board + -",
    "ZLEXCOUNT board - +",
    "ZRANGESTORE board2 board 0 -1",
    "ZRANDMEMBER board",
    "ZREM board nothing",
    "ZREMRANGEBYRANK board 8 9",
    "ZREMRANGEBYSCORE board 8 9",
    "ZUNION 2 board board2",
    "ZUNIONSTORE board3 2 board board2",
    "ZINTER 2 board board2",
    "ZINTERCARD 2 board board2",
    "ZINTERSTORE board3 2 board board2",
    "ZDIFF 2 board board2",
    "ZDIFFSTORE board3 2 board board2",
    "ZPOPMIN board3",
    "ZPOPMAX board2",
    "ZMPOP 1 board2 MIN",
    "ZSCAN board 0",
    "PFADD visitors a b",
    "PFCOUNT visitors",
    "PFMERGE visitors2 visitors",
    "GEOADD places 13.4 52.5 berlin",
    "GEOPOS places berlin",
    "GEOHASH places berlin",
    "GEODIST places berlin berlin",
    "GEOSEARCH places FROMMEMBER berlin BYRADIUS 1 km",
    "XADD stream * a 1",
    "XLEN stream",
    "XRANGE stream - +",
    "XREVRANGE stream + -",
    "XREAD STREAMS stream 0",
    "XTRIM stream MAXLEN 9",
    "XGROUP CREATE stream group 0",
    "XINFO STREAM stream",
    "XPENDING stream group",
    "PERSIST text",
    "PEXPIRE text 90000",
    "EXPIREAT text 9999999999",
    "PEXPIREAT text 9999999999999",
    "EXPIRETIME text",
    "PEXPIRETIME text",
    "PTTL text",
    "TOUCH text",
    "RENAME down up",
    "RENAMENX up down",
    "COPY text text2",
    "UNLINK text2",
    "RANDOMKEY",
    "KEYS nothing:*",
    "SORT list",
    "SORT_RO list",
    "DUMP text",
    "OBJECT ENCODING text",
    "MEMORY USAGE text",
    "ECHO a",
    "TIME",
    "WAIT 0 0",
    "COMMAND COUNT",
    "PUBSUB CHANNELS",
    "SPUBLISH shard x",
    "EVAL return(1) 0",
    "EVAL_RO return(1) 0",
    "SCRIPT EXISTS abc",
    "LOLWUT VERSION 1",
    // Rejected commands: wrong type, missing group. Errors are counted by their code.
    "INCR list",
    "LPUSH set 1",
    "XREADGROUP GROUP nobody me STREAMS stream >",
];

/// Sends all commands. Returns the number of distinct ones that the server has seen, counting
/// subcommands.
pub fn drive(redis: &Redis) -> Outcome<usize> {
    send(redis, COMMON)?;
    send(redis, RARE)
}

/// Sends the common commands.
pub fn drive_common(redis: &Redis) -> Outcome<usize> {
    send(redis, COMMON)
}

/// Namespaces of the keys that [`fill`] writes.
const NAMESPACES: [&str; 5] = ["session", "api:cache", "ratelimit", "websocket", "user"];

/// Writes this many keys in five namespaces, with sizes and TTLs of a web application.
pub fn fill(redis: &Redis, keys: usize) -> Outcome<()> {
    let mut connection = redis.connect()?;
    let mut pipeline = redis::pipe();
    for (number, namespace) in (0..keys).zip(NAMESPACES.iter().cycle()) {
        let value = "x".repeat(20 + number * 37 % 380);
        let command = pipeline.cmd("SET").arg(format!("{namespace}:{number:06}"));
        command.arg(value).arg("EX").arg(3_600 + number % 3_600);
        command.ignore();
    }
    pipeline.query::<()>(&mut connection)?;
    Ok(())
}

fn send(redis: &Redis, lines: &[&str]) -> Outcome<usize> {
    let mut connection = redis.connect()?;
    for line in lines {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        // Some are rejected on purpose.
        match command.query::<Value>(&mut connection) {
            Err(error) if error.is_io_error() => return Err(error.into()),
            Ok(_) | Err(_) => {}
        }
    }
    let text: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(&mut connection)?;
    let seen = text.lines().filter(|line| line.starts_with("cmdstat_"));
    Ok(seen.count())
}
