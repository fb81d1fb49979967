//! Pending values: the value that each open claim intends to store.
//!
//! Invariant: a pending value is here exactly while its claim is open. So their number is bounded
//! by the number of open fills.
//!
//! They are kept in a table of their own, so that a lease without a claim is as small as before.

use crate::hash::TableHash;
use crate::scopes::Generation;
use hashbrown::HashTable;
use std::sync::Arc;

/// Identifies a pending value among those of one open fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PendingId {
    number: u64,
    variant: TableHash,
}

#[derive(Debug)]
pub(super) struct Pending<V> {
    /// Identifies the value among all of the shard, also of those that were removed.
    number: u64,
    /// The number of the open fill.
    fill: u64,
    variant: Arc<str>,
    hash: TableHash,
    /// The moment at which the claim began, as in the fill's lease.
    pub(super) clock: Generation,
    pub(super) broad: Generation,
    pub(super) value: V,
}

/// The pending values of one shard.
#[derive(Debug)]
pub(super) struct PendingValues<V> {
    table: HashTable<Pending<V>>,
    /// How many values were added so far.
    added: u64,
}

impl<V> Default for PendingValues<V> {
    fn default() -> Self {
        Self { table: HashTable::new(), added: 0 }
    }
}

/// The hash of a variant of one open fill.
fn spread(fill: u64, variant: TableHash) -> u64 {
    // The numbers of fills count up. The factor moves them into the bits that the table uses.
    variant.spread() ^ fill.wrapping_mul(0xd6e8_feb8_6659_fd93)
}

impl<V> PendingValues<V> {
    /// Returns the pending value of the variant that `is_valid`. A fill has at most one such value,
    /// and any number of values that are void.
    pub(super) fn find(
        &self,
        fill: u64,
        (variant, hash): (&str, TableHash),
        is_valid: impl Fn(&Pending<V>) -> bool,
    ) -> Option<&V> {
        let found = self.table.find(spread(fill, hash), |pending| {
            pending.fill == fill && *pending.variant == *variant && is_valid(pending)
        });
        found.map(|pending| &pending.value)
    }

    /// Adds a value for a claim that begins at these two numbers.
    pub(super) fn add(
        &mut self,
        fill: u64,
        (variant, hash): (Arc<str>, TableHash),
        [clock, broad]: [Generation; 2],
        value: V,
    ) -> PendingId {
        self.added += 1;
        let number = self.added;
        let pending = Pending { number, fill, variant, hash, clock, broad, value };
        self.table.insert_unique(spread(fill, hash), pending, |p| spread(p.fill, p.hash));
        PendingId { number, variant: hash }
    }

    /// Removes the value of a claim that ends.
    pub(super) fn remove(&mut self, fill: u64, id: PendingId) -> V {
        let found = self.table.find_entry(spread(fill, id.variant), |p| p.number == id.number);
        let found = found.ok().expect("a claim's value is here while the claim is open");
        let (pending, _) = found.remove();
        // As in `Fills::shrink`.
        let places = self.table.num_buckets();
        if places > 4 && self.table.len() <= places / 8 {
            self.table.shrink_to(self.table.len() * 2, |p| spread(p.fill, p.hash));
        }
        pending.value
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Heap bytes.
    pub(super) fn bytes(&self) -> usize {
        let texts: usize = self.table.iter().map(|pending| pending.variant.len()).sum();
        self.table.allocation_size() + texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [Generation; 2] = [Generation::START; 2];

    fn wanted(text: &str) -> (&str, TableHash) {
        // Equal hashes, so that only the texts and the fills distinguish the values.
        (text, TableHash::new(7))
    }

    fn variant(text: &str) -> (Arc<str>, TableHash) {
        (text.into(), wanted(text).1)
    }

    #[test]
    fn value_is_found_by_its_fill_and_variant_only_while_it_is_valid() {
        let mut values = PendingValues::default();
        let first = values.add(1, variant("a"), START, 10);
        values.add(1, variant("b"), START, 20);
        values.add(2, variant("a"), START, 30);
        assert_eq!(values.find(1, wanted("a"), |_| true), Some(&10));
        assert_eq!(values.find(2, wanted("a"), |_| true), Some(&30));
        assert_eq!(values.find(2, wanted("b"), |_| true), None);
        assert_eq!(values.find(1, wanted("b"), |_| false), None);

        values.add(1, variant("a"), START, 11);
        assert_eq!(values.find(1, wanted("a"), |pending| pending.value > 10), Some(&11));
        assert_eq!(values.remove(1, first), 10);
        assert_eq!(values.find(1, wanted("a"), |_| true), Some(&11));
    }

    #[test]
    fn memory_of_a_burst_comes_back() {
        let mut values = PendingValues::default();
        let ids: Vec<_> =
            (0..10_000).map(|fill| values.add(fill, variant("a"), START, 1)).collect();
        let peak = values.bytes();
        for (fill, id) in (0..).zip(ids) {
            values.remove(fill, id);
        }
        assert!(values.bytes() * 100 < peak, "{} of {peak}", values.bytes());
        assert_eq!(values.len(), 0);
    }
}
