//! The content of a directory as text and as JSON.
//!
//! Invariant: names come from files that anybody may have written, so the text shows control
//! characters escaped.

use cache_index_persist::inspect::{
    Directory, ManifestContents, SegmentContents, SnapshotContents,
};
use cache_index_persist::{ColdReason, Record};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::fmt::Write;

/// How much of long lists is shown.
pub(crate) struct Limits {
    pub(crate) tenants: usize,
    pub(crate) records: usize,
}

/// Returns the content for people. Ages are those at `now`, in milliseconds since 1970.
pub(crate) fn text(found: &Directory, limits: &Limits, now: u64) -> String {
    let mut out = String::new();
    write_all(&mut out, found, limits, now).expect("writing to a string does not fail");
    out
}

fn write_all(out: &mut String, found: &Directory, limits: &Limits, now: u64) -> std::fmt::Result {
    match found.cold_reason() {
        None => writeln!(out, "opens       warm")?,
        Some(reason) => writeln!(out, "opens       cold: {}", visible(&reason.to_string()))?,
    }
    if let Ok(manifest) = &found.manifest {
        writeln!(out, "incarnation {}", manifest.incarnation)?;
        writeln!(out, "closed      {}", if manifest.closed { "yes" } else { "no" })?;
    }
    match &found.snapshot {
        None => writeln!(out, "snapshot    none")?,
        Some(Err(reason)) => writeln!(out, "snapshot    {}", visible(&reason.to_string()))?,
        Some(Ok(snapshot)) => write_snapshot(out, snapshot, limits.tenants, now)?,
    }
    for segment in &found.segments {
        write_segment(out, segment, limits.records, now)?;
    }
    for file in unnamed(found) {
        writeln!(out, "not named   {}", visible(file))?;
    }
    Ok(())
}

fn write_snapshot(
    out: &mut String,
    snapshot: &SnapshotContents,
    limit: usize,
    now: u64,
) -> std::fmt::Result {
    writeln!(out, "snapshot    {}, {} old", snapshot.file, age(snapshot.unix_millis, now))?;
    let (entries, stale, paths) = (snapshot.entries, snapshot.stale, snapshot.paths);
    writeln!(out, "  entries   {entries} ({stale} stale) of {paths} paths")?;
    let tenths = snapshot.bytes * 10 / entries.max(1);
    writeln!(
        out,
        "  bytes     {} in {} blocks, {}.{} an entry, values {:?}",
        snapshot.bytes,
        snapshot.blocks,
        tenths / 10,
        tenths % 10,
        snapshot.values
    )?;
    writeln!(out, "  contains  records up to {}", snapshot.watermark)?;
    let mut tenants: Vec<_> = snapshot.tenants.iter().collect();
    tenants.sort_by_key(|(_, entries)| Reverse(**entries));
    for (tenant, entries) in tenants.iter().take(limit) {
        writeln!(out, "  tenant    {}: {entries} entries", visible(tenant))?;
    }
    more(out, tenants.len().saturating_sub(limit), "smaller tenants")
}

fn write_segment(
    out: &mut String,
    segment: &SegmentContents,
    limit: usize,
    now: u64,
) -> std::fmt::Result {
    let records = match &segment.records {
        Err(reason) => return writeln!(out, "log         {}", visible(&reason.to_string())),
        Ok(records) => records,
    };
    let torn = if segment.is_torn { ", with a torn write behind them" } else { "" };
    writeln!(out, "log         {}, {} records{torn}", segment.file, records.len())?;
    let earlier = records.len().saturating_sub(limit);
    more(out, earlier, "earlier records")?;
    for (number, record) in &records[earlier..] {
        let by = record.by.as_deref().map_or_else(|| "-".to_owned(), visible);
        let age = age(record.unix_millis, now);
        let scope = visible(&record.scope.to_string());
        writeln!(out, "  {number:>8}  {age} ago, by {by}: {} {scope}", record.severity)?;
    }
    Ok(())
}

/// Says how many items are not shown.
fn more(out: &mut String, count: usize, items: &str) -> std::fmt::Result {
    if count > 0 {
        writeln!(out, "  ...       {count} {items}; --json shows all")?;
    }
    Ok(())
}

/// Returns the time between two times of the wall clock, with one unit.
fn age(unix_millis: u64, now: u64) -> String {
    let seconds = now.saturating_sub(unix_millis) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Returns the text with control characters escaped.
fn visible(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, character| {
        // Some characters that are not controls turn the direction of a text or end a line.
        let is_hidden = character.is_control()
            || matches!(character, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if is_hidden {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
        shown
    })
}

/// The files that the manifest does not name. Those of an index are removed when it is opened or
/// has written its next snapshot.
fn unnamed(found: &Directory) -> impl Iterator<Item = &String> {
    let named = |manifest: &ManifestContents, file: &String| {
        manifest.snapshot.as_ref() == Some(file) || manifest.segments.contains(file)
    };
    let is_named = move |file: &&String| {
        let is_fixed = ["LOCK", "MANIFEST"].contains(&file.as_str());
        is_fixed || found.manifest.as_ref().is_ok_and(|manifest| named(manifest, file))
    };
    found.files.iter().filter(move |file| !is_named(file))
}

/// Returns the whole content for programs.
pub(crate) fn json(found: &Directory) -> Value {
    json!({
        "files": found.files,
        "not_named": unnamed(found).collect::<Vec<_>>(),
        "opens": if found.cold_reason().is_none() { "warm" } else { "cold" },
        "cold_reason": found.cold_reason().map(ColdReason::to_string),
        "manifest": found.manifest.as_ref().ok().map(|manifest| json!({
            "incarnation": manifest.incarnation,
            "closed": manifest.closed,
            "snapshot": manifest.snapshot,
            "segments": manifest.segments,
        })),
        "snapshot": found.snapshot.as_ref().map(|snapshot| match snapshot {
            Err(reason) => json!({ "cold_reason": reason.to_string() }),
            Ok(snapshot) => snapshot_json(snapshot),
        }),
        "segments": found.segments.iter().map(segment_json).collect::<Vec<_>>(),
    })
}

fn snapshot_json(snapshot: &SnapshotContents) -> Value {
    json!({
        "file": snapshot.file,
        "bytes": snapshot.bytes,
        "unix_millis": snapshot.unix_millis,
        "watermark": snapshot.watermark,
        "values": snapshot.values,
        "blocks": snapshot.blocks,
        "paths": snapshot.paths,
        "entries": snapshot.entries,
        "stale": snapshot.stale,
        "tenants": snapshot.tenants,
    })
}

fn segment_json(segment: &SegmentContents) -> Value {
    match &segment.records {
        Err(reason) => json!({ "file": segment.file, "cold_reason": reason.to_string() }),
        Ok(records) => {
            let records = records.iter().map(|(number, record)| record_json(*number, record));
            json!({
                "file": segment.file,
                "torn": segment.is_torn,
                "records": records.collect::<Vec<_>>(),
            })
        }
    }
}

fn record_json(number: u64, record: &Record) -> Value {
    json!({
        "number": number,
        "unix_millis": record.unix_millis,
        "by": record.by,
        "severity": record.severity.to_string(),
        "scope": record.scope.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache_index::{Hard, OriginPath, Soft, VariantKey};
    use cache_index_persist::{PersistConfig, Persistent, inspect};
    use std::fs;

    const ALL: Limits = Limits { tenants: 20, records: 20 };

    /// A directory with a snapshot of three entries and two records behind it.
    fn directory() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default()).unwrap();
        let birds = OriginPath::from_canonical("a/birds.jpg").unwrap();
        for (tenant, keys) in [("doc", &["?", "?w=1"][..]), ("small", &["?"])] {
            let tenant = cache.tenant(tenant);
            for key in keys {
                let key = VariantKey::from_canonical(key).unwrap();
                assert!(cache.insert(&tenant, &birds, &key, 7).is_stored());
            }
        }
        let doc = cache.tenant("doc");
        cache.snapshot().unwrap();
        assert!(cache.on_behalf_of("alice\x1b[2J").purge(&doc, &birds, Soft).is_durable());
        assert!(cache.flush_all(Hard).is_durable());
        dir
    }

    fn read(dir: &tempfile::TempDir) -> Directory {
        inspect::directory(dir.path(), |_, _| ()).unwrap()
    }

    /// The records' own time: then all ages are 0.
    fn now(found: &Directory) -> u64 {
        let records = found.segments.iter().filter_map(|segment| segment.records.as_ref().ok());
        records.flatten().map(|(_, record)| record.unix_millis).max().unwrap_or_default()
    }

    #[test]
    fn text_has_all_that_a_directory_holds() {
        let dir = directory();
        fs::write(dir.path().join("notes.txt"), b"").unwrap();
        let found = read(&dir);
        let text = text(&found, &ALL, now(&found));
        for line in [
            "opens       warm",
            "incarnation 1",
            "closed      no",
            "snapshot    snap-0000000000000001-",
            "  entries   3 (0 stale) of 2 paths",
            "  contains  records up to 0",
            "  tenant    doc: 2 entries",
            "  tenant    small: 1 entries",
            "         1  0 s ago, by alice\\u{1b}[2J: soft path doc a/birds.jpg",
            "         2  0 s ago, by -: hard all",
            "not named   notes.txt",
        ] {
            assert!(text.lines().any(|shown| shown.starts_with(line)), "{line}\n{text}");
        }
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn long_lists_are_cut_with_a_note() {
        let dir = directory();
        let found = read(&dir);
        let text = text(&found, &Limits { tenants: 1, records: 1 }, now(&found));
        assert!(text.contains("  ...       1 smaller tenants; --json shows all\n"), "{text}");
        assert!(text.contains("  ...       1 earlier records; --json shows all\n"), "{text}");
        assert!(!text.contains("tenant    small") && !text.contains("alice"), "{text}");
    }

    #[test]
    fn json_has_every_record_and_the_reason_of_a_cold_start() {
        let dir = directory();
        let found = json(&read(&dir));
        assert_eq!((&found["opens"], &found["cold_reason"]), (&json!("warm"), &Value::Null));
        assert_eq!(found["snapshot"]["tenants"], json!({ "doc": 2, "small": 1 }));
        assert_eq!(found["not_named"], json!([]));
        let records = found["segments"].as_array().unwrap().iter();
        let records: Vec<_> =
            records.flat_map(|segment| segment["records"].as_array().unwrap()).collect();
        assert_eq!(records.len(), 2);
        assert_eq!((&records[0]["by"], &records[1]["by"]), (&json!("alice\x1b[2J"), &Value::Null));
        assert_eq!((&records[1]["number"], &records[1]["scope"]), (&json!(2), &json!("all")));

        let name = found["snapshot"]["file"].as_str().unwrap();
        fs::write(dir.path().join(name), b"damaged").unwrap();
        let found = json(&read(&dir));
        assert_eq!(found["opens"], "cold");
        assert_eq!(found["snapshot"]["cold_reason"], found["cold_reason"]);
        let text = text(&read(&dir), &ALL, 0);
        assert!(text.starts_with(&format!("opens       cold: {name} at byte 7: ")), "{text}");
    }

    #[test]
    fn ages_have_one_unit() {
        let of = |seconds: u64| age(1000, 1000 + seconds * 1000);
        let shown = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(of);
        assert_eq!(shown, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
        assert_eq!(age(5000, 1000), "0 s", "the clock was set back");
    }
}
