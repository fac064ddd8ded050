//! The reasons why a source of targets cannot be read. The texts continue a sentence about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::bounded_file::UnreadFile;
use crate::config::TargetListError;
use crate::failure::Failure;
use crate::fetch::FetchError;

/// The reason why a source cannot be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A file or a folder is unusable.
    #[error("{}: {problem}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The problem with it.
        problem: FileError,
    },
    /// A glob finds more files than this.
    #[error("names more than {0} files")]
    TooManyFiles(usize),
    /// A mount hangs.
    #[error("the files could not be read within {0} seconds")]
    SlowFiles(u64),
    /// There is no thread to read the files.
    #[error("the files cannot be read")]
    NoThread,
    /// The HTTP server did not send a complete response in time.
    #[error("did not respond within {0} seconds")]
    NoResponse(u64),
    /// The HTTP server did not send a document.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The bearer token cannot be sent.
    #[error("has a token with characters that HTTP forbids")]
    BadToken,
    /// The document is not text.
    #[error(transparent)]
    NotText(#[from] UnreadFile),
    /// The document is not a list of targets.
    #[error(transparent)]
    List(#[from] TargetListError),
    /// A name has no servers.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A host name cannot be resolved, or no server has described its group.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// The reason why a file is unusable.
#[derive(Debug, Error)]
pub enum FileError {
    /// The system reports an error.
    #[error("cannot be read: {0}")]
    System(#[from] io::Error),
    /// The file is too large, or is not text.
    #[error(transparent)]
    Unread(#[from] UnreadFile),
    /// There is no thread to read it.
    #[error("cannot be read")]
    NoThread,
    /// It changed while it was being read.
    #[error("is being written")]
    Changing,
    /// The content is not a list of targets.
    #[error(transparent)]
    List(#[from] TargetListError),
}

/// The reason why a name has no servers. Each starts with the name.
#[derive(Debug, Error)]
pub enum NameError {
    /// No address has the configured type.
    #[error("{0} has no address of this type")]
    NoAddress(String),
    /// The name servers know no SRV records.
    #[error("{0} has no SRV records")]
    NoRecords(String),
    /// The name cannot be in a query.
    #[error("{0} is not a name")]
    NotAName(String),
    /// The configuration of the system has no name server.
    #[error("{0}: there is no name server in {1}")]
    NoNameServer(String, &'static str),
    /// The complete lookup takes too long.
    #[error("{0}: no name server has replied in time")]
    Slow(String),
    /// The last name server has failed, with the name of the error.
    #[error("{0}: the name server {1} replied {2}")]
    Rejected(String, SocketAddr, String),
    /// The last name server could not be queried.
    #[error("{0}: the name server {1}: {2}")]
    Unreachable(String, SocketAddr, io::Error),
    /// The last name server did not reply.
    #[error("{0}: the name server {1} did not reply")]
    NoReply(String, SocketAddr),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_names_its_file_or_name() {
        let file = |problem| SourceError::File {
            path: "/etc/t.json".into(),
            problem,
        };
        let name = || "_redis._tcp.shop".to_owned();
        let server = SocketAddr::from(([10, 0, 0, 1], 53));
        for (error, text) in [
            (file(FileError::Changing), "/etc/t.json: is being written"),
            (
                file(TargetListError::NotAList.into()),
                "/etc/t.json: is not a list of maps with `targets` and `labels`",
            ),
            (
                file(io::Error::other("no device").into()),
                "/etc/t.json: cannot be read: no device",
            ),
            (
                TargetListError::NotJson { line: 2, column: 5 }.into(),
                "is not valid JSON (line 2, column 5)",
            ),
            (
                FetchError::TooLarge(4 << 20).into(),
                "has more than 4096 KiB",
            ),
            (
                NameError::Rejected(name(), server, "SERVFAIL".to_owned()).into(),
                "_redis._tcp.shop: the name server 10.0.0.1:53 replied SERVFAIL",
            ),
            (
                NameError::NoRecords(name()).into(),
                "_redis._tcp.shop has no SRV records",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
