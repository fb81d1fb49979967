//! Prints the names of a URL, and the reason for each, on the command line.
//!
//! ```sh
//! cargo run -p canonicalize -- 'https://doc.cloudimg.io/Sample.LI/b%69rds.jpg?width=600'
//! cargo run -p canonicalize -- --rules 'v7;wildcard=on' --invalidate /sample.li/birds.jpg
//! printf 'default\tdelivery\t/sample.li/boat.jpg?width=300\n' | cargo run -p canonicalize -- --tsv
//! ```
//!
//! For each argument, prints its names and the steps that changed it. With `--tsv`, reads lines
//! `settings TAB kind TAB text` from standard input, in the notation of
//! `tests/canonical/notation.rs`, and prints for each of them one line
//! `origin TAB variant TAB error`, with `-` for a missing part. The rules are those of the token
//! `doc` if not given.

#[path = "../../../tests/canonical/notation.rs"]
mod notation;

use cache_index::canonical::{PathError, Step};
use notation::{Entries, Kind, Settings, pattern, unescape};
use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

const USAGE: &str =
    "usage: canonicalize [--rules SETTINGS] [--invalidate] TEXT... | canonicalize --tsv";

const HELP: &str = "
Prints what each TEXT names, and the steps that changed something.

  --rules SETTINGS  default, or some of these, joined by ;
                    token=NAME cname=HOST v7[=required|optional|none] prefix=URL root=host|path
                    wildcard=on grouping=on scope=original|urls item=url|transformation
  --invalidate      TEXT is an entry of an invalidation request, and not a delivery URL
  --tsv             read lines SETTINGS TAB KIND TAB TEXT from standard input, KIND being delivery or
                    invalidate, and print for each of them ORIGIN TAB VARIANT TAB ERROR
  -h, --help        print this
  --                what follows is a TEXT, also if it begins with --
";

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            streams::complain("canonicalize", reason);
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = OsString>) -> Result<(), String> {
    let (mut settings, mut kind, mut texts) = ("default".to_owned(), Kind::Delivery, Vec::new());
    while let Some(arg) = args.next() {
        match arg.to_str().unwrap_or_default() {
            "-h" | "--help" => return print(&format!("{USAGE}\n{HELP}")),
            "--tsv" => {
                let answered = answer_lines(io::stdin().lock(), io::stdout().lock());
                return streams::unless_closed(answered).map_err(|error| error.to_string());
            }
            "--rules" => settings = args.next().ok_or(USAGE)?.to_string_lossy().into_owned(),
            "--invalidate" => kind = Kind::Invalidation,
            "--" => texts.extend(args.by_ref()),
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
    // An argument need not be text: the rules read bytes.
    let texts = texts.into_iter().map(OsString::into_encoded_bytes);
    let explained: Vec<_> = texts.map(|text| explain(&settings, kind, &text)).collect();
    print(&explained.join("\n"))
}

fn print(text: &str) -> Result<(), String> {
    streams::print(text).map_err(|error| error.to_string())
}

fn explain(settings: &Settings, kind: Kind, text: &[u8]) -> String {
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
            let explanation = rules.explain_variant_entry(text);
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

fn report(text: &[u8], outcome: Result<(String, String), PathError>, steps: &[Step]) -> String {
    let visible = |text: &str| streams::visible(text);
    let mut out = visible(&String::from_utf8_lossy(text)) + "\n";
    for step in steps {
        out += &format!("  {}\n", visible(&step.to_string()));
    }
    match outcome {
        Ok((origin, variant)) => out + &format!("  origin   {origin}\n  variant  {variant}\n"),
        Err(error) => {
            out += &format!("  error    {}: {}\n", error.kind(), visible(&error.to_string()));
            let instead =
                |out: String, entry: &str| out + &format!("  instead  {}\n", visible(entry));
            error.suggestions().fold(out, instead)
        }
    }
}

fn answer_lines(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let answer = streams::text(text).map_or_else(|reason| unreadable(&reason), answer);
        writeln!(output, "{answer}")?;
        line.clear();
    }
    output.flush()
}

fn unreadable(reason: &str) -> String {
    format!("-\t-\tunreadable case: {}", streams::visible(reason))
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
        Err(reason) => unreadable(&reason),
    }
}
