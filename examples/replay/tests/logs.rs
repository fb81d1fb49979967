//! `examples/replay` on several logs, on compressed and damaged ones, and on logs of several sites.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder of this test's own, which is left to the operating system to clean up.
fn folder(name: &str) -> PathBuf {
    let folder = format!("cache-index-replay-logs-{}-{name}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Writes files, and runs replay in their folder.
fn run(name: &str, arguments: &[&str], files: &[(&str, &[u8])], input: &[u8]) -> Output {
    let folder = folder(name);
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_replay"));
    command.args(arguments).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    checks::run(&mut command, input)
}

/// The report of a run with that exit code, and its errors, line by line.
#[track_caller]
fn report(
    name: &str,
    code: i32,
    arguments: &[&str],
    files: &[(&str, &[u8])],
    input: &[u8],
) -> (Value, Vec<String>) {
    let output = run(name, &[&["--json"], arguments].concat(), files, input);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (report, errors.lines().map(Into::into).collect())
}

/// A line of a minute's second.
fn line(second: u32, request: &str) -> String {
    format!("192.0.2.7 - - [24/Nov/2026:20:24:{second:02} +0000] \"{request}\" 200 5\n")
}

fn get(second: u32, name: &str) -> String {
    line(second, &format!("GET /sample.li/{name} HTTP/1.1"))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The first failure without the name of the log.
fn refused(name: &str, content: &[u8]) -> String {
    let (report, errors) = report(name, 1, &["log"], &[("log", content)], b"");
    assert_eq!(report["requests"]["count"], 0);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].strip_prefix("replay: log: ").unwrap().to_owned()
}

#[test]
fn logs_of_several_servers_are_read_in_the_order_of_time() {
    // A purge in one log is between the requests of the other.
    let one = get(1, "a.jpg") + "what is this\n" + &get(5, "a.jpg");
    let other = line(3, "PURGE /sample.li/a.jpg HTTP/1.1") + &get(7, "a.jpg");
    for names in [["one", "other.gz"], ["other.gz", "one"]] {
        let files = [("one", one.as_bytes()), ("other.gz", &gzip(&other)[..])];
        let (report, _) = report("servers", 0, &names, &files, b"");
        assert_eq!(
            (&report["requests"]["count"], &report["requests"]["hits"]),
            (&json!(3), &json!(1))
        );
        assert_eq!(report["purges"]["removed"], 1);
        assert_eq!(report["lines"]["time_goes_back"], Value::Null);
        let unreadable = &report["lines"]["unreadable"][0];
        let place = json!([unreadable["line"], unreadable["log"], unreadable["line_in_log"]]);
        assert_eq!(place, json!([2, "one", 2]));
    }
    // Standard input is one of them.
    let (report, _) =
        report("stdin", 0, &["other", "-"], &[("other", other.as_bytes())], one.as_bytes());
    assert_eq!((&report["purges"]["removed"], &report["requests"]["hits"]), (&json!(1), &json!(1)));
}

#[test]
fn many_logs_that_follow_each_other_are_read_oldest_first() {
    let names: Vec<_> = (0..50).map(|number| format!("access.log.{number:02}")).collect();
    let texts: Vec<_> = (0..50).map(|number| get(50 - number, "a.jpg")).collect();
    let files: Vec<_> =
        names.iter().zip(&texts).map(|(name, text)| (&**name, text.as_bytes())).collect();
    let names: Vec<_> = names.iter().map(|name| &**name).collect();
    let (report, _) = report("many", 0, &names, &files, b"");
    assert_eq!(
        (&report["requests"]["hits"], &report["lines"]["time_goes_back"]),
        (&json!(49), &Value::Null)
    );
    assert_eq!(report["rate"]["first"], "2026-11-24T20:24:01Z");
}

#[test]
fn time_that_goes_back_within_a_log_is_told() {
    let log = get(1, "a.jpg") + &get(50, "a.jpg") + &get(20, "a.jpg") + &get(10, "a.jpg");
    let (report, _) = report("back", 0, &["log"], &[("log", log.as_bytes())], b"");
    let back = &report["lines"]["time_goes_back"];
    let told = json!([back["seconds"], back["lines"], back["first"]["line"]]);
    assert_eq!(told, json!([40, 2, 3]));
    let output = run("back", &["log"], &[], b"");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("  time goes back        40 s at most, in 2 lines, first in line 3\n"),
        "{text}"
    );
}

#[test]
fn a_bad_log_ends_itself_alone_and_every_failure_is_listed() {
    let (good, cut) = (get(5, "a.jpg"), gzip(&get(1, "a.jpg")));
    let mut damaged = gzip(&get(2, "b.jpg"));
    // The checksum, so that all of it was read before.
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 0xFF;
    let files = [
        ("cut.gz", &cut[..cut.len() - 4]),
        ("damaged.gz", &damaged),
        ("packed.xz", b"\xFD7zXZ\0\0\x04"),
        ("good", good.as_bytes()),
    ];
    let names = ["none", ".", "cut.gz", "damaged.gz", "packed.xz", "good"];
    let (report, errors) = report("bad", 1, &names, &files, b"");
    assert_eq!((&report["requests"]["count"], &report["requests"]["hits"]), (&json!(3), &json!(1)));
    for (name, reason) in [
        ("none", "No such file"),
        (".", "Is a directory"),
        ("cut.gz", "gzip data is cut off"),
        ("damaged.gz", "gzip data is damaged: "),
        ("packed.xz", "xz-compressed: decompress it first, as in xz -dc FILE | replay -"),
    ] {
        let expected = format!("replay: {name}: {reason}");
        assert!(errors.iter().any(|error| error.starts_with(&expected)), "{name}: {errors:?}");
    }
    assert_eq!(errors.len(), 5);
    let listed = report["lines"]["failures"].as_array().unwrap();
    assert_eq!((listed.len(), &report["lines"]["ended_early"]), (5, &listed[0]));
}

#[test]
fn compressed_and_packed_logs_are_named_with_what_to_do() {
    let mut tar = vec![b'x'; 600];
    tar[257..262].copy_from_slice(b"ustar");
    let twice = gzip("x").repeat(2);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(&twice).unwrap();
    let twice = encoder.finish().unwrap();
    for (content, begin) in [
        (&b"\xFD7zXZ\0\0"[..], "xz-compressed: decompress it first, as in xz -dc FILE | replay -"),
        (b"\x28\xB5\x2F\xFD\x24", "zstd-compressed: decompress it first, as in zstd -dc FILE"),
        (b"BZh91AY&SY", "bzip2-compressed: decompress it first, as in bzip2 -dc FILE"),
        (b"\x04\x22\x4D\x18\x40", "lz4-compressed: "),
        (b"PK\x03\x04", "zip-compressed: decompress it first, as in unzip -p FILE"),
        (&tar, "tar archive: "),
        (&twice, "compressed twice: "),
    ] {
        let reason = refused("named", content);
        assert!(reason.starts_with(begin), "{reason}");
    }
}

#[test]
fn a_gzip_log_with_zeros_over_its_beginning_is_damaged() {
    let random: String =
        (0..2000).map(|n: u32| get(n * 7919 % 60, &format!("{n:x}.jpg"))).collect();
    let mut log = gzip(&random);
    log[..64].fill(0);
    let reason = refused("overwritten", &log);
    assert!(
        reason.starts_with("64 zero bytes at its beginning, and no text behind them"),
        "{reason}"
    );
}

#[test]
fn bytes_behind_gzip_data_are_a_note_and_zeros_are_padding() {
    let whole = gzip(&get(1, "a.jpg"));
    for (behind, notes) in [
        (&vec![0; 70_000][..], json!([])),
        (b"", json!([])),
        (
            b"\0\0\0plain",
            json!(["log: 5 bytes behind the gzip data are not gzip data, and were not read"]),
        ),
    ] {
        let log = [&whole, behind].concat();
        let (report, _) = report("behind", 0, &["log"], &[("log", &log)], b"");
        assert_eq!((&report["requests"]["count"], &report["notes"]), (&json!(1), &notes));
    }
    // Padding between two members, as archives leave it.
    let log = [&whole[..], &[0; 300], &whole].concat();
    let (report, _) = report("between", 0, &["log"], &[("log", &log)], b"");
    assert_eq!((&report["requests"]["count"], &report["notes"]), (&json!(2), &json!([])));
}

#[test]
fn zero_bytes_in_front_of_a_line_and_behind_the_last_are_passed_over() {
    let log = get(1, "a.jpg") + &"\0".repeat(200_000) + &get(2, "a.jpg") + "\0\0\0";
    let (report, _) = report("zeros", 0, &["log"], &[("log", log.as_bytes())], b"");
    assert_eq!((&report["requests"]["count"], &report["lines"]["count"]), (&json!(2), &json!(2)));
    let notes = json!(["log: 200003 zero bytes in front of lines were passed over"]);
    assert_eq!(report["notes"], notes);
}

#[test]
fn only_images_passes_over_other_names_also_in_purges() {
    let log = ["", "index.html", "style.css?v=a.jpg", "feed", "a.JPG?w=3", "b.webp"]
        .map(|name| get(1, name))
        .concat()
        + &line(2, "GET / HTTP/1.1")
        + &line(2, "PURGE /sample.li/index.html HTTP/1.1")
        + &line(3, "PURGE /sample.li/a.JPG HTTP/1.1")
        + &line(4, "PURGE /sample.li/* HTTP/1.1");
    let (all, _) = report("images", 0, &["log"], &[("log", log.as_bytes())], b"");
    assert_eq!((&all["requests"]["count"], &all["purges"]["count"]), (&json!(6), &json!(3)));
    assert_eq!(all["counted"]["requests_of_other_names"], 4);
    let (images, _) = report("images", 0, &["--only-images", "log"], &[], b"");
    assert_eq!((&images["requests"]["count"], &images["purges"]["count"]), (&json!(2), &json!(2)));
    let passed_over = &images["lines"]["passed_over"][0];
    let name = "name without the ending of a picture";
    assert_eq!((&passed_over["reason"], &passed_over["count"]), (&json!(name), &json!(6)));
    assert!(images["counted"]["as_pictures"].as_str().unwrap().contains(".jpg"));
}

#[test]
fn get_lines_below_the_purge_path_are_purges() {
    let log = get(1, "a.jpg") + &line(2, "GET /purge/sample.li/a.jpg HTTP/1.1") + &get(3, "a.jpg");
    for path in ["/purge/", "purge", "/purge"] {
        let arguments = ["--purge-path", path, "log"];
        let (report, _) = report("purges", 0, &arguments, &[("log", log.as_bytes())], b"");
        assert_eq!(
            (&report["requests"]["count"], &report["requests"]["hits"]),
            (&json!(2), &json!(0))
        );
        assert_eq!((&report["purges"]["removed"], &report["notes"]), (&json!(1), &json!([])));
    }
    let (report, _) = report("purges", 0, &["log"], &[], b"");
    assert_eq!((&report["requests"]["count"], &report["purges"]), (&json!(3), &Value::Null));
    assert!(report["notes"][0].as_str().unwrap().contains("--purge-path /purge/"));
}

#[test]
fn the_site_of_a_line_is_found_in_every_column() {
    let rest = "[24/Nov/2026:20:24:17 +0000] \"GET /sample.li/a.jpg HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    let log: String = [
        "img.example:443 192.0.2.7 - - ",
        "img.example 192.0.2.7 - - ",
        "192.0.2.7 img.example - ",
        "192.0.2.7 - - ",
        "blog.example:443 192.0.2.7 - - ",
        "blog.example 192.0.2.7 - - ",
        "192.0.2.7 blog.example - ",
    ]
    .map(|begin| begin.to_owned() + rest)
    .concat();
    let arguments = ["--host", "img.example", "log"];
    let (report, _) = report("sites", 0, &arguments, &[("log", log.as_bytes())], b"");
    assert_eq!(report["requests"]["count"], 4);
    let passed_over = &report["lines"]["passed_over"][0];
    assert_eq!(
        (&passed_over["reason"], &passed_over["count"]),
        (&json!("another host"), &json!(3))
    );
}
