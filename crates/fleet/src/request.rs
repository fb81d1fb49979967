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
///
/// # Examples
///
/// ```
/// use cache_index::Severity;
/// use cache_index::invalidation::InvalidationRequest;
/// use cache_index_fleet::{Fleet, FleetConfig, MemoryEngine, Reach};
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// # let config = FleetConfig::builder("pop-1").build()?;
/// let fleet = Fleet::join(cache, config, MemoryEngine::new());
/// let request = InvalidationRequest::all(Severity::Hard);
/// let done = fleet.request(Some("editor"), &fleet.tenant("doc"), &request, Reach::Durable).await;
/// assert_eq!((done.reached, done.is_reached), (Reach::Durable, true));
/// assert!(done.local.is_durable());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the removed values are in the receipt"]
#[derive(Debug)]
#[non_exhaustive]
pub struct Requested<V> {
    /// The receipt of this node's index.
    pub receipt: Receipt<V>,
    /// The known durability on this node's own disk.
    pub local: Durability,
    /// The level that was reached in time.
    pub reached: Reach,
    /// Whether that is the level that was asked for. If not, the request goes on its way: calling
    /// again is not necessary.
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
        let (local, reached) = tokio::join!(logged, reached);
        let took = Moment::now().since(began);
        self.shared.note(wanted, reached, took);
        Requested { receipt, local, reached, is_reached: reached == wanted, took }
    }
}
