//! Standard streams and options, and rows of the kind `canonicalize` in `tests/data/reports.tsv`.

use checks::{ESCAPE, output, text};

const PROGRAM: &str = env!("CARGO_BIN_EXE_canonicalize");

#[cfg(unix)]
#[test]
fn closed_output_ends_it_quietly() {
    checks::ends_quietly(PROGRAM, &["/a.jpg"], b"");
    checks::ends_quietly(PROGRAM, &["--tsv"], b"default\tdelivery\t/a.jpg\n");
    checks::ends_quietly(PROGRAM, &["--help"], b"");
}

#[cfg(unix)]
#[test]
fn closed_standard_error_leaves_the_exit_code() {
    checks::ends_with_code(PROGRAM, &[], 1);
    checks::ends_with_code(PROGRAM, &["--nonsense"], 1);
}

#[test]
fn it_has_help() {
    checks::has_help(PROGRAM, "canonicalize");
}

#[test]
fn control_characters_are_shown_escaped() {
    checks::shows_escaped(PROGRAM, &[ESCAPE], 0);
    checks::shows_escaped(PROGRAM, &["--invalidate", ESCAPE], 0);
    checks::shows_escaped(PROGRAM, &["--rules", ESCAPE, "/a.jpg"], 1);
    checks::shows_escaped(PROGRAM, &[&format!("--{ESCAPE}")], 1);
}

#[test]
fn a_line_that_is_not_utf_8_is_refused_and_the_next_one_read() {
    let input =
        b"default\tdelivery\t/a.jpg\r\ndefault\tdelivery\t/\xFF.jpg\ndefault\tdelivery\t/b.jpg";
    let output = output(PROGRAM, &["--tsv"], input);
    let ended = (output.status.code(), text(&output.stderr));
    assert_eq!(ended, (Some(0), String::new()));
    assert_eq!(
        text(&output.stdout),
        "a.jpg\t?\t-\n-\t-\tunreadable case: line is not UTF-8 at byte 18\nb.jpg\t?\t-\n"
    );
}

#[test]
fn arguments_after_two_hyphens_are_texts() {
    let output = output(PROGRAM, &["--", "--help.jpg"], b"");
    assert!(text(&output.stdout).starts_with("--help.jpg\n"), "{}", text(&output.stdout));
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf_8_is_read_as_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = std::process::Command::new(PROGRAM);
    command.arg(std::ffi::OsStr::from_bytes(b"/\xFF.jpg"));
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(text(&output.stdout).contains("  origin   %FF.jpg\n"), "{}", text(&output.stdout));
}

#[test]
fn it_ends_as_the_reports_expect() {
    for [_, input, expected, why] in checks::rows("canonicalize", 3) {
        let outputs = match input {
            "printf with byte FF" => {
                let lines = b"default\tdelivery\t/a.jpg\ndefault\tdelivery\t/\xFF.jpg\ndefault\tdelivery\t/b.jpg\n";
                vec![output(PROGRAM, &["--tsv"], lines)]
            }
            "canonicalize --help; canonicalize -h" => {
                ["--help", "-h"].map(|option| output(PROGRAM, &[option], b"")).into()
            }
            url => vec![output(PROGRAM, &[&text(&checks::bytes(url))], b"")],
        };
        for output in outputs {
            checks::ends_as(&output, expected, why, |name, _| panic!("{name:?} is not known"));
        }
    }
}
