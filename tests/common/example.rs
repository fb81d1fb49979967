//! The built example programs: `target/PROFILE/examples`, which `cargo test` builds before it runs
//! the tests.

use std::env;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The command of that example, without arguments.
pub(crate) fn command(name: &str) -> Command {
    // Tests are in target/PROFILE/deps, examples in target/PROFILE/examples.
    let profile = env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let path = profile.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{} is missing: cargo build --example {name}", path.display());
    Command::new(path)
}

/// Runs `command` to its end with that standard input. Streams that are set already stay as they
/// are.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // Beside the reading, so that neither waits for the other.
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writing = std::thread::spawn(move || {
        // A program that refuses its arguments reads nothing.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output
}
