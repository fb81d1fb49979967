//! The origin: pictures in one color, which is their version. A color survives every resizing.

use crate::versions::Versions;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pictures::{Format, Picture};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Serves the pictures on a free port, each `behind` versions older than it is.
pub(crate) async fn serve(versions: Arc<Versions>, behind: u32) -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let versions = Arc::clone(&versions);
            let answer = service_fn(move |request| answer(Arc::clone(&versions), behind, request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    Ok(address)
}

/// The path of a picture. Ten of them make a folder.
pub(crate) fn path(number: usize) -> String {
    format!("/{:04}/{number}.png", number / 10)
}

async fn answer(
    versions: Arc<Versions>,
    behind: u32,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = request.uri().path().rsplit('/').next().and_then(|name| name.strip_suffix(".png"));
    let version = name.and_then(|name| versions.at_origin(name.parse().ok()?));
    let Some(version) = version else {
        let mut missing = Response::new(Full::default());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return Ok(missing);
    };
    // The version is read first and sent later: that is the gap into which an invalidation falls.
    tokio::time::sleep(Duration::from_micros(fastrand::u64(0..4000))).await;
    Ok(Response::new(Full::new(picture(version.saturating_sub(behind)))))
}

fn picture(version: u32) -> Bytes {
    let [_, red, green, blue] = version.to_be_bytes();
    let picture = Picture::filled(32, 32, [red, green, blue]);
    // Without bytes, the edge reports that this is not a picture.
    picture.encode(Format::Png, 100).map(Bytes::from).unwrap_or_default()
}

/// The version that a rendition carries, if it is one color throughout.
pub(crate) fn version(bytes: &[u8]) -> Option<u32> {
    let [red, green, blue] = Picture::decode(bytes).ok()?.color()?;
    Some(u32::from_be_bytes([0, red, green, blue]))
}
