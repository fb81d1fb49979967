//! The page at `/` of the control listener, and its data.
//!
//! Invariant: self-contained, from no other host, and nothing that comes from outside becomes
//! markup: what the page shows, it fetches as JSON. The client key is told to nobody who could not
//! read it where it was printed: only one that was made up at the start, and only to a browser on
//! this machine that knows this server by its address.

use super::accounts::{Account, Host, is_address};
use super::control::{authorize, head_of, reply};
use super::edge::Edge;
use super::server::Peer;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use cache_index::canonical::V7;
use http_body_util::Full;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task;
use uuid::Uuid;

const PAGE: &str = include_str!("page.html");

/// Stands in the page for a number that changes with each answer: a script without it isn't run.
const NONCE: &str = "{{nonce}}";

/// Answers `GET /`.
pub(crate) async fn page(State(edge): State<Arc<Edge>>, request: Request) -> Response<Full<Bytes>> {
    let parts = head_of(request);
    let nonce = Uuid::new_v4().simple().to_string();
    let pictures = match edge.accounts.sole() {
        Some(sole) => delivery(&edge, &parts, Some(sole)),
        // Each customer has its own host. The hosts are not revealed without a key.
        None => format!("http://*:{}", edge.delivery_port()),
    };
    let policy = format!(
        "default-src 'none'; img-src 'self' blob: data: {pictures}; connect-src 'self' {pictures}; \
         style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let mut response = Response::new(Full::new(Bytes::from(PAGE.replace(NONCE, &nonce))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Answers `GET /page.json`: the base of the pictures, and their list. With several customers, the
/// request must have a key.
pub(crate) async fn facts(
    State(edge): State<Arc<Edge>>,
    request: Request,
) -> Response<Full<Bytes>> {
    let parts = head_of(request);
    let account = match edge.accounts.sole() {
        Some(sole) => Arc::clone(sole),
        None if !parts.headers.contains_key("x-client-key") => {
            let answer = json!({ "needs_key": true, "client_key": null, "account": null });
            return reply(StatusCode::OK, &answer);
        }
        None => match authorize(&edge, &parts) {
            Ok(account) => account,
            Err(fault) => return fault.to_json(),
        },
    };
    let origin = Arc::clone(&edge.origin);
    let pictures = task::spawn_blocking(move || origin.examples()).await.unwrap_or_default();
    let key = shown_key(&edge, &parts);
    let answer = json!({
        "needs_key": key.is_none(),
        "client_key": key,
        "account": {
            "token": account.token(),
            "delivery": delivery(&edge, &parts, Some(&account)),
            "pictures": targets(&account, &pictures),
            "prefix": account.prefix,
        },
    });
    reply(StatusCode::OK, &answer)
}

/// The request targets under which this customer's pictures are asked for.
fn targets(account: &Account, pictures: &[String]) -> Vec<Value> {
    let segment = if account.v7 == V7::Required { "/v7" } else { "" };
    // Names are those of the origin; below a prefix they lack it.
    let below = account.prefix.as_deref().and_then(|prefix| prefix.split_once("://"));
    let below = below.map(|(_, host)| format!("/{}/", host.trim_end_matches('/')));
    let short = |picture: &String| match &below {
        Some(below) => picture.strip_prefix(below.as_str()).map(|rest| format!("/{rest}")),
        None => Some(picture.clone()),
    };
    pictures.iter().filter_map(short).map(|target| json!(format!("{segment}{target}"))).collect()
}

/// Where a browser that came here under this request's host finds the pictures.
fn delivery(edge: &Edge, parts: &Parts, account: Option<&Arc<Account>>) -> String {
    let port = edge.delivery_port();
    let asked = Host::of(&parts.uri, &parts.headers).name().unwrap_or("127.0.0.1");
    let safe = asked.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
    let asked = if safe && !asked.is_empty() { asked } else { "127.0.0.1" };
    let host = match account {
        Some(account) if edge.accounts.sole().is_none() => {
            let token = || format!("{}.cloudimg.io", account.token());
            account.custom_host.clone().unwrap_or_else(token)
        }
        _ => asked.to_owned(),
    };
    format!("http://{host}:{port}")
}

/// Returns the generated key, for clients that may read it.
fn shown_key<'e>(edge: &'e Edge, parts: &Parts) -> Option<&'e str> {
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
    // Another site's page could have made a name point here.
    let by_address = Host::of(&parts.uri, &parts.headers).name().is_ok_and(is_address);
    edge.shown_key.as_deref().filter(|_| peer.loopback && by_address)
}
