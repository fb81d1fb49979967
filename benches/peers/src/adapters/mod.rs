//! The contestants: one trait, and for each contestant a file that uses it as an expert would.
//!
//! The rules for all contestants:
//! - the same hash function with random seeds
//! - as many stripes as this crate has shards, if the number can be set
//! - lookups by borrowed text, without allocation
//! - removed values are dropped outside of the locks, if the peer lets its user do so
//! - one tenant per peer, so that no lookup pays for distinguishing tenants
//! - the fastest variant sets for timing, and the smallest for weighing: see `variants`

mod cache_index;
mod dashmap;
mod fingerprints;
mod interned;
mod moka;
mod names;
mod papaya;
mod papaya_copied;
mod quick_cache;
mod scc;
mod strings;
mod striped;
mod stripes;
mod variants;

use crate::site::Payload;
use ::cache_index::{OriginPath, PathPrefix, VariantKey};
use variants::{Inline, Lean, Short};

/// As many as this crate has shards unless told otherwise.
const STRIPES: usize = 256;

/// The operations that a cache server needs of an index.
pub trait Peer<V: Payload> {
    /// Returns the value of a variant.
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V>;

    /// Returns the values of several variants of one request.
    fn look_up_many(
        &self,
        asked: &[(&OriginPath<'_>, &VariantKey<'_>)],
        found: &mut Vec<Option<V>>,
    ) {
        found.extend(asked.iter().map(|(path, key)| self.look_up(path, key)));
    }

    /// Stores a value. Returns the previous value.
    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V>;

    /// Stores a fetched value, unless a purge has overtaken the fetch. The peers cannot detect this
    /// and always store it.
    fn fill(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        self.insert(path, key, value)
    }

    /// Removes all variants of a path and passes each to `gone`.
    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V));

    /// Removes all paths under a prefix, or makes them unreachable.
    fn purge_prefix(&self, prefix: &PathPrefix<'_>);

    /// Removes all entries of the tenant, or makes them unreachable.
    fn flush_tenant(&self) {
        self.flush_all();
    }

    /// Removes all entries, or makes them unreachable.
    fn flush_all(&self);

    /// Frees dead entries, and shrinks tables that are too large.
    fn reclaim(&self);
}

/// A peer that several threads can use.
pub type Shared<V> = Box<dyn Peer<V> + Send + Sync>;

/// The initial size of a contestant.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Paths that fit without growing.
    pub paths: usize,
    /// Variants, of all paths together, that fit without growing.
    pub entries: usize,
    /// The maximum number of variants that will be stored.
    pub expected: usize,
}

impl Room {
    /// Returns the size for tables that hold this number of entries without growing.
    ///
    /// # Panics
    /// If it doesn't fit into memory.
    pub fn presized(paths: u64, entries: u64) -> Self {
        let number = |n: u64| usize::try_from(n).expect("fits into memory");
        Self { paths: number(paths), entries: number(entries), expected: number(entries) }
    }

    /// Returns the size for tables that start empty and grow while this number of variants is
    /// stored.
    ///
    /// # Panics
    /// If they don't fit into memory.
    pub fn growing(entries: u64) -> Self {
        Self { paths: 0, entries: 0, ..Self::presized(0, entries) }
    }
}

/// The constructor of a contestant.
#[derive(Clone, Copy)]
pub enum Make<V> {
    /// For any number of threads.
    Shared(fn(Room) -> Shared<V>),
    /// Without locks, for one thread.
    Alone(fn(Room) -> Box<dyn Peer<V>>),
}

/// A constructed contestant.
pub enum Built<V> {
    /// For any number of threads.
    Shared(Shared<V>),
    /// For one thread.
    Alone(Box<dyn Peer<V>>),
}

impl<V: Payload> Built<V> {
    /// Returns the contestant for one thread.
    pub fn peer(&self) -> &dyn Peer<V> {
        match self {
            Self::Shared(peer) => &**peer,
            Self::Alone(peer) => &**peer,
        }
    }

    /// Returns the contestant for several threads, if that is possible.
    pub fn shared(&self) -> Option<&(dyn Peer<V> + Send + Sync)> {
        match self {
            Self::Shared(peer) => Some(&**peer),
            Self::Alone(_) => None,
        }
    }
}

/// The abilities of a contestant besides lookups and inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// This crate.
    Ours,
    /// Keeps exact strings and can purge: the reference of the targets.
    Peer,
    /// A peer whose figures are shown, but not compared with.
    Apart,
    /// Without locks: not a contestant, but a lower bound for comparison.
    Floor,
    /// The same, but cannot purge, as it has no strings.
    LossyFloor,
}

/// A contestant.
#[derive(Clone, Copy)]
pub struct Contestant<V> {
    /// The crate.
    pub name: &'static str,
    /// How it is used.
    pub usage: &'static str,
    /// The class of the contestant.
    pub class: Class,
    /// Creates one.
    pub make: Make<V>,
}

impl<V: Payload> Contestant<V> {
    /// Creates one.
    pub fn build(&self, room: Room) -> Built<V> {
        match self.make {
            Make::Shared(make) => Built::Shared(make(room)),
            Make::Alone(make) => Built::Alone(make(room)),
        }
    }

    /// Returns whether several threads can use it.
    pub fn is_shared(&self) -> bool {
        matches!(self.make, Make::Shared(_))
    }

    /// Returns whether it can remove the variants of a path.
    pub fn purges(&self) -> bool {
        self.class != Class::LossyFloor
    }
}

impl<V> std::fmt::Debug for Contestant<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.name, self.usage)
    }
}

/// Returns all contestants, this crate first, with the fastest sets of variants.
pub fn contestants<V: Payload>() -> Vec<Contestant<V>> {
    with_sets::<V, Inline>()
}

/// Returns the same contestants with the smallest sets of variants.
pub fn lean_contestants<V: Payload>() -> Vec<Contestant<V>> {
    with_sets::<V, Lean>()
}

fn with_sets<V: Payload, S: Short>() -> Vec<Contestant<V>> {
    use Class::{Apart, Floor, LossyFloor, Ours, Peer};
    use Make::{Alone, Shared};
    let row = |name, usage, class, make| Contestant { name, usage, class, make };
    vec![
        row("cache-index", "", Ours, Shared(cache_index::make)),
        row("striped RwLock", "hashbrown, a set per path", Peer, Shared(striped::make::<V, S>)),
        row("dashmap", "a set per path", Peer, Shared(dashmap::make::<V, S>)),
        row("scc", "a set per path", Peer, Shared(scc::make::<V, S>)),
        row("papaya", "a locked set per path", Peer, Shared(papaya::make::<V, S>)),
        row("papaya, copied", "a set per path, copied", Peer, Shared(papaya_copied::make::<V, S>)),
        row(
            "striped, interned",
            "hashbrown, a set of key numbers per path",
            Peer,
            Shared(interned::make::<V, S>),
        ),
        row("moka", "an entry per variant, names per path", Peer, Shared(moka::make::<V, S>)),
        row(
            "quick_cache",
            "an entry per variant, names per path",
            Apart,
            Shared(quick_cache::make::<V, S>),
        ),
        row("floor", "hashbrown, strings, no locks", Floor, Alone(strings::make::<V, S>)),
        row(
            "floor",
            "hashbrown, 128-bit fingerprints, no locks",
            LossyFloor,
            Alone(fingerprints::make),
        ),
    ]
}
