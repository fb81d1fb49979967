//! Sorts the pieces of a query by name, stably, in linear time.
//!
//! Invariant: pieces of one name stay in the order of the text.
//! Not here: allocations. Orders are kept on the stack.
//!
//! Nearly all requests have few parameters, whose names differ in their first eight bytes: numbers are sorted. Of thousands of
//! parameters, as only an attacker writes them, the numbers are distributed by each byte in which any of them differ, the last one first; and
//! names that are the same in eight bytes by the next eight. So each byte of a name is looked at once or twice, whatever the others are.

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
    for run in pieces.chunk_by_mut(tied).filter(|run| run.len() > 1) {
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

/// The order of pieces that are many. Their keys are used up.
pub(super) fn sort_many(pieces: &mut [Piece], text: &[u8]) -> Order {
    // No query has more pieces than a position can say.
    let mut order: Order = (0..).take(pieces.len()).collect();
    let mut scratch: Order = order.clone();
    sort_words(&mut order, &mut scratch, pieces);
    if pieces.iter().any(|piece| piece.goes_on()) {
        sort_ties(&mut order, &mut scratch, pieces, text, 0);
    }
    order
}

/// Sorts `order`, which is in the order of the text, by the keys of the pieces.
fn sort_words(order: &mut [u16], scratch: &mut [u16], pieces: &[Piece]) {
    let key = |at: u16| pieces[usize::from(at)].key();
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

/// Sorts runs of pieces whose names are the same in their first `known` bytes and eight more by what follows.
fn sort_ties(
    order: &mut [u16],
    scratch: &mut [u16],
    pieces: &mut [Piece],
    text: &[u8],
    known: usize,
) {
    let mut start = 0;
    while start < order.len() {
        let key = pieces[usize::from(order[start])].key();
        let is_same = |&&at: &&u16| pieces[usize::from(at)].key() == key;
        let len = order[start..].iter().take_while(is_same).count();
        let run = &mut order[start..start + len];
        start += len;
        // While nothing tells them apart there is nothing to sort, and no need to descend.
        let mut known = known;
        while run.len() > 1 && run.iter().any(|&at| pieces[usize::from(at)].goes_on()) {
            known += size_of::<u64>();
            if !set_keys(run, pieces, text, known) {
                sort_words(run, scratch, pieces);
                sort_ties(run, scratch, pieces, text, known);
                break;
            }
        }
    }
}

/// Sets the keys of pieces to what follows the first `known` bytes of their names; says whether they are all the same.
fn set_keys(run: &[u16], pieces: &mut [Piece], text: &[u8], known: usize) -> bool {
    let mut differing = 0;
    let mut first = None;
    for &at in run {
        let piece = &mut pieces[usize::from(at)];
        let name = piece.sort_name(text);
        let key = cut::key(name, known.min(name.len()), name.len());
        piece.set_key(key);
        differing |= key ^ *first.get_or_insert(key);
    }
    differing == 0
}

#[cfg(test)]
mod tests {
    use super::super::cut::Cut;
    use super::*;

    /// The parameters of a query, sorted here.
    fn sorted(query: &str) -> Vec<&str> {
        let mut pieces = vec![Piece::default(); query.len()];
        let (_, pieces) = Cut::of(query.as_bytes(), 1, &mut pieces).unwrap();
        let text = |piece: Piece| &query[piece.start()..piece.end()];
        let order = sort_many(&mut pieces.to_vec(), query.as_bytes());
        let many: Vec<_> = order.iter().map(|&at| text(pieces[usize::from(at)])).collect();
        sort_few(pieces, query.as_bytes());
        let few: Vec<_> = pieces.iter().map(|&piece| text(piece)).collect();
        assert_eq!(few, many);
        many
    }

    /// The same by the sort of the standard library, which is stable.
    fn stable(query: &str) -> Vec<&str> {
        let mut pieces: Vec<_> = query[1..].split('&').collect();
        let name = |piece: &&str| match piece.split_once('=').map_or(*piece, |(name, _)| name) {
            "width" => "w".to_owned(),
            "bg_colourise" => "bg_colorize".to_owned(),
            name => name.to_owned(),
        };
        pieces.sort_by_key(name);
        pieces
    }

    #[test]
    fn pieces_are_sorted_stably_whatever_their_names_have_in_common() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..400 {
            let stem = ["", "a", "bg_color", "abcdefghijklmnopqrstuvwxyz"][round % 4];
            let letters = random.u8(1..7);
            let pieces: Vec<_> = (0..random.usize(1..300))
                .map(|n| {
                    let rest: String = (0..random.usize(1..[2, 4, 12][round % 3]))
                        .map(|_| char::from(b'a' + random.u8(..letters)))
                        .collect();
                    match random.usize(..20) {
                        0 => format!("width={n}"),
                        1 => format!("w={n}"),
                        2 => format!("bg_colourise={n}"),
                        3 => format!("bg_colorize={n}"),
                        4 => format!("{stem}={n}"),
                        _ => format!("{stem}{rest}={n}"),
                    }
                    .trim_start_matches('=')
                    .to_owned()
                })
                .collect();
            let query = format!("?{}", pieces.join("&"));
            assert_eq!(sorted(&query), stable(&query));
        }
    }

    #[test]
    fn long_names_that_end_otherwise_need_no_deep_stack() {
        let long = "n".repeat(4000);
        let short: Vec<_> = (0..40).map(|n| format!("a{n}")).collect();
        let query = format!("?{long}b&{}&{long}a", short.join("&"));
        assert_eq!(sorted(&query), stable(&query));
        let steps: Vec<_> = (1..120).rev().map(|len| "n".repeat(len)).collect();
        let query = format!("?{}", steps.join("&"));
        assert_eq!(sorted(&query), stable(&query));
    }
}
