//! The command.

use crate::rig::origin::Origin;
use crate::rig::{HOST, client, eventually};
use http::Method;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

fn command(origin: SocketAddr, listen: SocketAddr, control: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pingora_storage"));
    command.args(["--host", HOST, "--origin", &origin.to_string()]);
    command.args(["--listen", &listen.to_string(), "--control", &control.to_string()]);
    command.stderr(Stdio::piped());
    command
}

/// A port that nobody listens on. Until the command does, another process may take it.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn port_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = command(free(), free(), address).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with(&format!("pingora_storage: {address}: ")), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_purges_and_ends() {
    let origin = Origin::start().await;
    origin.set("/birds.jpg", "a picture", &[]);
    let (listen, control) = (free(), free());
    let mut running = command(origin.address, listen, control).spawn().unwrap();
    for address in [listen, control] {
        eventually("it listens", || TcpStream::connect(address).is_ok()).await;
    }
    for status in ["pingora; fwd=uri-miss", "pingora; hit"] {
        let answer = client::get(listen, HOST, "/birds.jpg", &[]).await;
        assert_eq!((answer.text(), answer.cache_status()), (Ok("a picture"), status));
    }
    let target = format!("/purge/{HOST}/birds.jpg");
    let purged = client::send(control, Method::POST, HOST, &target, &[]).await;
    assert_eq!(purged.text(), Ok("birds.jpg: 1 removed, 0 open fills refused\n"));
    let answer = client::get(listen, HOST, "/birds.jpg", &[]).await;
    assert_eq!(answer.cache_status(), "pingora; fwd=uri-miss");

    let end = Command::new("kill").arg(running.id().to_string()).status().unwrap();
    assert!(end.success());
    assert!(running.wait().unwrap().success());
}
