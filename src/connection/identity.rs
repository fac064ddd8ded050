//! Checks that the expected node of a cluster has replied.

use tokio::time::Instant;

use super::Connection;
use crate::config::ExpectedNode;
use crate::failure::{Failure, Reason};
use crate::reply::Reply;

/// Returns the connection if the server is the expected node, or if it does not report its id.
///
/// # Errors
///
/// The server has another id, cluster mode is disabled, or the connection failed.
pub async fn checked(
    mut connection: Connection,
    node: Option<&ExpectedNode>,
    deadline: Instant,
) -> Result<Connection, Failure> {
    let Some(node) = node else {
        return Ok(connection);
    };
    let replies = connection.request(&[["CLUSTER", "MYID"]], deadline).await?;
    if replies.first().is_none_or(|reply| may_be(reply, &node.id)) {
        connection.release();
        return Ok(connection);
    }
    node.on_mismatch.notify_one();
    let detail = "another server replied at the address of a cluster node";
    Err(Failure::new(Reason::NotMember, detail))
}

/// Returns whether a reply to CLUSTER MYID may come from the node with this id.
///
/// A server that rejects the command may be any: the user may lack the permission, or the server is
/// loading its data.
fn may_be(reply: &Reply, id: &str) -> bool {
    match reply.refusal() {
        Some(refusal) => {
            let message = refusal.message.to_ascii_lowercase();
            !message.contains("cluster support disabled")
        }
        None => reply.text().is_some_and(|own| own == id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Refusal;

    fn error(code: &str, message: &str) -> Reply {
        Reply::Error(Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
        })
    }

    #[test]
    fn only_servers_without_an_id_may_be_any_node() {
        let denied = error("NOPERM", "User x has no permissions to run 'cluster|myid'");
        let loading = error("LOADING", "Redis is loading the dataset in memory");
        let single = error("ERR", "This instance has cluster support disabled");
        for (reply, expected) in [
            (Reply::Bytes(b"abc"[..].into()), true),
            (Reply::Bytes(b"abe"[..].into()), false),
            (Reply::Nil, false),
            (denied, true),
            (loading, true),
            (single, false),
        ] {
            assert_eq!(may_be(&reply, "abc"), expected, "{reply:?}");
        }
    }
}
