//! The tier watermark: one purge is enough, although an edge fetches from a shield.
//!
//! # The race
//!
//! A shield is a cache between the edges and the origin. Each node applies the purges of a common
//! stream on its own, in order, and some are behind. An edge applies a purge, misses, and fetches
//! from a shield that has not applied the purge yet. The answer is the old picture, and the edge
//! keeps it: its fill began after the purge.
//!
//! # The protocol
//!
//! Purges have numbers. A node notes the number of a purge as *begun* before it touches its index,
//! and as *applied* after that: [`Progress::apply`].
//!
//! 1. On a miss, the edge takes the lease **first**, and **then** reads *begun*, with
//!    [`Progress::watermark`]. It sends the number to the shield in the header [`HEADER`].
//! 2. The shield compares the number with its own *applied*, with [`Progress::answer_to`]. If
//!    it is behind, it waits for a moment, or goes past its cache, or answers without an echo.
//! 3. The shield echoes its own number with an answer from its cache.
//! 4. The edge keeps the answer only if the echo reaches the number that it sent:
//!    [`Watermark::allows_keeping`]. Without an echo, it serves the answer and does not keep it.
//!
//! A purge with a larger number than the one that was sent begins at the edge after the lease, and
//! the index refuses the lease. A purge with a smaller or equal number has been applied by the
//! shield before it looked into its cache. So no old answer is kept, and no purge is needed twice.
//!
//! Both orders matter. The obvious variants keep old answers: see the test of all interleavings.
//!
//! This crate has no dependencies and no I/O. It needs neither the index nor a fleet.
//!
//! # Examples
//!
//! ```
//! use cache_index_watermark::{Answer, HEADER, Progress, StreamId, Watermark};
//!
//! let stream: StreamId = "purges-2026".parse()?;
//! let (edge, shield) = (Progress::new(stream.clone(), 6), Progress::new(stream, 6));
//! edge.apply(7, || { /* purge the edge's index */ });
//!
//! // The edge misses. It takes its lease here, and reads the watermark then.
//! let sent = edge.watermark();
//! let header = sent.to_string();
//! assert_eq!((HEADER, &*header), ("Cache-Watermark", "purges-2026:7"));
//!
//! // The shield has not applied purge 7: its cache may hold the old picture.
//! let asked: Watermark = header.parse()?;
//! assert_eq!(shield.answer_to(&asked), Answer::Behind { by: 1 });
//!
//! shield.apply(7, || { /* purge the shield's index */ });
//! let Answer::FromCache { echo } = shield.answer_to(&asked) else { unreachable!() };
//! assert!(sent.allows_keeping(Some(&echo)));
//! assert!(!sent.allows_keeping(None));
//! # Ok::<(), cache_index_watermark::WatermarkError>(())
//! ```
#![forbid(unsafe_code)]

mod error;
mod progress;
mod watermark;

pub use error::{WatermarkError, WatermarkErrorKind};
pub use progress::{Answer, Progress};
pub use watermark::{HEADER, StreamId, Watermark};
