//! A fill that an invalidation overtakes: the source is read, the picture changes, everything that
//! covers it is invalidated, the fill ends, and somebody looks it up. Who serves the old picture?
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

/// Stored before the fill began, where the path is present.
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

/// How the race ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The old picture is found by a look-up that began after the invalidation had returned.
    ServedOld,
    /// It isn't.
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

/// A structure, used in one certain way to know which renditions are stored.
pub trait Usage: Sync {
    /// The version of the picture that would be served.
    fn lookup(&self, rendition: Rendition) -> Option<Version>;

    /// Handles a miss: calls `read` once, where the source is read, and stores what it brought
    /// unless the structure refuses.
    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version);

    /// Handles an entry that is to be read anew, as [`fill`](Self::fill) does.
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

/// All entrants, this crate first, then each peer as its documentation shows it and at its best.
pub fn entrants() -> impl Iterator<Item = &'static Entrant> {
    [cache_index::ENTRANTS, moka::ENTRANTS, quick_cache::ENTRANTS, dashmap::ENTRANTS]
        .into_iter()
        .flatten()
}

impl Entrant {
    /// Runs the race once, on an instance of its own, with the checks without which "refused" would
    /// mean nothing: an undisturbed fill is served, the invalidation takes what was stored and
    /// leaves what it doesn't cover, and a later fill is served.
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
