//! Routes: which handler answers what.
//!
//! Everything that no route names is a picture, so this list is short.

use super::delivery::deliver;
use super::edge::Edge;
use super::fault::Fault;
use super::home::home;
use super::invalidate::invalidate;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::sync::Arc;

/// All routes of the edge.
pub(crate) fn routes(edge: Arc<Edge>) -> Router {
    let post_only =
        || async { Fault::new(StatusCode::METHOD_NOT_ALLOWED, "expected POST").into_json() };
    let get_only = || async { Fault::new(StatusCode::METHOD_NOT_ALLOWED, "expected GET or HEAD") };
    Router::new()
        .route("/", get(home).fallback(get_only))
        .route("/invalidate", post(invalidate).fallback(post_only))
        .fallback(deliver)
        .with_state(edge)
}
