//! Connections: clients that are slow, that lie about their bodies, or that don't speak HTTP.

use crate::app::edge::Limits;
use crate::harness::{KEY, PATIENCE, Site, eventually};
use pictures::{Format, Picture};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends bytes to the delivery listener, and returns all bytes until the server closes the
/// connection. A reset counts as closed.
async fn exchange(site: &Site, request: &[u8]) -> String {
    exchange_with(site.running.delivery, request).await
}

/// The same with the control listener.
async fn exchange_control(site: &Site, request: &[u8]) -> String {
    exchange_with(site.running.control, request).await
}

async fn exchange_with(server: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    // The server may have closed the connection before it was sent everything.
    let _ = stream.write_all(request).await;
    read_to_end(stream).await
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("closed by the server");
    String::from_utf8_lossy(&answer).into_owned()
}

fn answers(text: &str) -> Vec<u16> {
    let status = |rest: &str| rest.get(..3).and_then(|code| code.parse().ok());
    text.split("HTTP/1.1 ").skip(1).filter_map(status).collect()
}

fn flush(key: &str) -> String {
    format!(
        "POST /invalidate HTTP/1.1\r\nHost: x\r\nX-Client-Key: {key}\r\nContent-Length: 15\r\n\r\n{{\"scope\":\"all\"}}"
    )
}

fn hasty() -> Limits {
    // Long enough for a request of a test on a slow machine.
    let time = Duration::from_secs(1);
    Limits { head_time: time, body_time: time, ..Limits::default() }
}

#[tokio::test]
async fn a_request_inside_the_body_of_another_is_never_carried_out() {
    let site = Site::start_with(hasty()).await;
    site.expect("/sample.li/birds.jpg", 200, "MISS").await;
    let before = site.state();
    let smuggled = flush(KEY);
    let length = smuggled.len();
    let post = "POST /invalidate HTTP/1.1\r\nHost: x\r\n";
    // A body that is refused unread, one that never ends, one that belongs to no request, and one
    // of unclear length.
    for (head, expected) in [
        (format!("{post}Content-Length: {length}\r\n\r\n"), 401),
        (format!("{post}Content-Length: 90000000\r\n\r\n"), 401),
        (format!("{post}X-Client-Key: {KEY}\r\nContent-Length: 90000000\r\n\r\n"), 413),
        (format!("GET /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"), 404),
        ("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n".to_owned(), 200),
        (format!("{post}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n"), 400),
        (format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 401),
    ] {
        let answer = exchange_control(&site, format!("{head}{smuggled}").as_bytes()).await;
        assert_eq!(answers(&answer).first(), Some(&expected), "{head}");
        // The bytes after a complete body may be a request. The bytes in a body are not.
        if !head.contains("chunked") {
            assert_eq!(answers(&answer), [expected], "{head}");
            assert_eq!(site.state(), before, "{head}");
        }
    }
    // The same bytes as a request of their own are one.
    assert_eq!(answers(&exchange_control(&site, smuggled.as_bytes()).await), [201]);
    assert_ne!(site.state(), before);
}

#[tokio::test]
async fn what_follows_a_body_that_nobody_reads_is_no_request() {
    let site = Site::start_with(hasty()).await;
    site.expect("/sample.li/birds.jpg", 200, "MISS").await;
    let second = "GET /sample.li/birds.jpg HTTP/1.1\r\nHost: x\r\n\r\n";
    for head in [
        format!("GET /sample.li/birds.jpg HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", second.len()),
        "GET /sample.li/birds.jpg HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n".to_owned(),
        "GET /sample.li/birds.jpg HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".to_owned(),
    ] {
        let answer = exchange(&site, format!("{head}{second}").as_bytes()).await;
        assert_eq!(answers(&answer), [200], "{head}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn who_sends_half_a_head_or_half_a_body_is_shown_out() {
    let site = Site::start_with(hasty()).await;
    let silent = exchange(&site, b"").await;
    assert_eq!(answers(&silent), [0; 0], "{silent}");
    let head = exchange(&site, b"GET /sample.li/birds.jpg HTTP/1.1\r\nHos").await;
    assert!(answers(&head).is_empty() || answers(&head) == [408], "{head}");

    let body = flush(KEY).replace("Length: 15", "Length: 16");
    let body = exchange_control(&site, body.as_bytes()).await;
    assert_eq!(answers(&body), [408], "{body}");
    assert!(body.contains("the body took too long"), "{body}");
    assert!(body.to_lowercase().contains("connection: close"), "{body}");
}

#[tokio::test]
async fn who_reads_nothing_of_the_answer_is_shown_out() {
    let time = Duration::from_secs(2);
    let site = Site::start_with(Limits { write_time: time, ..Limits::default() }).await;
    // More than the operating system takes for a client that doesn't read.
    let mut random = fastrand::Rng::with_seed(1);
    let mut noise = vec![0; 2500 * 2000 * 3];
    random.fill(&mut noise);
    let noise = Picture::from_rgb(2500, 2000, noise).unwrap();
    site.script.set("sample.li/birds.jpg", Ok(noise.encode(Format::Png, 100).unwrap().into()));
    site.expect("/sample.li/birds.jpg", 200, "MISS").await;

    // Each connection holds on to the edge.
    let before = Arc::strong_count(&site.running.edge);
    let mut stream = TcpStream::connect(site.running.delivery).await.unwrap();
    let request = b"GET /sample.li/birds.jpg HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    eventually(|| site.edge().metrics.hits.get() == 1).await;
    eventually(|| Arc::strong_count(&site.running.edge) <= before).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.len() < 14_000_000, "{} bytes", answer.len());
}

#[tokio::test]
async fn many_silent_clients_keep_nobody_from_being_served() {
    let site = Site::start().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(site.running.delivery).await.unwrap();
        stream.write_all(b"GET /sample.li/bi").await.unwrap();
        silent.push(stream);
    }
    site.expect("/sample.li/birds.jpg", 200, "MISS").await;
    site.expect("/sample.li/birds.jpg", 200, "HIT").await;
    assert_eq!(silent.len(), 200);
}

#[tokio::test]
async fn what_is_not_http_gets_a_4xx_and_changes_nothing() {
    let site = Site::start().await;
    site.expect("/sample.li/birds.jpg", 200, "MISS").await;
    let before = site.state();
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    let header = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    for request in [
        &b"GET /sample.li/birds.jpg?w=\x00 HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"GET /sample.li/a b.jpg HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET sample.li/birds.jpg HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
        long.as_bytes(),
        header.as_bytes(),
    ] {
        let answer = exchange(&site, request).await;
        let start = String::from_utf8_lossy(&request[..request.len().min(40)]);
        assert!(matches!(answers(&answer)[..], [400..=499]), "{start}: {answer}");
    }
    assert_eq!(site.state(), before);
    site.expect("/sample.li/birds.jpg", 200, "HIT").await;
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_ten_megabytes_is_not_asked() {
    let site = Site::start().await;
    let head = format!(
        "POST /invalidate HTTP/1.1\r\nHost: x\r\nX-Client-Key: {KEY}\r\nExpect: 100-continue\r\nContent-Length: 10000000\r\n\r\n"
    );
    let answer = exchange_control(&site, head.as_bytes()).await;
    assert_eq!(answers(&answer), [413], "{answer}");
}

#[tokio::test]
async fn a_client_that_reads_nothing_before_it_has_sent_everything_gets_its_answer() {
    let site = Site::start().await;
    let body = " ".repeat(10_000_000);
    for (key, expected) in [(KEY, 413), ("wrong", 401)] {
        let request = format!(
            "POST /invalidate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Client-Key: {key}\r\nContent-Length: 10000000\r\n\r\n{body}"
        );
        assert_eq!(answers(&exchange_control(&site, request.as_bytes()).await), [expected]);
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bounded_all_the_same() {
    let site = Site::start().await;
    let mut stream = TcpStream::connect(site.running.control).await.unwrap();
    let head = format!(
        "POST /invalidate HTTP/1.1\r\nHost: x\r\nX-Client-Key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..40 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = read_to_end(stream).await;
    assert_eq!(answers(&answer), [413], "{answer}");
}
