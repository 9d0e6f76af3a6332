//! A bounded number of pollers over the messages of many queues, in fair turns. Whose turn it is is decided by a pure
//! state machine; [`Pollers`] carries out what it says.

mod aside;
mod pollers;
mod timing;
mod turns;

pub use aside::put_aside;
pub use pollers::{Pollers, Work};
pub use timing::Timing;
pub use turns::{Bounds, Verdict};
