//! A client: the few requests that the tour and the tests make, over real HTTP.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long an answer may take. Generous: it only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks one server, on both of its listeners.
#[derive(Clone)]
pub(crate) struct Client {
    http: Legacy<HttpConnector, Full<Bytes>>,
    pub(crate) delivery: SocketAddr,
    control: SocketAddr,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new(delivery: SocketAddr, control: SocketAddr) -> Self {
        Self { http: Legacy::builder(TokioExecutor::new()).build_http(), delivery, control }
    }

    /// Asks for a picture.
    pub(crate) async fn get(&self, target: &str) -> Result<Answer, String> {
        self.send(Method::GET, target, &[], Bytes::new()).await
    }

    /// Posts an invalidation.
    pub(crate) async fn invalidate(
        &self,
        key: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let headers = [("x-client-key", key), ("content-type", "application/json")];
        self.control(Method::POST, "/invalidate", &headers, body.into()).await
    }

    /// Sends a request to the delivery listener.
    pub(crate) async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, String> {
        self.exchange(self.delivery, method, target, headers, body).await
    }

    /// Sends a request to the control listener.
    pub(crate) async fn control(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, String> {
        self.exchange(self.control, method, target, headers, body).await
    }

    async fn exchange(
        &self,
        server: SocketAddr,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(format!("http://{server}{target}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| error.to_string())?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        timeout(PATIENCE, exchange).await.map_err(|_| "no answer in a minute".to_owned())?
    }
}

impl Answer {
    /// Returns the value of a header, or an empty text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns `HIT`, `STALE`, `MISS`, or an empty text.
    pub(crate) fn cache(&self) -> &str {
        self.header("x-cache")
    }
}
