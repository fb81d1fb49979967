//! The results as Markdown.

use super::{Before, Entrant, Scope, Verdict, entrants};

/// The versions of the peers are read from the manifest that pins them, so that they always match
/// the built versions.
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// Returns the results and the usages as Markdown, and whether this crate served an old picture
/// anywhere.
///
/// # Errors
/// As [`Entrant::race`].
pub fn markdown() -> Result<(String, bool), String> {
    let mut table = String::from(
        "| | purge of a variant | purge of a path | purge of a prefix | flush of everything |\n\
         |---|---|---|---|---|\n",
    );
    let mut how = String::new();
    let mut beaten = false;
    for entrant in entrants() {
        let title = format!("{}, {}", name(entrant), entrant.usage);
        table += &format!("| {title} |");
        for scope in Scope::EACH {
            let absent = entrant.race(scope, Before::Absent)?;
            let present = entrant.race(scope, Before::Present)?;
            beaten |=
                entrant.peer == "cache-index" && [absent, present].contains(&Verdict::ServedOld);
            table += &format!(" {} |", cell(absent, present));
        }
        table.push('\n');
        how += &format!("- *{title}*: {}\n", entrant.how);
    }
    Ok((format!("{table}\n{how}"), beaten))
}

fn cell(absent: Verdict, present: Verdict) -> String {
    if absent == present {
        absent.to_string()
    } else {
        format!("{absent} if nothing was stored, {present} if the variant was")
    }
}

/// The peer's name with the version that is pinned for it; this crate goes without.
fn name(entrant: &Entrant) -> String {
    let line = MANIFEST.lines().find(|line| line.starts_with(entrant.peer)).unwrap_or_default();
    let version = line.split_once("\"=").and_then(|(_, rest)| rest.split('"').next());
    version.map_or_else(|| entrant.peer.to_owned(), |version| format!("{} {version}", entrant.peer))
}
