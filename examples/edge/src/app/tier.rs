//! The edge as a shield: another edge sends `Cache-Watermark`, the number of the last invalidation
//! that it has begun.
//!
//! Invariant: an answer from the cache has an echo only if that invalidation was applied here
//! before the cache was looked at, and only if the cached picture is not stale and no flush over
//! time will kill it later.

use super::edge::Edge;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use cache_index_watermark::Watermark;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(crate) const CACHE_WATERMARK: HeaderName = HeaderName::from_static("cache-watermark");

/// How long a shield waits for an invalidation that it lacks. Longer in tests, so that they hold on
/// a slow machine.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 2000 } else { 100 });

/// How often it looks.
const STEP: Duration = Duration::from_millis(1);

/// How a request may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// It is not of an edge.
    Client,
    /// From the cache, with this echo.
    Cached(Watermark),
    /// Past the cache: the edge knows an invalidation that this shield lacks, or a flush over time
    /// is running here. An answer of the origin deserves this echo, as the origin is asked after
    /// that invalidation.
    Past(Option<Watermark>),
}

/// The knowledge of a shield about the number of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// The invalidation holds here, with this echo.
    Echo(Watermark),
    /// It may be one of those that this shield gets next.
    NotYet,
    /// Nothing: it is of another stream, or of a history of the stream that was lost.
    Unknown,
}

impl Tier {
    /// Decides before the cache is looked at. Waits if this shield is behind.
    pub(crate) async fn of(edge: &Edge, headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(CACHE_WATERMARK).iter();
        let Some(value) = values.next() else { return Self::Client };
        let asked = value.to_str().ok().and_then(|text| text.parse::<Watermark>().ok());
        let Some(asked) = asked.filter(|_| values.next().is_none()) else {
            return Self::Past(None);
        };
        if edge.shield.is_some() {
            // Two edges may be each other's shield.
            return Self::Past(Some(asked));
        }
        let end = Instant::now() + PATIENCE;
        loop {
            match edge.index.compared(&asked) {
                Holds::Echo(echo) => {
                    // Read after the number: a flush with a larger one is not covered by the echo.
                    let is_past = edge.index.spreads_a_flush();
                    return if is_past { Self::Past(Some(asked)) } else { Self::Cached(echo) };
                }
                Holds::NotYet if Instant::now() < end => sleep(STEP).await,
                Holds::NotYet | Holds::Unknown => return Self::Past(Some(asked)),
            }
        }
    }

    pub(crate) fn is_edge(&self) -> bool {
        *self != Self::Client
    }

    /// Adds the echo to an answer that deserves one.
    pub(crate) fn echo(&self, headers: &mut HeaderMap, is_proven: bool) {
        let (Self::Cached(echo) | Self::Past(Some(echo))) = self else { return };
        if let Some(value) = HeaderValue::from_str(&echo.to_string()).ok().filter(|_| is_proven) {
            headers.insert(CACHE_WATERMARK, value);
        }
    }
}
