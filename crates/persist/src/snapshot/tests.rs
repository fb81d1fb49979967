use super::block::parse;
use super::*;
use crate::damage::ColdKind;
use crate::layer::memory::MemoryFile;
use crate::manifest::SnapshotRef;
use crate::names::FileId;
use cache_index::Freshness;

/// The data of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PathEntries<V> {
    tenant: String,
    path: String,
    variants: Vec<(String, V, Freshness)>,
}

const ID: FileId = FileId { incarnation: 2, number: 5 };

fn scale() -> usize {
    std::env::var("PERSIST_SCALE").map_or(1, |scale| scale.parse().expect("a number"))
}

fn paths(count: usize) -> Vec<PathEntries<u64>> {
    let keys = ["?", "?w=200", "?h=100&w=200", "?w=400#webp"];
    let variants = |at: usize| {
        let variant = |(number, key): (usize, &&str)| {
            let stale = (at + number) % 5 == 0;
            let freshness = if stale { Freshness::Stale } else { Freshness::Live };
            ((*key).to_owned(), (at * 10 + number) as u64, freshness)
        };
        keys.iter().take(1 + at % 4).enumerate().map(variant).collect()
    };
    let path = |at: usize| PathEntries {
        tenant: ["doc", "other"][at % 2].to_owned(),
        path: format!("sample.li/folder/{at}.jpg"),
        variants: variants(at),
    };
    (0..count).map(path).collect()
}

fn write(paths: &[PathEntries<u64>]) -> (Vec<u8>, SnapshotRef) {
    let file = MemoryFile::default();
    let mut writer = SnapshotWriter::new(Box::new(file.clone()), ID, 77, 88).unwrap();
    for path in paths {
        writer.push((&path.tenant, &path.path), &path.variants).unwrap();
    }
    let (snapshot, _) = writer.finish().unwrap();
    let bytes = file.0.lock().clone();
    assert_eq!(bytes.len() as u64, snapshot.bytes);
    (bytes, snapshot)
}

fn read_back(
    bytes: Vec<u8>,
    snapshot: &SnapshotRef,
) -> Result<Vec<PathEntries<u64>>, crate::ColdReason> {
    let file = MemoryFile::default();
    *file.0.lock() = bytes;
    let mut found = Vec::new();
    let summary = read(Box::new(file), snapshot, Some("u64"), |_, path| {
        let variant = |&(key, freshness, value): &(&str, Freshness, &[u8])| {
            Some((key.to_owned(), <u64 as crate::Codec>::decode(value)?, freshness))
        };
        found.push(PathEntries {
            tenant: path.tenant.to_owned(),
            path: path.path.to_owned(),
            variants: path.variants.iter().map(variant).collect::<Option<_>>()?,
        });
        Some(())
    })?;
    assert_eq!((summary.watermark, summary.unix_millis), (77, 88));
    Ok(found)
}

#[test]
fn snapshots_round_trip() {
    for count in [0, 1, 2, 1000] {
        let paths = paths(count);
        let (bytes, snapshot) = write(&paths);
        assert_eq!(read_back(bytes, &snapshot).unwrap(), paths);
    }
}

#[test]
fn entries_take_few_bytes() {
    let paths = paths(50_000);
    let entries: usize = paths.iter().map(|path| path.variants.len()).sum();
    let (bytes, _) = write(&paths);
    assert!(bytes.len() < 10 * entries, "{} bytes for {entries} entries", bytes.len());
}

#[test]
fn a_path_larger_than_a_block_is_split_and_comes_back_whole() {
    let key = |at: usize| format!("?w={at}&{}", "x".repeat(100));
    let variants = (0..40_000).map(|at| (key(at), at as u64, Freshness::Live)).collect();
    let large = PathEntries { tenant: "doc".to_owned(), path: "a/1.jpg".to_owned(), variants };
    let long_name = PathEntries {
        tenant: "doc".to_owned(),
        path: "y".repeat(5 << 20),
        variants: vec![("?".to_owned(), 7, Freshness::Live)],
    };
    let (bytes, snapshot) = write(&[large.clone(), long_name.clone()]);
    let found = read_back(bytes, &snapshot).unwrap();
    let (last, parts) = found.split_last().unwrap();
    assert_eq!(*last, long_name);
    assert!(parts.len() > 1);
    let joined: Vec<_> = parts.iter().flat_map(|part| part.variants.clone()).collect();
    assert_eq!(joined, large.variants);
}

#[test]
fn flipped_bits_and_truncations_are_noticed() {
    let (bytes, snapshot) = write(&paths(200));
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..2000 * scale() {
        let mut flipped = bytes.clone();
        let bit = random.usize(0..bytes.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read_back(flipped, &snapshot).is_err(), "bit {bit}");
    }
    for len in (0..bytes.len()).step_by(7) {
        assert!(read_back(bytes[..len].to_vec(), &snapshot).is_err(), "length {len}");
        // As if the manifest had been written for the shorter file.
        let shorter = SnapshotRef { bytes: len as u64, ..snapshot };
        assert!(read_back(bytes[..len].to_vec(), &shorter).is_err(), "length {len}");
    }
}

#[test]
fn raw_bytes_of_anybody_do_not_panic() {
    let mut builder = super::block::BlockBuilder::default();
    for path in paths(50) {
        builder.push((&path.tenant, &path.path), &path.variants, 0).unwrap();
    }
    let count = builder.paths();
    let raw = builder.finish();
    assert!(parse(&raw, count, Some(8), |_| Some(())).is_some());
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..5000 * scale() {
        let mut raw = raw.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(0..raw.len());
            raw[at] = random.u8(..);
        }
        raw.truncate(random.usize(0..=raw.len()));
        let value_len = [Some(0), Some(8), None, Some(usize::MAX)][random.usize(0..4)];
        let _ = parse(&raw, [count, u32::MAX][random.usize(0..2)], value_len, |_| Some(()));
    }
}

#[test]
fn blocks_that_promise_more_than_there_is_are_refused_before_anything_is_allocated() {
    let (bytes, snapshot) = write(&paths(200));
    for field in [HEADER_LEN, HEADER_LEN + 4] {
        let mut hostile = bytes.clone();
        hostile[field..field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let reason = read_back(hostile, &snapshot).unwrap_err();
        assert!(reason.to_string().ends_with("expected a block of a possible length"), "{reason}");
    }
}

#[test]
fn a_later_version_and_another_snapshot_are_told_from_damage() {
    let (mut bytes, snapshot) = write(&paths(3));
    let other = SnapshotRef { id: FileId { number: 6, ..ID }, ..snapshot };
    assert!(read_back(bytes.clone(), &other).is_err());
    let other = SnapshotRef { digest: snapshot.digest ^ 1, ..snapshot };
    assert!(read_back(bytes.clone(), &other).is_err());
    bytes[8] = 2;
    let reason = read_back(bytes, &snapshot).unwrap_err();
    assert_eq!(*reason.kind(), ColdKind::UnknownVersion(2));
}
