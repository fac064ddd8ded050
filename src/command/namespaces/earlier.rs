//! Reads the file of `--compare`.

use std::path::Path;

use super::PassError;
use super::comparison::{self, EarlierPass, ForeignDocument};
use crate::bounded_file;

/// Maximum size of the file, in bytes. A document has about a kilobyte for each namespace.
const SIZE_MAX: u64 = 16 << 20;

/// What to do about a file that another program wrote.
const REMEDY: &str = "write one with namespaces --output=json";

/// Reads the JSON document of an earlier pass.
pub(super) fn read(path: &Path) -> Result<EarlierPass, PassError> {
    let file = shown(path);
    let text = bounded_file::read(path, SIZE_MAX).map_err(|unread| PassError::Earlier {
        place: file.clone(),
        what: unread.what,
        remedy: unread.remedy,
    })?;
    comparison::read(&text).map_err(|foreign| {
        let ForeignDocument {
            line,
            column,
            is_json,
        } = foreign;
        let what = if is_json {
            "is not the JSON document of a pass"
        } else {
            "is not JSON"
        };
        PassError::Earlier {
            place: format!("{file}:{line}:{column}"),
            what: what.to_owned(),
            remedy: REMEDY,
        }
    })
}

/// Returns the path for errors, unless it may be a URL with a password.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains("://") || text.contains('@') {
        return "the file of --compare".to_owned();
    }
    text
}
