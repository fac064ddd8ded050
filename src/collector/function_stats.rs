//! FUNCTION STATS: the running function and its duration.
//!
//! A busy server refuses INFO. The query is sent only after such a refusal, because no function is
//! running if INFO succeeds.

use super::{Query, Server, signed};
use crate::label::label_text;
use crate::reply::Reply;

/// Queries the running function.
pub static QUERY: Query = Query::new(&[&["FUNCTION", "STATS"]], "+function|stats");

/// A running function.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningFunction {
    /// Function name as label text.
    pub name: String,
    /// Time since the function started, in milliseconds.
    pub milliseconds: f64,
}

/// Returns whether a server has functions: Redis since 7.0 and every Valkey.
#[must_use]
pub fn applies(server: &Server) -> bool {
    server.knows_no_evict() && server.holds_keys()
}

/// Parses the running function. Redis returns an error if EVAL runs a script.
#[must_use]
pub fn running(reply: &Reply) -> Option<RunningFunction> {
    let script = reply.value_of("running_script")?;
    let name = script.value_of("name")?.bytes()?;
    let milliseconds = script.value_of("duration_ms")?.integer()?;
    Some(RunningFunction {
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
    fn running_function_has_name_and_duration() {
        let script = vec![
            bytes("name"),
            bytes("endless"),
            bytes("command"),
            Reply::List(vec![bytes("FCALL"), bytes("endless"), bytes("secret")]),
            bytes("duration_ms"),
            Reply::Integer(7_250),
        ];
        let expected = RunningFunction {
            name: "endless".to_owned(),
            milliseconds: 7_250.0,
        };
        assert_eq!(running(&stats(Reply::List(script))), Some(expected));
        assert_eq!(running(&stats(Reply::Nil)), None);
        assert_eq!(running(&Reply::Nil), None);
    }
}
