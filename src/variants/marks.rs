//! A bit for each variant of a small set: whether it is stale.
//!
//! Invariant: bits beyond the set's last variant are zero.

pub(crate) type Marks = u32;

pub(super) fn mark(stale: bool, at: usize) -> Marks {
    Marks::from(stale) << at
}

#[inline]
pub(super) fn is_set(marks: Marks, at: usize) -> bool {
    marks >> at & 1 == 1
}

/// The first `len`.
pub(super) fn first(len: usize) -> Marks {
    u32::try_from((1_u64 << len) - 1).expect("a small set has as many variants as there are bits")
}

/// The bits without the one at `at`; those above it move down.
pub(super) fn without(marks: Marks, at: usize) -> Marks {
    let below = first(at);
    marks & below | marks >> 1 & !below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_follow_their_variants() {
        assert_eq!(without(0b1011, 0), 0b101);
        assert_eq!(without(0b1011, 1), 0b101);
        assert_eq!(without(0b1011, 2), 0b111);
        assert_eq!(without(u32::MAX, 31), u32::MAX >> 1);
        assert_eq!(without(1 << 31, 0), 1 << 30);
        assert!(is_set(mark(true, 31), 31) && !is_set(mark(false, 31), 31));
        assert_eq!((first(0), first(3), first(32)), (0, 0b111, u32::MAX));
    }
}
