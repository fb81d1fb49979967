//! The open rules in the order of their last purges.
//!
//! Generations only grow, so a rule that is added or renewed goes to the end: a queue does what a
//! sorted map would do, in fewer instructions (DESIGN.md has the counts). A renewed rule leaves a
//! gap in its old place.
//!
//! Invariant: the first place is never a gap. There are at most as many gaps as rules, and `FEW`.

use super::generation::Generation;
use std::collections::VecDeque;
use std::sync::Arc;

/// The prefix of a tenant that was purged last in this generation.
#[derive(Debug)]
struct Place {
    generation: Generation,
    tenant: u32,
    /// `None` in a gap.
    prefix: Option<Arc<str>>,
}

#[derive(Debug, Default)]
pub(super) struct RuleAges {
    places: VecDeque<Place>,
    gaps: usize,
}

/// So many gaps may stay in a short queue.
const FEW: usize = 16;

impl RuleAges {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.gaps
    }

    /// The last purge of the rule that was not renewed for the longest time.
    pub(super) fn oldest(&self) -> Option<Generation> {
        self.places.front().map(|place| place.generation)
    }

    /// `generation` is newer than all before.
    pub(super) fn push(&mut self, generation: Generation, tenant: u32, prefix: Arc<str>) {
        debug_assert!(self.places.back().is_none_or(|last| last.generation < generation));
        self.places.push_back(Place { generation, tenant, prefix: Some(prefix) });
    }

    pub(super) fn pop_oldest(&mut self) -> Option<(u32, Arc<str>)> {
        let Place { tenant, prefix, .. } = self.places.pop_front()?;
        self.tidy();
        prefix.map(|prefix| (tenant, prefix))
    }

    /// Takes out the rule that was purged last in this generation.
    pub(super) fn remove(&mut self, generation: Generation) {
        let Ok(at) = self.places.binary_search_by_key(&generation, |place| place.generation) else {
            return;
        };
        if self.places[at].prefix.take().is_some() {
            self.gaps += 1;
        }
        self.tidy();
    }

    pub(super) fn bytes(&self) -> usize {
        let texts = self.places.iter().filter_map(|place| place.prefix.as_ref());
        texts.map(|prefix| prefix.len()).sum::<usize>()
            + self.places.capacity() * size_of::<Place>()
    }

    fn tidy(&mut self) {
        while self.places.front().is_some_and(|place| place.prefix.is_none()) {
            self.places.pop_front();
            self.gaps -= 1;
        }
        if self.gaps > self.len() + FEW {
            self.places.retain(|place| place.prefix.is_some());
            self.gaps = 0;
        }
        // Room that is mostly unused is given back.
        if self.places.len() < self.places.capacity() / 4 {
            self.places.shrink_to(self.places.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ages(generations: impl IntoIterator<Item = u64>) -> RuleAges {
        let mut ages = RuleAges::default();
        for n in generations {
            ages.push(Generation::new(n), 1, n.to_string().into());
        }
        ages
    }

    fn drained(mut ages: RuleAges) -> Vec<String> {
        let mut order = Vec::new();
        while let Some((_, prefix)) = ages.pop_oldest() {
            order.push(prefix.to_string());
        }
        assert_eq!((ages.len(), ages.oldest()), (0, None));
        order
    }

    #[test]
    fn order_is_that_of_the_last_purges() {
        let mut ages = ages([2, 3, 5, 8]);
        ages.remove(Generation::new(3));
        ages.remove(Generation::new(3));
        ages.remove(Generation::new(4));
        assert_eq!((ages.len(), ages.oldest()), (3, Some(Generation::new(2))));
        // The first place is not a gap, nor is the one behind it.
        ages.remove(Generation::new(2));
        assert_eq!((ages.len(), ages.oldest()), (2, Some(Generation::new(5))));
        ages.push(Generation::new(9), 1, "3".into());
        assert_eq!(drained(ages), ["5", "8", "3"]);
    }

    #[test]
    fn renewed_rules_and_removed_ones_leave_no_memory() {
        let mut ages = ages(1..=1000);
        let full = ages.bytes();
        // One rule that stays, and one that is renewed again and again.
        for n in 1001..100_000 {
            ages.remove(Generation::new(n - 1));
            ages.push(Generation::new(n), 1, "renewed".into());
        }
        assert_eq!(ages.len(), 1000);
        assert!(ages.bytes() <= 3 * full, "{} of {full}", ages.bytes());
        while ages.len() > 10 {
            ages.pop_oldest();
        }
        assert!(ages.bytes() < full / 10, "{} of {full}", ages.bytes());
    }
}
