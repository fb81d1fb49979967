//! Standard streams of the example programs: closed ones, options of help, and text that a terminal must not obey.

#[path = "common/example.rs"]
mod example;

use std::process::{Output, Stdio};

const LOG: &[u8] =
    b"192.0.2.7 - - [24/Nov/2026:20:24:17 +0000] \"GET /sample.li/a.jpg HTTP/1.1\" 200 5\n";
const PROGRAMS: [&str; 6] = ["canonicalize", "shell", "soak", "replay", "edge", "load"];

fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = example::command(program);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    example::run(&mut command, input)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A stream whose reader has gone away, before the program begins.
#[cfg(unix)]
fn closed() -> Stdio {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(ours);
    std::os::fd::OwnedFd::from(theirs).into()
}

#[cfg(unix)]
#[test]
fn closed_output_ends_every_program_quietly() {
    let load = ["--minutes", "0.01", "--clients", "2", "--pictures", "8", "--renditions", "2"];
    for (program, arguments, input) in [
        ("canonicalize", &["/a.jpg"][..], &b""[..]),
        ("canonicalize", &["--tsv"], b"default\tdelivery\t/a.jpg\n"),
        ("shell", &[], b"stats\nstats\n"),
        ("soak", &["--rounds", "100"], b""),
        ("replay", &["-"], LOG),
        ("replay", &["--json", "-"], LOG),
        ("replay", &["--generate", "1000"], b""),
        ("edge", &["--tour"], b""),
        ("load", &load, b""),
    ] {
        let mut command = example::command(program);
        command.args(arguments).stdout(closed()).stderr(Stdio::piped());
        let output = example::run(&mut command, input);
        let ended = (output.status.code(), text(&output.stderr));
        assert_eq!(ended, (Some(0), String::new()), "{program} {arguments:?}");
    }
    for program in PROGRAMS {
        let mut command = example::command(program);
        let output = command.arg("--help").stdout(closed()).stderr(Stdio::piped()).output();
        let output = output.unwrap();
        let ended = (output.status.code(), text(&output.stderr));
        assert_eq!(ended, (Some(0), String::new()), "{program} --help");
    }
}

#[cfg(unix)]
#[test]
fn closed_standard_error_leaves_the_exit_code() {
    for (program, arguments, code) in [
        ("canonicalize", &[][..], 1),
        ("canonicalize", &["--nonsense"], 1),
        ("shell", &["--nonsense"], 2),
        ("soak", &["--nonsense"], 2),
        ("soak", &["--minutes=-1"], 1),
        ("load", &["--minutes=nan"], 1),
        ("replay", &["/nowhere/access.log"], 1),
        ("replay", &["--nonsense"], 2),
        ("edge", &["--listen", "nonsense"], 1),
        ("load", &["--pictures", "0"], 1),
    ] {
        for output_is_closed in [false, true] {
            let mut command = example::command(program);
            let output = if output_is_closed { closed() } else { Stdio::piped() };
            command.args(arguments).stdout(output).stderr(closed());
            let output = example::run(&mut command, b"");
            assert_eq!(output.status.code(), Some(code), "{program} {arguments:?}");
        }
    }
}

#[test]
fn every_program_has_help() {
    for program in PROGRAMS {
        for option in ["-h", "--help"] {
            let output = run(program, &[option], b"");
            let ended = (output.status.code(), text(&output.stderr));
            assert_eq!(ended, (Some(0), String::new()), "{program} {option}");
            let help = text(&output.stdout).to_lowercase();
            assert!(help.contains(&format!("usage: {program}")), "{program} {option}: {help}");
            assert!(help.contains("--help"), "{program} {option}: {help}");
        }
    }
}

#[test]
fn control_characters_are_shown_escaped() {
    let escape = "/a\u{1b}[31mred\u{202e}.jpg";
    let shown = "/a\\u{1b}[31mred\\u{202e}.jpg";
    let unknown = format!("--{escape}");
    for (program, arguments, code) in [
        ("canonicalize", &[escape][..], 0),
        ("canonicalize", &["--invalidate", escape], 0),
        ("canonicalize", &["--rules", escape, "/a.jpg"], 1),
        ("canonicalize", &[&unknown], 1),
        ("shell", &[&unknown], 2),
        ("replay", &[escape], 1),
        ("replay", &[escape, "/nowhere"], 1),
    ] {
        let output = run(program, arguments, b"");
        let written = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {written}");
        assert!(written.contains(shown), "{arguments:?}: {written}");
        let is_raw = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!written.contains(is_raw), "{arguments:?}: {written:?}");
    }
    // The command line that is not of this program's own making.
    for program in ["replay", "edge", "soak", "load"] {
        let output = run(program, &["--\u{1b}[31m\u{7}"], b"");
        let written = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{program}: {written}");
        assert!(!written.contains(|c: char| c.is_control() && c != '\n'), "{program}: {written:?}");
    }
    let output = run("shell", &[], format!("{escape}\npurge\tdoc\t{escape}\n").as_bytes());
    assert!(!text(&output.stdout).contains('\u{1b}'), "{}", text(&output.stdout));
}

#[test]
fn a_line_that_is_not_utf_8_is_refused_and_the_next_one_read() {
    let input =
        b"default\tdelivery\t/a.jpg\r\ndefault\tdelivery\t/\xFF.jpg\ndefault\tdelivery\t/b.jpg";
    let output = run("canonicalize", &["--tsv"], input);
    let ended = (output.status.code(), text(&output.stderr));
    assert_eq!(ended, (Some(0), String::new()));
    assert_eq!(
        text(&output.stdout),
        "a.jpg\t?\t-\n-\t-\tunreadable case: line is not UTF-8 at byte 18\nb.jpg\t?\t-\n"
    );
    let output = run("shell", &[], b"flush\t\xFF\nflush\tdoc\n");
    assert_eq!(text(&output.stdout), "error line is not UTF-8 at byte 6\nflushed\n");
}

#[test]
fn arguments_after_two_hyphens_are_texts() {
    let output = run("canonicalize", &["--", "--help.jpg"], b"");
    assert!(text(&output.stdout).starts_with("--help.jpg\n"), "{}", text(&output.stdout));
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf_8_is_read_as_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = example::command("canonicalize");
    command.arg(std::ffi::OsStr::from_bytes(b"/\xFF.jpg"));
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(text(&output.stdout).contains("  origin   %FF.jpg\n"), "{}", text(&output.stdout));
}
