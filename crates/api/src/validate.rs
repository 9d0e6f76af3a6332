//! The model's constraints, and the text of the error that names all that are broken.

use std::fmt::Display;

use hearth_types::limits::MESSAGE_VIOLATIONS;

use crate::error::ApiError;
use crate::print::{NOT_NULL, at_least, at_most, constraints, double, must_be_one_of, must_match, subject};
use crate::schema::{Kind, Member, Range, Shape};
use crate::value::{Members, Value};

/// Checks an input's members in the model's order.
///
/// # Errors
/// `ValidationException`: `2 validation errors detected: Value 'V' at 'member' failed to satisfy constraint: ...; ...`.
pub(crate) fn validate(members: &'static [Member], values: &Members) -> Result<(), ApiError> {
    let mut found = Violations::default();
    structure(&mut found, None, members, values);
    match found.count {
        0 => Ok(()),
        1 => Err(ApiError::validation(format!("1 validation error detected: {}", found.texts.concat()))),
        n => Err(ApiError::validation(format!("{n} validation errors detected: {}", found.texts.join("; ")))),
    }
}

/// What is broken so far. All are counted; the texts are bounded.
#[derive(Default)]
struct Violations {
    count: usize,
    texts: Vec<String>,
}

impl Violations {
    fn add(&mut self, subject: impl FnOnce() -> String, path: &Path<'_>, constraint: impl FnOnce() -> String) {
        self.count += 1;
        if self.texts.len() < MESSAGE_VIOLATIONS {
            let (subject, path, constraint) = (subject(), path.text(), constraint());
            self.texts.push(format!("{subject} at '{path}' failed to satisfy constraint: {constraint}"));
        }
    }
}

/// Where a value stands: `routingConfig.additionalVersionWeights`, `filters.1.member.pattern`.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Member(&'static str),
    /// Counted from 1.
    Element(usize),
}

impl Path<'_> {
    fn text(&self) -> String {
        let step = match self.step {
            Step::Member(name) => name.to_owned(),
            Step::Element(number) => format!("{number}.member"),
        };
        self.parent.map_or(step.clone(), |parent| format!("{}.{step}", parent.text()))
    }
}

fn structure(found: &mut Violations, parent: Option<&Path<'_>>, members: &'static [Member], values: &Members) {
    for (member, value) in members.iter().zip(&values.0) {
        let path = Path { parent, step: Step::Member(member.printed) };
        match value {
            Some(value) => check(found, &path, member.shape, value),
            None if member.required => found.add(|| "Value null".to_owned(), &path, || NOT_NULL.to_owned()),
            None => {}
        }
    }
}

fn check(found: &mut Violations, path: &Path<'_>, shape: &'static Shape, value: &Value) {
    let mut broken = |constraint: String| found.add(|| subject(shape, value), path, || constraint);
    match (&shape.kind, value) {
        (Kind::Text { .. }, Value::Text(text)) => check_text(shape, text, &mut broken),
        (Kind::Integer { value: range } | Kind::Long { value: range }, Value::Integer(n)) => {
            check_range("value", range, *n, |n| n.to_string(), &mut broken);
        }
        (Kind::Double { value: range }, Value::Double(n)) => check_range("value", range, *n, double, &mut broken),
        (Kind::Blob { length }, Value::Blob(bytes)) => check_length(length, bytes.len(), &mut broken),
        (Kind::List { length, member }, Value::List(items)) => {
            check_length(length, items.len(), &mut broken);
            check_items(found, path, shape, value, member, items);
        }
        (Kind::Map { length, key, value: shape_of_value }, Value::Map(entries)) => {
            check_length(length, entries.len(), &mut broken);
            if !entries.iter().all(|(k, _)| text_fits(key, k)) {
                broken(format!("Map keys must satisfy constraint: [{}]", constraints(key).join(", ")));
            }
            if !entries.iter().all(|(_, v)| fits(shape_of_value, v.as_ref())) {
                let list = of_elements(shape_of_value, entries.iter().any(|(_, v)| v.is_none()));
                broken(format!("Map value must satisfy constraint: [{list}]"));
            }
        }
        (Kind::Structure { members, .. }, Value::Structure(values)) => structure(found, Some(path), members, values),
        (kind, Value::Unreadable(_)) => broken(unreadable(kind).to_owned()),
        _ => {}
    }
}

fn check_items(
    found: &mut Violations,
    path: &Path<'_>,
    shape: &Shape,
    list: &Value,
    member: &'static Shape,
    items: &[Option<Value>],
) {
    if let Kind::Structure { members, .. } = member.kind {
        for (index, item) in items.iter().enumerate() {
            let path = Path { parent: Some(path), step: Step::Element(index + 1) };
            match item {
                Some(Value::Structure(values)) => structure(found, Some(&path), members, values),
                _ => found.add(|| "Value null".to_owned(), &path, || NOT_NULL.to_owned()),
            }
        }
    } else if !items.iter().all(|item| fits(member, item.as_ref())) {
        let constraints = of_elements(member, items.iter().any(Option::is_none));
        let text = format!("Member must satisfy constraint: [{constraints}]");
        found.add(|| subject(shape, list), path, || text);
    }
}

/// All constraints of an element; that it must be there is named where one is not.
fn of_elements(member: &Shape, null_found: bool) -> String {
    let mut all = constraints(member);
    if null_found && !all.iter().any(|c| c == NOT_NULL) {
        all.push(NOT_NULL.to_owned());
    }
    all.join(", ")
}

/// Whether an element of a list or a value of a map breaks nothing.
fn fits(shape: &'static Shape, value: Option<&Value>) -> bool {
    let Some(value) = value else { return false };
    let mut found = Violations::default();
    check(&mut found, &Path { parent: None, step: Step::Element(1) }, shape, value);
    found.count == 0
}

fn text_fits(shape: &Shape, text: &str) -> bool {
    let mut fits = true;
    check_text(shape, text, &mut |_| fits = false);
    fits
}

fn check_text(shape: &Shape, text: &str, broken: &mut impl FnMut(String)) {
    let Kind::Text { length, pattern, values } = &shape.kind else { return };
    check_length(length, java_length(text), broken);
    if let Some(pattern) = pattern
        && !pattern.matches(text)
    {
        broken(must_match(pattern.text()));
    }
    if !values.is_empty() && !values.contains(&text) {
        broken(must_be_one_of(values));
    }
}

/// The service counts UTF-16 units.
fn java_length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

fn check_length(range: &Range<usize>, length: usize, broken: &mut impl FnMut(String)) {
    check_range("length", range, length, |n| n.to_string(), broken);
}

fn check_range<T: PartialOrd + Copy + Display>(
    what: &str,
    range: &Range<T>,
    value: T,
    print: impl Fn(T) -> String,
    broken: &mut impl FnMut(String),
) {
    if let Some(max) = range.too_large(value) {
        broken(at_most(what, &print(max)));
    }
    if let Some(min) = range.too_small(value) {
        broken(at_least(what, &print(min)));
    }
}

/// What text in a query, header or label must be.
fn unreadable(kind: &Kind) -> &'static str {
    match kind {
        Kind::Boolean => "Member must be true or false",
        Kind::Timestamp => "Member must be a time as of ISO 8601",
        _ => "Member must be a number",
    }
}
