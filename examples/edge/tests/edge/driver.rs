//! `Client`: the few commands of chromedriver that the test of the page needs, by the protocol
//! WebDriver: JSON over HTTP.

use axum::body::Bytes;
use axum::http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// The keys of a keyboard that have no character, as the protocol spells them.
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const TAB: &str = "\u{e004}";

/// The name under which the protocol sends the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

type Answer = Result<Value, String>;

/// A session of a browser.
#[derive(Clone)]
pub(crate) struct Client {
    http: Http<HttpConnector, Full<Bytes>>,
    session: String,
}

/// An element of the page that is open.
pub(crate) struct Element {
    client: Client,
    path: String,
}

impl Client {
    /// Opens a browser by the chromedriver on that port.
    pub(crate) async fn open(port: &str, capabilities: &Value) -> Result<Self, String> {
        let http = Http::builder(TokioExecutor::new()).build_http();
        let driver = Self { http, session: format!("http://127.0.0.1:{port}/session") };
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let opened = driver.send(Method::POST, "", &wanted).await?;
        let id = opened["sessionId"].as_str().ok_or("no id of a session")?;
        Ok(Self { session: format!("{}/{id}", driver.session), ..driver })
    }

    /// Closes the browser.
    pub(crate) async fn close(&self) -> Answer {
        self.send(Method::DELETE, "", &Value::Null).await
    }

    pub(crate) async fn goto(&self, url: &str) -> Answer {
        self.post("/url", &json!({ "url": url })).await
    }

    pub(crate) async fn title(&self) -> Result<String, String> {
        self.get("/title").await.map(text)
    }

    /// Runs a script on the page, and returns its result.
    pub(crate) async fn execute(&self, script: &str, arguments: Vec<Value>) -> Answer {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments })).await
    }

    /// A picture of the page, as PNG.
    pub(crate) async fn screenshot(&self) -> Result<Vec<u8>, String> {
        self.get("/screenshot").await.map(|picture| from_base64(&text(picture)))
    }

    pub(crate) async fn find(&self, selector: &str) -> Result<Element, String> {
        let wanted = json!({ "using": "css selector", "value": selector });
        self.post("/element", &wanted).await.map(|found| self.element(&found))
    }

    pub(crate) async fn active_element(&self) -> Result<Element, String> {
        self.get("/element/active").await.map(|found| self.element(&found))
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &Value::Null).await
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let body = if method == Method::POST { body.to_string() } else { String::new() };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.session))
            .header("content-type", "application/json; charset=utf-8")
            .body(Full::from(body))
            .map_err(|error| error.to_string())?;
        let answer = self.http.request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        let mut body: Value =
            serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())?;
        let value = body["value"].take();
        if status.is_success() { Ok(value) } else { Err(format!("{path}: {value}")) }
    }

    fn element(&self, found: &Value) -> Element {
        let id = found[ELEMENT].as_str().unwrap_or_default();
        Element { client: self.clone(), path: format!("/element/{id}") }
    }
}

impl Element {
    pub(crate) async fn click(&self) -> Answer {
        self.client.post(&format!("{}/click", self.path), &json!({})).await
    }

    pub(crate) async fn clear(&self) -> Answer {
        self.client.post(&format!("{}/clear", self.path), &json!({})).await
    }

    pub(crate) async fn send_keys(&self, keys: &str) -> Answer {
        self.client.post(&format!("{}/value", self.path), &json!({ "text": keys })).await
    }

    pub(crate) async fn text(&self) -> Result<String, String> {
        self.client.get(&format!("{}/text", self.path)).await.map(text)
    }

    /// Chooses the option with that value.
    pub(crate) async fn select_by_value(&self, value: &str) -> Answer {
        let wanted =
            json!({ "using": "css selector", "value": format!("option[value='{value}']") });
        let found = self.client.post(&format!("{}/element", self.path), &wanted).await?;
        self.client.element(&found).click().await
    }
}

fn text(value: Value) -> String {
    if let Value::String(text) = value { text } else { value.to_string() }
}

fn from_base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held).to_le_bytes()[0]);
        }
    }
    bytes
}

#[test]
fn base64_is_read_with_and_without_padding() {
    assert_eq!(from_base64("UE5H"), b"PNG");
    assert_eq!(from_base64("iVA="), [0x89, b'P']);
    assert_eq!(from_base64("+/8="), [0xfb, 0xff]);
}
