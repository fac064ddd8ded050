//! Keys of a server under test. The server itself writes and counts them, which is fast.

use super::redis::RedisServer;

/// Runs Lua for every `i` from 1 to `count` in one database; `call` is `redis.call`.
pub fn write(server: &RedisServer, database: u32, count: u32, each: &str) {
    run(
        server,
        database,
        &format!("for i = 1, {count} do {each} end"),
    );
}

/// Runs Lua in one database.
pub fn run(server: &RedisServer, database: u32, body: &str) -> String {
    let script =
        format!("local call = redis.call call('SELECT', {database}) math.randomseed(7) {body}");
    server.ask(&["EVAL", &script, "0"])
}

/// Returns the number of keys that match a pattern in a database, and the sum of their MEMORY
/// USAGE.
pub fn count(server: &RedisServer, database: u32, pattern: &str) -> (f64, f64) {
    let body = format!(
        "local keys = call('KEYS', '{pattern}') local sum = 0 \
         for _, key in ipairs(keys) do sum = sum + (call('MEMORY', 'USAGE', key) or 0) end \
         return #keys .. ' ' .. string.format('%.0f', sum)"
    );
    let reply = run(server, database, &body);
    let (keys, bytes) = reply.split_once(' ').unwrap();
    (keys.parse().unwrap(), bytes.parse().unwrap())
}

/// Writes a fifth of the keys in each of four namespaces, and a fifth outside of them.
pub const FIVE_KINDS: &str = "\
    local kind = i % 5 \
    if kind == 0 then call('SET', 'session:' .. i, string.rep('s', 40), 'PX', 3000000) \
    elseif kind == 1 then call('SET', 'api:cache:' .. i, string.rep('a', 200), 'PX', 3500000) \
    elseif kind == 2 then call('SET', 'ratelimit:' .. i, '1', 'PX', 55000000) \
    elseif kind == 3 then call('HSET', 'websocket:' .. i, 'a', i, 'b', i) \
    else call('RPUSH', 'job' .. i, i) end";
