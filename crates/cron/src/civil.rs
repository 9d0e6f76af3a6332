//! Cron expressions: minutes of the calendar, in whatever time zone.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};

use crate::field::{DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH, YEAR, digits};

/// `minutes hours day-of-month month day-of-week year`; one of the two days is `?`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cron {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: Days,
    months: BTreeSet<i8>,
    years: BTreeSet<i16>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Days {
    OfMonth(Vec<MonthDay>),
    OfWeek(Vec<WeekDay>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MonthDay {
    /// `5`.
    Number(i8),
    /// `L`.
    Last,
    /// `15W`: the day from Monday to Friday that is nearest to it and in the same month.
    NearestWeekday(i8),
    /// `LW`: the month's last day from Monday to Friday.
    LastWeekday,
}

/// Days of the week count from Sunday, 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WeekDay {
    /// `MON`.
    Each(i8),
    /// `6L`: the last of its kind in the month.
    Last(i8),
    /// `3#2`: the second of its kind in the month.
    Nth(i8, i8),
}

impl Cron {
    /// What stands between the brackets. None for what is no cron expression.
    #[must_use]
    pub fn parse(text: &str) -> Option<Cron> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, of_month, months, of_week, years] = fields.as_slice() else { return None };
        let days = match (*of_month, *of_week) {
            ("?", "?") => return None,
            (of_month, "?") => Days::OfMonth(of_month.split(',').map(month_days).collect::<Option<Vec<_>>>()?.concat()),
            ("?", of_week) => Days::OfWeek(of_week.split(',').map(week_days).collect::<Option<Vec<_>>>()?.concat()),
            _ => return None,
        };
        let years = YEAR.list(years)?.into_iter().filter_map(|year| i16::try_from(year).ok()).collect();
        let (minutes, hours, months) =
            (small(MINUTE.list(minutes)?), small(HOUR.list(hours)?), small(MONTH.list(months)?));
        Some(Cron { minutes: set(minutes), hours: set(hours), days, months: set(months), years })
    }

    /// The first minute behind `after` that it names; none where there is no more.
    #[must_use]
    pub fn next(&self, after: DateTime) -> Option<DateTime> {
        let today = after.date();
        let minute = (after.hour(), after.minute());
        let at = |date: Date, (hour, minute): (i8, i8)| date.at(hour, minute, 0, 0);
        if self.is_day(today)
            && let Some(time) = self.times().find(|time| *time > minute)
        {
            return Some(at(today, time));
        }
        let first = self.times().next()?;
        self.day_behind(today).map(|day| at(day, first))
    }

    /// All times of a day, in order.
    fn times(&self) -> impl Iterator<Item = (i8, i8)> {
        self.hours.iter().flat_map(|hour| self.minutes.iter().map(|minute| (*hour, *minute)))
    }

    fn is_day(&self, date: Date) -> bool {
        self.years.contains(&date.year()) && self.months.contains(&date.month()) && self.days.contains(date)
    }

    fn day_behind(&self, date: Date) -> Option<Date> {
        let months = self.years.range(date.year()..).flat_map(|year| self.months.iter().map(|month| (*year, *month)));
        let months = months.filter(|month| *month >= (date.year(), date.month()));
        months.filter_map(|(year, month)| Date::new(year, month, 1).ok()).find_map(|first| {
            let mut days = first.series(jiff::Span::new().days(1)).take_while(|day| day.month() == first.month());
            days.find(|day| *day > date && self.days.contains(*day))
        })
    }
}

impl Days {
    fn contains(&self, date: Date) -> bool {
        match self {
            Days::OfMonth(days) => days.iter().any(|day| day.is(date)),
            Days::OfWeek(days) => days.iter().any(|day| day.is(date)),
        }
    }
}

impl MonthDay {
    fn is(self, date: Date) -> bool {
        let last = date.days_in_month();
        match self {
            MonthDay::Number(number) => date.day() == number,
            MonthDay::Last => date.day() == last,
            MonthDay::NearestWeekday(number) => number <= last && date.day() == nearest_weekday(date, number),
            MonthDay::LastWeekday => date.day() == nearest_weekday(date, last),
        }
    }
}

/// The day of the month nearest to a day of it that is neither Saturday nor Sunday.
fn nearest_weekday(month: Date, day: i8) -> i8 {
    let last = month.days_in_month();
    match day_of_week(month, day) {
        1 if day == last => day - 2,
        1 => day + 1,
        7 if day == 1 => day + 2,
        7 => day - 1,
        _ => day,
    }
}

/// Of a day in the same month as that date.
fn day_of_week(month: Date, day: i8) -> i8 {
    let away = i16::from(day - month.day());
    let sunday_is_0 = i16::from(month.weekday().to_sunday_zero_offset()) + away;
    i8::try_from(sunday_is_0.rem_euclid(7) + 1).unwrap_or(1)
}

impl WeekDay {
    fn is(self, date: Date) -> bool {
        let today = day_of_week(date, date.day());
        match self {
            WeekDay::Each(day) => today == day,
            WeekDay::Last(day) => today == day && date.day() > date.days_in_month() - 7,
            WeekDay::Nth(day, nth) => today == day && (date.day() - 1) / 7 + 1 == nth,
        }
    }
}

fn month_days(item: &str) -> Option<Vec<MonthDay>> {
    match item {
        "L" => return Some(vec![MonthDay::Last]),
        "LW" => return Some(vec![MonthDay::LastWeekday]),
        _ => {}
    }
    if let Some(day) = item.strip_suffix('W') {
        let day = digits(day).filter(|day| (1..=31).contains(day))?;
        return Some(vec![MonthDay::NearestWeekday(i8::try_from(day).ok()?)]);
    }
    Some(small(DAY_OF_MONTH.item(item)?).into_iter().map(MonthDay::Number).collect())
}

fn week_days(item: &str) -> Option<Vec<WeekDay>> {
    let day = |text: &str| DAY_OF_WEEK.number(text).and_then(|day| i8::try_from(day).ok());
    if item == "L" {
        return Some(vec![WeekDay::Each(7)]);
    }
    if let Some((text, nth)) = item.split_once('#') {
        let nth = digits(nth).filter(|nth| (1..=5).contains(nth))?;
        return Some(vec![WeekDay::Nth(day(text)?, i8::try_from(nth).ok()?)]);
    }
    if let Some(text) = item.strip_suffix('L') {
        return Some(vec![WeekDay::Last(day(text)?)]);
    }
    Some(small(DAY_OF_WEEK.item(item)?).into_iter().map(WeekDay::Each).collect())
}

/// Of fields whose numbers are below 100.
fn small(numbers: Vec<u16>) -> Vec<i8> {
    numbers.into_iter().filter_map(|number| i8::try_from(number).ok()).collect()
}

fn set(numbers: Vec<i8>) -> BTreeSet<i8> {
    numbers.into_iter().collect()
}
