//! The control port: requests that it accepts, and its answers to all others.

use crate::rig::{HOST, Rig, client};
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_not_understood_change_nothing() {
    let rig = Rig::indexed(1 << 20).await;
    rig.origin.set("/birds/1.jpg", "a picture", &[]);
    rig.get("/birds/1.jpg").await;
    for (method, target, status, reason) in [
        (Method::GET, "/flush", 405, "expected POST"),
        (Method::POST, "/stats", 405, "expected GET"),
        (Method::POST, "/", 404, "expected /purge, /flush or /stats"),
        (Method::POST, "/flash", 404, "expected /purge, /flush or /stats"),
        (Method::POST, "/flush?hard", 400, "query: expected ?soft or none"),
        (Method::POST, "/flush/birds/1.jpg", 404, "host \"birds/1.jpg\" is not served here"),
        (Method::POST, "/flush/nobody.example", 404, "host \"nobody.example\" is not served here"),
        (
            Method::POST,
            "/purge/nobody.example/a",
            404,
            "host \"nobody.example\" is not served here",
        ),
        (Method::POST, "/purge/shop.example", 400, "expected /purge/HOST/PATH"),
        (Method::POST, "/purge", 400, "expected /purge/HOST/PATH"),
        (
            Method::POST,
            "/purge/shop.example/birds/1.jpg?w=300",
            400,
            "query: expected ?soft or none",
        ),
    ] {
        let (got, text) = rig.control(method, target).await;
        assert_eq!((got.as_u16(), text.as_str()), (status, &*format!("{reason}\n")), "{target}");
    }
    for target in ["/purge/shop.example/", "/purge/shop.example/../../a", "/purge/shop.example/a*b"]
    {
        let (status, text) = rig.control(Method::POST, target).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{target}: {text}");
    }
    assert_eq!(rig.get("/birds/1.jpg").await.cache_status(), "pingora; hit");
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_meets_every_spelling_of_the_picture() {
    let spellings =
        ["/birds/a%28.jpg?w=300", "/./birds/a%28.jpg?w=300", "/x/../b%69rds/a%28.jpg?w=300"];
    for requested in spellings {
        let rig = Rig::indexed(1 << 20).await;
        rig.origin.set("/birds/a%28.jpg", "a picture", &[]);
        assert_eq!(rig.get(requested).await.text(), Ok("a picture"));
        assert_eq!(rig.get(spellings[0]).await.cache_status(), "pingora; hit");
        // Two slashes are another picture.
        for (purged, removed) in
            [("birds/a%28.jpg", 1), ("%62irds/a%28.jpg", 1), ("y/../birds//a%28.jpg", 0)]
        {
            let text = rig.invalidate(&format!("/purge/{HOST}/{purged}")).await;
            assert!(text.contains(&format!("{removed} removed")), "{requested} {purged}: {text}");
            rig.get(requested).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_are_those_of_the_index() {
    let rig = Rig::indexed(1 << 20).await;
    rig.origin.set("/birds/1.jpg", "a picture", &[]);
    rig.get("/birds/1.jpg").await;
    let (status, text) = rig.control(Method::GET, "/stats").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.starts_with("live 1\nstale 0\ndead 0\nobjects 1\nbytes "), "{text}");
    assert_eq!(text.lines().count(), 10, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_rejects_what_names_no_picture_of_a_site() {
    let rig = Rig::indexed(1 << 20).await;
    for (method, host, target, status) in [
        (Method::GET, "nobody.example", "/a.jpg", 421),
        (Method::POST, HOST, "/a.jpg", 405),
        (Method::GET, HOST, "/../a.jpg", 400),
        (Method::GET, HOST, "/", 400),
        (Method::GET, HOST, "http://news.example/a.jpg", 400),
    ] {
        let answer = client::send(rig.proxy, method, host, target, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{host} {target}: {:?}", answer.text());
    }
    let mut raw = tokio::net::TcpStream::connect(rig.proxy).await.unwrap();
    let request = format!("GET /a.jpg HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 3\r\n\r\nabc");
    raw.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("expected no body\n"),
        "{answer}"
    );
    // Without the option for it, nobody purges through the public port.
    let method = Method::from_bytes(b"PURGE").unwrap();
    let answer = client::send(rig.proxy, method, HOST, "/a.jpg", &[]).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(rig.origin.statuses(), [0_u16; 0]);
}
