//! Points between two writes at which the process can be made to end, to show that no crash there loses anything.
//!
//! Only a build with the feature `crash-points` can do it, which no release has; in all others [`point`] is nothing at
//! compile time. Such a build reads one variable at the first point that it comes to: `HEARTH_CRASH_AT=queue-committed:3`
//! ends the process, without any clean-up, when it comes to that point for the third time.

/// A point between two writes, or between a write and its answer. Each is named in `e2e/loss/points.py`, with what leads to
/// it, and is in the code: `cargo xtask tidy` compares the three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// A group of commits to the queues is written, and not yet committed.
    QueueWritten,
    /// A group of commits to the queues is on stable storage, and nobody knows.
    QueueCommitted,
    /// Some messages of a queue that is emptied are gone, others not yet.
    QueuePurging,
    /// A group of commits to the metadata is written, and not yet committed.
    MetadataWritten,
    /// A group of commits to the metadata is on stable storage, and nobody knows.
    MetadataCommitted,
    /// A package is in a file, which does not have its name yet.
    BlobWritten,
    /// A package's file has its name, which is not on stable storage yet.
    BlobNamed,
    /// A package is kept, and the function that it belongs to is not there yet.
    PackageKept,
    /// A function is gone, and its events are not yet.
    FunctionGone,
    /// An event is kept, and neither its client nor the pollers know.
    EventKept,
    /// An event has been run, and what became of it is not kept.
    EventRan,
    /// What became of an event is kept, and who is to hear of it has not been told.
    EventEnded,
    /// A parcel has been taken to where it goes, and is still on its way.
    ParcelDelivered,
    /// A queue of a client's is gone, and its messages are not yet.
    QueueGone,
    /// An object's bytes are in a file, and no record says so.
    ObjectWritten,
    /// A topic is gone, and what it remembers of its publications is not yet.
    TopicGone,
    /// What a schedule sends is on its way, and that its time has been seen to is not kept.
    ScheduleFired,
    /// The same of a rule.
    RuleFired,
    /// A mapping's function has taken a batch of messages, and they are still in their queue.
    BatchTaken,
    /// A mapping's function has run with records of a stream, and how far it is is not kept.
    RecordsRan,
    /// The destination of a mapping is told of records that are given up, and that they are is not kept.
    RecordsGivenUp,
}

/// Where the process is. In a build with `crash-points` it may end here.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub const fn point(_: Point) {}

/// Where the process is: it ends here, if it was told to.
#[cfg(feature = "crash-points")]
pub fn point(at: Point) {
    told::point(at);
}

#[cfg(feature = "crash-points")]
mod told {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Point;

    /// Names a point, and which time.
    const VARIABLE: &str = "HEARTH_CRASH_AT";

    struct Told {
        name: String,
        left: AtomicU64,
    }

    // A crash belongs to the process as a whole, as the variable does.
    static TOLD: LazyLock<Option<Told>> = LazyLock::new(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let (name, times) = text.split_once(':')?;
        Some(Told { name: name.to_owned(), left: AtomicU64::new(times.parse().ok()?) })
    });

    pub(super) fn point(at: Point) {
        let Some(told) = &*TOLD else { return };
        if told.name == name(at) && told.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            eprintln!("{VARIABLE}: the end, at {}", told.name);
            std::process::abort();
        }
    }

    /// `QueueWritten` is `queue-written`.
    fn name(at: Point) -> String {
        let mut name = String::new();
        for c in format!("{at:?}").chars() {
            if c.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_called_as_the_variable_calls_it() {
            assert_eq!(name(Point::QueueWritten), "queue-written");
        }
    }
}
