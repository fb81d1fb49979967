//! Pins the results of the race: it detects a change of a peer's behavior, and of this crate's.

use peers::race::Verdict::{Refused, ServedOld};
use peers::race::{Before, Scope, Verdict, entrants, markdown};

/// In the order of `Scope::EACH`: variant, path, prefix, all. For each of them it makes no
/// difference what was stored before.
const EXPECTED: [(&str, &str, [Verdict; 4]); 7] = [
    ("cache-index", "lease", [Refused; 4]),
    ("moka", "entry per rendition", [ServedOld; 4]),
    ("moka", "record per path", [Refused; 4]),
    ("quick_cache", "entry per rendition", [Refused, ServedOld, ServedOld, Refused]),
    ("quick_cache", "entry per rendition, names beside", [Refused; 4]),
    ("dashmap", "map per path", [ServedOld; 4]),
    ("dashmap", "record per path", [Refused; 4]),
];

#[test]
fn who_serves_the_old_picture_is_as_recorded() -> Result<(), String> {
    for before in Before::EACH {
        let mut expected = EXPECTED.into_iter();
        for entrant in entrants() {
            let mut verdicts = Vec::new();
            for scope in Scope::EACH {
                verdicts.push(entrant.race(scope, before)?);
            }
            let (peer, usage, verdict) = expected.next().ok_or("an entrant is not recorded")?;
            assert_eq!((entrant.peer, entrant.usage), (peer, usage));
            assert_eq!(verdicts, verdict, "{peer}, {usage}, {before:?}");
        }
        assert_eq!(expected.next(), None, "a recorded entrant did not take part");
    }
    Ok(())
}

#[test]
fn readme_shows_what_the_program_prints() -> Result<(), String> {
    let (table, beaten) = markdown()?;
    assert!(!beaten);
    assert!(
        include_str!("../README.md").contains(&table),
        "not in benches/peers/README.md:\n{table}"
    );
    Ok(())
}
