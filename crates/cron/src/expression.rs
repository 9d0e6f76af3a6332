//! The expressions, as they are written.

use jiff::civil::DateTime;

use crate::civil::Cron;

/// When something is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expression {
    /// Again and again, at equal distances.
    Rate(Rate),
    /// At minutes of the calendar.
    Cron(Cron),
    /// Once.
    At(DateTime),
}

/// The distance between two times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Milliseconds; whole minutes, one at least.
    pub period_ms: i64,
}

impl Expression {
    /// As rules have it: a rate or a cron expression. None for anything else.
    #[must_use]
    pub fn of_rule(text: &str) -> Option<Expression> {
        if let Some(inner) = inside(text, "rate(") {
            return rate(inner).map(Expression::Rate);
        }
        inside(text, "cron(").and_then(Cron::parse).map(Expression::Cron)
    }

    /// As schedules have it: also a single time. None for anything else.
    #[must_use]
    pub fn of_schedule(text: &str) -> Option<Expression> {
        match inside(text, "at(") {
            Some(time) => at(time).map(Expression::At),
            None => Expression::of_rule(text),
        }
    }
}

fn inside<'a>(text: &'a str, opening: &str) -> Option<&'a str> {
    text.strip_prefix(opening)?.strip_suffix(')')
}

/// `1 minute`, `5 minutes`: of one the unit has no s, of more it has.
fn rate(text: &str) -> Option<Rate> {
    let (number, unit) = text.split_once(' ')?;
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse::<i64>().ok()).flatten()?;
    let unit = match number {
        0 => None,
        1 => Some(unit),
        _ => unit.strip_suffix('s'),
    };
    let minutes = match unit? {
        "minute" => 1,
        "hour" => 60,
        "day" => 24 * 60,
        _ => return None,
    };
    // Beyond this no next time could be told.
    let period_ms = number.checked_mul(minutes * 60_000).filter(|period| *period <= i64::from(i32::MAX) * 60_000)?;
    Some(Rate { period_ms })
}

/// `2024-03-05T12:00:00`, and nothing that merely can be read as a time.
fn at(text: &str) -> Option<DateTime> {
    let shape = |(byte, model): (u8, u8)| if model == b'0' { byte.is_ascii_digit() } else { byte == model };
    let model = b"0000-00-00T00:00:00";
    let fits = text.len() == model.len() && text.bytes().zip(*model).all(shape);
    // A leap second would be read as the second before.
    let fits = fits && !text.ends_with(":60");
    fits.then(|| text.parse().ok()).flatten()
}
