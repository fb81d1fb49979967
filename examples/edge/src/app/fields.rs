//! Lists in header fields that are not structured fields, such as `Accept` and `Cache-Control`.
//!
//! Invariant: a comma or a semicolon in a quoted string separates nothing (RFC 9110, 5.6.4).

use axum::http::{HeaderMap, HeaderName};

/// Returns all lines of a field as one list, as RFC 9110, 5.3 joins them. Lines that are not ASCII
/// text are left out. Returns `None` if there are no lines.
pub(crate) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<_> =
        headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// Splits a text at a separator outside of quoted strings. The parts are trimmed, empty ones are
/// left out.
pub(crate) fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(move |letter| {
        let ends = letter == separator && !quoted;
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        ends
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_in_quotes_separates_nothing() {
        for (text, parts) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("a, b=1 ,c", &["a", "b=1", "c"]),
            (r#"private="a, b", c"#, &[r#"private="a, b""#, "c"]),
            (r#"x="\", y", z"#, &[r#"x="\", y""#, "z"]),
            (r#"x="never, closed"#, &[r#"x="never, closed"#]),
        ] {
            assert_eq!(split(text, ',').collect::<Vec<_>>(), parts, "{text}");
        }
    }
}
