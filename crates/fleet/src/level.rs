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
///
/// # Examples
///
/// ```
/// use cache_index_fleet::{Everywhere, Level, Reach};
///
/// assert!(Reach::Local < Reach::Durable && Reach::Durable < Reach::Everywhere);
/// assert_eq!(Everywhere::REACH, Reach::Everywhere);
/// assert_eq!(Reach::Everywhere.to_string(), "everywhere");
/// ```
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

    pub(crate) fn of(level: machine::Level) -> Self {
        match level {
            machine::Level::Local => Self::Local,
            machine::Level::Durable => Self::Durable,
            machine::Level::Everywhere => Self::Everywhere,
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
///
/// # Examples
///
/// ```
/// use cache_index::{Hard, OriginPath, VariantKey};
/// use cache_index_fleet::{Durable, Fleet, FleetConfig, MemoryEngine};
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// # let config = FleetConfig::builder("pop-1").build()?;
/// let fleet = Fleet::join(cache, config, MemoryEngine::new());
/// fleet.serves_fresh().await;
/// let (doc, birds) = (fleet.tenant("doc"), OriginPath::from_canonical("sample.li/birds.jpg")?);
/// let small = VariantKey::from_canonical("?w=200")?;
/// assert!(fleet.lease(&doc, &birds).commit(&small, 7).is_stored());
///
/// let purged = fleet.purge(&doc, &birds, Hard, Durable).await?;
/// assert_eq!((purged.level(), purged.removed()), (Durable, &[7][..]));
/// assert!(purged.local().is_durable());
/// println!("durable after {:?}", purged.took());
/// assert_eq!(purged.into_removed(), [7]);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// # Examples
///
/// ```
/// use cache_index::Hard;
/// use cache_index_fleet::{Durable, Fleet, FleetConfig, MemoryEngine, Reach};
/// use cache_index_persist::{PersistConfig, Persistent};
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// let engine = MemoryEngine::new();
/// engine.stop();
/// let config = FleetConfig::builder("pop-1").patience(Duration::from_millis(20)).build()?;
/// let fleet = Fleet::join(cache, config, engine);
///
/// let error = fleet.flush_all(Hard, Durable).await.unwrap_err();
/// assert_eq!((error.wanted(), error.reached()), (Reach::Durable, Reach::Local));
/// // It is sent when the engine is back.
/// assert_eq!(fleet.stats().outbox, 1);
/// assert!(error.into_removed().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NotReached<V> {
    pub(crate) wanted: Reach,
    pub(crate) reached: Reach,
    pub(crate) removed: Vec<V>,
    pub(crate) local: Durability,
}

impl<V> NotReached<V> {
    /// Returns the level that was asked for.
    pub fn wanted(&self) -> Reach {
        self.wanted
    }

    /// Returns the level that was reached in time. For `Local`, [`local`](Self::local) has the
    /// durability on this node's own disk.
    pub fn reached(&self) -> Reach {
        self.reached
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
        let reached = match self.reached {
            Reach::Local => "applied on this node",
            Reach::Durable | Reach::Everywhere => "durable",
        };
        write!(f, "invalidation is {reached}, but is not {} yet", self.wanted)
    }
}

impl<V: fmt::Debug> std::error::Error for NotReached<V> {}
