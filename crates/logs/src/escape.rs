//! Showing what a function wrote without letting it write to the terminal.

use std::fmt::Write as _;

/// The text with control characters, and those that turn the direction of writing, as visible escapes. Tabs stay.
#[must_use]
pub fn escape_for_terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\t' && (character.is_control() || turns_direction(character)) {
            // Writing to a String does not fail.
            let _ = write!(shown, "{}", character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn turns_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(escape_for_terminal("a\tb \u{e4}"), "a\tb \u{e4}");
        assert_eq!(escape_for_terminal("\u{1b}[2J\r\u{9b}"), "\\u{1b}[2J\\u{d}\\u{9b}");
        assert_eq!(escape_for_terminal("\u{202e}cod"), "\\u{202e}cod");
    }
}
