//! Snapshots: any bytes, files with right checksums, or the raw or packed bytes of a block. The
//! laws are those of `persist_manifest`.
#![no_main]

mod persist;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut snapshot = match choice & 3 {
        0 | 1 => rest.to_vec(),
        packed => of_one_block(rest, packed == 3),
    };
    // An entry more or less is one bit of the choice: the right number is small.
    let entries = u64::from(choice >> 2);
    let digest = match choice & 3 {
        0 => 0,
        _ => persist::sign_snapshot(&mut snapshot, entries),
    };
    // The log begins behind the records that the snapshot contains.
    let watermark = snapshot.get(32..40).and_then(|bytes| bytes.try_into().ok());
    let first = watermark.map_or(0, u64::from_le_bytes).saturating_add(1);
    let files = persist::Files::default();
    files.put(persist::MANIFEST, persist::manifest(Some((snapshot.len() as u64, digest))));
    files.put(persist::LOG, persist::segment(first, &[]));
    files.put(persist::SNAPSHOT, snapshot);
    persist::check(&files, data);
});

/// A snapshot of one block. The number of paths, and the raw length of a packed block, come first.
fn of_one_block(bytes: &[u8], is_packed: bool) -> Vec<u8> {
    let Some((head, stored)) = bytes.split_first_chunk::<4>() else { return bytes.to_vec() };
    let [paths, head @ ..] = *head;
    let raw_len = match is_packed {
        true => u32::from_le_bytes([head[0], head[1], head[2], 0]),
        false => u32::try_from(stored.len()).unwrap_or(u32::MAX),
    };
    let mut snapshot = persist::snapshot_header("u64");
    snapshot.extend_from_slice(&persist::block(raw_len, u32::from(paths), stored));
    snapshot.resize(snapshot.len() + 40, 0);
    snapshot
}
