//! Size of the RDB file, for an exporter on the server's machine. This collector finds the path;
//! the poller reads the size.

use super::float;
use std::path::{Path, PathBuf};

use super::{Collector, Command, Query, Read, Replies, Server};
use crate::metric::{Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static SIZE: Family<0> = Family::gauge("redis_rdb_current_size_bytes", &[], source("the file", ""), Unit::Bytes, "Size of the RDB file on the machine of the exporter, in bytes; absent if there is no such file.");
}

/// Queries the path of the file unless it is configured.
pub static COLLECTOR: Collector = Collector {
    name: "rdb_file_size",
    about: "Size of the RDB file, if the exporter can access the file system of the server. Needs `+config|get` unless the option `rdb_file` names the file.",
    further_queries: &[&FOLDER, &FILE],
    may_send: |_, replies| replies.circumstances.options.rdb_file.is_none(),
    further,
    file: path,
    applies: Server::holds_keys,
    families: || vec![rows::SIZE.descriptor()],
    read: Read::Samples(read),
    ..Collector::OFF
};

static FOLDER: Query = Query::new(&[&["CONFIG", "GET", "dir"]], "+config|get");
static FILE: Query = Query::new(&[&["CONFIG", "GET", "dbfilename"]], "+config|get");

fn further(replies: &Replies) -> Vec<Command<'_>> {
    if replies.circumstances.options.rdb_file.is_some() {
        return Vec::new();
    }
    [&FOLDER, &FILE].map(Command::from).to_vec()
}

/// Returns the configured path, else the path that the server reports.
fn path(replies: &Replies) -> Option<PathBuf> {
    if let Some(path) = &replies.circumstances.options.rdb_file {
        return Some(path.clone());
    }
    let (folder, name) = (replies.parameter(&FOLDER)?, replies.parameter(&FILE)?);
    let folder = Path::new(&*folder);
    // A name from the server may only be a file in its own folder.
    let is_bare = Path::new(&*name).file_name() == Some((*name).as_ref());
    (folder.is_absolute() && is_bare).then(|| folder.join(&*name))
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    snapshot.push(&rows::SIZE, [], replies.circumstances.file_size.map(float));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};
    use crate::config::CollectorOptions;
    use std::sync::Arc;

    fn path_of(folder: &str, file: &str) -> Option<PathBuf> {
        let replies = Replies::new("", Circumstances::default());
        let replies = replies.with(&FOLDER, &reading::parameter("dir", folder));
        path(&replies.with(&FILE, &reading::parameter("dbfilename", file)))
    }

    #[test]
    fn server_reports_the_path() {
        let expected = PathBuf::from("/var/lib/redis/dump.rdb");
        assert_eq!(path_of("/var/lib/redis", "dump.rdb"), Some(expected));
    }

    #[test]
    fn path_outside_the_folder_is_rejected() {
        for (folder, file) in [
            ("/d", "../x"),
            ("/d", "/etc/passwd"),
            ("/d", ""),
            ("/d", ".."),
            ("/d", "a/b"),
            ("d", "x"),
        ] {
            assert_eq!(path_of(folder, file), None, "{folder} {file}");
        }
    }

    #[test]
    fn configured_file_needs_no_query() {
        let options = CollectorOptions {
            rdb_file: Some(PathBuf::from("/x")),
            ..CollectorOptions::default()
        };
        let circumstances = Circumstances {
            options: Arc::new(options),
            ..Circumstances::default()
        };
        let replies = Replies::new("", circumstances);
        assert_eq!(further(&replies), []);
        assert_eq!(path(&replies), Some(PathBuf::from("/x")));
    }

    #[test]
    fn missing_file_has_no_size() {
        let seen = |file_size| {
            let circumstances = Circumstances {
                file_size,
                ..Circumstances::default()
            };
            reading::of(&COLLECTOR, "", circumstances, &[])
        };
        assert!(seen(None).is_empty());
        assert_eq!(seen(Some(88)), ["redis_rdb_current_size_bytes{} 88"]);
    }
}
