//! Heap bytes per entry: after population, at the peak, and what is left after a flush.

use crate::adapters::{Contestant, Peer, Room, contestants};
use crate::site::{Payload, Requests, Site};

/// Counts what is allocated while something runs.
pub trait Weighing {
    /// Runs it.
    fn measure(&self, run: &mut dyn FnMut()) -> Weight;
}

/// What was allocated.
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    /// Bytes that are still there.
    pub left: i64,
    /// The most bytes that were there at once.
    pub peak: u64,
}

/// Weighs all contestants, with both payloads.
pub fn weigh_all(pictures: u64, scale: &dyn Weighing) {
    let site = Site::default();
    let entries = site.entries(pictures);
    for contestant in contestants::<()>() {
        weigh(&contestant, "()", &site, pictures, entries, scale);
    }
    for contestant in contestants::<u64>() {
        weigh(&contestant, "u64", &site, pictures, entries, scale);
    }
}

fn weigh<V: Payload>(
    contestant: &Contestant<V>,
    payload: &str,
    site: &Site,
    pictures: u64,
    entries: u64,
    scale: &dyn Weighing,
) {
    let number = |n: u64| usize::try_from(n).expect("fits into memory");
    let room = Room { paths: number(pictures), entries: number(entries) };
    // Made outside of what is counted, so that its memory can't be counted against it.
    let mut requests = Requests::default();
    let mut peer = None;
    let populated = scale.measure(&mut || {
        let made = peer.insert(contestant.build(room));
        populate(&**made, site, 0..pictures, &mut requests);
        requests = Requests::default();
    });
    let peer = peer.expect("it was made");
    let flushed = scale.measure(&mut || peer.flush_all());
    let reclaimed = scale.measure(&mut || peer.reclaim());
    println!(
        "{}\t{}\t{payload}\t{entries}\t{}\t{}\t{}\t{}",
        contestant.name,
        contestant.usage,
        populated.left,
        populated.peak,
        populated.left + flushed.left,
        populated.left + flushed.left + reclaimed.left
    );
}

/// Stores all variants of some pictures.
///
/// # Panics
/// If one of them was there.
pub fn populate<V: Payload>(
    peer: &dyn Peer<V>,
    site: &Site,
    pictures: std::ops::Range<u64>,
    requests: &mut Requests,
) {
    for picture in pictures {
        requests.clear();
        requests.push_all(site, picture);
        for request in requests.ready() {
            let replaced = peer.insert(&request.path, &request.key, V::of(request.number));
            assert!(replaced.is_none(), "{request:?} was there");
        }
    }
}
