//! Standard streams and options. The edge must have been built: `cargo build -p edge`, or any test
//! of it.

const PROGRAM: &str = env!("CARGO_BIN_EXE_load");
const FLUSH: &str = env!("CARGO_BIN_EXE_flush-load");
/// Little enough to take no time.
const SMALL: [&str; 6] = ["--pictures", "50", "--requests", "100", "--seconds", "2"];

#[cfg(unix)]
#[test]
fn closed_output_ends_it_quietly() {
    let load = ["--minutes", "0.01", "--clients", "2", "--pictures", "8", "--renditions", "2"];
    checks::ends_quietly(PROGRAM, &load, b"");
    checks::ends_quietly(PROGRAM, &["--help"], b"");
    checks::ends_quietly(FLUSH, &SMALL, b"");
}

#[cfg(unix)]
#[test]
fn closed_standard_error_leaves_the_exit_code() {
    checks::ends_with_code(PROGRAM, &["--minutes=nan"], 1);
    checks::ends_with_code(PROGRAM, &["--pictures", "0"], 1);
    checks::ends_with_code(FLUSH, &["--pictures", "0"], 1);
}

#[test]
fn it_has_help() {
    checks::has_help(PROGRAM, "load");
    checks::has_help(FLUSH, "flush-load");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    checks::refuses_control_characters(PROGRAM);
    checks::refuses_control_characters(FLUSH);
}
