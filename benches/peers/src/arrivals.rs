//! The order in which entries are stored: each at a random moment, as visitors ask for pictures and
//! sizes. So the allocations of one path lie all over the memory.

use crate::adapters::Peer;
use crate::site::{Payload, Request, Requests, Site};
use cpu_time::ThreadTime;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use std::time::Duration;

/// The number of requests that are written before they are made: as many as fit into the first
/// cache levels.
pub const BATCH: usize = 512;

/// An entry: the number of its picture, and the index of its variant.
pub type Entry = (u32, u32);

/// All variants of some pictures, shuffled. The same pictures give the same order.
///
/// # Panics
/// If there are more than 2^32 pictures.
pub fn shuffled(site: &Site, pictures: impl Iterator<Item = u64>) -> Vec<Entry> {
    let mut entries = path_by_path(site, pictures);
    entries.shuffle(&mut SmallRng::seed_from_u64(7));
    entries
}

/// Stores all variants of some pictures, path after path. This is quicker, and is used if the order
/// makes no difference to the measurement.
///
/// # Panics
/// If there are more than 2^32 pictures.
pub fn path_by_path(site: &Site, pictures: impl Iterator<Item = u64>) -> Vec<Entry> {
    let number = |n: u64| u32::try_from(n).expect("fewer than 2^32 pictures");
    let mut entries = Vec::new();
    for picture in pictures {
        entries.extend((0..site.variants(picture)).map(|n| (number(picture), number(n))));
    }
    entries
}

/// Stores new entries. Returns the processor time without the time of writing the requests.
///
/// # Panics
/// If one of them was there.
pub fn store<V: Payload>(
    peer: &dyn Peer<V>,
    site: &Site,
    entries: &[Entry],
    store: impl Fn(&dyn Peer<V>, &Request<'_>) -> Option<V>,
) -> Duration {
    let mut requests = Requests::default();
    let mut time = Duration::ZERO;
    for some in entries.chunks(BATCH) {
        requests.clear();
        for (picture, variant) in some {
            requests.push(site, u64::from(*picture), u64::from(*variant));
        }
        let ready = requests.ready();
        let start = ThreadTime::now();
        let new = ready.iter().filter(|request| store(peer, request).is_none()).count();
        time += start.elapsed();
        assert_eq!(new, ready.len(), "new");
    }
    time
}

/// Stores an entry without a lease.
pub fn insert<V: Payload>(peer: &dyn Peer<V>, request: &Request<'_>) -> Option<V> {
    peer.insert(&request.path, &request.key, V::of(request.number))
}
