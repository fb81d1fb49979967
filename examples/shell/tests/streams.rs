//! Standard streams and options, and the row of the kind `shell` in `tests/data/reports.tsv`.

use checks::{ESCAPE, output, text};

const PROGRAM: &str = env!("CARGO_BIN_EXE_shell");

#[cfg(unix)]
#[test]
fn closed_output_ends_it_quietly() {
    checks::ends_quietly(PROGRAM, &[], b"stats\nstats\n");
    checks::ends_quietly(PROGRAM, &["--help"], b"");
}

#[cfg(unix)]
#[test]
fn closed_standard_error_leaves_the_exit_code() {
    checks::ends_with_code(PROGRAM, &["--nonsense"], 2);
}

#[test]
fn it_has_help() {
    checks::has_help(PROGRAM, "shell");
}

#[test]
fn control_characters_are_shown_escaped() {
    // The parser of the command line leaves color codes out.
    checks::refuses_control_characters(PROGRAM);
    let output = output(PROGRAM, &[], format!("{ESCAPE}\npurge\tdoc\t{ESCAPE}\n").as_bytes());
    assert!(!text(&output.stdout).contains('\u{1b}'), "{}", text(&output.stdout));
}

#[test]
fn a_line_that_is_not_utf_8_is_refused_and_the_next_one_read() {
    let output = output(PROGRAM, &[], b"flush\t\xFF\nflush\tdoc\n");
    assert_eq!(text(&output.stdout), "error line is not UTF-8 at byte 6\nflushed\n");
}

#[test]
fn it_ends_as_the_reports_expect() {
    for [_, input, expected, why] in checks::rows("shell", 1) {
        let output = output(PROGRAM, &[], format!("{input}\n").as_bytes());
        checks::ends_as(&output, expected, why, |name, _| panic!("{name:?} is not known"));
    }
}
