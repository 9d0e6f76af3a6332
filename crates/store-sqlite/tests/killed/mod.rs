//! The child of a test: the same program once more, which works on a file until it is killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What the child said in lines that `parse` knows, in order. It finds the file by the variable `name`, and is killed after
/// `enough` of them: at once or a little later, by the number of the kill.
pub(crate) fn heard_until_killed<T>(
    (name, path): (&str, &Path),
    kill: u32,
    enough: u32,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(name, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard = Vec::new();
    while heard.len() < usize::try_from(enough).unwrap() {
        let line = lines.next().expect("the child works until it is killed").unwrap();
        heard.extend(parse(&line));
    }
    std::thread::sleep(Duration::from_micros(u64::from(kill % 9) * 170));
    child.kill().unwrap();
    // What it printed before the end counts too; a last line may be cut.
    heard.extend(lines.map_while(Result::ok).filter_map(|line| parse(&line)));
    child.wait().unwrap();
    heard
}
