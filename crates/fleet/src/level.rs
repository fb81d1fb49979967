//! How far an invalidation must get before a call returns, as types.

use crate::machine;
use cache_index_persist::Durability;
use std::fmt;
use std::time::Duration;

/// Applied on this node, and written to its log.
///
/// The other nodes get it as soon as the engine can be reached, also after a restart of this node.
/// If its disk is lost before that, they never do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Local;

/// The engine has acknowledged it too: every node applies it, or shuts its gate within its time of
/// freshness. This holds as long as the engine keeps its promise: see [`Everywhere`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable;

/// Every node that may serve as fresh has applied it. This holds even if the engine loses it
/// afterwards: a node that has applied it notices the loss, and lets everything be flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Everywhere;

/// [`Local`], [`Durable`] or [`Everywhere`]. The trait is sealed: there are no other levels.
pub trait Level: Copy + sealed::Sealed {
    /// The level as a value.
    const REACH: Reach;
}

/// A level as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// See [`Local`].
    Local,
    /// See [`Durable`].
    Durable,
    /// See [`Everywhere`].
    Everywhere,
}

impl Level for Local {
    const REACH: Reach = Reach::Local;
}

impl Level for Durable {
    const REACH: Reach = Reach::Durable;
}

impl Level for Everywhere {
    const REACH: Reach = Reach::Everywhere;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Local {}
    impl Sealed for super::Durable {}
    impl Sealed for super::Everywhere {}
}

impl Reach {
    pub(crate) fn machine(self) -> machine::Level {
        match self {
            Self::Local => machine::Level::Local,
            Self::Durable => machine::Level::Durable,
            Self::Everywhere => machine::Level::Everywhere,
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Durable => "durable",
            Self::Everywhere => "everywhere",
        })
    }
}

/// An invalidation that has got as far as its level promises.
#[must_use = "the removed values are returned here"]
#[derive(Debug)]
pub struct Invalidated<L, V> {
    pub(crate) level: L,
    pub(crate) removed: Vec<V>,
    pub(crate) local: Durability,
    pub(crate) took: Duration,
}

impl<L: Level, V> Invalidated<L, V> {
    /// Returns the level.
    pub fn level(&self) -> L {
        self.level
    }

    /// Returns the values that the invalidation removed on this node. Values that the index queues
    /// for [`reclaim`](crate::Fleet::reclaim) are not among them.
    pub fn removed(&self) -> &[V] {
        &self.removed
    }

    /// Returns the removed values.
    pub fn into_removed(self) -> Vec<V> {
        self.removed
    }

    /// Returns the known durability on this node's own disk.
    pub fn local(&self) -> &Durability {
        &self.local
    }

    /// Returns how long it took.
    pub fn took(&self) -> Duration {
        self.took
    }
}

/// An invalidation that did not reach its level in time. It is applied on this node, and is sent to
/// the others as soon as that is possible: calling again is not necessary.
#[derive(Debug)]
pub struct NotReached<V> {
    pub(crate) wanted: Reach,
    pub(crate) removed: Vec<V>,
    pub(crate) local: Durability,
}

impl<V> NotReached<V> {
    /// Returns the level that was asked for.
    pub fn wanted(&self) -> Reach {
        self.wanted
    }

    /// Returns the values that the invalidation removed on this node.
    pub fn into_removed(self) -> Vec<V> {
        self.removed
    }

    /// Returns the known durability on this node's own disk.
    pub fn local(&self) -> &Durability {
        &self.local
    }
}

impl<V> fmt::Display for NotReached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted;
        write!(f, "invalidation is applied on this node, but is not {wanted} yet")
    }
}

impl<V: fmt::Debug> std::error::Error for NotReached<V> {}
