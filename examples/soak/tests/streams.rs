//! Standard streams and options.

const PROGRAM: &str = env!("CARGO_BIN_EXE_soak");

#[cfg(unix)]
#[test]
fn closed_output_ends_it_quietly() {
    checks::ends_quietly(PROGRAM, &["--rounds", "100"], b"");
    checks::ends_quietly(PROGRAM, &["--help"], b"");
}

#[cfg(unix)]
#[test]
fn closed_standard_error_leaves_the_exit_code() {
    checks::ends_with_code(PROGRAM, &["--nonsense"], 2);
    checks::ends_with_code(PROGRAM, &["--minutes=-1"], 1);
}

#[test]
fn it_has_help() {
    checks::has_help(PROGRAM, "soak");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    checks::refuses_control_characters(PROGRAM);
}
