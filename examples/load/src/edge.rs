//! The edge as a separate process, so that its memory is separate.

use crate::report::Metrics;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const KEY: &str = "key-of-the-load-driver";

/// How long an answer may take. A fill that is queued behind others may take a while; none takes
/// this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running edge.
pub(crate) struct Edge {
    pub(crate) http: Http,
    /// Ends with this program.
    _process: Child,
}

/// How to reach it.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    delivery: SocketAddr,
    control: SocketAddr,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Edge {
    pub(crate) async fn start(path: Option<&Path>, origin: SocketAddr) -> Result<Self, String> {
        let beside = || Some(std::env::current_exe().ok()?.parent()?.join("edge"));
        let path: PathBuf = path.map(Path::to_owned).or_else(beside).unwrap_or_default();
        if !path.is_file() {
            let path = path.display();
            return Err(format!("{path} is missing: cargo build --release -p edge"));
        }
        let mut process = Command::new(path)
            .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
            .args(["--origin", &format!("http://{origin}/"), "--store", "64"])
            .env("EDGE_CLIENT_KEY", KEY)
            .env("EDGE_LOG", "error")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("can't start the edge: {error}"))?;
        let output = process.stdout.take().ok_or("the edge has no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut addresses = Vec::new();
        while addresses.len() < 2 {
            let line = lines.next_line().await.map_err(|error| error.to_string())?;
            let line = line.ok_or("the edge ended before it listened")?;
            let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
            addresses.push(address.and_then(|it| it.parse().ok()).ok_or("no address")?);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let http = Http { client, delivery: addresses[0], control: addresses[1] };
        Ok(Self { http, _process: process })
    }

    pub(crate) async fn metrics(&self) -> Result<Metrics, String> {
        let answer = self.http.control("GET", "/metrics", Bytes::new()).await?;
        Ok(Metrics::new(String::from_utf8_lossy(&answer.body).into_owned()))
    }

    /// Returns the edge's own report about its index and its store.
    pub(crate) async fn check(&self) -> Result<String, String> {
        let answer = self.http.control("GET", "/check", Bytes::new()).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }
}

impl Http {
    /// The same, with connections of its own.
    pub(crate) fn apart(&self) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, ..self.clone() }
    }

    pub(crate) async fn get(&self, target: &str) -> Result<Answer, String> {
        self.send("GET", self.delivery, target, Bytes::new()).await
    }

    pub(crate) async fn invalidate(&self, body: String) -> Result<Answer, String> {
        self.control("POST", "/invalidate", body.into()).await
    }

    async fn control(&self, method: &str, target: &str, body: Bytes) -> Result<Answer, String> {
        self.send(method, self.control, target, body).await
    }

    async fn send(
        &self,
        method: &str,
        server: SocketAddr,
        target: &str,
        body: Bytes,
    ) -> Result<Answer, String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{server}{target}"))
            .header("x-client-key", KEY)
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| error.to_string())?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        timeout(PATIENCE, exchange).await.map_err(|_| format!("{target}: no answer"))?
    }
}
