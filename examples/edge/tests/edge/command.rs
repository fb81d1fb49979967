//! The command itself.

use crate::app::client::Client;
use crate::app::restart::restart;
use crate::app::tour;
use crate::harness::{PATIENCE, Site};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge"));
    command.env_remove("EDGE_CLIENT_KEY").kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the command to its end: exit code, output, errors.
pub(crate) async fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Starts a server on free ports, and reads its addresses and the lines after that.
pub(crate) async fn start(command: &mut Command) -> (Child, Client, Lines<BufReader<ChildStdout>>) {
    let free = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"];
    let mut child = command.args(free).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        addresses.push(address.unwrap().parse().unwrap());
    }
    (child, Client::new(addresses[0], addresses[1]), lines)
}

#[tokio::test]
async fn the_tour_holds_and_ends_with_zero() {
    let (code, output, errors) = run(command().arg("--tour")).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{output}");
    assert!(output.trim_end().ends_with("All 50 steps held."), "{output}");
    assert!(!output.contains("NOT HELD"), "{output}");
}

#[tokio::test]
async fn the_tour_reports_steps_that_do_not_hold() {
    let site = Site::start().await;
    let mut table = Vec::new();
    // Nothing can be invalidated with the wrong key, and there is no `now.png` at this origin.
    let mut steps = tour::Table::new(&mut table);
    tour::walk(&site.running, &site.gate, "wrong", &mut steps).await.unwrap();
    // A program that is no edge.
    restart(Path::new("/bin/false"), &mut steps).await.unwrap();
    let held = steps.end().unwrap();
    let table = String::from_utf8(table).unwrap();
    assert!(!held, "{table}");
    assert!(table.contains("NOT HELD: 401"), "{table}");
    assert!(table.contains("NOT HELD: 404"), "{table}");
    assert!(table.contains("NOT HELD: ended at once"), "{table}");
    assert!(table.contains("steps did not hold: 1, 2, 3, "), "{table}");
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line_and_exit_code_one() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    let (code, output, errors) =
        run(command().args(["--listen", &address, "--control", "127.0.0.1:0"])).await;
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert_eq!(errors, format!("edge: can't listen on {address}: the port is in use\n"));
}

#[tokio::test]
async fn what_cannot_be_used_is_said_in_one_line() {
    for (arguments, expected) in [
        (["--origin-dir", "/no/such/folder"], "edge: can't open the folder /no/such/folder: "),
        (["--client-key", ""], "edge: the client key must be 1 to 256 visible ASCII characters"),
        (["--client-key", "a b"], "edge: the client key must be 1 to 256 visible ASCII characters"),
        (["--listen", "nonsense"], "edge: can't listen on nonsense: "),
    ] {
        let mut command = command();
        if arguments[0] != "--listen" {
            command.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
        }
        let (code, output, errors) = run(command.args(arguments)).await;
        assert_eq!((code, output.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(errors.starts_with(expected), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[tokio::test]
async fn freshness_needs_an_origin_that_can_say_it_and_names_of_fields() {
    let origin = ["--origin", "http://127.0.0.1:1/"];
    for (arguments, expected) in [
        (&["--freshness"][..], "--origin <http://HOST[:PORT]/[PATH/]>"),
        (&["--freshness", "a b", origin[0], origin[1]], "\"a b\" is not the name of a field"),
        (
            &["--freshness", "cache-control", origin[0], origin[1]],
            "Cache-Control is always read, after the other fields",
        ),
    ] {
        let (code, output, errors) = run(command().args(arguments)).await;
        assert_ne!((code, output.len()), (Some(0), 0), "{arguments:?}");
        assert!(errors.contains(expected), "{errors}");
    }
    for arguments in [&["--freshness"][..], &["--freshness", "X-CDN,CDN-Cache-Control"]] {
        let mut command = command();
        let (_child, client, _lines) = start(command.args(origin).args(arguments)).await;
        let answer = client.get("/a.png").await.unwrap();
        assert_eq!(answer.status.as_u16(), 502, "the origin isn't there");
    }
}

#[tokio::test]
async fn a_key_that_was_made_up_is_printed_and_works() {
    let (_child, client, mut lines) = start(&mut command()).await;
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let key = line.strip_prefix("edge: client key ").and_then(|rest| rest.split(' ').next());
    let body = r#"{"scope":"all"}"#;
    assert_eq!(client.invalidate("wrong", body).await.unwrap().status.as_u16(), 401);
    assert_eq!(client.invalidate(key.unwrap(), body).await.unwrap().status.as_u16(), 201);
}

#[cfg(unix)]
#[tokio::test]
async fn it_serves_on_when_nobody_reads_its_log() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(ours);
    let mut command = command();
    command.stderr(std::os::fd::OwnedFd::from(theirs));
    let (mut child, client, _lines) = start(&mut command).await;
    // Requests that miss the cache are logged.
    for size in [90, 91] {
        let target = format!("/sample.li/birds.jpg?w={size}");
        assert_eq!(client.get(&target).await.unwrap().cache(), "MISS");
    }
    assert_eq!(child.try_wait().unwrap(), None);
}

#[cfg(unix)]
#[tokio::test]
async fn signals_end_it_cleanly_and_a_given_key_is_never_printed() {
    for signal in ["-INT", "-TERM"] {
        let mut command = command();
        command.env("EDGE_CLIENT_KEY", "from-the-environment");
        let (mut child, client, mut lines) = start(&mut command).await;
        let body = r#"{"scope":"all"}"#;
        let answer = client.invalidate("from-the-environment", body).await.unwrap();
        assert_eq!(answer.status.as_u16(), 201);
        assert_eq!(client.get("/sample.li/now.png?w=90").await.unwrap().cache(), "MISS");

        // The connection of `client` is still open and idle; it does not delay the end.
        let id = child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await.unwrap();
        assert!(sent.success());
        let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        let mut rest = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            rest += &line;
        }
        assert_eq!(rest, "edge: ended");
    }
}
