//! Heap bytes per entry: as requested, with the allocator's own words, and the rest after a flush.

use crate::adapters::{Contestant, Room, lean_contestants};
use crate::arrivals::{Entry, insert, shuffled, store};
use crate::single::site_label;
use crate::site::{Keys, Payload, Site};
use crate::table::{Line, Target, Unit};

/// Counts allocations during a function.
pub trait Weighing {
    /// Runs the function.
    fn measure(&self, run: &mut dyn FnMut()) -> Weight;
}

/// The allocated bytes.
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    /// Requested bytes that are still there.
    pub left: i64,
    /// The same as [`malloc_bytes`].
    pub with_words: i64,
    /// The maximum number of requested bytes at any time.
    pub peak: i64,
}

/// Returns the bytes that glibc's `malloc` takes for a request: a header of 8 bytes, rounded up to
/// 16 bytes in total, and at least 32.
pub fn malloc_bytes(requested: usize) -> usize {
    (requested + 8).next_multiple_of(16).max(32)
}

/// Weighs contestants, with both payloads: a line for each, that [`lines`] reads.
pub fn weigh_all(keys: Keys, pictures: u64, names: &[String], scale: &dyn Weighing) {
    let site = Site::new(keys);
    let entries = shuffled(&site, 0..pictures);
    let room = Room::presized(pictures, entries.len() as u64);
    weigh_with::<()>("()", names, &site, &entries, room, scale);
    weigh_with::<u64>("u64", names, &site, &entries, room, scale);
}

fn weigh_with<V: Payload>(
    payload: &str,
    names: &[String],
    site: &Site,
    entries: &[Entry],
    room: Room,
    scale: &dyn Weighing,
) {
    let chosen = |name: &str| names.is_empty() || names.iter().any(|other| other == name);
    for contestant in lean_contestants::<V>().iter().filter(|other| chosen(other.name)) {
        let mut built = None;
        let populated = scale.measure(&mut || {
            let built = built.insert(contestant.build(room));
            store(built.peer(), site, entries, insert);
        });
        let built = built.expect("it was made");
        let flushed = scale.measure(&mut || {
            built.peer().flush_all();
            built.peer().reclaim();
        });
        println!(
            "{}\t{}\t{payload}\t{}\t{}\t{}\t{}",
            contestant.name,
            contestant.usage,
            entries.len(),
            populated.left,
            populated.with_words,
            populated.left + flushed.left
        );
    }
}

/// Returns the lines of the table from the output of [`weigh_all`].
///
/// # Errors
/// If that is something else.
pub fn lines(
    printed: &str,
    contestants: &[Contestant<u64>],
    keys: Keys,
    pictures: u64,
) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for payload in ["()", "u64"] {
        let mut figures = [const { Vec::new() }; 3];
        for contestant in contestants {
            let matches =
                |fields: &Vec<&str>| fields[..3] == [contestant.name, contestant.usage, payload];
            let fields = printed.lines().map(|line| line.split('\t').collect());
            let fields = fields.filter(|fields: &Vec<_>| fields.len() == 7).find(matches);
            let fields = fields.ok_or_else(|| format!("{contestant:?} was not weighed"))?;
            let number = |at: usize| {
                let number = fields[at].parse::<f64>();
                number.map_err(|_| format!("expected a number of bytes, got {:?}", fields[at]))
            };
            let entries = number(3)?;
            figures[0].push(Some(number(4)? / entries));
            figures[1].push(Some(number(5)? / entries));
            figures[2].push(Some(number(6)? / number(4)?));
        }
        let site = site_label(&Site::new(keys), pictures);
        let line = |what: &str, unit, figures, targets: &[Target]| Line {
            what: format!("{what}, V = {payload}, {site}"),
            unit,
            figures,
            targets: targets.to_vec(),
        };
        let [requested, with_words, left] = figures;
        let [most, most_with_words] = targets(keys, payload, pictures);
        lines.push(line("heap bytes per entry", Unit::Bytes, requested, &most));
        let what = "heap bytes per entry with the allocator's words";
        lines.push(line(what, Unit::Bytes, with_words, &most_with_words));
        lines.push(line("heap left after flush and reclaim", Unit::Share, left, &[]));
    }
    Ok(lines)
}

/// Returns the targets for requested bytes, and for bytes with the allocator's words. In a smaller
/// site, fixed costs weigh more.
fn targets(keys: Keys, payload: &str, pictures: u64) -> [Vec<Target>; 2] {
    let most = match (keys, payload) {
        _ if pictures < 1_000_000 => return [Vec::new(), Vec::new()],
        (Keys::Usual, "()") => [Some(25.0), Some(27.0)],
        (Keys::Usual, _) => [Some(37.0), Some(40.0)],
        (Keys::Many, "()") => [Some(28.0), None],
        (Keys::Many, _) => [Some(40.0), None],
    };
    most.map(|most| most.map(Target::Most).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::malloc_bytes;

    #[test]
    fn malloc_takes_a_header_and_steps_of_sixteen() {
        for (requested, taken) in [(0, 32), (1, 32), (24, 32), (25, 48), (40, 48), (41, 64)] {
            assert_eq!(malloc_bytes(requested), taken, "{requested}");
        }
    }
}
