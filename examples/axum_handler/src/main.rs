//! A picture handler and a purge handler for axum, with the index and a map of objects inside.
//!
//! ```sh
//! cargo run -p axum_handler
//! ```

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use cache_index::{CacheIndex, Hard, Insertion, OriginPath, Tenant, VariantKey};
use std::sync::Arc;
use tower::ServiceExt;

/// The rendered picture is the value itself. A larger server stores an object id.
type Rendition = Arc<str>;
type App = Arc<(CacheIndex<Rendition>, Tenant)>;

/// `GET /SIZE/NAME`
async fn picture(
    State(app): State<App>,
    Path((size, name)): Path<(String, String)>,
) -> Result<String, StatusCode> {
    let (index, tenant) = &*app;
    let path = OriginPath::opaque(&*name).map_err(|_| StatusCode::BAD_REQUEST)?;
    let key = VariantKey::opaque(&*size).map_err(|_| StatusCode::BAD_REQUEST)?;
    if let Some(hit) = index.lookup(tenant, &path, &key).servable() {
        return Ok(format!("hit: {hit}"));
    }
    // The lease comes first. It holds no lock, so it may live across an await.
    let lease = index.lease(tenant, &path);
    let rendition = render(&name, &size).await;
    Ok(match lease.commit(&key, rendition.clone()) {
        Insertion::Stored(_) => format!("miss: {rendition}"),
        // The answer is good enough for this client, which asked before the purge, and for no other
        // client.
        Insertion::Refused(_) => format!("overtaken: {rendition}"),
    })
}

/// `DELETE /SIZE/NAME`: purges the picture in all sizes.
async fn purge(
    State(app): State<App>,
    Path((_, name)): Path<(String, String)>,
) -> Result<String, StatusCode> {
    let path = OriginPath::opaque(&*name).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(format!("purged {}", app.0.purge(&app.1, &path, Hard).len()))
}

async fn render(name: &str, size: &str) -> Rendition {
    tokio::task::yield_now().await;
    format!("{name} at {size}").into()
}

#[tokio::main]
async fn main() {
    let index = CacheIndex::default();
    let tenant = index.tenant("shop");
    let app = Router::new()
        .route("/{size}/{name}", get(picture).delete(purge))
        .with_state(Arc::new((index, tenant)));
    // A server passes `app` to `axum::serve`. Here it is asked directly.
    for (method, target, expected) in [
        ("GET", "/300/a.jpg", "miss: a.jpg at 300"),
        ("GET", "/300/a.jpg", "hit: a.jpg at 300"),
        ("GET", "/600/a.jpg", "miss: a.jpg at 600"),
        ("DELETE", "/300/a.jpg", "purged 2"),
        ("GET", "/600/a.jpg", "miss: a.jpg at 600"),
    ] {
        let request = Request::builder().method(method).uri(target).body(Body::empty()).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        let body = to_bytes(answer.into_body(), 1000).await.unwrap();
        assert_eq!(body, expected, "{method} {target}");
    }
}
