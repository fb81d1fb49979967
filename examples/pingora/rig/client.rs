//! Clients.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// An answer, whole or cut off.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// `Err` if the connection was closed before the end of the body.
    pub body: Result<Bytes, String>,
}

impl Answer {
    #[track_caller]
    pub fn text(&self) -> Result<&str, &str> {
        let body = self.body.as_ref().map_err(String::as_str)?;
        Ok(std::str::from_utf8(body).expect("a text"))
    }

    pub fn cache_status(&self) -> &str {
        self.headers.get("cache-status").map_or("", |value| value.to_str().unwrap())
    }
}

/// A connection that is kept.
pub struct Connection(SendRequest<Empty<Bytes>>);

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move {
            // An error is reported to the request, too.
            let _ = connection.await;
        });
        Self(sender)
    }

    /// Sends a request, and returns when the header of the answer has arrived.
    pub async fn begin(
        &mut self,
        method: Method,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<http::Response<Incoming>, hyper::Error> {
        self.0.ready().await?;
        let request = Request::builder().method(method).uri(target).header("host", host);
        let request = headers.iter().fold(request, |all, (name, value)| all.header(*name, *value));
        self.0.send_request(request.body(Empty::new()).unwrap()).await
    }
}

/// Reads an answer to its end.
pub async fn read(answer: http::Response<Incoming>) -> Answer {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes);
    let body = body.map_err(|error| format!("{error:?}"));
    Answer { status: head.status, headers: head.headers, body }
}

/// An answer of which the header and the first part of the body have arrived.
pub struct Begun {
    connection: Connection,
    pub headers: HeaderMap,
    pub first: Bytes,
    rest: Incoming,
}

impl Begun {
    pub async fn open(address: SocketAddr, host: &str, target: &str) -> Self {
        let mut connection = Connection::open(address).await;
        let answer = connection.begin(Method::GET, host, target, &[]).await.expect("an answer");
        let (head, mut rest) = answer.into_parts();
        let first = rest.frame().await.expect("a body").unwrap().into_data().unwrap();
        Self { connection, headers: head.headers, first, rest }
    }

    /// Returns the whole body, or an error if it was cut off.
    pub async fn finish(self) -> Result<String, String> {
        let rest = self.rest.collect().await.map_err(|error| format!("{error:?}"))?;
        drop(self.connection);
        let body = [self.first, rest.to_bytes()].concat();
        Ok(String::from_utf8(body).expect("a text"))
    }
}

pub async fn send(
    address: SocketAddr,
    method: Method,
    host: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut connection = Connection::open(address).await;
    let answer = connection.begin(method, host, target, headers).await;
    read(answer.expect("an answer")).await
}

pub async fn get(
    address: SocketAddr,
    host: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    send(address, Method::GET, host, target, headers).await
}
