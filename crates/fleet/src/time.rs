//! `Moment`: the only clock that decides anything.

use std::time::Duration;

/// A moment on the monotonic clock of this machine. It is compared with moments of the same
/// machine only, and never sent anywhere.
///
/// On Linux the clock also counts the time during which the machine was suspended.
///
/// # Examples
///
/// ```
/// use cache_index_fleet::Moment;
/// use std::time::Duration;
///
/// let now = Moment::now();
/// assert!(now.plus(Duration::from_secs(1)) > now);
/// assert_eq!(now.since(now.plus(Duration::from_secs(1))), Duration::ZERO);
/// // In an atomic, for example.
/// assert_eq!(Moment::from_nanos(now.as_nanos()), now);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// Reads the clock.
    ///
    /// **Cost:** that of `Instant::now`.
    pub fn now() -> Self {
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(clock);
        let (seconds, nanos) = (time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned());
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    /// Returns a moment by its nanoseconds since the start of the clock.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the start of the clock.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the moment that is `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// Returns the time since an earlier moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock counts from a start of the machine. The time of day, which can be set, counts from
    /// 1970.
    #[test]
    fn the_clock_is_not_the_time_of_day() {
        let years = Duration::from_secs(20 * 365 * 24 * 3600);
        assert!(Moment::now() < Moment::default().plus(years));
        let before = Moment::now();
        assert!(Moment::now() >= before);
    }
}
