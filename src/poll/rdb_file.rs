//! Looks at the RDB file of a server. Where it is, the collector knows.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::threads::Lane;

/// Of all targets at once.
static LOOKS: Lane = Lane::new("rdb file", 4);

/// A file system that is slower than this, as one of a network that hangs, is not waited for.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// Looks at one file after the other, never at two at a time.
#[derive(Debug, Default)]
pub struct RdbFile(Option<JoinHandle<Option<u64>>>);

impl RdbFile {
    /// The size of the file in bytes; none where there is no such file, or no answer in time.
    pub async fn size(&mut self, path: PathBuf) -> Option<u64> {
        // One that hangs keeps its thread: it must come back before there is another.
        let looking = self.0.get_or_insert_with(|| {
            tokio::spawn(async move {
                let looked = LOOKS.run(move || size(&path)).await;
                looked.ok().flatten()
            })
        });
        let seen = timeout(LONGEST_WAIT, looking).await.ok()?;
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
    async fn a_file_has_a_size_and_nothing_else_has() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dump.rdb");
        let mut looking = RdbFile::default();
        assert_eq!(looking.size(file.clone()).await, None);
        fs::write(&file, [0; 88]).unwrap();
        assert_eq!(looking.size(file).await, Some(88));
        assert_eq!(looking.size(folder.path().to_owned()).await, None);
    }
}
