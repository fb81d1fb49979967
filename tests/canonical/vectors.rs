//! The cases of `tests/data/canonical.tsv`: all of them are run, and all that fail are printed.

use crate::notation::{Kind, Settings, escape, unescape};

const CASES: &str = include_str!("../data/canonical.tsv");

/// How many there are, so that none gets lost.
const COUNT: usize = 213;

struct Case<'t> {
    line: usize,
    settings: &'t str,
    kind: &'t str,
    text: &'t str,
    expected: [&'t str; 3],
    reason: &'t str,
}

fn cases() -> Vec<Case<'static>> {
    let lines = CASES.lines().zip(1..).filter(|(line, _)| !line.starts_with('#'));
    let cases = lines.map(|(text, line)| {
        let fields: Vec<_> = text.split('\t').collect();
        let [settings, kind, text, origin, variant, error, reason] = fields[..] else {
            panic!("line {line} has {} fields", fields.len());
        };
        Case { line, settings, kind, text, expected: [origin, variant, error], reason }
    });
    cases.collect()
}

impl Case<'_> {
    /// Runs the case, and returns the actual result if it differs from the expected one.
    fn failure(&self) -> Option<String> {
        let outcome = || {
            let settings = Settings::parse(self.settings)?;
            let read = settings.read(Kind::parse(self.kind)?, &unescape(self.text)?);
            Ok::<_, String>(match read {
                Ok((origin, variant)) => [origin, variant, "-".into()],
                Err(error) => ["-".into(), "-".into(), error.kind().to_string()],
            })
        };
        let outcome = outcome().unwrap_or_else(|reason| ["-".into(), "-".into(), reason]);
        let expected = self.expected.map(|text| unescape(text).unwrap_or_default());
        let same = expected.iter().zip(&outcome).all(|(one, other)| one == other.as_bytes());
        let Self { line, settings, kind, text, expected, reason } = self;
        (!same).then(|| {
            format!("line {line}: {settings} {kind} {text}\n  {reason}\n  expected {expected:?}\n  got      {outcome:?}\n")
        })
    }
}

#[test]
fn every_case_gives_what_the_table_says() {
    let cases = cases();
    assert_eq!(cases.len(), COUNT);
    let failures: Vec<_> = cases.iter().filter_map(Case::failure).collect();
    assert!(failures.is_empty(), "{} of {COUNT} failed\n{}", failures.len(), failures.concat());
}

#[test]
fn every_case_has_a_reason_of_its_own() {
    let mut reasons: Vec<_> = cases().iter().map(|case| case.reason).collect();
    assert!(reasons.iter().all(|reason| reason.len() > 3));
    reasons.sort_unstable();
    reasons.dedup();
    assert!(reasons.len() > COUNT * 9 / 10, "{}", reasons.len());
}

#[test]
fn texts_are_written_in_the_notation_in_which_they_are_read() {
    for bytes in [&b"a\\b"[..], b"\0\n\x7F", "caf\u{e9}".as_bytes(), b"\xCC\x81\xFF", b"\\x41", b""]
    {
        assert_eq!(unescape(&escape(bytes)).as_deref(), Ok(bytes));
    }
    assert_eq!(unescape("x\\{ab*3}\\x20\\\\").as_deref(), Ok(&b"xababab \\"[..]));
    for bad in ["\\", "\\y", "\\x2", "\\{a*}", "\\{a}", "\\xZZ"] {
        assert!(unescape(bad).is_err(), "{bad}");
    }
}
