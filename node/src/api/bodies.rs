//! [`Room`]: how much of requests' bodies is in memory.
//!
//! Guarantees: a body is no longer than its route takes. Of routes that take long ones, bodies that are read or worked on have so many bytes
//! together, and further ones wait unread in their connections. A change of the policy never waits for an upload. Deliberately lacks a time
//! for a body, which `platform::listen` has, and lists of inputs, which are read in turn.

use std::sync::Arc;

use axum::body::HttpBody as _;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::MethodRouter;
use station_protocol::policy::POLICY_BYTES_MAX;
use tokio::sync::Semaphore;

use super::Api;

/// Longest body of a route that takes only a few words, like a pause. Every connection may have one.
const SMALL_BYTES_MAX: usize = 1 << 10;
/// A policy that is a little too long is refused by the rule it breaks.
pub(super) const POLICY_BODY_BYTES_MAX: usize = POLICY_BYTES_MAX + (1 << 10);
/// Content and experiments that are read at once: one of the longest, and several small ones beside it.
pub(super) const UPLOADS_BYTES: usize = 30 << 20;
/// Policies that are read at once.
pub(super) const POLICIES_BYTES: usize = 2 << 20;
/// Room is given in such pieces.
const PIECE_BYTES: usize = 1 << 10;

const _: () =
    assert!(UPLOADS_BYTES + POLICIES_BYTES <= 32 << 20 && super::BODY_BYTES_MAX <= UPLOADS_BYTES && POLICY_BODY_BYTES_MAX <= POLICIES_BYTES);

/// What the bodies of several routes may take together.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / PIECE_BYTES)))
    }

    /// `route` with bodies of at most `most` bytes, read when there is room for them, which is given back when the answer is there.
    pub(super) fn bounds(&self, most: usize, route: MethodRouter<Api>) -> MethodRouter<Api> {
        let room = self.clone();
        let held = middleware::from_fn(move |request: Request, next: Next| room.clone().hold(most, request, next));
        route.route_layer(held).route_layer(DefaultBodyLimit::max(most))
    }

    async fn hold(self, most: usize, request: Request, next: Next) -> Response {
        // One that does not say how long it is may be as long as any.
        let says = request.body().size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
        let pieces = says.unwrap_or(most).min(most).div_ceil(PIECE_BYTES);
        // Nobody closes it.
        let _held = self.0.acquire_many(u32::try_from(pieces).unwrap_or(u32::MAX)).await;
        next.run(request).await
    }
}

/// The bound of all routes that have no other.
pub(super) fn small() -> DefaultBodyLimit {
    DefaultBodyLimit::max(SMALL_BYTES_MAX)
}

#[cfg(test)]
mod tests;
