//! What functions would cost on Lambda: requests and memory over time, kept by month, at prices that can be edited.
//!
//! An invoke adds to counters in memory. What they have grown by is written to the metadata store every
//! [`hearth_types::limits::METER_WRITE`], a record for each function and month, and at a stop: a crash loses no more than
//! that.

mod book;
mod meter;
mod month;
mod prices;

pub use meter::{Meter, MeterError, MonthOfUse};
pub use month::Month;
pub use prices::{Cost, Prices};
