//! The files that pages load. Pure.

use std::sync::LazyLock;

/// A file that pages load.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its media type.
    pub content_type: &'static str,
    /// Its content.
    pub content: &'static str,
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

static SHORT_STYLE: LazyLock<String> = LazyLock::new(|| short_style(STYLE));
static SHORT_SCRIPT: LazyLock<String> = LazyLock::new(|| short_script(SCRIPT));

/// Changes with the content of the files, so that browsers never use old ones.
pub(super) const VERSION: u32 = digest(SCRIPT, digest(STYLE, 0));

const fn digest(text: &str, start: u32) -> u32 {
    let bytes = text.as_bytes();
    let (mut at, mut digest) = (0, start ^ 0x811c_9dc5);
    while at < bytes.len() {
        digest = (digest ^ byte_at(bytes, at)).wrapping_mul(0x0100_0193);
        at += 1;
    }
    digest
}

#[expect(clippy::indexing_slicing, reason = "checked at compile time")]
const fn byte_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at] as u32
}

/// Returns the file with this name.
#[must_use]
pub fn asset(name: &str) -> Option<Asset> {
    let (content_type, content) = match name {
        "page.css" => ("text/css; charset=utf-8", SHORT_STYLE.as_str()),
        "page.js" => ("text/javascript; charset=utf-8", SHORT_SCRIPT.as_str()),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return None,
    };
    Some(Asset {
        content_type,
        content,
    })
}

/// Removes the white space that only people need.
fn short_style(style: &str) -> String {
    let lines: String = style.lines().map(str::trim).collect();
    let spaces = [" {", "{ ", " }", "; ", ": ", ", "];
    let short = spaces
        .iter()
        .fold(lines, |text, space| text.replace(space, space.trim()));
    short.replace(";}", "}")
}

/// Removes indentation and lines of comments.
fn short_script(script: &str) -> String {
    let lines = script.lines().map(str::trim);
    let code = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    code.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_loses_only_white_space() {
        let style =
            ".a,\n.b > i :is(th, td) { x: 1px 2px; y: z; }\n@media (m: 1) {\n  u { v: w; }\n}\n";
        let expected = ".a,.b > i :is(th,td){x:1px 2px;y:z}@media (m:1){u{v:w}}";
        assert_eq!(short_style(style), expected);
        let solid = |text: &str| text.replace([' ', '\n'], "").replace(";}", "}");
        assert_eq!(solid(&SHORT_STYLE), solid(STYLE));
        assert!(!STYLE.contains("/*"), "a comment would be served");
    }

    #[test]
    fn script_loses_only_comments_and_indentation() {
        let script = "// About.\nif (a) {\n  // Why.\n  b(\"//c\");\n}\n";
        assert_eq!(short_script(script), "if (a) {\nb(\"//c\");\n}\n");
        // White space in it would have a meaning.
        assert!(!SCRIPT.contains('`'));
    }
}
