//! Standard streams of the example programs: a reader that goes away ends a program quietly, and no
//! text from outside reaches a terminal as it is.

use std::fmt::Display;
use std::io::{self, Write};

/// Returns the arguments of the command line, or ends the program with help or with an error.
pub fn arguments<A: clap::Parser>() -> A {
    A::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        let lines: Vec<_> = error.to_string().lines().map(visible).collect();
        let _ = io::stderr().write_all((lines.join("\n") + "\n").as_bytes());
        std::process::exit(error.exit_code())
    })
}

/// Writes `program: reason` to standard error, as one line. If the error is not read, the exit code
/// still reports the failure.
pub fn complain(program: &str, reason: impl Display) {
    let line = format!("{program}: {}\n", visible(&reason.to_string()));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Writes `text` to standard output. A closed pipe is not an error: its reader, such as `head`, has
/// seen enough.
///
/// # Errors
/// If it cannot be written for another reason.
pub fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    unless_closed(output.write_all(text.as_bytes()).and_then(|()| output.flush()))
}

/// Returns `Ok` if `written` failed because the reader has gone away.
///
/// # Errors
/// If it failed for another reason.
pub fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if is_closed(&error) => Ok(()),
        written => written,
    }
}

/// Returns whether the reader of a stream has gone away.
#[must_use]
pub fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Returns `text` with all that a terminal might obey escaped, such as `\u{1b}`.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Some characters that are not controls turn the direction of a text or end a line.
        let is_hidden = character.is_control()
            || matches!(character, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if is_hidden {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Returns a line as text, or the place where it is not UTF-8.
///
/// # Errors
/// If it is not UTF-8; the text names the place.
pub fn text(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line)
        .map_err(|error| format!("line is not UTF-8 at byte {}", error.valid_up_to()))
}

/// A stream that drops what cannot be written, and never fails.
#[derive(Clone, Copy, Debug)]
pub struct Quiet<W>(pub W);

impl<W: Write> Write for Quiet<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}
