//! What a URL names, from the command line.
//!
//! ```sh
//! cargo run --example canonicalize -- --tsv <<<$'default\tdelivery\thttps://doc.cloudimg.io/sample.li/boat.jpg?width=300'
//! ```
//!
//! With `--tsv`, reads lines `settings TAB kind TAB text` from standard input, in the notation of `tests/canonical/notation.rs`, and
//! prints for each of them one line `origin TAB variant TAB error`, with `-` for what there isn't.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

#[path = "../tests/canonical/notation.rs"]
mod notation;

use notation::{Kind, Settings, unescape};
use std::io::{self, BufRead, Write};

fn main() -> io::Result<()> {
    answer_lines(io::stdin().lock(), io::stdout().lock())
}

fn answer_lines(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    for line in input.lines() {
        writeln!(output, "{}", answer(&line?))?;
    }
    output.flush()
}

fn answer(line: &str) -> String {
    let read = |settings, kind, text| {
        let (settings, kind) = (Settings::parse(settings)?, Kind::parse(kind)?);
        Ok::<_, String>(settings.read(kind, &unescape(text)?))
    };
    let answer = match line.splitn(3, '\t').collect::<Vec<_>>()[..] {
        [settings, kind, text] => read(settings, kind, text),
        _ => Err("expected settings, kind and text, separated by TAB".into()),
    };
    match answer {
        Ok(Ok((origin, variant))) => format!("{origin}\t{variant}\t-"),
        Ok(Err(error)) => format!("-\t-\t{}", error.kind()),
        Err(reason) => format!("-\t-\tunreadable case: {reason}"),
    }
}
