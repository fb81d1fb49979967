//! Manifests beside a snapshot and a segment that are whole:
//! - None causes a panic or much memory.
//! - Looking at a directory and opening it agree on a cold start.
//! - A directory that was opened is warm.
#![no_main]

mod persist;

const LOG: &[u8] =
    include_bytes!("../../crates/persist/tests/data/v1/log-0000000000000001-0000000000000002");
const SNAPSHOT: &[u8] =
    include_bytes!("../../crates/persist/tests/data/v1/snap-0000000000000001-0000000000000003");

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, manifest)) = data.split_first() else { return };
    let mut manifest = manifest.to_vec();
    if choice & 1 != 0 {
        let end = manifest.len();
        if end >= 16 {
            persist::sign(&mut manifest, end);
        }
    }
    let files = persist::Files::default();
    files.put(persist::MANIFEST, manifest);
    files.put(persist::LOG, LOG.to_vec());
    files.put(persist::SNAPSHOT, SNAPSHOT.to_vec());
    persist::check(&files, data);
});
