//! `Progress`: how far a node has come in a stream of purges.
//!
//! Invariant: `applied <= begun`. A purge is begun before its index is touched, and applied after.

use crate::watermark::{StreamId, Watermark};
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a node has come in a stream of purges.
///
/// One thread applies the purges, in the order of their numbers; any number of threads read. A node
/// that changes to another stream makes another `Progress`.
///
/// # Examples
///
/// ```
/// use cache_index_watermark::{Answer, Progress, StreamId};
///
/// let stream: StreamId = "purges".parse()?;
/// let (edge, shield) = (Progress::new(stream.clone(), 3), Progress::new(stream, 3));
/// assert_eq!(edge.stream(), shield.stream());
///
/// edge.apply(4, || { /* purges its index */ });
/// let asked = edge.watermark();
/// assert_eq!(shield.answer_to(&asked), Answer::Behind { by: 1 });
/// shield.apply(4, || { /* purges its index */ });
/// assert_eq!(shield.answer_to(&asked), Answer::FromCache { echo: asked });
/// # Ok::<(), cache_index_watermark::WatermarkError>(())
/// ```
#[derive(Debug)]
pub struct Progress {
    stream: StreamId,
    begun: AtomicU64,
    applied: AtomicU64,
}

/// The way in which a shield may answer an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// From its cache, with this echo.
    FromCache {
        /// The watermark to send with the answer.
        echo: Watermark,
    },
    /// Not from its cache: it has not applied all purges that the edge has begun.
    Behind {
        /// How many purges are left to apply.
        by: u64,
    },
    /// Not from its cache: the edge follows another stream.
    OtherStream,
}

impl Progress {
    /// Creates the progress of a node that has applied all purges up to `applied`.
    pub fn new(stream: StreamId, applied: u64) -> Self {
        let (begun, applied) = (AtomicU64::new(applied), AtomicU64::new(applied));
        Self { stream, begun, applied }
    }

    /// Returns the stream.
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Applies the purge of this number: `purge` must touch the index, and return when it holds.
    ///
    /// If `purge` panics, the purge has begun and is not applied.
    ///
    /// # Panics
    /// If the number is not larger than that of the last purge: purges are applied in order, and
    /// each once. Debug builds only.
    pub fn apply<R>(&self, number: u64, purge: impl FnOnce() -> R) -> R {
        // Sequentially consistent, all of them: they cost nothing beside a fetch, and the order is
        // then as it is written.
        let before = self.begun.swap(number, Ordering::SeqCst);
        debug_assert!(before < number, "purge {number} after {before}");
        let done = purge();
        self.applied.store(number, Ordering::SeqCst);
        done
    }

    /// Returns the watermark for an edge to send. Read it **after** the lease of the fill was
    /// taken.
    ///
    /// It is the number of the last purge that has begun. One that was applied is not enough, and
    /// one that was read before the lease is not: between the two, a purge may have passed that
    /// neither refuses the lease nor is in the number.
    pub fn watermark(&self) -> Watermark {
        Watermark::new(self.stream.clone(), self.begun.load(Ordering::SeqCst))
    }

    /// Returns the way in which a shield may answer an edge that sent this watermark. Call it
    /// **before** the cache is looked at.
    ///
    /// A shield that is behind may call it again after a while. A shield that fetches the answer
    /// from a tier above sends its own [`watermark`](Self::watermark) there, and passes the echo of
    /// that tier on.
    pub fn answer_to(&self, asked: &Watermark) -> Answer {
        if *asked.stream() != self.stream {
            return Answer::OtherStream;
        }
        let applied = self.applied.load(Ordering::SeqCst);
        match asked.number().checked_sub(applied) {
            None | Some(0) => {
                Answer::FromCache { echo: Watermark::new(self.stream.clone(), applied) }
            }
            Some(by) => Answer::Behind { by },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(applied: u64) -> Progress {
        Progress::new("s".parse().unwrap(), applied)
    }

    #[test]
    fn purge_has_begun_while_it_is_applied_and_counts_as_applied_afterwards() {
        let node = progress(3);
        let four = Watermark::new("s".parse().unwrap(), 4);
        let during = node.apply(4, || (node.watermark().number(), node.answer_to(&four)));
        assert_eq!(during, (4, Answer::Behind { by: 1 }));
        assert_eq!(node.answer_to(&four), Answer::FromCache { echo: four });
    }

    #[test]
    fn shield_that_is_ahead_echoes_its_own_number() {
        let asked = "s:2".parse().unwrap();
        let Answer::FromCache { echo } = progress(5).answer_to(&asked) else { panic!("behind") };
        assert_eq!(echo.number(), 5);
        assert!(asked.allows_keeping(Some(&echo)));
    }

    #[test]
    fn number_of_another_stream_means_nothing() {
        assert_eq!(progress(9).answer_to(&"t:1".parse().unwrap()), Answer::OtherStream);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "purge 3 after 3")]
    fn purge_out_of_order_is_a_bug_that_shows_itself() {
        progress(3).apply(3, || ());
    }
}
