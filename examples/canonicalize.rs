//! What a URL names, and why, from the command line.
//!
//! ```sh
//! cargo run --example canonicalize -- 'https://doc.cloudimg.io/Sample.LI/b%69rds.jpg?width=600' '/sample.li/birds.jpg?w=600'
//! cargo run --example canonicalize -- --rules 'v7;wildcard=on' --invalidate /sample.li/birds.jpg
//! printf 'default\tdelivery\t/sample.li/boat.jpg?width=300\n' | cargo run --example canonicalize -- --tsv
//! ```
//!
//! For each text that is given as an argument, prints what it names and the steps that changed something. With `--tsv`, reads lines
//! `settings TAB kind TAB text` from standard input, in the notation of `tests/canonical/notation.rs`, and prints for each of them
//! one line `origin TAB variant TAB error`, with `-` for what there isn't. The rules are those of the token `doc` if not given.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this program does")]

#[path = "../tests/canonical/notation.rs"]
mod notation;

use cache_index::canonical::{PathError, Step};
use notation::{Entries, Kind, Settings, pattern, unescape};
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

const USAGE: &str =
    "usage: canonicalize [--rules SETTINGS] [--invalidate] TEXT... | canonicalize --tsv";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("canonicalize: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = String>) -> Result<(), String> {
    let (mut settings, mut kind, mut texts) = ("default".to_owned(), Kind::Delivery, Vec::new());
    while let Some(arg) = args.next() {
        match &*arg {
            "--tsv" => {
                let answered = answer_lines(io::stdin().lock(), io::stdout().lock());
                return answered.map_err(|error| error.to_string());
            }
            "--rules" => settings = args.next().ok_or(USAGE)?,
            "--invalidate" => kind = Kind::Invalidation,
            option if option.starts_with("--") => {
                return Err(format!("unknown option {option}; {USAGE}"));
            }
            _ => texts.push(arg),
        }
    }
    if texts.is_empty() {
        return Err(USAGE.into());
    }
    let settings = Settings::parse(&settings)?;
    let explained: Vec<_> = texts.iter().map(|text| explain(&settings, kind, text)).collect();
    // A closed pipe is the reader's decision.
    io::stdout().lock().write_all(explained.join("\n").as_bytes()).or(Ok(()))
}

fn explain(settings: &Settings, kind: Kind, text: &str) -> String {
    let rules = &settings.rules;
    let (outcome, steps) = match (kind, settings.entries) {
        (Kind::Delivery, _) => {
            let explanation = rules.explain_delivery(text);
            let outcome = explanation.outcome;
            (outcome.map(|d| (d.origin.to_string(), d.variant.to_string())), explanation.steps)
        }
        (Kind::Invalidation, Entries::Pictures) => {
            let explanation = rules.explain_invalidation(text);
            (explanation.outcome.map(|t| (pattern(&t), "every one".into())), explanation.steps)
        }
        (Kind::Invalidation, Entries::Variants) => {
            let explanation = rules.explain_selection(text);
            let outcome = explanation.outcome;
            (outcome.map(|s| (pattern(&s.target), s.variant.to_string())), explanation.steps)
        }
        (Kind::Invalidation, Entries::Operations) => {
            let explanation = rules.explain_operations(text);
            (explanation.outcome.map(|o| ("-".into(), o.to_string())), explanation.steps)
        }
    };
    report(text, outcome, &steps)
}

fn report(text: &str, outcome: Result<(String, String), PathError>, steps: &[Step]) -> String {
    let mut out = format!("{text}\n");
    for step in steps {
        out += &format!("  {step}\n");
    }
    match outcome {
        Ok((origin, variant)) => out + &format!("  origin   {origin}\n  variant  {variant}\n"),
        Err(error) => {
            out += &format!("  error    {}: {error}\n", error.kind());
            error.suggestions().fold(out, |out, entry| out + &format!("  instead  {entry}\n"))
        }
    }
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
