//! What the bodies of requests may take up in the server's memory.

use std::sync::Arc;

use hearth_api::ApiError;
use hearth_http::RequestBody;
use hearth_types::limits::{
    INSIDE_BODIES_BYTES, INSIDE_PACKAGES_IN_WORK, PACKAGES_IN_WORK, SMALL_BODY_BYTES, SYNC_PAYLOAD_BYTES,
};
use hyper::body::Body;
use tokio::sync::{Semaphore, SemaphorePermit};

/// What is counted by.
const UNIT_BYTES: usize = 1024;
/// No body takes more than half of the room, so that none waits for all others to end.
const LARGEST: usize = INSIDE_BODIES_BYTES / 2;

/// Room for bodies behind one door. Who finds none waits, and his bytes with him, in the kernel.
pub(crate) struct Room {
    /// A place for each body that is large: a package, or what is sent on to an upstream.
    packages: Arc<Semaphore>,
    /// For all bodies together; none where only packages are counted.
    bodies: Option<Semaphore>,
}

/// What a body has of the room, until it is dropped.
pub(crate) struct Place<'a> {
    _body: Option<SemaphorePermit<'a>>,
    _package: Option<SemaphorePermit<'a>>,
}

impl Room {
    /// For clients of the public address, whose count is bounded.
    pub(crate) fn outside() -> Self {
        Self { packages: Arc::new(Semaphore::new(PACKAGES_IN_WORK)), bodies: None }
    }

    /// For one environment; all share the places for packages.
    pub(crate) fn inside(packages: Arc<Semaphore>) -> Self {
        Self { packages, bodies: Some(Semaphore::new(INSIDE_BODIES_BYTES / UNIT_BYTES)) }
    }

    /// The places that environments share.
    pub(crate) fn packages_inside() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(INSIDE_PACKAGES_IN_WORK))
    }

    /// Waits until a body of at most `limit` bytes may be held in memory.
    ///
    /// # Errors
    /// None in fact: the room is never closed.
    pub(crate) async fn take(&self, body: &RequestBody, limit: usize) -> Result<Place<'_>, ApiError> {
        self.take_bytes(expected(body, limit), limit).await
    }

    async fn take_bytes(&self, bytes: usize, limit: usize) -> Result<Place<'_>, ApiError> {
        let units = bytes.min(LARGEST).div_ceil(UNIT_BYTES) as u32;
        let body = match &self.bodies {
            Some(bodies) if units > 0 => Some(bodies.acquire_many(units).await.map_err(|_| stopping())?),
            _ => None,
        };
        let package = if limit > SYNC_PAYLOAD_BYTES && bytes > SMALL_BODY_BYTES {
            Some(self.packages.acquire().await.map_err(|_| stopping())?)
        } else {
            None
        };
        Ok(Place { _body: body, _package: package })
    }
}

/// Bytes that a body may have: what its head says, and no more than is read.
fn expected(body: &impl Body, limit: usize) -> usize {
    let upper = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
    upper.map_or(limit, |bytes| bytes.min(limit))
}

fn stopping() -> ApiError {
    ApiError::service("The server is stopping.")
}

#[cfg(test)]
mod tests {
    use hearth_types::limits::CONTROL_BODY_BYTES;

    use super::*;

    async fn fits(room: &Room, bytes: usize, limit: usize) -> bool {
        let take = room.take_bytes(bytes, limit);
        tokio::select! {
            biased;
            place = take => place.is_ok(),
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn an_environments_bodies_have_a_bound_together() {
        let room = Room::inside(Room::packages_inside());
        let mut places = Vec::new();
        for _ in 0..INSIDE_BODIES_BYTES / SYNC_PAYLOAD_BYTES {
            places.push(room.take_bytes(SYNC_PAYLOAD_BYTES, SYNC_PAYLOAD_BYTES).await.unwrap());
        }
        assert!(!fits(&room, SYNC_PAYLOAD_BYTES, SYNC_PAYLOAD_BYTES).await);
        assert!(fits(&room, 0, SYNC_PAYLOAD_BYTES).await, "what has no body needs no room");
        drop(places.pop());
        assert!(fits(&room, SYNC_PAYLOAD_BYTES, SYNC_PAYLOAD_BYTES).await);
    }

    #[tokio::test]
    async fn packages_of_functions_have_places_of_their_own() {
        let (shared, outside) = (Room::packages_inside(), Room::outside());
        let rooms: Vec<_> = (0..=INSIDE_PACKAGES_IN_WORK).map(|_| Room::inside(Arc::clone(&shared))).collect();
        let mut places = Vec::new();
        for room in &rooms[..INSIDE_PACKAGES_IN_WORK] {
            places.push(room.take_bytes(CONTROL_BODY_BYTES, CONTROL_BODY_BYTES).await.unwrap());
        }
        let last = &rooms[INSIDE_PACKAGES_IN_WORK];
        assert!(!fits(last, CONTROL_BODY_BYTES, CONTROL_BODY_BYTES).await);
        assert!(fits(last, SMALL_BODY_BYTES, CONTROL_BODY_BYTES).await, "a small one is none");
        assert!(fits(&outside, CONTROL_BODY_BYTES, CONTROL_BODY_BYTES).await);
    }
}
