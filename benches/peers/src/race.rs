//! A fill that an invalidation overtakes. The source is read, the picture changes, an invalidation
//! covers it, the fill ends, and a lookup follows. The race shows which structures serve the old
//! picture.
//!
//! Invariant: the invalidation begins after the fill has read the source, and returns before the
//! fill goes on. Two channels enforce this; the order does not depend on a clock, so each run
//! prints the same.
//!
//! Not shown: costs. A usage that closes the race may pay for it with a walk over all entries; see
//! [`Usage`] and the text of each in [`Entrant::how`].

mod cache_index;
#[cfg(test)]
mod checks;
mod dashmap;
mod moka;
mod quick_cache;
mod record;
mod table;

pub use table::markdown;

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The value that is stored with a rendition: the version of its picture.
pub type Version = u64;

/// The version stored before the fill began, if the path is present.
const EARLIER: Version = 1;
/// The version that the fill reads before the picture changes.
const OLD: Version = 2;
/// The version in the source afterwards.
const NEW: Version = 3;

/// One rendition of one picture.
#[derive(Clone, Copy, Debug)]
pub struct Rendition {
    /// The canonical origin path.
    pub path: &'static str,
    /// The canonical variant key.
    pub variant: &'static str,
}

const BIRDS: Rendition = Rendition { path: "sample.li/birds/1.jpg", variant: "?w=600" };
const OTHER: Rendition = Rendition { path: "sample.li/boats/1.jpg", variant: "?w=600" };
const PREFIX: &str = "sample.li/birds/";

/// The scope of the invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One rendition.
    Variant,
    /// All renditions of one picture.
    Path,
    /// All pictures whose path begins alike.
    Prefix,
    /// Everything.
    All,
}

impl Scope {
    /// In the order of the table's columns.
    pub const EACH: [Self; 4] = [Self::Variant, Self::Path, Self::Prefix, Self::All];
}

/// The entries that exist when the fill begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing under the path: the fill is that of a miss.
    Absent,
    /// The same rendition: the fill refreshes it.
    Present,
}

impl Before {
    /// In the order of the table's rows.
    pub const EACH: [Self; 2] = [Self::Absent, Self::Present];
}

/// The outcome of the race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A lookup that began after the invalidation had returned found the old picture.
    ServedOld,
    /// No lookup found the old picture.
    Refused,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ServedOld => "**served old**",
            Self::Refused => "refused",
        })
    }
}

/// A structure, and one way to use it as an index of stored renditions.
pub trait Usage: Sync {
    /// Returns the version of the picture that would be served.
    fn lookup(&self, rendition: Rendition) -> Option<Version>;

    /// Handles a miss: calls `read` once, at the time of reading the source, and stores the result
    /// unless the structure refuses.
    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version);

    /// Handles an entry that must be fetched again, as [`fill`](Self::fill) handles a miss.
    fn refresh(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        self.fill(rendition, read);
    }

    /// Invalidates one rendition.
    fn purge_variant(&self, rendition: Rendition);

    /// Invalidates all renditions of a picture.
    fn purge_path(&self, path: &'static str);

    /// Invalidates all pictures whose path begins with `prefix`.
    fn purge_prefix(&self, prefix: &'static str);

    /// Invalidates everything.
    fn flush_all(&self);
}

/// A participant of the race.
pub struct Entrant {
    /// The crate's name in the manifest.
    pub peer: &'static str,
    /// The usage, to distinguish it from other usages of the same peer.
    pub usage: &'static str,
    /// The description of the usage and its cost, in one line.
    pub how: &'static str,
    make: fn() -> Box<dyn Usage>,
}

/// Returns all entrants: this crate first, then each peer as its documentation recommends, and at
/// its best.
pub fn entrants() -> impl Iterator<Item = &'static Entrant> {
    [cache_index::ENTRANTS, moka::ENTRANTS, quick_cache::ENTRANTS, dashmap::ENTRANTS]
        .into_iter()
        .flatten()
}

impl Entrant {
    /// Runs the race once, on a separate instance. Without these checks, "refused" would have no
    /// meaning:
    /// - an undisturbed fill is served
    /// - the invalidation removes the stored entries and leaves others
    /// - a later fill is served
    ///
    /// # Errors
    /// One of the checks failed: what it was, in words.
    pub fn race(&self, scope: Scope, before: Before) -> Result<Verdict, String> {
        let usage = (self.make)();
        let fail = |what: &str| {
            Err(format!("{}, {}: {scope:?}, {before:?}: {what}", self.peer, self.usage))
        };
        usage.fill(OTHER, &|| EARLIER);
        if usage.lookup(OTHER) != Some(EARLIER) {
            return fail("an undisturbed fill is not served");
        }
        if before == Before::Present {
            usage.fill(BIRDS, &|| EARLIER);
        }
        if let Err(what) = overtake(&*usage, scope, before) {
            return fail(what);
        }
        if usage.lookup(OTHER) != (scope != Scope::All).then_some(EARLIER) {
            return fail("the invalidation took too much or too little");
        }
        match usage.lookup(BIRDS) {
            Some(OLD) => Ok(Verdict::ServedOld),
            None => {
                usage.fill(BIRDS, &|| NEW);
                match usage.lookup(BIRDS) {
                    Some(NEW) => Ok(Verdict::Refused),
                    _ => fail("a fill that began after the invalidation is not served"),
                }
            }
            Some(_) => fail("what the fill did not bring is served"),
        }
    }
}

/// Returns when the fill has ended, after an invalidation that fell entirely between its reading
/// and its storing.
fn overtake(usage: &dyn Usage, scope: Scope, before: Before) -> Result<(), &'static str> {
    let (reading, is_reading) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (returned, has_returned) = mpsc::channel();
    let read = move || {
        let picture = OLD;
        // An error means that the other side has given up; then it doesn't matter what is stored.
        let _ = reading.send(());
        let _ = may_go_on.recv();
        picture
    };
    thread::scope(|threads| {
        let filler = threads.spawn(move || match before {
            Before::Absent => usage.fill(BIRDS, &read),
            Before::Present => usage.refresh(BIRDS, &read),
        });
        if is_reading.recv().is_err() {
            return Err("no fill was under way");
        }
        threads.spawn(move || {
            invalidate(usage, scope);
            let _ = returned.send(usage.lookup(BIRDS));
        });
        // Only a usage whose invalidation waits for the fill meets this limit, instead of hanging
        // for ever. None does.
        let meanwhile = has_returned.recv_timeout(Duration::from_secs(30));
        let _ = go_on.send(());
        if filler.join().is_err() {
            return Err("the fill panicked");
        }
        match meanwhile {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err("the invalidation left what was stored"),
            Err(RecvTimeoutError::Timeout) => Err("the invalidation waited for the fill"),
            Err(RecvTimeoutError::Disconnected) => Err("the invalidation panicked"),
        }
    })
}

fn invalidate(usage: &dyn Usage, scope: Scope) {
    match scope {
        Scope::Variant => usage.purge_variant(BIRDS),
        Scope::Path => usage.purge_path(BIRDS.path),
        Scope::Prefix => usage.purge_prefix(PREFIX),
        Scope::All => usage.flush_all(),
    }
}
