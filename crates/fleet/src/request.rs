//! Requests to invalidate, with the receipt of the index.

use crate::engine::{Announcements, Engine};
use crate::fleet::{Fleet, unix_millis};
use crate::level::Reach;
use crate::time::Moment;
use cache_index::Tenant;
use cache_index::invalidation::{InvalidationRequest, Receipt};
use cache_index_persist::{Codec, Durability, Record, Scope};
use std::time::Duration;

/// The outcome of a request: [`Fleet::request`] returns it.
#[must_use = "the removed values are in the receipt"]
#[derive(Debug)]
#[non_exhaustive]
pub struct Requested<V> {
    /// The receipt of this node's index.
    pub receipt: Receipt<V>,
    /// The known durability on this node's own disk.
    pub local: Durability,
    /// Whether the level was reached in time. If not, the request is sent as soon as possible.
    pub is_reached: bool,
    /// How long it took.
    pub took: Duration,
}

impl<V: Codec + Clone + Send + Sync + 'static, E: Engine + Announcements> Fleet<V, E> {
    /// Invalidates the targets of a request on all nodes as [`apply`](Self::apply) does, and
    /// returns the receipt. The level is a value; the log of this node keeps the name `by`.
    ///
    /// **Cost:** that of the index at once, and then the wait for the level.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub async fn request(
        &self,
        by: Option<&str>,
        tenant: &Tenant,
        request: &InvalidationRequest,
        wanted: Reach,
    ) -> Requested<V> {
        let began = Moment::now();
        let record = |scope| Record {
            unix_millis: unix_millis(),
            by: by.map(str::to_owned),
            outbox: None,
            severity: request.severity(),
            scope,
        };
        let records: Vec<_> = Scope::of_request(tenant, request).into_iter().map(record).collect();
        // A request has at least one target, so it has records.
        let (receipt, logged, reached) = self
            .shared
            .invalidate_by(records, wanted, |cache, _| cache.apply_unlogged(tenant, request));
        let patience = self.shared.patience();
        let reached = async {
            wanted == Reach::Local
                || tokio::time::timeout(patience, reached).await.is_ok_and(|done| done.is_ok())
        };
        let (local, is_reached) = tokio::join!(logged, reached);
        let took = Moment::now().since(began);
        self.shared.note(wanted, is_reached.then_some(took));
        Requested { receipt, local, is_reached, took }
    }
}
