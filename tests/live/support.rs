//! Helpers of the live tests: servers, the exporter, HTTP, waiting. It contains no tests.

pub mod authority;
pub mod browser;
pub mod cluster;
pub mod cutter;
pub mod exporter;
pub mod fake;
pub mod hostile;
pub mod http;
pub mod key_events;
pub mod keys;
pub mod list_server;
pub mod name_server;
pub mod page;
pub mod port;
pub mod private_network;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod redis;
pub mod redis_exporter;
pub mod server;
pub mod sweep;
#[cfg(feature = "top")]
pub mod terminal;
pub mod trio;
pub mod wait;
pub mod wall_clock;
pub mod watched;

pub use authority::{Authority, Pair};
pub use browser::Browser;
pub use exporter::{Exporter, Launch, Stderr};
pub use page::Page;
pub use proxy::Proxy;
pub use redis::RedisServer;
pub use wait::until;
