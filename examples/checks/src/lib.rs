//! Shared by the tests of the programs: runs a program, and checks how it ends.

#[path = "../../../tests/canonical/notation.rs"]
#[allow(dead_code, unreachable_pub, reason = "cases of canonicalization need more of it")]
mod notation;

use std::io::Write;
use std::process::{Command, Output, Stdio};

const REPORTS: &str = include_str!("../../../tests/data/reports.tsv");

/// Runs `command` to its end with that standard input. Streams that are set already stay as they
/// are.
///
/// # Panics
/// If the program cannot be run.
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
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

/// Runs a program with these arguments, and captures its output.
///
/// # Panics
/// If the program cannot be run.
#[must_use]
pub fn output(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(program);
    run(command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()), input)
}

/// Returns the text of a stream.
///
/// # Panics
/// If it is not UTF-8.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A stream whose reader has gone away, before the program begins.
#[cfg(unix)]
fn closed() -> Stdio {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(ours);
    std::os::fd::OwnedFd::from(theirs).into()
}

/// Checks that a program succeeds quietly if its output is not read.
///
/// # Panics
/// If it does not.
#[cfg(unix)]
pub fn ends_quietly(program: &str, arguments: &[&str], input: &[u8]) {
    let mut command = Command::new(program);
    command.args(arguments).stdout(closed()).stderr(Stdio::piped());
    let output = run(&mut command, input);
    let ended = (output.status.code(), text(&output.stderr));
    assert_eq!(ended, (Some(0), String::new()), "{program} {arguments:?}");
}

/// Checks that a program ends with that exit code if its errors are not read, whether its output is
/// read or not.
///
/// # Panics
/// If it does not.
#[cfg(unix)]
pub fn ends_with_code(program: &str, arguments: &[&str], code: i32) {
    for output_is_closed in [false, true] {
        let mut command = Command::new(program);
        let output = if output_is_closed { closed() } else { Stdio::piped() };
        let output = run(command.args(arguments).stdout(output).stderr(closed()), b"");
        assert_eq!(output.status.code(), Some(code), "{program} {arguments:?}");
    }
}

/// Runs a program whose output and errors are not read.
///
/// # Panics
/// If the program cannot be run.
#[cfg(unix)]
#[must_use]
pub fn unread(program: &str, arguments: &[&str]) -> Output {
    run(Command::new(program).args(arguments).stdout(closed()).stderr(closed()), b"")
}

/// Runs a program whose output and errors are not read.
///
/// # Panics
/// If the program cannot be run.
#[cfg(not(unix))]
#[must_use]
pub fn unread(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    run(command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()), b"")
}

/// Checks both options of help of the program called `name`.
///
/// # Panics
/// If one of them doesn't show the help, or does more than that.
pub fn has_help(program: &str, name: &str) {
    for option in ["-h", "--help"] {
        let output = output(program, &[option], b"");
        let ended = (output.status.code(), text(&output.stderr));
        assert_eq!(ended, (Some(0), String::new()), "{name} {option}");
        let help = text(&output.stdout).to_lowercase();
        assert!(help.contains(&format!("usage: {name}")), "{name} {option}: {help}");
        assert!(help.contains("--help"), "{name} {option}: {help}");
    }
}

/// A text that would change the color of a terminal and the direction of the text after it.
pub const ESCAPE: &str = "/a\u{1b}[31mred\u{202e}.jpg";
/// [`ESCAPE`], as a program may show it.
pub const ESCAPE_SHOWN: &str = "/a\\u{1b}[31mred\\u{202e}.jpg";

/// Checks that a program that is given [`ESCAPE`] ends with that exit code and shows
/// [`ESCAPE_SHOWN`].
///
/// # Panics
/// If it does not.
pub fn shows_escaped(program: &str, arguments: &[&str], code: i32) {
    let output = output(program, arguments, b"");
    let written = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {written}");
    assert!(written.contains(ESCAPE_SHOWN), "{arguments:?}: {written}");
    let is_raw = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!written.contains(is_raw), "{arguments:?}: {written:?}");
}

/// Checks that a program refuses an unknown option without sending its control characters to the
/// terminal.
///
/// # Panics
/// If it does not.
pub fn refuses_control_characters(program: &str) {
    let output = output(program, &["--\u{1b}[31m\u{7}"], b"");
    let written = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{program}: {written}");
    assert!(!written.contains(|c: char| c.is_control() && c != '\n'), "{program}: {written:?}");
}

/// Returns the rows of one kind in `tests/data/reports.tsv`: configuration, input, expected result,
/// and reason.
///
/// # Panics
/// If a row is malformed, or there are not that many.
#[must_use]
pub fn rows(kind: &str, count: usize) -> Vec<[&'static str; 4]> {
    let rows = REPORTS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let fields = rows.map(|row| <[&str; 5]>::try_from(row.split('\t').collect::<Vec<_>>()));
    let rows: Vec<_> = fields
        .map(|fields| fields.expect("five fields"))
        .filter(|fields| fields[0] == kind)
        .map(|[_, rest @ ..]| rest)
        .collect();
    assert_eq!(rows.len(), count, "rows of the kind {kind}");
    rows
}

/// Returns the bytes that a text of a row stands for. Escapes within `\{S*N}` are repeated as well.
///
/// # Panics
/// If the text is malformed.
#[must_use]
pub fn bytes(text: &str) -> Vec<u8> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\\{") {
        let (repeat, behind) = behind.split_once('}').unwrap();
        let (unit, count) = repeat.rsplit_once('*').unwrap();
        expanded += before;
        expanded += &unit.repeat(count.parse().unwrap());
        rest = behind;
    }
    notation::unescape(&(expanded + rest)).unwrap()
}

/// Checks an output against the expectations of a row, separated by ` | `: `exit CODE`, and
/// `out TEXT` and `err TEXT` for the program's output (`err -`: only the usual output of a program
/// that succeeds). Other expectations are passed to `other`, by name and value.
///
/// # Panics
/// If the output is not as expected.
pub fn ends_as(output: &Output, expected: &str, why: &str, other: impl Fn(&str, &str)) {
    let written = text(&output.stdout) + &text(&output.stderr);
    let (mut code, mut errors) = (0, Vec::new());
    for part in expected.split(" | ") {
        let (name, value) = part.split_once(' ').unwrap();
        let value = text(&bytes(value));
        match name {
            "exit" => code = value.parse().unwrap(),
            "out" => assert!(text(&output.stdout).contains(&value), "{why}: {written}"),
            "err" if value == "-" => {}
            "err" => errors.push(value),
            _ => other(name, &value),
        }
    }
    assert_eq!(output.status.code(), Some(code), "{why}: {written}");
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), errors.len(), "{why}: {stderr}");
    assert!(errors.iter().all(|error| stderr.contains(error)), "{why}: {stderr}");
}
