//! FUNCTION STATS: which function keeps the server busy, and for how long. A server that runs one
//! refuses INFO, so this is queried only after such a refusal, and is not part of a poll that
//! succeeds: then no function is running.

use super::{Query, Server, signed};
use crate::label::label_text;
use crate::reply::Reply;

/// Queries the function that is running.
pub static QUERY: Query = Query::new(&[&["FUNCTION", "STATS"]], "+function|stats");

/// A function that is running.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Its name, as the text of a label.
    pub name: String,
    /// For how long it has been running.
    pub milliseconds: f64,
}

/// Whether a server has functions: Redis since 7.0 and every Valkey.
#[must_use]
pub fn applies(server: &Server) -> bool {
    server.knows_no_evict() && server.holds_keys()
}

/// Reads the function that is running. A script that EVAL runs is an error reply.
#[must_use]
pub fn running(reply: &Reply) -> Option<Running> {
    let script = reply.value_of("running_script")?;
    let name = script.value_of("name")?.bytes()?;
    let milliseconds = script.value_of("duration_ms")?.integer()?;
    Some(Running {
        name: label_text(name),
        milliseconds: signed(milliseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading::bytes;

    fn stats(script: Reply) -> Reply {
        let engines = Reply::List(vec![bytes("LUA"), Reply::List(Vec::new())]);
        let fields = vec![bytes("running_script"), script, bytes("engines"), engines];
        Reply::List(fields)
    }

    #[test]
    fn a_running_function_has_a_name_and_a_time() {
        let script = vec![
            bytes("name"),
            bytes("endless"),
            bytes("command"),
            Reply::List(vec![bytes("FCALL"), bytes("endless"), bytes("secret")]),
            bytes("duration_ms"),
            Reply::Integer(7_250),
        ];
        let expected = Running {
            name: "endless".to_owned(),
            milliseconds: 7_250.0,
        };
        assert_eq!(running(&stats(Reply::List(script))), Some(expected));
        assert_eq!(running(&stats(Reply::Nil)), None);
        assert_eq!(running(&Reply::Nil), None);
    }
}
