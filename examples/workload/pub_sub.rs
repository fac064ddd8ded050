//! `prism:events` and `prism:presence`: publishers and subscribers.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use redis::aio::MultiplexedConnection;
use redis::{Client, ProtocolVersion, PushInfo, PushKind, RedisResult, cmd};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::counts::Counts;
use crate::stop::Stop;
use crate::{connect, json};

const EVENTS: &str = "prism:events";
const PRESENCE: &str = "prism:presence";
/// Channels of the subscribers. Each subscriber has its own connection.
pub const SUBSCRIPTIONS: [&str; 5] = [EVENTS, EVENTS, EVENTS, PRESENCE, PRESENCE];
const PAUSE: Duration = Duration::from_secs(1);

/// Publishes one message: two of three are events, the others are presence.
pub async fn publish(connection: &mut MultiplexedConnection, random: &mut Rng) -> RedisResult<()> {
    let user = random.u32(0..100_000);
    let (channel, message) = if random.u8(0..3) < 2 {
        let head = format!("{{\"event\":\"order.updated\",\"user_id\":{user}");
        (EVENTS, json::padded(head, 300, random))
    } else {
        (
            PRESENCE,
            format!("{{\"user_id\":{user},\"online\":{}}}", random.bool()),
        )
    };
    cmd("PUBLISH")
        .arg(channel)
        .arg(message)
        .exec_async(connection)
        .await
}

/// Counts the messages on a channel. Subscribes again if the connection is lost.
pub async fn subscribe(client: Client, channel: &'static str, counts: Arc<Counts>, stop: Stop) {
    let listening = async {
        loop {
            // The load already reports an unavailable server.
            let _ = listen(&client, channel, &counts).await;
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = stop.wait() => {}
    }
}

async fn listen(client: &Client, channel: &str, counts: &Counts) -> RedisResult<()> {
    let (sender, mut received) = mpsc::unbounded_channel::<PushInfo>();
    let mut connection = push_client(client)?
        .get_multiplexed_async_connection_with_config(&connect::settings().set_push_sender(sender))
        .await?;
    connection.subscribe(channel).await?;
    while let Some(push) = received.recv().await {
        match push.kind {
            PushKind::Message => counts.messages.add(1),
            PushKind::Disconnection => break,
            _ => {}
        }
    }
    Ok(())
}

/// Returns a client with RESP3. With RESP2, a multiplexed connection cannot subscribe.
fn push_client(client: &Client) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}
