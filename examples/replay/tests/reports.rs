//! Rows of the kinds `log` and `replay` in `tests/data/reports.tsv`, on the built program.
//!
//! The expectation is a list, separated by ` | `:
//! - counts such as `requests 2`
//! - lists of reasons with counts such as `unreadable: empty line (1); space in the target (2)`
//! - `says TEXT` for a text in the report
//! - `exit CODE` of a program
//! - `out TEXT` and `err TEXT` for its output (`err -`: only the usual output of a program that
//!   succeeds)

use checks::{bytes, rows, text};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_replay");

fn run(arguments: &[&str], folder: Option<&PathBuf>, input: &[u8]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    checks::run(&mut command, input)
}

/// Returns the report's list of reasons, as it is written in a row.
fn reasons(list: &Value) -> String {
    let one = |other: &Value| format!("{} ({})", other["reason"].as_str().unwrap(), other["count"]);
    let mut all: Vec<_> = list.as_array().unwrap().iter().map(one).collect();
    all.sort();
    all.join("; ")
}

/// Counts of a report, by the names of a row.
fn count(report: &Value, name: &str) -> String {
    match name {
        "requests" => report["requests"]["count"].to_string(),
        "hits" => report["requests"]["hits"].to_string(),
        "pictures" => report["pictures"]["count"].to_string(),
        "purges" => report["purges"].get("count").map_or("0".into(), Value::to_string),
        "mean" => format!("{:.2}", report["rate"]["mean_per_second"].as_f64().unwrap()),
        "back" => {
            report["lines"]["time_goes_back"].get("seconds").map_or("0".into(), Value::to_string)
        }
        _ => panic!("{name:?} is not known"),
    }
}

#[test]
fn logs_are_counted_as_expected() {
    for [configuration, input, expected, why] in rows("log", 43) {
        let options: Vec<_> =
            configuration.split(' ').filter(|&option| option != "default").collect();
        let input = bytes(input);
        let json = run(&[&options[..], &["--json", "-"]].concat(), None, &input);
        let shown = run(&[&options[..], &["-"]].concat(), None, &input);
        for output in [&json, &shown] {
            assert_eq!(
                (output.status.code(), text(&output.stderr)),
                (Some(0), String::new()),
                "{why}"
            );
        }
        let report: Value = serde_json::from_slice(&json.stdout).unwrap();
        let (mut requests, mut purges) = ("0", "0");
        let (mut passed_over, mut unreadable) = ("", "");
        for part in expected.split(" | ") {
            if let Some(reasons) = part.strip_prefix("passed over: ") {
                passed_over = reasons;
            } else if let Some(reasons) = part.strip_prefix("unreadable: ") {
                unreadable = reasons;
            } else if let Some(said) = part.strip_prefix("says ") {
                assert!(text(&shown.stdout).contains(said), "{why}: {}", text(&shown.stdout));
            } else {
                let (name, number) = part.split_once(' ').unwrap();
                assert_eq!(count(&report, name), number, "{name}: {why}");
                match name {
                    "requests" => requests = number,
                    "purges" => purges = number,
                    _ => {}
                }
            }
        }
        assert_eq!(count(&report, "requests"), requests, "{why}");
        assert_eq!(count(&report, "purges"), purges, "{why}");
        assert_eq!(reasons(&report["lines"]["passed_over"]), passed_over, "{why}");
        assert_eq!(reasons(&report["lines"]["unreadable"]), unreadable, "{why}");
    }
}

/// A log of requests for one picture, one at each of these seconds.
fn requests(seconds: std::ops::Range<u32>) -> Vec<u8> {
    let line = |second| {
        format!(
            "192.0.2.7 - - [24/Nov/2026:20:24:{second:02} +0000] \"GET /sample.li/birds.jpg HTTP/1.1\" 200 5\n"
        )
    };
    seconds.map(line).collect::<String>().into_bytes()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Runs replay on files of that name and content, in a folder of their own.
fn replay(name: &str, arguments: &[&str], files: &[(&str, &[u8])]) -> Output {
    let folder = format!("cache-index-reports-{}-{name}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    run(&[&["--json"], arguments].concat(), Some(&folder), b"")
}

/// Carries out the input of a row.
fn tool(input: &str) -> Vec<Output> {
    let log = requests(0..3);
    let a_gz = |name: &str, content: Vec<u8>| vec![replay(name, &["a.gz"], &[("a.gz", &content)])];
    match input {
        "cat a.gz b.gz c.gz" => {
            let members = [&log[..50], &log[50..120], &log[120..]].map(gzip).concat();
            a_gz("members", members)
        }
        "head -c 512 /dev/zero >> a.gz" => a_gz("padded", [gzip(&log), vec![0; 512]].concat()),
        "head -c -20 a.gz" => {
            // The last member is cut off.
            let whole = [gzip(&requests(0..2)), gzip(&requests(2..3))].concat();
            a_gz("cut", whole[..whole.len() - 20].to_vec())
        }
        "64 zero bytes before the gzip data" => a_gz("zeros", [vec![0; 64], gzip(&log)].concat()),
        "replay nosuch.log good.log" => {
            vec![replay("missing", &["nosuch.log", "good.log"], &[("good.log", &log)])]
        }
        "replay access.log*" => {
            let names = ["access.log", "access.log.1", "access.log.2.gz"];
            let (new, old, oldest) = (requests(6..9), requests(3..6), gzip(&log));
            let files = [(names[0], &new[..]), (names[1], &old), (names[2], &oldest)];
            vec![replay("order", &names, &files)]
        }
        "replay nosuch.log 2>&1 | true" => vec![checks::unread(PROGRAM, &["nosuch.log"])],
        _ => panic!("{input:?} is not known"),
    }
}

#[test]
fn it_ends_as_expected() {
    for [_, input, expected, why] in rows("replay", 7) {
        for output in tool(input) {
            checks::ends_as(&output, expected, why, |name, value| {
                let report = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(count(&report, name), value, "{name}: {why}");
            });
        }
    }
}
