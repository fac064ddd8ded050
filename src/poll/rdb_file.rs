//! Reads the size of a server's RDB file. The collector provides the path.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::threads::Lane;

/// The threads that read files, shared by all targets.
static CHECKS: Lane = Lane::new("rdb file", 4);

/// Timeout for the file system, which may be a hanging network mount.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// Reads file sizes, one at a time.
#[derive(Debug, Default)]
pub struct RdbFile(Option<JoinHandle<Option<u64>>>);

impl RdbFile {
    /// Returns the size of the file in bytes; `None` if there is no such file or on timeout.
    pub async fn size(&mut self, path: PathBuf) -> Option<u64> {
        // A hanging read keeps its thread and must end before the next one starts.
        let check = self.0.get_or_insert_with(|| {
            tokio::spawn(async move {
                let checked = CHECKS.run(move || size(&path)).await;
                checked.ok().flatten()
            })
        });
        let seen = timeout(LONGEST_WAIT, check).await.ok()?;
        self.0 = None;
        seen.ok().flatten()
    }
}

fn size(path: &PathBuf) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    metadata.is_file().then_some(metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_file_has_a_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dump.rdb");
        let mut check = RdbFile::default();
        assert_eq!(check.size(file.clone()).await, None);
        fs::write(&file, [0; 88]).unwrap();
        assert_eq!(check.size(file).await, Some(88));
        assert_eq!(check.size(folder.path().to_owned()).await, None);
    }
}
