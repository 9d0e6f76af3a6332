//! Conditions on the columns of messages: texts between spaces, in brackets or in quotes.

use super::Malformed;
use super::cursor::Cursor;
use super::value::Comparison;

#[derive(Debug)]
pub(super) struct Columns {
    before: Vec<Column>,
    /// Behind an ellipsis, which stands for any columns; none where there is no ellipsis.
    after: Option<Vec<Column>>,
}

/// Alternatives of comparisons that must all be so; none for a column that may be anything.
type Column = Vec<Vec<Comparison>>;

impl Columns {
    pub(super) fn matches(&self, message: &str) -> bool {
        let fields = fields(message);
        let after: &[Column] = self.after.as_deref().unwrap_or_default();
        let named = self.before.len() + after.len();
        if fields.len() < named || self.after.is_none() && fields.len() > named {
            return false;
        }
        let (head, tail) = (&fields[..self.before.len()], &fields[fields.len() - after.len()..]);
        self.before.iter().zip(head).chain(after.iter().zip(tail)).all(|(column, field)| fits(column, field))
    }
}

fn fits(column: &Column, field: &str) -> bool {
    let fits = |comparison: &Comparison| match field.parse() {
        Ok(number) => comparison.fits_number(number, field),
        Err(_) => comparison.fits_text(field),
    };
    column.is_empty() || column.iter().any(|all| all.iter().all(fits))
}

fn fields(message: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = message.trim_start();
    while !rest.is_empty() {
        let enclosed =
            [('[', ']'), ('"', '"')].into_iter().find_map(|(open, close)| rest.strip_prefix(open)?.split_once(close));
        let (field, behind) = enclosed.or_else(|| rest.split_once(char::is_whitespace)).unwrap_or((rest, ""));
        fields.push(field);
        rest = behind.trim_start();
    }
    fields
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Columns, Malformed> {
    cursor.need("[")?;
    let mut columns = Columns { before: Vec::new(), after: None };
    loop {
        if cursor.take("...") {
            if columns.after.replace(Vec::new()).is_some() {
                return Err(cursor.unexpected("there is a second ellipsis"));
            }
        } else {
            let column = column(cursor)?;
            columns.after.as_mut().unwrap_or(&mut columns.before).push(column);
        }
        if cursor.take("]") {
            return Ok(columns);
        }
        cursor.need(",")?;
    }
}

/// `name`, `name = 4*`, `name > 1 && name < 5 || name = 9`
fn column(cursor: &mut Cursor<'_>) -> Result<Column, Malformed> {
    let name = name(cursor)?;
    if matches!(cursor.peek(), Some(',' | ']')) {
        return Ok(Vec::new());
    }
    let mut alternatives = vec![vec![Comparison::parse(cursor)?]];
    loop {
        let is_new = if cursor.take("||") {
            true
        } else if cursor.take("&&") {
            false
        } else {
            return Ok(alternatives);
        };
        let again = self::name(cursor)?;
        if again != name {
            return Err(Malformed(format!("Invalid filter pattern: {again} stands in the column {name}")));
        }
        let comparison = Comparison::parse(cursor)?;
        match alternatives.last_mut().filter(|_| !is_new) {
            Some(all) => all.push(comparison),
            None => alternatives.push(vec![comparison]),
        }
    }
}

fn name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Malformed> {
    cursor.peek();
    let name = cursor.while_of(|c| c.is_alphanumeric() || "_-.".contains(c));
    if name.is_empty() { Err(cursor.unexpected("a column's name is missing")) } else { Ok(name) }
}
