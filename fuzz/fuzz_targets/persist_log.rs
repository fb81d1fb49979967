//! Segments of a log: header, seal and frames as they are, frames with right checksums, payloads in
//! whole frames, or any bytes. The laws are those of `persist_manifest`.
#![no_main]

mod persist;

/// Where the frames begin, and their alignment.
const FRAMES: usize = 8192;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let segment = match choice & 3 {
        0 => persist::laid_out(rest),
        1 => with_frames(rest),
        2 => persist::segment(1, &payloads(rest)),
        _ => rest.to_vec(),
    };
    let files = persist::Files::default();
    files.put(persist::MANIFEST, persist::manifest(None));
    files.put(persist::LOG, segment);
    persist::check(&files, data);
});

/// A segment with these bytes behind its seal. Each frame in turn has its checksum.
fn with_frames(bytes: &[u8]) -> Vec<u8> {
    let mut segment = persist::segment(1, &[]);
    let len = bytes.len().min(segment.len() - FRAMES);
    segment[FRAMES..FRAMES + len].copy_from_slice(&bytes[..len]);
    let mut at = FRAMES;
    while let Some(len) = segment.get_mut(at..).and_then(persist::sign_frame) {
        at += len;
    }
    segment
}

/// Splits the bytes: each payload has its length in front.
fn payloads(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut payloads = Vec::new();
    while let Some((&len, rest)) = bytes.split_first() {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(len)));
        payloads.push(payload);
        bytes = rest;
    }
    payloads
}
