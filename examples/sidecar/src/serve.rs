//! HTTP on the socket: ids, fetches and purges.

use crate::pictures::Pictures;
use http_body_util::{Either, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use tokio::net::UnixListener;

/// The path that nginx asks for an id.
const ID: &str = "/.cache-index/id";
/// The request of the client, for which an id is asked.
const TARGET: &str = "x-target";
/// The id, in answers of `ID` and in fetches.
const ID_HEADER: &str = "x-cache-index-id";

type Http = Client<HttpConnector, Empty<Bytes>>;
type Body = Either<Full<Bytes>, Incoming>;

struct Server {
    pictures: Arc<Pictures>,
    origin: String,
    http: Http,
}

/// Answers until the program ends.
pub(crate) async fn serve(
    socket: &Path,
    origin: String,
    pictures: Arc<Pictures>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", socket.display());
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    let http = Client::builder(TokioExecutor::new()).build_http();
    let server = Arc::new(Server { pictures, origin, http });
    loop {
        let (stream, _) = listener.accept().await.map_err(failed)?;
        let server = Arc::clone(&server);
        let service = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut answer = Response::new(Either::Left(Full::from(text)));
    *answer.status_mut() = status;
    answer
}

fn header<'r>(request: &'r Request<Incoming>, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        if target == ID {
            let id = self.pictures.id(header(&request, TARGET).unwrap_or_default());
            let mut answer = text(StatusCode::OK, String::new());
            if let Ok(value) = HeaderValue::from_str(&format!("{id:x}")) {
                answer.headers_mut().insert(ID_HEADER, value);
            }
            return answer;
        }
        if request.method() == "PURGE" {
            let soft = header(&request, "soft") == Some("1");
            return match self.pictures.purge(target, soft) {
                Ok(report) => text(StatusCode::OK, report),
                Err(error) => text(StatusCode::BAD_REQUEST, error + "\n"),
            };
        }
        self.fetch(&request, target).await
    }

    /// Only an answer that is stored in the index may be cached under its id.
    async fn fetch(&self, request: &Request<Incoming>, target: &str) -> Response<Body> {
        let id = header(request, ID_HEADER).and_then(|id| u64::from_str_radix(id, 16).ok());
        // The server caches no answer to another method: such a request would only end the lease of
        // the id, or remove its entry.
        let id = id.filter(|_| request.method() == Method::GET);
        let fetch = id.map(|id| self.pictures.fetch(target, id));
        let mut answer = match self.ask_origin(request, target).await {
            Ok(answer) => answer.map(Either::Right),
            // The lease is dropped: the fill has failed.
            Err(error) => return text(StatusCode::BAD_GATEWAY, error + "\n"),
        };
        let good = answer.status().is_success();
        let stored = good && fetch.is_some_and(|fetch| self.pictures.fetched(fetch));
        if !stored {
            answer.headers_mut().insert("x-accel-expires", HeaderValue::from_static("0"));
        }
        answer
    }

    async fn ask_origin(
        &self,
        request: &Request<Incoming>,
        target: &str,
    ) -> Result<Response<Incoming>, String> {
        let uri: Uri = format!("http://{}{target}", self.origin)
            .parse()
            .map_err(|error| format!("{error}"))?;
        let mut fetch = Request::new(Empty::new());
        *fetch.method_mut() = request.method().clone();
        *fetch.uri_mut() = uri;
        for name in ["accept", "accept-language", "user-agent"] {
            if let Some(value) = request.headers().get(name) {
                fetch.headers_mut().insert(name, value.clone());
            }
        }
        self.http.request(fetch).await.map_err(|error| format!("origin {}: {error}", self.origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::client::conn::http1::handshake;
    use std::time::Duration;
    use tokio::net::{TcpListener, UnixStream};

    /// An origin that answers each request.
    async fn origin() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer =
                    |_| async { Ok::<_, Infallible>(text(StatusCode::OK, "x".to_owned())) };
                let connection = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer));
                tokio::spawn(connection);
            }
        });
        address.to_string()
    }

    #[tokio::test]
    async fn methods_that_are_not_cached_touch_no_entry_and_no_lease() {
        let pictures = Arc::new(Pictures::new(Duration::from_secs(3600), None));
        let name = format!("cache-index-sidecar-{}.sock", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let origin = origin().await;
        tokio::spawn({
            let (socket, pictures) = (socket.clone(), Arc::clone(&pictures));
            async move { serve(&socket, origin, pictures).await }
        });
        let stream = loop {
            if let Ok(stream) = UnixStream::connect(&socket).await {
                break stream;
            }
            tokio::task::yield_now().await;
        };
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);

        let target = "/a.jpg?w=200";
        let id = pictures.id(target);
        for (method, stored) in [
            (Method::POST, false),
            (Method::GET, true),
            (Method::POST, false),
            (Method::GET, false),
        ] {
            assert_eq!(pictures.id(target), id, "before {method}");
            let request = Request::builder().method(&method).uri(target);
            let request = request.header(ID_HEADER, format!("{id:x}"));
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{method}");
            let may_cache = !answer.headers().contains_key("x-accel-expires");
            assert_eq!(may_cache, stored, "{method}");
        }
        // The server has asked for it twice, so it has lost it.
        assert_ne!(pictures.id(target), id);
        std::fs::remove_file(&socket).unwrap();
    }
}
