//! The origin: `/N.jpg` is the version of picture N, and some time passes before it is sent.

use crate::World;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;

/// Answers until the program ends.
pub(crate) async fn serve(world: Arc<World>) -> Result<(), String> {
    let address = world.args.origin;
    let listener =
        TcpListener::bind(address).await.map_err(|error| format!("origin {address}: {error}"))?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let world = Arc::clone(&world);
            let service = service_fn(move |request| answer(Arc::clone(&world), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(())
}

async fn answer(
    world: Arc<World>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let number = path.strip_prefix('/').and_then(|name| name.strip_suffix(".jpg"));
    let picture = number.and_then(|number| world.pictures.get(number.parse::<usize>().ok()?));
    let Some(picture) = picture else {
        let mut missing = Response::new(Full::default());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        return Ok(missing);
    };
    world.fetches.fetch_add(1, Ordering::SeqCst);
    // The version is read first and sent later: a purge falls into the gap.
    let version = picture.at_origin.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..=world.args.delay * 1000))).await;
    let answer = Response::builder()
        .header("Cache-Control", "public, max-age=3600")
        .header("Content-Type", "text/plain")
        // For a server that purges by tags.
        .header("xkey", path)
        .body(Full::from(version.to_string()));
    Ok(answer.unwrap_or_default())
}
