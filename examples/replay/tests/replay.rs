//! `examples/replay`, the command itself, on logs whose every figure is known.

#[path = "../src/date.rs"]
#[allow(dead_code, reason = "for its tests")]
mod date;
#[path = "../src/format.rs"]
#[allow(dead_code, reason = "for its tests")]
mod format;
#[path = "../src/host.rs"]
#[allow(dead_code, reason = "for its tests")]
mod host;
#[path = "../src/line.rs"]
#[allow(dead_code, reason = "for its tests")]
mod line;
#[path = "../src/picture.rs"]
#[allow(dead_code, reason = "for its tests")]
mod picture;
#[path = "../src/reason.rs"]
#[allow(dead_code, reason = "for its tests")]
mod reason;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_replay"))
}

/// Runs the command with that standard input.
fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = command();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Beside the reading, so that neither waits for the other.
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writing = std::thread::spawn(move || {
        // A program that refuses its arguments reads no input.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The report of a run that must go well.
#[track_caller]
fn report(arguments: &[&str], input: &[u8]) -> Value {
    let output = run(&[&["--json"], arguments].concat(), input);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder of this test's own, which is left to the operating system to clean up.
fn folder(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("cache-index-replay-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A line at that second of a minute.
fn at(second: u32, request: &str, status: u16) -> String {
    format!(
        "192.0.2.7 - - [24/Nov/2026:20:24:{second:02} +0000] \"{request}\" {status} 512 \"-\" \"curl/8 \\x22x\\x22\""
    )
}

fn get(target: &str) -> String {
    at(0, &format!("GET {target} HTTP/1.1"), 200)
}

fn log(lines: &[String]) -> Vec<u8> {
    (lines.join("\n") + "\n").into_bytes()
}

/// A log of everything that there can be.
fn mixed() -> Vec<u8> {
    log(&[
        // Two renditions of one picture, the second of which three clients spell in three ways.
        at(0, "GET /sample.li/birds.jpg?w=200 HTTP/1.1", 200),
        at(0, "GET /sample.li/birds.jpg?w=200 HTTP/2.0", 200),
        at(1, "GET /sample.li/birds.jpg?w=600&h=400 HTTP/1.1", 200),
        at(1, "GET /sample.li/./b%69rds.jpg?h=400&width=600 HTTP/3", 206),
        at(1, "GET //sample.li/birds.jpg?h=400&w=600 HTTP/1.0", 304),
        // As Varnish writes it, of a client with an IPv6 address, whose user has a name with a
        // bracket.
        "2001:db8::7 - a [b [24/Nov/2026:22:24:02 +0200] \"GET http://img.example.com:80/sample.li/boat.jpg?w=200 HTTP/1.1\" 200 - \"-\" \"-\"".to_owned(),
        // Quotes and a backslash in the request, escaped in the way of nginx and in that of
        // Varnish: one picture.
        get(r"/sample.li/a\x22b%5C.jpg"),
        get(r#"/sample.li/a\"b%5C.jpg"#),
        // The birds are removed, whatever their spelling. If the key is the target, only the same
        // spelling is removed.
        at(3, "PURGE /sample.li/birds.jpg HTTP/1.1", 200),
        at(3, "GET /sample.li/birds.jpg?w=200 HTTP/1.1", 200),
        // One variant of the boat; a folder; nothing; and a purge that the server refused.
        at(4, "PURGE http://IMG.example.com/sample.li/boat.jpg?width=200 HTTP/1.1", 200),
        at(4, "PURGE /sample.li/a* HTTP/1.1", 200),
        at(4, "PURGE /sample.li/brids.jpg HTTP/1.1", 404),
        at(4, "PURGE /sample.li/birds.jpg HTTP/1.1", 403),
        // Not for pictures.
        at(5, "HEAD /sample.li/birds.jpg HTTP/1.1", 200),
        at(5, "GET /sample.li/nothing.jpg HTTP/1.1", 404),
        at(5, "GET http://other.example.com/sample.li/birds.jpg HTTP/1.1", 200),
        // Broken.
        String::new(),
        "what is this".to_owned(),
        at(5, r"\x16\x03\x01", 400),
        at(5, "-", 408),
        at(5, "GET /sample.li/birds.jpg", 200),
        "192.0.2.7 - - [24/Nov/2026:20:24:05 +0000] \"GET /sample.li/bir".to_owned(),
        "192.0.2.7 - - [24/Nov/2026:20:24:05 +0000] \"GET / HTTP/1.1\" OK 5".to_owned(),
        "192.0.2.7 - - [31/Feb/2026:20:24:05 +0000] \"GET / HTTP/1.1\" 200 5".to_owned(),
        get("/sample.li/../../birds.jpg"),
        get("/sample.li/100%.jpg"),
        at(5, "PURGE /../x HTTP/1.1", 200),
        format!("{} {}", get("/sample.li/long.jpg"), "x".repeat(70_000)),
    ])
}

/// The full report of [`mixed`], except for times.
#[track_caller]
fn expect_mixed(report: &Value) {
    assert_eq!(report["lines"]["count"], 29);
    assert_eq!(report["lines"]["ended_early"], Value::Null);
    let requests =
        json!({ "count": 9, "hits": 4, "hits_without_rules": 3, "old_without_rules": 1 });
    assert_eq!(report["requests"], requests);
    assert_eq!(
        report["pictures"],
        json!({
            "count": 3, "variants": 4, "median": 1, "p99": 2, "max": 2,
            "worst": [["sample.li/birds.jpg", 2], ["sample.li/a%22b%5C.jpg", 1], ["sample.li/boat.jpg", 1]],
        })
    );
    let purges = &report["purges"];
    assert_eq!((&purges["count"], &purges["matched_nothing"]), (&json!(4), &json!(1)));
    assert_eq!(purges["removed"], 3, "the folder's are not counted");
    assert_eq!(report["memory"]["most_entries"], 4);
    let rate = &report["rate"];
    assert_eq!(rate["first"], "2026-11-24T20:24:00Z");
    assert_eq!(rate["last"], "2026-11-24T20:24:03Z");
    assert_eq!(rate["mean_per_second"], 9.0 / 4.0);
    assert_eq!(rate["most_per_second"], 4);
    assert_eq!(rate["busiest_second"], "2026-11-24T20:24:00Z");
    assert_eq!(
        others(&report["lines"]["passed_over"]),
        [
            ("another host", 1, 17),
            ("method other than GET and PURGE", 1, 15),
            ("purge that was refused", 1, 14),
            ("status other than 200, 206 and 304", 1, 16),
        ]
    );
    assert_eq!(
        others(&report["lines"]["unreadable"]),
        [
            ("binary request, such as TLS on a port without it", 1, 20),
            ("date is not DAY/MONTH/YEAR:HOUR:MINUTE:SECOND ZONE", 1, 25),
            ("empty line", 1, 18),
            ("line longer than 65536 bytes", 1, 29),
            ("no date in brackets, followed by a quoted request", 1, 19),
            ("no status and size behind the request", 1, 24),
            ("purge names no picture: Traversal", 1, 28),
            ("request is \"-\": the client sent none", 1, 21),
            ("request without a closing quote", 1, 23),
            ("request without an HTTP version", 1, 22),
            ("target names no picture: InvalidEscape", 1, 27),
            ("target names no picture: Traversal", 1, 26),
        ]
    );
}

/// Reason, count and line of each, in the order of the reasons.
fn others(list: &Value) -> Vec<(&str, u64, u64)> {
    let mut others: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|other| {
            let number = |name: &str| other[name].as_u64().unwrap();
            (other["reason"].as_str().unwrap(), number("count"), number("line"))
        })
        .collect();
    others.sort_unstable();
    others
}

#[test]
fn every_line_of_a_log_is_accounted_for() {
    expect_mixed(&report(&["--host", "img.example.com", "-"], &mixed()));
}

#[test]
fn compressed_logs_are_read_also_in_several_members_and_from_standard_input() {
    let log = mixed();
    let (head, tail) = log.split_at(log.len() / 2);
    let compressed = [head, tail].map(|part| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    });
    let compressed = compressed.concat();
    expect_mixed(&report(&["--host", "img.example.com", "-"], &compressed));

    let file = folder("compressed").join("access.log.1.gz");
    fs::write(&file, compressed).unwrap();
    expect_mixed(&report(&["--host", "IMG.example.com", file.to_str().unwrap()], b""));
}

#[test]
fn several_logs_are_read_one_after_the_other() {
    let log = mixed();
    let cut = log.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let folder = folder("several");
    let paths = ["one.log", "other.log"].map(|name| folder.join(name));
    fs::write(&paths[0], &log[..cut]).unwrap();
    fs::write(&paths[1], &log[cut..]).unwrap();
    let [one, other] = paths.each_ref().map(|path| path.to_str().unwrap());
    expect_mixed(&report(&["--host", "img.example.com", one, other], b""));
}

#[test]
fn text_says_what_json_says() {
    let output = run(&["--host", "img.example.com", "-"], &mixed());
    let text = text(&output.stdout);
    for line in [
        "lines                   29",
        "  requests              9",
        "  purges                4",
        "  passed over           4",
        "  unreadable            12",
        "hit ratio               44.44 %",
        "  without the rules     33.33 %",
        "    of them old         1",
        "variants per picture    median 1",
        "                             2  sample.li/birds.jpg",
        "  matched nothing       1",
        "       1  binary request, such as TLS on a port without it",
        r#"          line 20: 192.0.2.7 - - [24/Nov/2026:20:24:05 +0000] "\x16\x03\x01" 400 512 "-" "curl/8 \x22x\x22""#,
        r#"          path climbs above its root at byte 11: expected no more ".." than there are segments before it"#,
    ] {
        assert!(text.lines().any(|written| written == line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn settings_of_the_site_decide_what_is_a_picture() {
    let lines = log(&[
        get("/v7/sample.li/a.jpg?w=1"),
        get("/sample.li/a.jpg?w=1"),
        get("/https://sample.li/a.jpg?w=1"),
        get("/products/a.jpg"),
    ]);
    let figures = |arguments: &[&str]| {
        let report = report(&[arguments, &["-"]].concat(), &lines);
        let number = |value: &Value| value.as_u64().unwrap();
        (number(&report["requests"]["count"]), number(&report["pictures"]["count"]))
    };
    assert_eq!(figures(&[]), (3, 2));
    assert_eq!(figures(&["--exact"]), (3, 3));
    assert_eq!(figures(&["--v7", "required"]), (1, 1));
    assert_eq!(figures(&["--v7", "optional"]), (4, 2));
    // The prefix is recognized with its scheme and without.
    assert_eq!(figures(&["--prefix", "https://sample.li/"]), (1, 1));
}

#[test]
fn a_log_that_ends_early_is_reported_and_fails() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&log(&[get("/a"), get("/a")])).unwrap();
    let mut compressed = encoder.finish().unwrap();
    compressed.truncate(compressed.len() - 6);
    let output = run(&["--json", "-"], &compressed);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["requests"]["count"], 2);
    let error = report["lines"]["ended_early"].as_str().unwrap();
    assert!(error.starts_with("-: "), "{error}");
    assert_eq!(text(&output.stderr), format!("replay: {error}\n"));
}

#[test]
fn what_can_not_be_done_is_said() {
    for (arguments, code, message) in [
        (&["/nowhere/access.log"][..], 1, "/nowhere/access.log: No such file"),
        (&["--prefix", "nonsense", "-"], 1, "origin prefix must be a URL"),
        (&["--host", "a b", "-"], 1, "custom host must be a name"),
        (&["--v7", "maybe", "-"], 2, "possible values: never, required, optional"),
        (&[], 2, "required arguments were not provided"),
        (&["--generate", "5", "-"], 2, "cannot be used with"),
    ] {
        let output = run(arguments, b"");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(text(&output.stderr).contains(message), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn no_lines_are_no_error() {
    let report = report(&["-"], b"");
    assert_eq!((&report["lines"]["count"], &report["rate"]), (&json!(0), &Value::Null));
    assert_eq!((&report["pictures"]["max"], &report["purges"]), (&json!(0), &Value::Null));
}

#[test]
fn generated_log_is_of_that_length_the_same_each_time_and_realistic() {
    let generated = |arguments: &[&str]| {
        let output = run(&[&["--generate", "20000"], arguments].concat(), b"");
        assert_eq!(output.status.code(), Some(0));
        output.stdout
    };
    let log = generated(&[]);
    assert_eq!(log, generated(&["--seed", "1"]));
    assert_ne!(log, generated(&["--seed", "2"]));
    let report = report(&["-"], &log);
    let number = |path: &str| report.pointer(path).unwrap().as_u64().unwrap();
    assert_eq!(number("/lines/count"), 20_000);
    let (requests, hits) = (number("/requests/count"), number("/requests/hits"));
    assert!(requests > 18_000 && hits > requests / 3 && hits < requests);
    assert!(hits > number("/requests/hits_without_rules"), "the rules are worth something");
    assert!(number("/requests/old_without_rules") > 0);
    assert!(number("/purges/count") > 20 && number("/purges/removed") > 20);
    assert!(!report["lines"]["passed_over"].as_array().unwrap().is_empty());
    assert!(!report["lines"]["unreadable"].as_array().unwrap().is_empty());

    let log = generated(&["--v7", "required"]);
    let with_v7 = self::report(&["--v7", "required", "-"], &log);
    assert_eq!(with_v7["pictures"], report["pictures"]);
}

#[test]
fn memory_stays_small_on_one_endless_line() {
    // Read piece by piece, and never held as a whole: a line of 64 MiB is one line.
    let line = vec![b'x'; 64 << 20];
    let report = report(&["-"], &line);
    assert_eq!(others(&report["lines"]["unreadable"]), [("line longer than 65536 bytes", 1, 1)]);
}

#[test]
fn reader_of_the_output_may_go_away() {
    let mut child = command()
        .args(["--generate", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}
