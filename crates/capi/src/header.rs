//! The committed header is the one that this source says. `CI_HEADER=record` writes it.

use std::path::Path;

/// In the order in which the header shows them.
const SOURCES: [&str; 17] = [
    "error",
    "text",
    "index",
    "prepared",
    "lookup",
    "lease",
    "claim",
    "purge",
    "entries",
    "rules",
    "names",
    "stats",
    "ids",
    "durable",
    "fleet",
    "fleet_purge",
    "tier",
];

#[test]
fn committed_header_is_that_of_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(root.join("src").join(name).with_extension("rs"));
    }
    let preamble = std::fs::read_to_string(root.join("src/preamble.txt")).unwrap();
    let mut header = Vec::new();
    builder.with_header(preamble.trim_end()).generate().unwrap().write(&mut header);
    let (header, file) = (String::from_utf8(header).unwrap(), root.join("include/cache_index.h"));
    if std::env::var("CI_HEADER").is_ok_and(|wanted| wanted == "record") {
        std::fs::write(&file, &header).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    let differing = committed.lines().zip(header.lines()).position(|(one, other)| one != other);
    assert!(
        committed == header,
        "include/cache_index.h differs from the source, first in line {:?}. \
         CI_HEADER=record cargo test -p cache-index-capi header",
        differing.map(|line| line + 1)
    );
}
