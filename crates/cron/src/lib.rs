//! When rules and schedules fire: `rate(5 minutes)`, `cron(0 8 ? * MON-FRI *)`, `at(2024-03-05T12:00:00)`, each in a time
//! zone. Pure: times go in, the next time comes out.

mod civil;
mod expression;
mod field;
mod timetable;

pub use civil::Cron;
pub use expression::{Expression, Rate};
pub use timetable::{Timetable, Zone};
