//! The size of the RDB file, where the exporter runs beside the server. Here is where the file is;
//! the poller looks at it.

use super::float;
use std::path::{Path, PathBuf};

use super::{Answers, Collector, FollowUp, Server};
use crate::metric::{Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static SIZE: Family<0> = Family::gauge("redis_rdb_current_size_bytes", &[], source("the file", ""), Unit::Bytes, "Size of the RDB file on the machine of the exporter, in bytes; absent if there is no such file.");
}

/// Asks where the file is, unless the configuration says it.
pub static COLLECTOR: Collector = Collector {
    name: NAME,
    about: "Size of the RDB file, if the exporter can access the file system of the server. Needs `+config|get` unless the option `rdb_file` names the file.",
    on_by_default: false,
    questions: &[],
    follow_ups: Some(follow_ups),
    applies: Server::holds_keys,
    families: || vec![rows::SIZE.descriptor()],
    read,
};

/// The name of the collector.
pub const NAME: &str = "rdb_file_size";

fn parameter(name: &str) -> FollowUp {
    FollowUp::new("+config|get", ["CONFIG", "GET", name])
}

fn follow_ups(answers: &Answers<'_>) -> Vec<FollowUp> {
    if answers.circumstances.options.rdb_file.is_some() {
        return Vec::new();
    }
    ["dir", "dbfilename"].map(parameter).to_vec()
}

/// Where the file is: as the configuration says, else as the server says.
#[must_use]
pub fn path(answers: &Answers<'_>) -> Option<PathBuf> {
    if let Some(path) = &answers.circumstances.options.rdb_file {
        return Some(path.clone());
    }
    let value = |name| Some(answers.follow_up(&parameter(name))?.value_of(name)?.text());
    let (folder, name) = (value("dir")??, value("dbfilename")??);
    let folder = Path::new(&*folder);
    // What the server names is only ever a file in its folder.
    let is_bare = Path::new(&*name).file_name() == Some((*name).as_ref());
    (folder.is_absolute() && is_bare).then(|| folder.join(&*name))
}

fn read(answers: &Answers<'_>, snapshot: &mut Snapshot) {
    if let Some(size) = answers.circumstances.rdb_file_size {
        snapshot.push(&rows::SIZE, [], float(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};
    use crate::config::CollectorOptions;
    use crate::reply::Reply;
    use std::sync::Arc;

    fn path_of(folder: &str, file: &str) -> Option<PathBuf> {
        let circumstances = Circumstances::default();
        let answers = Answers::new("", &circumstances, Vec::new());
        let asked = follow_ups(&answers);
        let replies: Vec<Reply> = vec![
            reading::parameter("dir", folder),
            reading::parameter("dbfilename", file),
        ];
        path(&answers.with_follow_ups(asked.iter().zip(&replies)))
    }

    #[test]
    fn the_server_says_where_its_file_is() {
        let expected = PathBuf::from("/var/lib/redis/dump.rdb");
        assert_eq!(path_of("/var/lib/redis", "dump.rdb"), Some(expected));
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_none() {
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
    fn a_file_of_the_configuration_needs_no_question() {
        let options = CollectorOptions {
            rdb_file: Some(PathBuf::from("/x")),
            ..CollectorOptions::default()
        };
        let circumstances = Circumstances {
            options: Arc::new(options),
            ..Circumstances::default()
        };
        let answers = Answers::new("", &circumstances, Vec::new());
        assert_eq!(follow_ups(&answers), []);
        assert_eq!(path(&answers), Some(PathBuf::from("/x")));
    }

    #[test]
    fn without_a_file_there_is_no_size() {
        let seen = |rdb_file_size| {
            let circumstances = Circumstances {
                rdb_file_size,
                ..Circumstances::default()
            };
            reading::of(&COLLECTOR, "", circumstances, &[])
        };
        assert!(seen(None).is_empty());
        assert_eq!(seen(Some(88)), ["redis_rdb_current_size_bytes{} 88"]);
    }
}
