//! How many messages of a queue are in flight: counted by the store where it could be too many, and not for each receive.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hearth_api::ApiError;
use hearth_types::limits::{SQS_IN_FLIGHT, SQS_IN_FLIGHT_FIFO};

use crate::queue::{QueueRecord, key};
use crate::{Sqs, unavailable};

/// Of each queue, no fewer than there are.
#[derive(Default)]
pub(crate) struct InFlight {
    bounds: Mutex<HashMap<String, u64>>,
}

impl InFlight {
    fn bound(&self, queue: &str) -> Option<u64> {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner).get(queue).copied()
    }

    fn set(&self, queue: &str, bound: u64) {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned(), bound);
    }

    /// So many more were taken.
    pub(crate) fn add(&self, queue: &str, taken: usize) {
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bound) = bounds.get_mut(queue) {
            *bound = bound.saturating_add(taken as u64);
        }
    }

    pub(crate) fn forget(&self, queue: &str) {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
    }
}

impl Sqs {
    /// How many messages a receiver may have, up to `wanted`.
    pub(crate) async fn room_in_flight(&self, queue: &QueueRecord, wanted: usize) -> Result<usize, ApiError> {
        let most = if queue.is_fifo() { SQS_IN_FLIGHT_FIFO } else { SQS_IN_FLIGHT };
        let bound = self.in_flight.bound(&queue.name);
        let bound = match bound.filter(|bound| bound.saturating_add(wanted as u64) <= most) {
            Some(bound) => bound,
            None => {
                let count = self.parts.queues.count(&key(&queue.name), self.now_ms()).await;
                let taken = count.map_err(|cause| unavailable(&cause))?.taken;
                self.in_flight.set(&queue.name, taken);
                taken
            }
        };
        Ok(wanted.min(usize::try_from(most.saturating_sub(bound)).unwrap_or(usize::MAX)))
    }
}
