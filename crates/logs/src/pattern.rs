//! Filter patterns of CloudWatch Logs: terms (`ERROR "time out" -debug`, `?a ?b`, `%5\d\d%`), JSON
//! (`{ $.level = "ERROR" && $.ms > 100 }`) and columns (`[ip, ..., status = 5*]`).

mod columns;
mod cursor;
mod json;
mod terms;
mod value;

use columns::Columns;
use cursor::Cursor;
use json::Condition;
use terms::Terms;

/// What is wrong with a pattern.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// A pattern that can be held against messages.
#[derive(Debug)]
pub struct Pattern(Form);

#[derive(Debug)]
enum Form {
    All,
    Terms(Terms),
    Json(Condition),
    Columns(Columns),
}

impl Pattern {
    /// Reads a pattern. An empty one matches everything.
    ///
    /// # Errors
    /// What is wrong with it; what this does not know is named.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        let mut cursor = Cursor::new(text);
        let form = match text.chars().next() {
            None => Form::All,
            Some('{') => Form::Json(json::parse(&mut cursor)?),
            Some('[') => Form::Columns(columns::parse(&mut cursor)?),
            Some(_) => Form::Terms(terms::parse(&mut cursor)?),
        };
        cursor.end()?;
        Ok(Self(form))
    }

    /// Whether a message fits.
    #[must_use]
    pub fn matches(&self, message: &[u8]) -> bool {
        match &self.0 {
            Form::All => true,
            Form::Terms(terms) => terms.matches(&String::from_utf8_lossy(message)),
            Form::Json(condition) => serde_json::from_slice(message).is_ok_and(|value| condition.matches(&value)),
            Form::Columns(columns) => columns.matches(&String::from_utf8_lossy(message)),
        }
    }
}

#[cfg(test)]
mod tests;
