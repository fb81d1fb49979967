//! The commands: every command and every answer.

#[path = "../src/main.rs"]
#[allow(dead_code, reason = "its `main` reads standard input")]
mod shell;

use shell::Names;

fn answers(input: &[u8]) -> Vec<String> {
    answers_with(Names::Canonical, input)
}

fn answers_with(names: Names, input: &[u8]) -> Vec<String> {
    let mut output = Vec::new();
    shell::run(names, input, &mut output).unwrap();
    String::from_utf8(output).unwrap().lines().map(Into::into).collect()
}

/// Runs the commands on the left and expects the answers on the right.
#[track_caller]
fn expect<const N: usize>(dialog: [(&str, &str); N]) {
    expect_with(Names::Canonical, dialog);
}

#[track_caller]
fn expect_with<const N: usize>(names: Names, dialog: [(&str, &str); N]) {
    let input = dialog.map(|(command, _)| command).join("\n");
    let expected = dialog.map(|(_, answer)| answer);
    assert_eq!(answers_with(names, input.as_bytes()), expected);
}

#[test]
fn entries_are_stored_found_replaced_and_removed() {
    expect([
        ("lookup\tdoc\ta/b.jpg\t?w=1", "miss"),
        ("insert\tdoc\ta/b.jpg\t?w=1\t7", "stored"),
        ("insert\tdoc\ta/b.jpg\t?w=1\t8", "replaced 7"),
        ("lookup\tdoc\ta/b.jpg\t?w=1", "live 8"),
        ("lookup\tother\ta/b.jpg\t?w=1", "miss"),
        ("insert\tdoc\ta/b.jpg\t?\t9", "stored"),
        ("variants\tdoc\ta/b.jpg", "?\t?w=1"),
        ("remove\tdoc\ta/b.jpg\t?w=1\t7", "absent"),
        ("remove\tdoc\ta/b.jpg\t?w=1\t8", "removed"),
        ("purge\tdoc\ta/b.jpg", "purged 1"),
        ("variants\tdoc\ta/b.jpg", "none"),
    ]);
}

#[test]
fn lease_older_than_an_invalidation_is_refused() {
    expect([
        ("lease\tdoc\ta/b.jpg\tone", "leased"),
        ("purge\tdoc\ta/b.jpg", "purged 0"),
        ("commit\tone\t?w=1\t1", "refused purged"),
        ("lease\tdoc\ta/b.jpg\tone", "leased"),
        ("flush\tother", "flushed"),
        ("commit\tone\t?w=1\t2", "stored"),
        ("lease\tdoc\ta/b.jpg\tone", "leased"),
        ("flush\tdoc", "flushed"),
        ("commit\tone\t?w=1\t3", "refused flushed"),
        ("lease\tdoc\ta/b.jpg\tone", "leased"),
        ("flush-all", "flushed"),
        ("drop\tone", "dropped"),
        ("lookup\tdoc\ta/b.jpg\t?w=1", "miss"),
    ]);
}

#[test]
fn forgotten_tenant_is_another_one_when_it_is_named_again() {
    expect([
        ("insert\tdoc\ta/b.jpg\t?w=1\t7", "stored"),
        ("lease\tdoc\ta/b.jpg\told", "leased"),
        ("forget\tdoc", "forgotten"),
        ("lookup\tdoc\ta/b.jpg\t?w=1", "miss"),
        ("insert\tdoc\ta/b.jpg\t?w=1\t8", "stored"),
        ("commit\told\t?w=1\t9", "refused tenant forgotten"),
        ("lookup\tdoc\ta/b.jpg\t?w=1", "live 8"),
        ("reclaim\t10", "reclaimed 1"),
        ("forget\tdoc\tother", "error expected 1 fields (TENANT), got 2"),
    ]);
}

#[test]
fn flushed_entries_are_reclaimed_up_to_the_limit() {
    expect([
        ("insert\tdoc\ta\t?w=1\t1", "stored"),
        ("insert\tdoc\tb\t?w=1\t2", "stored"),
        ("insert\tdoc\tc\t?w=1\t3", "stored"),
        ("flush\tdoc", "flushed"),
        ("reclaim\t2", "reclaimed 2"),
        ("reclaim\t0", "reclaimed 0"),
        ("reclaim\t18446744073709551615", "reclaimed 1"),
    ]);
}

#[test]
fn soft_prefix_and_selective_invalidations_say_what_they_did() {
    expect([
        ("insert\tdoc\ta/b.jpg\t?w=200\t1", "stored"),
        ("insert\tdoc\ta/b.jpg\t?h=1&w=200\t2", "stored"),
        ("insert\tdoc\ta/b.jpg\t?w=300\t3", "stored"),
        ("purge-where\tdoc\ta/b.jpg\twidth=200", "purged 2"),
        (
            "purge-where\tdoc\ta/b.jpg\t?",
            "error OPERATIONS: transformation is empty at byte 1: expected at least one operation",
        ),
        ("purge-soft\tdoc\ta/b.jpg", "softened 1"),
        ("purge-soft\tdoc\ta/b.jpg", "softened 0"),
        ("lookup\tdoc\ta/b.jpg\t?w=300", "stale 3"),
        ("purge-variant\tdoc\ta/b.jpg\t?w=30", "purged 0"),
        ("purge-variant\tdoc\ta/b.jpg\t?w=300", "purged 1"),
        ("insert\tdoc\ta/b.jpg\t?w=300\t4", "stored"),
        ("flush-soft\tother", "flushed"),
        ("lookup\tdoc\ta/b.jpg\t?w=300", "live 4"),
        ("flush-soft\tdoc", "flushed"),
        ("lookup\tdoc\ta/b.jpg\t?w=300", "stale 4"),
        ("insert\tdoc\ta/b.jpg\t?w=300\t5", "replaced 4"),
        ("purge-prefix-soft\tdoc\ta/", "purged"),
        ("lookup\tdoc\ta/b.jpg\t?w=300", "stale 5"),
        ("purge-prefix\tdoc\ta/b.jpg/", "purged"),
        ("lookup\tdoc\ta/b.jpg\t?w=300", "stale 5"),
        ("purge-prefix\tdoc\ta/b", "purged"),
        ("lookup\tdoc\ta/b.jpg\t?w=300", "miss"),
        ("lease\tdoc\ta/b.jpg\tL", "leased"),
        ("flush-all-soft", "flushed"),
        ("commit\tL\t?w=1\t6", "stored"),
        ("lookup\tdoc\ta/b.jpg\t?w=1", "stale 6"),
    ]);
}

#[test]
fn malformed_lines_are_answered_and_the_shell_goes_on() {
    expect([
        ("", "error unknown command \"\""),
        ("purge all", "error unknown command \"purge all\": fields are separated by TAB"),
        (
            "purge\tdoc x.jpg",
            "error expected 2 fields (TENANT PATH), got 1; fields are separated by TAB",
        ),
        ("purge\tdoc", "error expected 2 fields (TENANT PATH), got 1"),
        ("flush-all\t", "error expected 0 fields (none), got 1"),
        ("commit\tnobody\t?w=1\t1", "error no open lease \"nobody\""),
        (
            "insert\tdoc\ta\t?w=1\t-1",
            "error expected a whole number from 0 to 18446744073709551615, got \"-1\"",
        ),
        ("lease\tdoc\ta\tL", "leased"),
        ("lease\tdoc\ta\tL", "error lease \"L\" is open already"),
    ]);
    let answers = answers(b"flush\t\xff\nflush-all\n");
    assert_eq!(answers, ["error line is not UTF-8 at byte 6", "flushed"]);
}

#[test]
fn texts_that_are_not_canonical_are_refused() {
    let answers = answers(b"purge\tdoc\t/a.jpg\nlookup\tdoc\ta.jpg\t?w=1&h=2\nstats\n");
    assert!(answers[0].starts_with("error PATH: "), "{}", answers[0]);
    assert!(answers[1].starts_with("error VARIANT: "), "{}", answers[1]);
    assert!(answers[2].starts_with("live=0 stale=0 dead=0 "), "{}", answers[2]);
}

#[test]
fn opaque_names_are_any_text_that_is_not_empty() {
    expect_with(
        Names::Opaque,
        [
            ("insert\tdoc\timages/a b.jpg\t300x200\t1", "stored"),
            ("insert\tdoc\timages/a b.jpg\t300x200#webp\t2", "stored"),
            ("insert\tdoc\t//*\trs:fit:300/plain\t3", "stored"),
            ("lookup\tdoc\timages/a%20b.jpg\t300x200", "miss"),
            ("variants\tdoc\timages/a b.jpg", "300x200\t300x200#webp"),
            ("purge-where\tdoc\timages/a b.jpg\tw=300", "purged 0"),
            ("purge-variant\tdoc\timages/a b.jpg\t300x200", "purged 1"),
            ("purge-prefix\tdoc\timages/a ", "purged"),
            ("lookup\tdoc\timages/a b.jpg\t300x200#webp", "miss"),
            ("lookup\tdoc\t//*\trs:fit:300/plain", "live 3"),
            ("lease\tdoc\t/\tL", "leased"),
            ("commit\tL\t \t4", "stored"),
            ("purge\tdoc\t", "error PATH: origin path is empty: expected 1 to 16777215 bytes"),
            (
                "lookup\tdoc\ta\t",
                "error VARIANT: variant key is empty: expected 1 to 16777215 bytes",
            ),
            (
                "purge-prefix\tdoc\t",
                "error PREFIX: path prefix is empty: expected 1 to 16777215 bytes",
            ),
        ],
    );
}

#[test]
fn help_lists_every_command() {
    use clap::CommandFactory;
    let help = shell::Args::command().render_help().to_string();
    let docs = include_str!("../src/main.rs");
    let commands = docs.lines().skip_while(|line| *line != "//! ```text").skip(1);
    let commands: Vec<_> = commands.take_while(|line| *line != "//! ```").collect();
    assert_eq!(commands.len(), 20);
    for line in commands {
        let usage = line.trim_start_matches("//! ").split("  ").next().unwrap();
        assert!(help.contains(&format!("  {usage}  ")), "{usage}");
    }
    assert!(help.contains("--opaque"));
}
