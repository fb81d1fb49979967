//! Ids for stored objects that never come again, not even after a restart.
//!
//! Invariant: two calls of `ci_ids_next` in one process return different numbers if they use one
//! handle, or handles of different incarnations.

use crate::boundary::{Out, borrow, guard, hand_over_made, take_back};
use crate::error::{CI_ERR_EXHAUSTED, CI_OK, Failure, ci_error};
use std::ffi::c_int;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The bits of an id that count, below an incarnation of the caller's.
const COUNTER_BITS: u32 = 40;

/// Ids of each microsecond since 1970: no program stores more objects than this.
const IDS_EACH_MICROSECOND: u64 = 1 << 12;

/// In microseconds. A clock before 2020 was never set.
const YEAR_2020: u64 = 1_577_836_800 * 1_000_000;

/// A source of ids. Any number of threads may use one.
pub struct ci_ids {
    next: AtomicU64,
    /// The id after the last one.
    end: u64,
}

impl ci_ids {
    fn of_incarnation(incarnation: u64) -> Result<Self, Failure> {
        let largest = (1 << (u64::BITS - COUNTER_BITS)) - 1;
        if incarnation > largest {
            let message = format!("incarnation is {incarnation}: expected at most {largest}");
            return Err(Failure::argument(message));
        }
        let first = incarnation << COUNTER_BITS;
        Ok(Self { next: AtomicU64::new(first), end: first | ((1 << COUNTER_BITS) - 1) })
    }

    /// A later start of the program begins with a larger id than this one reaches. If the clock was
    /// never set, the start is random.
    fn of_now(since_1970: u64) -> Self {
        let first = if since_1970 < YEAR_2020 {
            RandomState::new().hash_one(since_1970) >> 1
        } else {
            since_1970.saturating_mul(IDS_EACH_MICROSECOND)
        };
        Self { next: AtomicU64::new(first), end: u64::MAX }
    }

    fn next(&self) -> Option<u64> {
        // Relaxed: the number orders nothing else.
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        if id < self.end {
            return Some(id);
        }
        // Does not wrap around, however often it is called.
        self.next.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

/// Creates a source of ids for objects that a cache keeps under the id, see "Ids" at the top.
///
/// `incarnation` is a number that is larger after each start, up to 16777215, such as that of
/// `ci_durable_incarnation`; each has 2^40 ids. 0: the time of the call is used, in microseconds.
/// Ids of a later start are larger, as long as the clock is not set back to the very second of an
/// earlier start. Two sources that are to be distinct must not be created in one microsecond.
///
/// Owner: you; free `*out` with `ci_ids_free`.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_ARGUMENT: nothing is created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_ids_new(
    incarnation: u64,
    out: *mut *mut ci_ids,
    error: *mut ci_error,
) -> c_int {
    let make = || {
        if incarnation != 0 {
            return ci_ids::of_incarnation(incarnation);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(ci_ids::of_now(u64::try_from(now.as_micros()).unwrap_or_default()))
    };
    // SAFETY: `out` and `error` are NULL or can be written to.
    unsafe { guard(error, || hand_over_made(out, make)) }
}

/// Writes an id to `*id` that this source has not returned before. It is never 0.
///
/// Any thread may call this at any time.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_EXHAUSTED: `*id` is left as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_ids_next(
    ids: *const ci_ids,
    id: *mut u64,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid source, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (ids, id) = (borrow(ids, "ids")?, Out::new(id, "id")?);
            let Some(next) = ids.next() else {
                let message = "no id is left: expected fewer than 2^40 for an incarnation";
                return Err(Failure::new(CI_ERR_EXHAUSTED, "Exhausted", message));
            };
            id.write(next);
            Ok(CI_OK)
        })
    }
}

/// Frees a source of ids. NULL is allowed.
///
/// Undefined: to free a source twice, or while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_ids_free(ids: *mut ci_ids) {
    // SAFETY: the caller passes NULL or a source that is not used any more.
    unsafe { take_back(ids) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_an_incarnation_end_before_those_of_the_next() {
        let ids = ci_ids::of_incarnation(7).unwrap();
        let end = ids.end;
        assert_eq!(ids.next(), Some(7 << 40));
        ids.next.store(end - 1, Ordering::Relaxed);
        assert_eq!(ids.next(), Some(end - 1));
        assert_eq!((ids.next(), ids.next()), (None, None));
        assert!(end < ci_ids::of_incarnation(8).unwrap().next().unwrap());
        assert!(ci_ids::of_incarnation(1 << 24).is_err());
    }

    #[test]
    fn later_start_has_larger_ids_and_an_unset_clock_random_ones() {
        let (one, later) = (ci_ids::of_now(YEAR_2020), ci_ids::of_now(YEAR_2020 + 1));
        let first = one.next().unwrap();
        let last = (1..IDS_EACH_MICROSECOND).map(|_| one.next().unwrap()).last();
        assert!(first < last.unwrap() && last < later.next());
        let unset = [(); 64].map(|()| ci_ids::of_now(5).next().unwrap());
        let distinct: std::collections::BTreeSet<_> = unset.into_iter().collect();
        assert_eq!(distinct.len(), 64);
    }
}
