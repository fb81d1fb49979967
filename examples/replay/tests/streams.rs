//! Standard streams and options.

use checks::ESCAPE;

const PROGRAM: &str = env!("CARGO_BIN_EXE_replay");
#[cfg(unix)]
const LOG: &[u8] =
    b"192.0.2.7 - - [24/Nov/2026:20:24:17 +0000] \"GET /sample.li/a.jpg HTTP/1.1\" 200 5\n";

#[cfg(unix)]
#[test]
fn closed_output_ends_it_quietly() {
    checks::ends_quietly(PROGRAM, &["-"], LOG);
    checks::ends_quietly(PROGRAM, &["--json", "-"], LOG);
    checks::ends_quietly(PROGRAM, &["--generate", "1000"], b"");
    checks::ends_quietly(PROGRAM, &["--help"], b"");
}

#[cfg(unix)]
#[test]
fn closed_standard_error_leaves_the_exit_code() {
    checks::ends_with_code(PROGRAM, &["/nowhere/access.log"], 1);
    checks::ends_with_code(PROGRAM, &["--nonsense"], 2);
}

#[test]
fn it_has_help() {
    checks::has_help(PROGRAM, "replay");
}

#[test]
fn control_characters_are_shown_escaped() {
    checks::shows_escaped(PROGRAM, &[ESCAPE], 1);
    checks::shows_escaped(PROGRAM, &[ESCAPE, "/nowhere"], 1);
    checks::refuses_control_characters(PROGRAM);
}
