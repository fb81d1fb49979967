//! A node with its directory.

use cache_index::{Lookup, OriginPath, VariantKey};
use cache_index_fleet::{Admission, Announcements, Engine, Fleet, FleetConfig, Moment, WhenShut};
use cache_index_persist::{PersistConfig, Persistent};
use std::path::Path;
use std::time::Duration;

pub(crate) const FRESH_FOR: Duration = Duration::from_secs(1);
/// Nothing takes that long.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn path(text: &str) -> OriginPath<'_> {
    OriginPath::opaque(text).unwrap()
}

pub(crate) fn key() -> VariantKey<'static> {
    VariantKey::opaque("?").unwrap()
}

pub(crate) fn config(name: &str) -> FleetConfig {
    let config = FleetConfig::builder(name).fresh_for(FRESH_FOR).longest_fresh_for(FRESH_FOR);
    config.when_shut(WhenShut::Refuse).keep_removed(true).patience(LIMIT).build().unwrap()
}

pub(crate) fn join<E: Engine + Announcements>(dir: &Path, name: &str, engine: E) -> Fleet<u64, E> {
    let persist = PersistConfig::builder().snapshot_every(None).build().unwrap();
    let began = Moment::now();
    loop {
        // A fleet that was dropped lets go of its directory a moment later.
        match Persistent::open(dir, persist.clone()) {
            Ok(cache) => return Fleet::join(cache, config(name), engine),
            Err(error) => assert!(Moment::now().since(began) < LIMIT, "{error}"),
        }
        std::thread::yield_now();
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Moment::now();
    while !holds() {
        assert!(Moment::now().since(began) < LIMIT, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The operations of the tests.
pub(crate) trait Node {
    fn fill(&self, path: &str, value: u64);
    /// The value, whatever the gate says.
    fn stored(&self, path: &str) -> Option<u64>;
    fn is_fresh(&self) -> bool;
    fn flushes(&self, reason: &str) -> u64;
    fn flush_reasons(&self) -> Vec<&'static str>;
}

impl<E: Engine + Announcements> Node for Fleet<u64, E> {
    fn fill(&self, text: &str, value: u64) {
        let lease = self.lease(&self.tenant("doc"), &path(text));
        assert!(lease.commit(&key(), value).is_stored());
    }

    fn stored(&self, text: &str) -> Option<u64> {
        match self.local().lookup(&self.tenant("doc"), &path(text), &key()) {
            Lookup::Live(value) => Some(value),
            _ => None,
        }
    }

    fn is_fresh(&self) -> bool {
        self.gate(Moment::now()) == Admission::Serve
    }

    fn flushes(&self, reason: &str) -> u64 {
        self.stats().flushes.get(reason).copied().unwrap_or(0)
    }

    fn flush_reasons(&self) -> Vec<&'static str> {
        self.stats().flushes.into_keys().collect()
    }
}
