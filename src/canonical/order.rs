//! Sorts the pieces of a query by name, stably, in linear time.
//!
//! Invariant: pieces of one name stay in the order of the text, and so do those of unknown names,
//! which come last. Not here: allocations. Orders are kept on the stack.
//!
//! Nearly all requests have few parameters, whose names differ in their first eight bytes: numbers
//! are sorted. Of thousands of parameters, as only an attacker writes them, the numbers are
//! distributed by each byte in which any of them differ, the last one first; and names that are the
//! same in eight bytes by the next eight, which are the last.

use super::cut::{self, Piece};
use super::raw::MAX_INPUT;
use smallvec::SmallVec;

/// Which piece comes when.
pub(super) type Order = SmallVec<[u16; MAX_INPUT / 2 + 1]>;

/// Distributing pays from so many on.
const MANY: usize = 48;

/// Sorts pieces that are few.
pub(super) fn sort_few(pieces: &mut [Piece], text: &[u8]) {
    match pieces.len() {
        0..=4 => sort_by_counting::<4>(pieces),
        5..=8 => sort_by_counting::<8>(pieces),
        _ => pieces.sort_unstable(),
    }
    let is_told = |pair: &[Piece]| pair[0].key() != pair[1].key() || !pair[0].goes_on();
    if pieces.windows(2).all(is_told) {
        return;
    }
    let tied = |one: &Piece, next: &Piece| one.key() == next.key();
    for run in pieces.chunk_by_mut(tied).filter(|run| run.len() > 1 && run[0].goes_on()) {
        run.sort_unstable_by(|one, next| {
            one.sort_name(text).cmp(next.sort_name(text)).then(one.cmp(next))
        });
    }
}

/// Sorts at most `N` pieces by counting for each how many come before it: no branch depends on the answers.
fn sort_by_counting<const N: usize>(pieces: &mut [Piece]) {
    // What is behind the last piece comes last.
    let mut keys = [u64::MAX; N];
    for (key, piece) in keys.iter_mut().zip(&*pieces) {
        *key = piece.key();
    }
    let mut places = [0; N];
    for next in 1..N {
        for one in 0..next {
            let follows = usize::from(keys[one] <= keys[next]);
            places[next] += follows;
            places[one] += 1 - follows;
        }
    }
    let mut sorted = [Piece::default(); N];
    for (piece, place) in pieces.iter().zip(places) {
        sorted[place % N] = *piece;
    }
    pieces.copy_from_slice(&sorted[..pieces.len()]);
}

/// The order of pieces that are many.
pub(super) fn sort_many(pieces: &[Piece], text: &[u8]) -> Order {
    // No query has more pieces than a position can say.
    let mut order: Order = (0..).take(pieces.len()).collect();
    let mut scratch: Order = order.clone();
    let piece = |at: u16| pieces[usize::from(at)];
    sort_words(&mut order, &mut scratch, |at| piece(at).key());
    for run in order.chunk_by_mut(|&one, &next| piece(one).key() == piece(next).key()) {
        if run.len() > 1 && piece(run[0]).goes_on() {
            sort_words(run, &mut scratch, |at| {
                let name = piece(at).sort_name(text);
                cut::key(name, size_of::<u64>().min(name.len()), name.len())
            });
        }
    }
    order
}

/// Sorts `order`, which is in the order of the text, by a number for each piece.
fn sort_words(order: &mut [u16], scratch: &mut [u16], key: impl Fn(u16) -> u64) {
    if order.len() < MANY {
        // Of equal keys, the number of the piece decides.
        return order.sort_unstable_by_key(|&at| (key(at), at));
    }
    let first = key(order[0]);
    let differing = order.iter().fold(0, |bits, &at| bits | (key(at) ^ first));
    // From the last byte that they differ in to the first; each pass keeps the order of those before it.
    for shift in (0..u64::BITS).step_by(8).filter(|shift| differing >> shift & 0xFF > 0) {
        let scratch = &mut scratch[..order.len()];
        distribute(order, scratch, |at| usize::from((key(at) >> shift).to_le_bytes()[0]));
        order.copy_from_slice(scratch);
    }
}

/// Sorts `order` by one digit of each, stably.
#[inline]
fn distribute(order: &[u16], sorted: &mut [u16], digit: impl Fn(u16) -> usize) {
    let mut places = [0_u16; 256];
    for &at in order {
        places[digit(at)] += 1;
    }
    let mut end = 0;
    for count in &mut places {
        end += std::mem::replace(count, end);
    }
    for &at in order {
        let place = &mut places[digit(at)];
        sorted[usize::from(*place)] = at;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::cut::Cut;
    use super::super::parameters::{PARAMETERS, Role, canonical_name, role};
    use super::*;

    /// The parameters of a query, sorted here.
    fn sorted(query: &str) -> Vec<&str> {
        let mut pieces = vec![Piece::default(); query.len()];
        let (_, pieces) = Cut::of(query.as_bytes(), 1, &mut pieces).unwrap();
        let text = |piece: Piece| &query[piece.start()..piece.end()];
        let order = sort_many(pieces, query.as_bytes());
        let many: Vec<_> = order.iter().map(|&at| text(pieces[usize::from(at)])).collect();
        sort_few(pieces, query.as_bytes());
        let few: Vec<_> = pieces.iter().map(|&piece| text(piece)).collect();
        assert_eq!(few, many);
        many
    }

    /// The same by the sort of the standard library, which is stable.
    fn stable(query: &str) -> Vec<&str> {
        let mut pieces: Vec<_> = query[1..].split('&').collect();
        pieces.sort_by_key(|piece| {
            let name = piece.split_once('=').map_or(*piece, |(name, _)| name).as_bytes();
            let is_unknown = role(name) == Role::Unknown;
            (is_unknown, if is_unknown { vec![] } else { canonical_name(name).to_vec() })
        });
        pieces
    }

    #[test]
    fn known_pieces_are_sorted_stably_and_unknown_ones_follow_as_they_stand() {
        let mut random = fastrand::Rng::with_seed(7);
        let names = PARAMETERS.iter().filter(|parameter| !parameter.name.starts_with("ci_"));
        let names: Vec<_> = names.flat_map(|p| [p.name, p.also.unwrap_or("bg_color")]).collect();
        for round in 0..400 {
            let count = random.usize(1..[8, 60, 300][round % 3]);
            let pieces: Vec<_> = (0..count)
                .map(|n| match random.usize(..[2, 20][round % 2]) {
                    0 => format!("{}{n}", ["", "a", "bg_color", "wat_fontsi"][random.usize(..4)]),
                    _ => format!("{}={n}", names[random.usize(..names.len())]),
                })
                .collect();
            let query = format!("?{}", pieces.join("&"));
            assert_eq!(sorted(&query), stable(&query));
        }
    }

    #[test]
    fn names_that_begin_alike_are_sorted_by_what_follows() {
        for names in ["wat_fontsize&wat_font&wat_fontsize", "bg_colourise&bg_color&bg_colorize"] {
            let query = format!("?{}", [names; 30].join("&"));
            assert_eq!(sorted(&query), stable(&query));
        }
    }
}
