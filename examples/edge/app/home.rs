//! The page at `/`: the sample pictures in a browser, and how to ask for more.
//!
//! Self-contained, no script, no other host. Never the client key.

use super::edge::Edge;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use std::sync::Arc;
use tokio::task;

const TOP: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>cache-index: edge</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
ul { list-style: none; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1.5rem }
img { display: block; width: 100%; aspect-ratio: 3 / 2; object-fit: contain; background: #8882; border-radius: .5rem }
code, pre { font: 14px/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
pre { overflow-x: auto; padding: 1rem; background: #8882; border-radius: .5rem }
</style>
<h1>A caching image edge</h1>
<p>Each picture is resized when it is first asked for and served from memory afterwards: see <code>X-Cache</code> in the headers of
the answer. Reload as often as you like: what is cached stays as it is, until it is invalidated.</p>
<ul>
"#;

const OPERATIONS: &str = r"</ul>
<p>Operations: <code>w</code>, <code>h</code> in pixels; <code>func</code> = <code>crop</code>, <code>fit</code>,
<code>bound</code> or <code>cover</code>; <code>force_format</code> = <code>jpeg</code>, <code>png</code> or <code>webp</code>;
<code>q</code> from 1 to 100; <code>org_if_sml=1</code>. Invalidate with the key that the server has printed at its start:</p>
";

/// Answers `GET /`.
pub(crate) async fn home(
    State(edge): State<Arc<Edge>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if uri.query().is_some() {
        // Somebody has forgotten the picture. Delivery knows what to say about that.
        return super::delivery::deliver(State(edge), method, uri, headers).await;
    }
    let origin = Arc::clone(&edge.origin);
    let examples = task::spawn_blocking(move || origin.examples()).await.unwrap_or_default();
    let page = Html(page(&examples, host(&headers)));
    let policy = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, page).into_response()
}

fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if host.is_empty() { "127.0.0.1:8080" } else { host }
}

fn page(examples: &[String], host: &str) -> String {
    let mut page = TOP.to_owned();
    for target in examples {
        // Escaped by percent signs already; here for the apostrophe and whatever an origin may come up with.
        let target = escaped(target);
        page += &format!(
            "<li><a href=\"{target}\"><img src=\"{target}?w=480&amp;h=320&amp;func=bound\" alt=\"\">\n<code>{target}</code></a>\n"
        );
    }
    if examples.is_empty() {
        page += "<li>There is no picture in the origin's folder yet.\n";
    }
    page += OPERATIONS;
    let target = escaped(examples.first().map_or("/sample.li/now.png", String::as_str));
    page += &format!(
        "<pre>curl -X POST http://{}/invalidate -H \"X-Client-Key: $KEY\" \\\n  -H 'Content-Type: application/json' -d '{{\"scope\":\"original\",\"urls\":[\"{target}\"]}}'</pre>\n",
        escaped(host)
    );
    page
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_from_outside_becomes_markup() {
        let page = page(&["/<b>\"'&.jpg".to_owned()], "<i>");
        assert!(!page.contains("<b>") && !page.contains("<i>"), "{page}");
        assert!(page.contains("/&lt;b&gt;&quot;&#39;&amp;.jpg"), "{page}");
    }
}
