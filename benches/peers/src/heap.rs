//! Heap bytes per entry: after population, at the peak, and what is left after a flush.

use crate::adapters::{Contestant, Peer, Room, contestants};
use crate::single::thousands;
use crate::site::{Payload, Requests, Site};
use crate::table::{Line, Target, Unit};

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

/// Weighs contestants, with both payloads: a line for each, that [`lines`] reads.
pub fn weigh_all(pictures: u64, names: &[String], scale: &dyn Weighing) {
    let site = Site::default();
    let entries = site.entries(pictures);
    let chosen = |name: &str| names.is_empty() || names.iter().any(|other| other == name);
    for contestant in contestants::<()>().iter().filter(|contestant| chosen(contestant.name)) {
        weigh(contestant, "()", &site, pictures, entries, scale);
    }
    for contestant in contestants::<u64>().iter().filter(|contestant| chosen(contestant.name)) {
        weigh(contestant, "u64", &site, pictures, entries, scale);
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
    let mut requests = Requests::default();
    let mut built = None;
    let populated = scale.measure(&mut || {
        let built = built.insert(contestant.build(room));
        populate(built.peer(), site, 0..pictures, &mut requests);
        // So that it isn't counted with the rest.
        requests = Requests::default();
    });
    let built = built.expect("it was made");
    let flushed = scale.measure(&mut || built.peer().flush_all());
    let reclaimed = scale.measure(&mut || built.peer().reclaim());
    let flushed = populated.left + flushed.left;
    println!(
        "{}\t{}\t{payload}\t{entries}\t{}\t{}\t{flushed}\t{}",
        contestant.name,
        contestant.usage,
        populated.left,
        populated.peak,
        flushed + reclaimed.left
    );
}

/// Lines of the table, from what [`weigh_all`] has printed.
///
/// # Errors
/// If that is something else.
pub fn lines(
    printed: &str,
    contestants: &[Contestant<u64>],
    pictures: u64,
) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for payload in ["()", "u64"] {
        let mut figures = [const { Vec::new() }; 3];
        for contestant in contestants {
            let is =
                |fields: &Vec<&str>| fields[..3] == [contestant.name, contestant.usage, payload];
            let fields = printed.lines().map(|line| line.split('\t').collect());
            let fields = fields.filter(|fields: &Vec<_>| fields.len() == 8).find(is);
            let fields = fields.ok_or_else(|| format!("{contestant:?} was not weighed"))?;
            let number = |at: usize| {
                let number = fields[at].parse::<f64>();
                number.map_err(|_| format!("expected a number of bytes, got {:?}", fields[at]))
            };
            let entries = number(3)?;
            figures[0].push(Some(number(4)? / entries));
            figures[1].push(Some(number(5)? / entries));
            figures[2].push(Some(number(7)? / number(4)?));
        }
        let size = thousands(pictures);
        let line = |what: &str, unit, figures, targets: &[Target]| Line {
            what: format!("{what}, V = {payload}, {size} paths"),
            unit,
            figures,
            targets: targets.to_vec(),
        };
        let [populated, peak, left] = figures;
        let most = Target::Most(if payload == "()" { 28.0 } else { 38.0 });
        lines.push(line("heap bytes per entry", Unit::Bytes, populated, &[most]));
        lines.push(line("heap bytes per entry at the peak", Unit::Bytes, peak, &[]));
        let share = "heap left after flush and reclaim";
        lines.push(line(share, Unit::Share, left, &[Target::Most(0.05)]));
    }
    Ok(lines)
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
