//! Which texts are expressions, and when they fire.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use hearth_cron::{Expression, Timetable, Zone};
use jiff::Timestamp;
use proptest::prelude::*;

fn ms(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_millisecond()
}

fn timetable(expression: &str, zone: &str) -> Timetable {
    let expression = Expression::of_schedule(expression).unwrap_or_else(|| panic!("{expression}"));
    Timetable { expression, zone: Zone::named(zone).unwrap(), start_ms: 0, at_start: false }
}

/// The times that follow, as text.
fn times(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let table = timetable(expression, zone);
    let all = std::iter::successors(table.next(ms(after)), |time| table.next(*time));
    all.take(count).map(|time| Timestamp::from_millisecond(time).unwrap().to_string()).collect()
}

#[test]
fn what_is_an_expression() {
    for good in [
        "rate(1 minute)",
        "rate(5 minutes)",
        "rate(1 hour)",
        "rate(7 days)",
        "cron(0 2 ? * SAT *)",
        "cron(0 12 * * ? *)",
        "cron(5,35 14 * * ? *)",
        "cron(15 10 ? * 6L 2002-2005)",
        "cron(0 2 ? * SAT#3 *)",
        "cron(* * ? * SAT#3 *)",
        "cron(0 18 ? * MON-FRI *)",
        "cron(0 8 1 * ? *)",
        "cron(0/15 * * * ? *)",
        "cron(0/10 * ? * mon-fri *)",
        "cron(0/5 8-17 ? * MON-FRI *)",
        "cron(0/30 20-23 ? JAN,MAR-MAY MON-FRI 2024/2)",
        "cron(0 0 L * ? *)",
        "cron(0 0 LW * ? *)",
        "cron(0 0 3W,L * ? *)",
        "cron(0 0 ? * L *)",
        "cron(*/5 * 1-10/3 * ? *)",
    ] {
        assert!(Expression::of_rule(good).is_some(), "{good}");
        assert!(Expression::of_schedule(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "rate()",
        "rate(10)",
        "rate(0 minutes)",
        "rate(-10 minutes)",
        "rate(+1 minute)",
        "rate(1 minutes)",
        "rate(10 minute)",
        "rate(10 minutess)",
        "rate(10 MINUTES)",
        "rate(10 seconds)",
        "rate(10 years)",
        "rate(foo minutes)",
        "rate( 10 minutes )",
        " rate(10 minutes)",
        "rate(99999999999999999999 days)",
        "rate(9223372036854775807 days)",
        "cron()",
        "cron(INVALID)",
        "cron(0 1 * * * *)",
        "cron(0 1 ? * ? *)",
        "cron(0 12 * * ?)",
        "cron(0 12 * * ? * *)",
        "cron(7 20 * * NOT *)",
        "cron(0 dummy ? * MON-FRI *)",
        "cron(71 8 1 * ? *)",
        "cron(0 24 1 * ? *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 32 * ? *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 ? * 0 *)",
        "cron(0 0 ? * 2#6 *)",
        "cron(0 0 ? 13 1 *)",
        "cron(0 0 1 * ? 1969)",
        "cron(0 0 1 * ? 2200)",
        "cron(*/0 * * * ? *)",
        "cron(5-1 * * * ? *)",
        "cron(1, * * * ? *)",
        "cron(-1 * * * ? *)",
        "cron(0 0 W * ? *)",
        "cron(0 0 32W * ? *)",
        "cron(0 0 1 * ? *) ",
        "at(2024-03-05T12:00:00",
        "at(2024-03-05)",
        "at(2024-03-05 12:00:00)",
        "at(2024-03-05T12:00:00Z)",
        "at(2024-02-30T12:00:00)",
        "at(2024-03-05T12:00:60)",
    ] {
        assert!(Expression::of_schedule(bad).is_none(), "{bad}");
        assert!(Expression::of_rule(bad).is_none(), "{bad}");
    }
    assert!(Expression::of_schedule("at(2024-03-05T12:00:00)").is_some());
    assert!(Expression::of_rule("at(2024-03-05T12:00:00)").is_none());
}

#[test]
fn when_cron_expressions_fire() {
    let after = "2024-02-28T23:59:59Z";
    for (expression, expected) in [
        ("cron(0 10 * * ? *)", &["2024-02-29T10:00:00Z", "2024-03-01T10:00:00Z"][..]),
        ("cron(0/30 9-10 ? * MON-FRI *)", &["2024-02-29T09:00:00Z", "2024-02-29T09:30:00Z", "2024-02-29T10:00:00Z"]),
        ("cron(0 0 29 2 ? *)", &["2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("cron(0 0 31 * ? *)", &["2024-03-31T00:00:00Z", "2024-05-31T00:00:00Z"]),
        ("cron(0 8 L * ? *)", &["2024-02-29T08:00:00Z", "2024-03-31T08:00:00Z", "2024-04-30T08:00:00Z"]),
        ("cron(0 8 LW * ? *)", &["2024-02-29T08:00:00Z", "2024-03-29T08:00:00Z", "2024-04-30T08:00:00Z"]),
        // 2024-06-01 is a Saturday, 2024-09-01 a Sunday.
        ("cron(0 0 1W 6,9 ? *)", &["2024-06-03T00:00:00Z", "2024-09-02T00:00:00Z", "2025-06-02T00:00:00Z"]),
        ("cron(0 0 15W 6 ? *)", &["2024-06-14T00:00:00Z", "2025-06-16T00:00:00Z"]),
        ("cron(0 0 30W 6 ? *)", &["2024-06-28T00:00:00Z", "2025-06-30T00:00:00Z"]),
        ("cron(0 0 ? * 6L *)", &["2024-03-29T00:00:00Z", "2024-04-26T00:00:00Z"]),
        ("cron(0 0 ? * L *)", &["2024-03-02T00:00:00Z", "2024-03-09T00:00:00Z"]),
        ("cron(0 0 ? * 3#2 *)", &["2024-03-12T00:00:00Z", "2024-04-09T00:00:00Z"]),
        ("cron(0 0 ? * MON#5 *)", &["2024-04-29T00:00:00Z", "2024-07-29T00:00:00Z"]),
        ("cron(0 0 1 1 ? 2026)", &["2026-01-01T00:00:00Z"]),
        ("cron(0 0 1 1 ? 2023)", &[]),
        ("cron(0 0 30 2 ? *)", &[]),
    ] {
        let found = times(expression, "UTC", after, expected.len().max(1));
        assert_eq!(found, expected, "{expression}");
    }
}

#[test]
fn clocks_that_jump() {
    // Forward on 2024-03-10 at 02:00, back on 2024-11-03 at 02:00.
    let new_york = "America/New_York";
    let skipped = times("cron(30 2 * * ? *)", new_york, "2024-03-09T00:00:00Z", 2);
    assert_eq!(skipped, ["2024-03-09T07:30:00Z", "2024-03-11T06:30:00Z"], "there is no half past two on the 10th");
    let once = times("cron(30 1 * * ? *)", new_york, "2024-11-02T12:00:00Z", 2);
    assert_eq!(once, ["2024-11-03T05:30:00Z", "2024-11-04T06:30:00Z"], "the first of two");
    let hourly = times("cron(0 * * * ? *)", new_york, "2024-11-03T04:30:00Z", 3);
    assert_eq!(hourly, ["2024-11-03T05:00:00Z", "2024-11-03T07:00:00Z", "2024-11-03T08:00:00Z"]);
    let rate = Timetable { start_ms: ms("2024-11-03T05:00:00Z"), ..timetable("rate(1 hour)", new_york) };
    assert_eq!(rate.next(ms("2024-11-03T05:00:00Z")), Some(ms("2024-11-03T06:00:00Z")), "a rate knows no zone");
    assert_eq!(times("at(2024-07-01T09:00:00)", new_york, after(), 2), ["2024-07-01T13:00:00Z"]);
    assert_eq!(times("at(2024-03-10T02:30:00)", new_york, after(), 1), ["2024-03-10T07:30:00Z"]);
    assert_eq!(times("at(2024-11-03T01:30:00)", new_york, after(), 1), ["2024-11-03T05:30:00Z"]);
    assert!(Zone::named("Europe/Nowhere").is_none());
    // A day that a whole country left out: 2011-12-30.
    let apia = times("cron(0 12 * * ? *)", "Pacific/Apia", "2011-12-29T23:00:00Z", 1);
    assert_eq!(apia, ["2011-12-30T22:00:00Z"], "noon of the 31st");
}

fn after() -> &'static str {
    "2024-01-01T00:00:00Z"
}

#[test]
fn rates_count_from_their_start() {
    let start_ms = ms("2024-01-01T10:00:07.250Z");
    let rule = Timetable { start_ms, ..timetable("rate(5 minutes)", "UTC") };
    assert_eq!(rule.next(0), Some(start_ms + 300_000));
    assert_eq!(rule.next(start_ms + 300_000), Some(start_ms + 600_000));
    assert_eq!(rule.next(start_ms + 899_999), Some(start_ms + 900_000));
    let schedule = Timetable { at_start: true, ..rule };
    assert_eq!(schedule.next(0), Some(start_ms));
    assert_eq!(schedule.next(start_ms), Some(start_ms + 300_000));
}

#[test]
fn the_latest_of_many() {
    let minutely = timetable("cron(* * * * ? *)", "UTC");
    let (from, to) = (ms("2020-01-01T00:00:00Z"), ms("2024-01-01T00:00:30Z"));
    assert_eq!(minutely.latest(from, to), Some(ms("2024-01-01T00:00:00Z")));
    assert_eq!(minutely.latest(to - 10_000, to), None);
    let yearly = timetable("cron(0 0 1 1 ? *)", "UTC");
    assert_eq!(yearly.latest(from, to - 86_400_000), Some(ms("2023-01-01T00:00:00Z")));
    assert_eq!(yearly.latest(from, from), None);
    let at = timetable("at(2023-05-05T00:00:00)", "UTC");
    assert_eq!(at.latest(from, to), Some(ms("2023-05-05T00:00:00Z")));
    assert_eq!(at.latest(to, to + 1), None);
}

/// A field's text and the numbers it names.
fn field(least: i8, most: i8) -> impl Strategy<Value = (String, Vec<i8>)> {
    let number = least..=most;
    prop_oneof![
        Just(("*".to_owned(), (least..=most).collect())),
        number.clone().prop_map(|one| (one.to_string(), vec![one])),
        (number.clone(), number.clone()).prop_map(|(one, other)| {
            let (first, last) = (one.min(other), one.max(other));
            (format!("{first}-{last}"), (first..=last).collect())
        }),
        (number.clone(), 1..=most).prop_map(move |(first, step)| {
            let all = (first..=most).step_by(usize::try_from(step).unwrap()).collect();
            (format!("{first}/{step}"), all)
        }),
        (number.clone(), number).prop_map(|(one, other)| (format!("{one},{other}"), vec![one, other])),
    ]
}

proptest! {
    #[test]
    fn as_a_look_at_every_minute_says(
        minutes in field(0, 59), hours in field(0, 23), months in field(1, 12),
        of_month in field(1, 31), of_week in field(1, 7), by_week: bool, start in 0i64..1_500_000,
    ) {
        let (month_text, week_text) = if by_week { ("?", of_week.0.as_str()) } else { (of_month.0.as_str(), "?") };
        let text = format!("cron({} {} {month_text} {} {week_text} *)", minutes.0, hours.0, months.0);
        let table = timetable(&text, "UTC");
        let start = ms("2023-01-01T00:00:00Z") + start * 60_000;
        let is_one = |time: i64| {
            let civil = Timestamp::from_millisecond(time).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            let day = if by_week {
                of_week.1.contains(&civil.weekday().to_sunday_one_offset())
            } else {
                of_month.1.contains(&civil.day())
            };
            day && months.1.contains(&civil.month()) && hours.1.contains(&civil.hour()) && minutes.1.contains(&civil.minute())
        };
        let next = table.next(start);
        // Three days, minute by minute.
        let looked = (1..=3 * 24 * 60).map(|minute| start + minute * 60_000).find(|time| is_one(*time));
        match looked {
            Some(time) => prop_assert_eq!(next, Some(time)),
            None => prop_assert!(next.is_none_or(|time| time > start + 3 * 24 * 60 * 60_000 && is_one(time))),
        }
        if let Some(next) = next {
            prop_assert_eq!(table.latest(start, next), Some(next));
            prop_assert_eq!(table.latest(start, next - 1), None);
        }
    }
}
