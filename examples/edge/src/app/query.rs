//! `Query`: how an invalidation is carried out, from the query of `POST /invalidate`.
//!
//! Invariant: every member is known and occurs once. A misspelled one would otherwise be an
//! invalidation of another kind.

use super::fault::Fault;
use super::level::Level;
use axum::http::StatusCode;
use cache_index::invalidation::{InvalidationRequest, InvalidationScope};
use cache_index::{Freshness, OverTime, Severity};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The seconds over which a flush may be spread, up to a day.
const SECONDS: RangeInclusive<u64> = 1..=86_400;

/// How an invalidation is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Real {
        level: Level,
        /// The duration of a flush that is spread over time.
        over: Option<OverTime>,
    },
    Dry,
}

impl Run {
    /// Reads a query.
    pub(crate) fn from_query(query: Option<&str>, is_in_fleet: bool) -> Result<Self, Fault> {
        let (mut level, mut seconds, mut serving) = (None, None, None);
        let members = match query {
            None => return Ok(Self::Real { level: Level::default(), over: None }),
            Some("dry_run=1") => return Ok(Self::Dry),
            Some(query) => query.split('&'),
        };
        for member in members {
            let is_new = match member.split_once('=') {
                Some(("level", value)) if is_in_fleet => {
                    level.replace(Level::from_name(value).ok_or_else(|| unknown(true))?).is_none()
                }
                Some(("over", value)) => seconds.replace(read_seconds(value)?).is_none(),
                Some(("serving", value)) => serving.replace(read_serving(value)?).is_none(),
                _ => false,
            };
            if !is_new {
                return Err(unknown(is_in_fleet));
            }
        }
        let over = match (seconds, serving) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(Fault::bad_request("serving needs a duration: expected over=SECONDS"));
            }
            (Some(seconds), serving) => {
                let over = OverTime::new(Duration::from_secs(seconds));
                Some(over.serving(serving.unwrap_or(Freshness::Stale)))
            }
        };
        Ok(Self::Real { level: level.unwrap_or_default(), over })
    }
}

/// Checks that a request may be spread over time.
pub(crate) fn check_over_time(request: &InvalidationRequest) -> Result<(), Fault> {
    let refused = |reason| Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, reason));
    if request.scope() != InvalidationScope::All {
        return refused("over is only allowed with scope \"all\"");
    }
    if request.severity() == Severity::Soft {
        return refused("over is not allowed with mode \"soft\": each older entry dies in the end");
    }
    Ok(())
}

fn read_seconds(value: &str) -> Result<u64, Fault> {
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = value.parse().ok().filter(|seconds| is_plain && SECONDS.contains(seconds));
    seconds.ok_or_else(|| {
        let (least, most) = (SECONDS.start(), SECONDS.end());
        let expected = format!("over must be a whole number of seconds from {least} to {most}");
        Fault::bad_request(format!("{expected}, got {value:?}"))
    })
}

fn read_serving(value: &str) -> Result<Freshness, Fault> {
    match value {
        "stale" => Ok(Freshness::Stale),
        "live" => Ok(Freshness::Live),
        _ => Err(Fault::bad_request(format!("serving must be stale or live, got {value:?}"))),
    }
}

fn unknown(is_in_fleet: bool) -> Fault {
    Fault::bad_request(if is_in_fleet {
        "unknown query: expected none, dry_run=1, level=local, level=durable, level=everywhere or \
         over=SECONDS"
    } else {
        "unknown query: expected none, dry_run=1 or over=SECONDS"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, is_in_fleet: bool) -> Result<Run, String> {
        let read = Run::from_query(Some(query), is_in_fleet);
        read.map_err(|fault| {
            assert_eq!(fault.status, StatusCode::BAD_REQUEST, "{query}");
            fault.reason
        })
    }

    fn real(level: Level, seconds: u64, serving: Freshness) -> Run {
        let over = OverTime::new(Duration::from_secs(seconds)).serving(serving);
        Run::Real { level, over: Some(over) }
    }

    #[test]
    fn members_are_read_in_any_order() {
        assert_eq!(read("over=1", false), Ok(real(Level::Durable, 1, Freshness::Stale)));
        assert_eq!(
            read("over=86400&serving=stale", false),
            Ok(real(Level::Durable, 86_400, Freshness::Stale))
        );
        let all = real(Level::Everywhere, 60, Freshness::Live);
        assert_eq!(read("serving=live&level=everywhere&over=60", true), Ok(all));
        assert_eq!(read("level=local", true), Ok(Run::Real { level: Level::Local, over: None }));
        assert_eq!(read("dry_run=1", false), Ok(Run::Dry));
    }

    #[test]
    fn durations_out_of_range_are_refused_with_the_range() {
        let long = "9".repeat(30);
        for value in ["", "0", "86401", "-1", "+1", "1.5", "60s", " 60", "%36", long.as_str()] {
            let expected = "over must be a whole number of seconds from 1 to 86400, got ";
            assert_eq!(read(&format!("over={value}"), false), Err(format!("{expected}{value:?}")));
        }
        let expected = "serving must be stale or live, got \"soft\"";
        assert_eq!(read("over=1&serving=soft", false), Err(expected.to_owned()));
        let expected = "serving needs a duration: expected over=SECONDS";
        assert_eq!(read("serving=live", false), Err(expected.to_owned()));
    }

    #[test]
    fn unknown_and_repeated_members_are_refused() {
        let expected = "unknown query: expected none, dry_run=1 or over=SECONDS";
        for query in
            ["", "over", "over=1&over=1", "over=1&", "level=local", "dry_run=1&over=1", "Over=1"]
        {
            assert_eq!(read(query, false), Err(expected.to_owned()), "{query}");
        }
        assert!(read("over=1&level=all", true).is_err_and(|reason| reason.contains("level=local")));
    }
}
