//! Names of entries as paths that stay inside the package.

use std::borrow::Cow;

use hearth_types::limits::{ZIP_PATH_BYTES, ZIP_PATH_DEPTH};

use crate::PackageError;

/// Linux's NAME_MAX, in bytes.
const COMPONENT_BYTES: usize = 255;

/// The path that a name stands for: relative, with `/` between its parts, none of them empty, `.` or `..`. Empty for
/// the package's own folder.
pub(crate) fn path_of(name: &[u8]) -> Result<Cow<'_, [u8]>, PackageError> {
    let refuse = |why| Err(PackageError::entry(name, why));
    if name.is_empty() || name.len() > ZIP_PATH_BYTES {
        return refuse("has an empty name, or too long a one");
    }
    if name.contains(&0) || name.contains(&b'\\') {
        return refuse("has a name with a NUL or a backslash: only / may stand between folders");
    }
    if name[0] == b'/' || (name.len() > 1 && name[0].is_ascii_alphabetic() && name[1] == b':') {
        return refuse("has an absolute name");
    }
    let parts = || name.split(|&byte| byte == b'/').filter(|part| !is_idle(part));
    for part in parts() {
        if part == b".." {
            return refuse("has a name that leaves the package");
        }
        if part.len() > COMPONENT_BYTES {
            return refuse("has a part of its name that is too long");
        }
        if matches!(part.last(), Some(b' ' | b'.')) {
            return refuse("has a part of its name that ends in a space or a dot");
        }
    }
    if parts().count() > ZIP_PATH_DEPTH {
        return refuse("lies too deep");
    }
    let plain = name.strip_suffix(b"/").unwrap_or(name);
    if plain.split(|&byte| byte == b'/').all(|part| !is_idle(part)) {
        return Ok(Cow::Borrowed(plain));
    }
    Ok(Cow::Owned(parts().collect::<Vec<_>>().join(&b'/')))
}

/// Whether a part of a name leads nowhere else.
fn is_idle(part: &[u8]) -> bool {
    part.is_empty() || part == b"."
}

/// The folder that holds `path`; none for the package's own.
pub(crate) fn parent(path: &[u8]) -> Option<&[u8]> {
    path.iter().rposition(|&byte| byte == b'/').map(|slash| &path[..slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_stays_inside() {
        for (name, path) in [
            ("a", "a"),
            ("a/b.py", "a/b.py"),
            ("./a/b", "a/b"),
            ("a//b/", "a/b"),
            ("a/./b", "a/b"),
            ("./", ""),
            ("...x", "...x"),
            ("C", "C"),
            ("é \u{1b}", "é \u{1b}"),
        ] {
            assert_eq!(path_of(name.as_bytes()).unwrap().as_ref(), path.as_bytes(), "{name:?}");
        }
    }

    #[test]
    fn refuses_what_leaves_or_deceives() {
        let long = ["a".repeat(256), format!("{}x", "d/".repeat(128)), "ab/".repeat(1500)];
        let names = [
            "",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "./../x",
            "/x",
            "//x",
            "C:\\x",
            "C:/x",
            "c:",
            "..\\x",
            "a\\b",
            "a\0b",
            "a ",
            "a.",
            "a /b",
            "...",
            " /x",
        ];
        for name in names.into_iter().chain(long.iter().map(String::as_str)) {
            assert!(matches!(path_of(name.as_bytes()), Err(PackageError::Entry { .. })), "{name:?}");
        }
        assert!(path_of(format!("{}x", "d/".repeat(127)).as_bytes()).is_ok());
    }

    #[test]
    fn parents() {
        assert_eq!(parent(b"a/b/c"), Some(&b"a/b"[..]));
        assert_eq!(parent(b"a"), None);
    }
}
