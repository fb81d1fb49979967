//! The contestants: one trait, and for each a file that uses it as someone would who knows it well.
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
mod moka;
mod names;
mod papaya;
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
    /// The value of a variant.
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V>;

    /// The values of some variants that are asked for together.
    fn look_up_many(
        &self,
        asked: &[(&OriginPath<'_>, &VariantKey<'_>)],
        found: &mut Vec<Option<V>>,
    ) {
        found.extend(asked.iter().map(|(path, key)| self.look_up(path, key)));
    }

    /// Stores a value; gives the one that was there.
    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V>;

    /// Stores what was fetched, so that a purge meanwhile would have kept it out. The peers have
    /// nothing for this and just store.
    fn fill(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        self.insert(path, key, value)
    }

    /// Takes out all variants of a path and hands each over.
    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V));

    /// Takes out, or makes unreachable, all paths under a prefix.
    fn purge_prefix(&self, prefix: &PathPrefix<'_>);

    /// Takes out, or makes unreachable, all that belongs to the tenant.
    fn flush_tenant(&self) {
        self.flush_all();
    }

    /// Takes out, or makes unreachable, everything.
    fn flush_all(&self);

    /// Frees what invalidations have left behind, and tables that are too large now.
    fn reclaim(&self);
}

/// A peer that several threads can use.
pub type Shared<V> = Box<dyn Peer<V> + Send + Sync>;

/// How large a contestant is made.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Paths that fit without growing.
    pub paths: usize,
    /// Variants, of all paths together, that fit without growing.
    pub entries: usize,
    /// The most variants that will be stored.
    pub expected: usize,
}

impl Room {
    /// Tables that hold so much without growing.
    ///
    /// # Panics
    /// If it doesn't fit into memory.
    pub fn presized(paths: u64, entries: u64) -> Self {
        let number = |n: u64| usize::try_from(n).expect("fits into memory");
        Self { paths: number(paths), entries: number(entries), expected: number(entries) }
    }

    /// Tables that start empty and grow while so many variants are stored.
    ///
    /// # Panics
    /// If they don't fit into memory.
    pub fn growing(entries: u64) -> Self {
        Self { paths: 0, entries: 0, ..Self::presized(0, entries) }
    }
}

/// How a contestant is made.
#[derive(Clone, Copy)]
pub enum Make<V> {
    /// For any number of threads.
    Shared(fn(Room) -> Shared<V>),
    /// Without locks, for one thread.
    Alone(fn(Room) -> Box<dyn Peer<V>>),
}

/// A contestant that was made.
pub enum Built<V> {
    /// For any number of threads.
    Shared(Shared<V>),
    /// For one thread.
    Alone(Box<dyn Peer<V>>),
}

impl<V: Payload> Built<V> {
    /// For one thread.
    pub fn peer(&self) -> &dyn Peer<V> {
        match self {
            Self::Shared(peer) => &**peer,
            Self::Alone(peer) => &**peer,
        }
    }

    /// For several threads, if that is possible.
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
    /// Keeps exact strings and can purge: what the targets compare with.
    Peer,
    /// A peer whose figures are shown, but not compared with.
    Apart,
    /// Without locks: not a contestant, but a lower bound for comparison.
    Floor,
    /// The same, and can't purge, as it has no strings.
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
    /// Makes one.
    pub make: Make<V>,
}

impl<V: Payload> Contestant<V> {
    /// Makes one.
    pub fn build(&self, room: Room) -> Built<V> {
        match self.make {
            Make::Shared(make) => Built::Shared(make(room)),
            Make::Alone(make) => Built::Alone(make(room)),
        }
    }

    /// Whether several threads can use it.
    pub fn is_shared(&self) -> bool {
        matches!(self.make, Make::Shared(_))
    }

    /// Whether it can take out the variants of a path.
    pub fn purges(&self) -> bool {
        self.class != Class::LossyFloor
    }
}

impl<V> std::fmt::Debug for Contestant<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.name, self.usage)
    }
}

/// All of them, this crate first, with the fastest sets of variants.
pub fn contestants<V: Payload>() -> Vec<Contestant<V>> {
    with_sets::<V, Inline>()
}

/// The same contestants with the smallest sets of variants.
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
