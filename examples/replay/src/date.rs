//! Dates of log lines, in the notation of NCSA logs and in ISO 8601:
//!
//! ```text
//! 24/Nov/2026:20:24:17 +0000    24/Nov/2026:20:24:17.123
//! 2026-11-24T20:24:17+00:00     2026-11-24 20:24:17Z
//! ```
//!
//! A date without a zone is UTC. Fractions of a second are dropped.

use jiff::civil::DateTime;
use jiff::tz::Offset;

/// The longest text that is read as a date.
const LONGEST: usize = 40;

/// Reads dates. Lines of one second stand together, so most of them are compared and not parsed.
#[derive(Debug, Default)]
pub(crate) struct Dates {
    last: Option<(Vec<u8>, i64)>,
}

impl Dates {
    /// Returns the seconds since 1970, or `None` if `text` is not a date.
    pub(crate) fn second(&mut self, text: &[u8]) -> Option<i64> {
        if let Some((last, second)) = &self.last
            && last == text
        {
            return Some(*second);
        }
        let second = parse(std::str::from_utf8(text).ok()?)?;
        let (last, of_last) = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(text);
        *of_last = second;
        Some(second)
    }
}

/// Whether `text` is written like a date. The day of a date can still be wrong.
pub(crate) fn is_like_date(text: &[u8]) -> bool {
    let count = |wanted: u8| text.split(|&byte| byte == wanted).count() - 1;
    text.len() <= LONGEST
        && text.first().is_some_and(u8::is_ascii_digit)
        && count(b':') >= 2
        && (count(b'/') == 2 || count(b'-') >= 2)
}

fn parse(text: &str) -> Option<i64> {
    // The time begins at the first colon, or just before it; no sign and no point in front of it
    // belongs to a zone or fraction.
    let time = text.find(':')?;
    let (text, offset) = split_zone(text, time)?;
    let text = without_fraction(text, time)?;
    let formats = if text.contains('/') {
        ["%d/%b/%Y:%H:%M:%S", "%d/%b/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S"]
    } else {
        ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d:%H:%M:%S"]
    };
    let date = formats.iter().find_map(|format| DateTime::strptime(format, text).ok())?;
    Some(offset.to_timestamp(date).ok()?.as_second())
}

/// Splits `+0200`, `+02:00`, `+02` or `Z` off the end.
fn split_zone(text: &str, time: usize) -> Option<(&str, Offset)> {
    if let Some(text) = text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix(" UTC")) {
        return Some((text, Offset::UTC));
    }
    let Some(sign) = text[time..].rfind(['+', '-']).map(|at| time + at) else {
        return Some((text, Offset::UTC));
    };
    let digits = text[sign + 1..].replacen(':', "", 1);
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = if digits.len() == 4 { digits[2..].parse().ok()? } else { 0 };
    let seconds = (hours * 60 + minutes) * 60;
    let offset =
        Offset::from_seconds(if text[sign..].starts_with('-') { -seconds } else { seconds });
    (minutes < 60).then_some((text[..sign].trim_end(), offset.ok()?))
}

/// Drops `.123` or `,123` from the end.
fn without_fraction(text: &str, time: usize) -> Option<&str> {
    let Some(point) = text[time..].find(['.', ',']).map(|at| time + at) else {
        return Some(text);
    };
    let digits = &text[point + 1..];
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    good.then_some(&text[..point])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_795_551_857;

    #[test]
    fn dates_count_from_1970_whatever_their_zone_and_notation() {
        let mut dates = Dates::default();
        for text in [
            "24/Nov/2026:20:24:17 +0000",
            "24/Nov/2026:22:24:17 +0200",
            "24/Nov/2026:22:24:17 +02:00",
            "24/Nov/2026:14:54:17 -0530",
            "24/Nov/2026:20:24:17",
            "24/Nov/2026:20:24:17.999 +0000",
            "24/Nov/2026:20:24:17.1",
            "24/Nov/2026 20:24:17 +0000",
            "2026/11/24 20:24:17",
            "2026-11-24T20:24:17+00:00",
            "2026-11-24T20:24:17Z",
            "2026-11-24T22:24:17.123456+0200",
            "2026-11-24 20:24:17,5",
            "2026-11-24 22:24:17 +02",
        ] {
            assert!(is_like_date(text.as_bytes()), "{text}");
            assert_eq!(dates.second(text.as_bytes()), Some(SECOND), "{text}");
            assert_eq!(dates.second(text.as_bytes()), Some(SECOND), "{text}, again");
        }
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        let mut dates = Dates::default();
        for text in [
            "",
            ":",
            "31/Feb/2026:20:24:17 +0000",
            "24/Okt/2026:20:24:17 +0200",
            "24/Nov/2026:24:00:00 +0000",
            "24/Nov/2026:20:24:17 +00",
            "24/Nov/2026:20:24:17 +0",
            "24/Nov/2026:20:24:17 +0060",
            "24/Nov/2026:20:24:17 +9900",
            "24/Nov/2026:20:24:17. +0000",
            "24/Nov/2026:20:24:17 CET",
            "2026-11-24T20:24",
            "2026-13-24T20:24:17Z",
            "\u{e9}/Nov/2026:20:24:17\u{e9}",
        ] {
            let zone_of_hours = text == "24/Nov/2026:20:24:17 +00";
            assert_eq!(dates.second(text.as_bytes()).is_some(), zone_of_hours, "{text}");
        }
        assert!(!is_like_date(b"PORT 80"));
        assert!(!is_like_date(b"0.003"));
        assert!(!is_like_date(b"2001:db8::1"));
    }
}
