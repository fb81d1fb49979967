//! Flushes that are spread over time.

use super::cache_index::CacheIndex;
use crate::outcome::Flushed;
use crate::scopes::{Generation, OverTime, Tenant};
use crate::sync::Ordering;

/// A flush over time that is running. [`CacheIndex::running_flushes`] returns it, and has an
/// example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningFlush {
    /// The tenant that is being flushed, or `None` for everything.
    pub tenant: Option<Tenant>,
    /// The generation of the flush.
    pub generation: Generation,
    /// The duration of the flush, and how much of it has passed.
    pub over: OverTime,
}

impl<V> CacheIndex<V> {
    /// Invalidates everything, hard, spread over a duration, so that the source does not have to
    /// deliver everything at once.
    ///
    /// Each entry that is older than this call dies at the [moment](OverTime::moment) of its path
    /// within the duration. Until then, it is stale, or live if so [chosen](OverTime::serving). The
    /// moments are spread evenly over the paths. Once the duration has passed since the call, this
    /// was a hard flush: nothing older than the call is served.
    ///
    /// - Leases that were taken before the call can't commit, from the call on.
    /// - Fills that begin after the call are not touched.
    /// - Once a newer entry is stored under a path, the path's older entries are stale until their
    ///   moment. They die early if a soft invalidation, or a second flush over time, covers the
    ///   path before that.
    /// - A hard invalidation in the meantime kills at once, as always. With two flushes over time,
    ///   an entry dies at the earlier of its two moments.
    /// - At most four flushes over time of one scope are remembered, including those that have
    ///   ended and were not swept yet. One more takes effect at once, as `flush_all(Hard)`.
    ///
    /// The index reads the monotonic clock only while such a flush is running, and only in
    /// operations on paths that it covers. There is no timer and no thread. Dead entries are swept
    /// after each eighth of the duration. Until then, [`Stats`](crate::Stats) counts them as live
    /// or stale.
    ///
    /// **Cost:** O(1): no entry is visited. While the flush runs, a lookup of an older entry also
    /// costs the reading of a clock and a hash of the path.
    /// **Locks:** no shard; flushes take turns.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Freshness, OverTime};
    /// use std::time::Duration;
    ///
    /// let index = CacheIndex::<u64>::default();
    /// let minute = Duration::from_secs(60);
    /// index.flush_all_over(minute); // stale until then
    /// index.flush_all_over(OverTime::new(minute).serving(Freshness::Live));
    /// assert_eq!(index.stats().running_flushes, 2);
    /// ```
    pub fn flush_all_over(&self, over: impl Into<OverTime>) -> Flushed {
        self.flush_over(None, over.into())
    }

    /// Invalidates all that belongs to `tenant`, hard, spread over a duration, as
    /// [`flush_all_over`](Self::flush_all_over) does. Other tenants are untouched.
    ///
    /// **Cost** and **Locks:** as [`flush_all_over`](Self::flush_all_over).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{CacheIndex, Config, Lookup, ManualClock, OriginPath, VariantKey};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::default();
    /// let index = CacheIndex::new(Config::builder().manual_clock(&clock).build()?);
    /// let (doc, other) = (index.tenant("doc"), index.tenant("other"));
    /// let (birds, small) = (OriginPath::opaque("birds.jpg")?, VariantKey::opaque("small")?);
    /// assert!(index.insert(&doc, &birds, &small, 7).is_stored());
    /// assert!(index.insert(&other, &birds, &small, 8).is_stored());
    ///
    /// index.flush_tenant_over(&doc, Duration::from_secs(60));
    /// assert_eq!(index.lookup(&doc, &birds, &small), Lookup::Stale(7));
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(index.lookup(&doc, &birds, &small), Lookup::Miss);
    /// assert_eq!(index.lookup(&other, &birds, &small), Lookup::Live(8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_tenant_over(&self, tenant: &Tenant, over: impl Into<OverTime>) -> Flushed {
        self.core.check(tenant);
        self.flush_over(Some(tenant), over.into())
    }

    /// Returns the flushes over time that are running, the oldest first.
    ///
    /// To resume one after a restart, save its scope and [`OverTime`], and call
    /// [`flush_all_over`](Self::flush_all_over) or [`flush_tenant_over`](Self::flush_tenant_over)
    /// with them once the older entries are loaded. Moments are the same in the next process. Save
    /// a larger [`elapsed`](OverTime::resumed_at) than the present one, and save the next one
    /// before that has passed, so that an entry which has died is dead after a crash as well.
    ///
    /// **Cost:** O(running flushes).
    /// **Locks:** no shard; flushes take turns.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::CacheIndex;
    /// use std::time::Duration;
    ///
    /// let index = CacheIndex::<u64>::default();
    /// index.flush_tenant_over(&index.tenant("doc"), Duration::from_secs(60));
    /// let saved = index.running_flushes().remove(0);
    /// assert_eq!(saved.tenant, Some(index.tenant("doc")));
    ///
    /// let next_process = CacheIndex::<u64>::default();
    /// let elapsed = saved.over.elapsed() + Duration::from_secs(5);
    /// next_process.flush_tenant_over(&next_process.tenant("doc"), saved.over.resumed_at(elapsed));
    /// ```
    pub fn running_flushes(&self) -> Vec<RunningFlush> {
        let running = self.core.shared.scopes.running().into_iter();
        let named = |(tenant, generation, over)| RunningFlush { tenant, generation, over };
        running.map(named).collect()
    }

    fn flush_over(&self, scope: Option<&Tenant>, over: OverTime) -> Flushed {
        self.core.flushes_over_time.fetch_add(1, Ordering::Relaxed);
        Flushed { generation: self.core.shared.scopes.invalidate_over(scope, over) }
    }
}
