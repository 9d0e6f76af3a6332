//! Rules about the text of single files.

/// Lines of a file that need no reason.
const LINES: usize = 500;

/// What is against the rules in one file, each with its line.
pub(super) fn check(path: &str, content: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if foreign(path) {
        return broken;
    }
    broken.extend(too_long(path, content));
    if path.ends_with(".rs") && !path.starts_with("crates/sandbox/") {
        broken.extend(lines_with(content, uses_unsafe, "unsafe outside crates/sandbox"));
    }
    if path.ends_with(".rs") {
        broken.extend(examples(content));
    }
    broken.extend(lines_with(content, machine_path, "a path of one machine"));
    broken.extend(lines_with(content, tracker_word, "a word about how the work was organised"));
    if !path.ends_with("Cargo.lock") && path != "deny.toml" {
        broken.extend(lines_with(content, registry_host, "a package registry's host"));
    }
    broken.extend(lines_with(content, |line| line.ends_with([' ', '\t', '\r']), "white space at the end"));
    if !content.is_empty() && !content.ends_with('\n') {
        broken.push("no line end at the end".to_owned());
    }
    broken
}

/// Texts that we did not write: facts and inputs from elsewhere, and this checker's own list of words.
fn foreign(path: &str) -> bool {
    path.starts_with("models/")
        || path.starts_with("fuzz/seeds/")
        || path.starts_with("conformance/recorded/")
        || path == "LICENSE"
        || path == "xtask/src/tidy/text.rs"
}

fn too_long(path: &str, content: &str) -> Option<String> {
    let code = [".rs", ".py", ".mjs", ".js", ".sh"].iter().any(|end| path.ends_with(end));
    let generated = path.contains("/generated/") || content.lines().take(5).any(|line| line.contains("@generated"));
    let reason = content.lines().any(|line| line.trim_start_matches(['/', '#', '!', ' ']).starts_with("long: "));
    let lines = content.lines().count();
    (code && !generated && !reason && lines > LINES)
        .then(|| format!("{lines} lines; split it, or say why not in a line `// long: reason`"))
}

fn lines_with(content: &str, bad: fn(&str) -> bool, what: &str) -> Vec<String> {
    let lines = content.lines().enumerate().filter(|(_, line)| bad(line));
    lines.map(|(at, line)| format!("line {}: {what}: {}", at + 1, line.trim())).collect()
}

/// Examples in documentation that would be tests, which `cargo xtask test` does not run: a test beside the code is one.
fn examples(content: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for (at, line) in content.lines().enumerate() {
        let line = line.trim_start();
        let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        let Some(language) = text.trim().strip_prefix("```") else { continue };
        if !inside && matches!(language, "" | "rust" | "no_run" | "should_panic" | "ignore") {
            found.push(format!("line {}: an example that no test runs: say what it is, as in ```text", at + 1));
        }
        inside = !inside;
    }
    found
}

/// The keyword, not the lint names or a comment that speaks of it.
fn uses_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"].iter().any(|form| code.contains(form))
        || code.contains("allow(unsafe_code)")
}

/// Folders of a developer's machine; `/root/x` alone may be meant in a guest.
fn machine_path(line: &str) -> bool {
    ["/work/", "/root/."].iter().any(|folder| line.contains(folder))
}

fn tracker_word(line: &str) -> bool {
    let line = line.to_lowercase();
    let numbered = |word: &str| {
        line.match_indices(word).any(|(at, _)| line[at + word.len()..].starts_with(|c: char| c.is_ascii_digit()))
    };
    numbered("issue #") || numbered("issue ") || numbered("session ") || line.contains("this session's")
}

fn registry_host(line: &str) -> bool {
    ["crates.io", "pypi.org", "registry.npmjs", "deb.debian.org", "pythonhosted"].iter().any(|host| line.contains(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_unsafe_only_as_code_and_only_outside_the_sandbox() {
        assert_eq!(check("crates/http/src/a.rs", "unsafe { x() }\n").len(), 1);
        assert!(check("crates/sandbox/src/a.rs", "unsafe { x() }\n").is_empty());
        assert!(check("crates/http/src/a.rs", "// no unsafe { here\n#![deny(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn finds_examples_that_would_be_tests() {
        let tested = ["/// ```\n/// f()\n/// ```\n", "//! ```rust\n//! f()\n//! ```\n"];
        tested.iter().for_each(|text| assert_eq!(check("a.rs", text).len(), 1, "{text}"));
        assert!(check("a.rs", "/// ```text\n/// f()\n/// ```\nfn f() {}\n").is_empty());
    }

    #[test]
    fn wants_a_reason_for_long_files() {
        let long = "x\n".repeat(LINES + 1);
        assert_eq!(check("a.rs", &long).len(), 1);
        assert!(check("a.rs", &format!("// long: one table\n{long}")).is_empty());
        assert!(check("a.rs", &format!("// @generated by codegen\n{long}")).is_empty());
        assert!(check("a.md", &long).is_empty());
    }

    #[test]
    fn finds_what_is_of_one_machine_or_one_day() {
        assert_eq!(check("a.md", "see /root/.cache/x\n").len(), 1);
        assert_eq!(check("a.md", "fixes issue #12\n").len(), 1);
        assert_eq!(check("a.md", "Session 3 did it\n").len(), 1);
        assert_eq!(check("a.md", "from crates.io\n").len(), 1);
        assert_eq!(check("a.md", "trailing \n").len(), 1);
        assert!(check("a.md", "a SigV4 session token, AWS_SESSION_TOKEN, an issue tracker\n").is_empty());
        assert!(check("Cargo.lock", "source = \"registry+crates.io\"\n").is_empty());
    }
}
