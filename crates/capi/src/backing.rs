//! `Backing`: the index behind a handle, in memory alone, with a log and snapshots, or in a fleet.
//!
//! Invariant: only this module and `member` call an index. So an invalidation of a durable index
//! reaches its log, and one of an index in a fleet the fleet, by whichever function of the
//! interface. And every value to serve has passed the gate of the fleet.

use crate::error::{CI_OK, Failure};
#[cfg(feature = "fleet")]
use crate::member::Member;
use crate::purge::CI_IN_MEMORY;
use cache_index::{
    CacheIndex, Claim, FillLease, Flushed, Insertion, Lookup, Mode, OriginPath, OverTime,
    PathPrefix, PrefixPurged, Reclaimed, Selection, Stats, Tenant, VariantKey,
};
#[cfg(feature = "durable")]
use cache_index_persist::Persistent;
use std::ffi::c_int;

pub(crate) enum Backing {
    Memory(CacheIndex<u64>),
    #[cfg(feature = "durable")]
    Durable(Box<Persistent<u64>>),
    #[cfg(feature = "fleet")]
    Fleet(Box<Member>),
}

/// Tells whether an invalidation survives a crash.
pub(crate) struct Known {
    pub(crate) durability: c_int,
    /// The reason why it may be lost.
    pub(crate) failure: Option<Failure>,
}

impl Known {
    const IN_MEMORY: Self = Self { durability: CI_IN_MEMORY, failure: None };

    /// Ends a call that has invalidated, and has written its results.
    pub(crate) fn end(self) -> Result<c_int, Failure> {
        self.failure.map_or(Ok(CI_OK), Err)
    }
}

/// An index whose invalidations concern no other node. Only it has functions that invalidate: those
/// of an index in a fleet must reach the fleet, and are in `Member`.
pub(crate) enum Alone<'a> {
    Memory(&'a CacheIndex<u64>),
    #[cfg(feature = "durable")]
    Durable(&'a Persistent<u64>),
}

/// Operations that a log need not know, and what does them in a fleet: its gate, or its index.
macro_rules! unlogged {
    (
        $member:ident => $in_fleet:expr;
        $($name:ident($($argument:ident: $type:ty),*) -> $out:ty;)*
    ) => {$(
        #[inline]
        pub(crate) fn $name(&self, $($argument: $type),*) -> $out {
            match self {
                Self::Memory(index) => index.$name($($argument),*),
                #[cfg(feature = "durable")]
                Self::Durable(index) => index.$name($($argument),*),
                #[cfg(feature = "fleet")]
                Self::Fleet($member) => $in_fleet.$name($($argument),*),
            }
        }
    )*};
}

/// Operations that invalidate.
macro_rules! logged {
    ($($name:ident$(<$mode:ident>)?($($argument:ident: $type:ty),*) -> $out:ty;)*) => {$(
        pub(crate) fn $name$(<$mode: Mode>)?(&self, $($argument: $type),*) -> ($out, Known) {
            match self {
                Self::Memory(index) => (index.$name($($argument),*), Known::IN_MEMORY),
                #[cfg(feature = "durable")]
                Self::Durable(index) => {
                    let (outcome, durability) = index.$name($($argument),*).into_parts();
                    (outcome, crate::durable::known(&durability))
                }
            }
        }
    )*};
}

impl Backing {
    /// Returns the index if it is not in a fleet.
    #[cfg_attr(
        not(feature = "fleet"),
        allow(clippy::unnecessary_wraps, reason = "only an index in a fleet is refused")
    )]
    pub(crate) fn alone(&self) -> Result<Alone<'_>, Failure> {
        match self {
            Self::Memory(index) => Ok(Alone::Memory(index)),
            #[cfg(feature = "durable")]
            Self::Durable(index) => Ok(Alone::Durable(index)),
            #[cfg(feature = "fleet")]
            Self::Fleet(_) => {
                let message = "index is in a fleet: expected a function of ci_fleet_";
                Err(Failure::argument(message))
            }
        }
    }

    /// Claims a variant. `None` if the gate of a fleet forbids the answer.
    #[cfg_attr(
        not(feature = "fleet"),
        allow(clippy::unnecessary_wraps, reason = "only the gate of a fleet refuses")
    )]
    #[inline]
    pub(crate) fn claim(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        key: &VariantKey<'_>,
        value: u64,
    ) -> Option<Claim<u64>> {
        match self {
            Self::Memory(index) => Some(index.claim(tenant, path, key, value)),
            #[cfg(feature = "durable")]
            Self::Durable(index) => Some(index.claim(tenant, path, key, value)),
            #[cfg(feature = "fleet")]
            Self::Fleet(member) => member.claim(tenant, path, key, value),
        }
    }

    // These return values to serve.
    unlogged! {
        member => member;
        lookup(tenant: &Tenant, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Lookup<u64>;
        lookup_many(
            tenant: &Tenant, keys: &[(&OriginPath<'_>, &VariantKey<'_>)]
        ) -> Vec<Lookup<u64>>;
    }

    unlogged! {
        member => member.local();
        tenant(name: &str) -> Tenant;
        lease(tenant: &Tenant, path: &OriginPath<'_>) -> FillLease<u64>;
        insert(
            tenant: &Tenant, path: &OriginPath<'_>, key: &VariantKey<'_>, value: u64
        ) -> Insertion<u64>;
        remove(
            tenant: &Tenant, path: &OriginPath<'_>, key: &VariantKey<'_>, expected: &u64
        ) -> Option<u64>;
        variants(tenant: &Tenant, path: &OriginPath<'_>) -> Vec<VariantKey<'static>>;
        paths(tenant: &Tenant, prefix: &PathPrefix<'_>) -> Vec<OriginPath<'static>>;
        reclaim(limit: usize) -> Reclaimed<u64>;
        stats() -> Stats;
    }
}

impl Alone<'_> {
    logged! {
        purge_selected<M>(
            tenant: &Tenant, path: &OriginPath<'_>, selection: Selection<'_>, mode: M
        ) -> M::Outcome<u64>;
        purge_prefix<M>(tenant: &Tenant, prefix: &PathPrefix<'_>, mode: M) -> PrefixPurged;
        flush_tenant<M>(tenant: &Tenant, mode: M) -> Flushed;
        flush_all<M>(mode: M) -> Flushed;
        flush_tenant_over(tenant: &Tenant, over: OverTime) -> Flushed;
        flush_all_over(over: OverTime) -> Flushed;
        forget_tenant(tenant: &Tenant) -> Flushed;
    }
}
