//! Prints, as Markdown, which structures serve the old picture after an invalidation that overtook
//! a fill. Fails if this crate does.

use std::process::ExitCode;

fn main() -> ExitCode {
    match peers::race::markdown() {
        Ok((table, beaten)) => {
            print!("{table}");
            if beaten {
                eprintln!("cache-index serves an old picture");
            }
            if beaten { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(what) => {
            eprintln!("the race says nothing: {what}");
            ExitCode::FAILURE
        }
    }
}
