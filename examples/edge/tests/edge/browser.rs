//! The page of the control listener, in a real headless Chromium, driven as a user would: by clicks
//! and keys.
//!
//! Needs `chromium` and `chromedriver` (Debian's packages chromium and chromium-driver). Without
//! them, the test reports this on standard error and passes, unless `EDGE_BROWSER=required` is set.
//! `EDGE_SCREENSHOT=FILE.png` keeps a picture of the page.

use crate::app::accounts::{AccountSettings, Unnamed};
use crate::app::client_key::ClientKey;
use crate::app::edge::{Edge, Limits, Setup};
use crate::app::origin::samples::Samples;
use crate::app::server::Running;
use crate::driver::{Client, ENTER, Element, TAB};
use crate::harness::{KEY, PATIENCE, setup};
use cache_index::canonical::{Grouping, V7};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const OTHER_KEY: &str = "another-key-for-tests";
const NOW: &str = "/sample.li/now.png";
const ANN: &str = "/sample.li/avatars/ann.png";
const BEN: &str = "/sample.li/avatars/ben.png";

/// The options of Chromium: no request leaves this machine.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--window-size=1280,1000",
];

#[tokio::test]
async fn page_does_in_a_browser_what_it_says() {
    let Some((driver, port)) = driver().await else { return };
    let running = serve().await;
    let client = session(port).await;
    let browser = Browser { client: client.clone(), page: format!("http://{}/", running.control) };
    // Apart, so that the browser is closed also when a step fails.
    let ended = tokio::spawn(async move {
        browser.open(NOW).await;
        browser.loads_without_a_complaint().await;
        browser.second_request_is_a_hit().await;
        browser.refuses_to_go_on_without_the_key().await;
        browser.one_picture_is_made_anew_and_its_neighbors_stay().await;
        browser.soft_serves_the_old_picture_once_more().await;
        browser.folder_takes_what_is_in_it().await;
        browser.dry_run_changes_nothing().await;
        browser.everything_goes().await;
        browser.keyboard_alone_will_do().await;
        browser.another_picture_can_be_shown().await;
        browser.commands_are_those_of_the_buttons().await;
        browser.keep_screenshot().await;
        browser.fits_on_a_phone_and_can_be_read_in_the_dark().await;
        running.stop().await;
        browser.says_that_the_server_is_gone().await;

        let running = serve_two().await;
        let page = format!("http://{}/", running.control);
        Browser { page, ..browser }.shows_each_customer_their_own().await;
        running.stop().await;
    })
    .await;
    client.close().await.unwrap();
    drop(driver);
    if let Err(failed) = ended {
        std::panic::resume_unwind(failed.into_panic());
    }
}

/// Starts chromedriver on a free port.
async fn driver() -> Option<(Child, String)> {
    let has = |name: &str| {
        let paths = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&paths).any(|folder| folder.join(name).is_file())
    };
    if let Some(missing) = ["chromium", "chromedriver"].into_iter().find(|name| !has(name)) {
        let required = env::var("EDGE_BROWSER").is_ok_and(|value| value == "required");
        assert!(!required, "{missing} is missing");
        // Bypasses the harness, which hides the output of a passing test.
        let said = "SKIPPED: the page was not tested in a browser";
        let _ = writeln!(std::io::stderr(), "{said}, as {missing} is not installed");
        return None;
    }
    let mut driver = Command::new("chromedriver");
    driver.arg("--port=0").kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut driver = driver.spawn().unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("chromedriver says its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return port.trim_end_matches('.').to_owned();
            }
        }
    };
    let port = timeout(PATIENCE, port).await.unwrap();
    // Later output must not block Chromium.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Some((driver, port))
}

async fn session(port: String) -> Client {
    let capabilities = json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "args": FLAGS },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    timeout(PATIENCE, Client::open(&port, &capabilities)).await.unwrap().unwrap()
}

/// An edge in front of the sample pictures.
async fn serve() -> Running {
    let samples = Arc::new(Samples::draw().unwrap());
    let edge = Edge::new(samples, setup(Grouping::Grouped, Limits::default())).unwrap();
    Running::start(edge).await.unwrap()
}

/// The same for two customers, each with a host that is known to every browser.
async fn serve_two() -> Running {
    let customer = |token, key, host: &str, v7| AccountSettings {
        custom_host: Some(host.to_owned()),
        v7,
        ..AccountSettings::new(token, ClientKey::new(key).unwrap())
    };
    let accounts = vec![
        customer("doc", KEY, "localhost", V7::Never),
        customer("old", OTHER_KEY, "127.0.0.1", V7::Required),
    ];
    let one = setup(Grouping::Grouped, Limits::default());
    let samples = Arc::new(Samples::draw().unwrap());
    let edge = Edge::new(samples, Setup { accounts, unnamed: Unnamed::Nobody, ..one }).unwrap();
    Running::start(edge).await.unwrap()
}

struct Browser {
    client: Client,
    page: String,
}

/// The content of the page for one picture.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Seen {
    /// HIT, STALE or MISS of each size.
    states: Vec<String>,
    /// When each size was made.
    times: Vec<String>,
    /// A digest of the pixels on the screen.
    pixels: String,
}

impl Seen {
    fn all(&self, state: &str) -> bool {
        self.states.len() == 3 && self.states.iter().all(|seen| seen == state)
    }

    /// Returns the part that must not change for a picture without a change.
    fn content(&self) -> (&[String], &str) {
        (&self.times, &self.pixels)
    }
}

/// Returns the content of each picture, once each has been requested this often and is shown; null
/// before.
const LOOK: &str = r#"
const turns = arguments[0], cards = [...document.querySelectorAll("article")];
const texts = (card, selector, name) => [...card.querySelectorAll(selector)].map((node) => node[name]);
const pixels = (image) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  let hash = 0;
  for (const byte of context.getImageData(0, 0, canvas.width, canvas.height).data) hash = (Math.imul(hash, 31) + byte) | 0;
  return `${canvas.width} ${hash}`;
};
const ready = (card) => {
  const image = card.querySelector("img");
  return card.dataset.turn >= (turns[card.dataset.picture] || 1) && image.complete && image.naturalWidth > 0;
};
const missing = Object.keys(turns).some((path) => !cards.some((card) => card.dataset.picture === path));
if (!cards.length || missing || !cards.every(ready)) return null;
return Object.fromEntries(cards.map((card) => [card.dataset.picture, {
  states: texts(card, ".state", "textContent"), times: texts(card, "time", "dateTime"), pixels: pixels(card.querySelector("img")),
}]));
"#;

/// The little that the steps share.
impl Browser {
    async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let running = self.client.execute(script, arguments);
        timeout(PATIENCE, running).await.unwrap().unwrap()
    }

    /// Waits until the script returns a value other than null and false.
    #[track_caller]
    fn until<'a>(
        &'a self,
        script: &'a str,
        arguments: Vec<Value>,
    ) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let waiting = async {
                loop {
                    let value = self.run(script, arguments.clone()).await;
                    if !value.is_null() && value != false {
                        return value;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            };
            let Ok(value) = timeout(PATIENCE, waiting).await else {
                panic!("never came true: {script} at {caller}");
            };
            value
        }
    }

    async fn find(&self, selector: &str) -> Element {
        self.client.find(selector).await.unwrap()
    }

    async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.unwrap()
    }

    async fn choose(&self, picture: &str) {
        self.find("#chosen").await.select_by_value(picture).await.unwrap();
    }

    /// How often each picture has been asked for.
    async fn turns(&self) -> BTreeMap<String, u64> {
        let script = "return [...document.querySelectorAll('article')].map((card) => [card.dataset.picture, Number(card.dataset.turn || 0)])";
        serde_json::from_value(self.run(script, vec![]).await)
            .map(|turns: Vec<(String, u64)>| turns.into_iter().collect())
            .unwrap()
    }

    /// Returns the content of the page after this number of requests for each picture.
    async fn look(&self, turns: &BTreeMap<String, u64>) -> BTreeMap<String, Seen> {
        serde_json::from_value(self.until(LOOK, vec![json!(turns)]).await).unwrap()
    }

    /// Returns the content of the page after all pictures have been requested again because of a
    /// click.
    async fn after(&self, selector: &str) -> BTreeMap<String, Seen> {
        let mut turns = self.turns().await;
        self.click(selector).await;
        for turn in turns.values_mut() {
            *turn += 1;
        }
        self.look(&turns).await
    }

    async fn now(&self) -> BTreeMap<String, Seen> {
        self.look(&self.turns().await).await
    }

    /// Opens the page, and waits until the picture is there.
    async fn open(&self, picture: &str) {
        self.client.goto(&self.page).await.unwrap();
        let there =
            "return document.querySelector(`[data-picture='${arguments[0]}'][data-turn]`) !== null";
        self.until(there, vec![picture.into()]).await;
    }
}

#[track_caller]
fn assert_others_stayed(
    before: &BTreeMap<String, Seen>,
    after: &BTreeMap<String, Seen>,
    gone: &[&str],
) {
    assert_eq!(before.len(), after.len());
    for (path, seen) in after.iter().filter(|(path, _)| !gone.contains(&path.as_str())) {
        assert!(seen.all("HIT"), "{path}: {seen:?}");
        assert_eq!(seen.content(), before[path].content(), "{path}");
    }
}

/// The steps, each of which goes on where the one before has ended.
impl Browser {
    async fn loads_without_a_complaint(&self) {
        let first = self.look(&BTreeMap::from([(NOW.to_owned(), 1), (BEN.to_owned(), 1)])).await;
        assert_eq!(first.len(), 6);
        assert!(first.values().all(|seen| seen.all("MISS")), "{first:?}");
        assert_eq!(self.client.title().await.unwrap(), "Try it out: cache-index edge");
        let srcset = self.run("return document.querySelector('article img').srcset", vec![]).await;
        let widths: Vec<_> =
            srcset.as_str().unwrap().split(", ").map(|s| s.split(' ').nth(1)).collect();
        assert_eq!(widths, [Some("160w"), Some("320w"), Some("640w")]);
        assert_eq!(self.run("return document.querySelectorAll('.shown').length", vec![]).await, 6);
        assert_eq!(self.complaints().await, [""; 0]);
    }

    /// Returns warnings and errors of the browser's console: failed scripts, and violations of the
    /// content security policy.
    async fn complaints(&self) -> Vec<String> {
        let log = self.client.post("/se/log", &json!({ "type": "browser" })).await.unwrap();
        let entries = log.as_array().unwrap().iter();
        let bad =
            entries.filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")));
        bad.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn second_request_is_a_hit(&self) {
        let before = self.now().await;
        let after = self.after("#reload").await;
        assert_others_stayed(&before, &after, &[]);
        // Counters and chart follow within a second or so.
        self.until(
            "return /^[1-9]/.test(document.querySelector('#counters dd').textContent)",
            vec![],
        )
        .await;
        self.until(
            "return document.querySelector('#chart .entries-line').getAttribute('d').includes('L')",
            vec![],
        )
        .await;
    }

    async fn refuses_to_go_on_without_the_key(&self) {
        self.click("[data-scope=picture]").await;
        self.until(
            "return document.querySelector('#receipt .state')?.textContent === '401'",
            vec![],
        )
        .await;
        assert!(self.text("#receipt").await.contains("client key"));
        let key = self.find("#key").await;
        key.send_keys("wrong").await.unwrap();
        self.click("#key-field button").await;
        self.until(
            "return /client key/.test(document.querySelector('#cached').textContent)",
            vec![],
        )
        .await;
        key.clear().await.unwrap();
        key.send_keys(&format!("{KEY}{ENTER}")).await.unwrap();
        self.until("return document.querySelectorAll('#cached tr').length === 3", vec![]).await;
        // A refusal changes nothing.
        assert!(self.after("#reload").await.values().all(|seen| seen.all("HIT")));
        // The browser reports refusals in its console.
        self.complaints().await;
    }

    async fn one_picture_is_made_anew_and_its_neighbors_stay(&self) {
        let before = self.now().await;
        let after = self.after("[data-scope=picture]").await;
        let (old, new) = (&before[NOW], &after[NOW]);
        assert!(new.all("MISS"), "{new:?}");
        assert_ne!(old.pixels, new.pixels, "the picture shows another time");
        for (old, new) in old.times.iter().zip(&new.times) {
            assert!(old < new, "{old} {new}");
        }
        assert_others_stayed(&before, &after, &[NOW]);
        let receipt = self.text("#receipt").await;
        assert!(receipt.contains("201 3 variants removed"), "{receipt}");
        assert!(receipt.contains("sample.li/now.png removed 3 0"), "{receipt}");
    }

    async fn soft_serves_the_old_picture_once_more(&self) {
        self.click("[value=soft]").await;
        let before = self.now().await;
        let after = self.after("[data-scope=picture]").await;
        assert!(after[NOW].all("STALE"), "{:?}", after[NOW]);
        assert_eq!(after[NOW].content(), before[NOW].content());
        assert_others_stayed(&before, &after, &[NOW]);
        assert!(self.text("#receipt").await.contains("made stale"));
        // A request that is served the old picture makes the server fetch the new one.
        let mut refreshed = self.after("#reload").await;
        while !refreshed[NOW].all("HIT") {
            refreshed = self.after("#reload").await;
        }
        assert_ne!(refreshed[NOW].pixels, before[NOW].pixels);
        assert_others_stayed(&before, &refreshed, &[NOW]);
        self.click("[value=hard]").await;
    }

    async fn folder_takes_what_is_in_it(&self) {
        self.choose(ANN).await;
        assert_eq!(self.text("#folder").await, "/sample.li/avatars/*");
        let before = self.now().await;
        let after = self.after("[data-scope=folder]").await;
        assert!(after[ANN].all("MISS") && after[BEN].all("MISS"), "{after:?}");
        assert_others_stayed(&before, &after, &[ANN, BEN]);
        assert!(
            self.text("#receipt")
                .await
                .contains("sample.li/avatars/* invalidated, matches not counted")
        );
    }

    async fn dry_run_changes_nothing(&self) {
        let before = self.now().await;
        self.click("#dry").await;
        self.click("[data-scope=all]").await;
        self.until("return /^200/.test(document.querySelector('#receipt').textContent)", vec![])
            .await;
        assert!(self.text("#receipt").await.contains("18 variants removed"));
        self.click("#dry").await;
        assert_others_stayed(&before, &self.after("#reload").await, &[]);
    }

    async fn everything_goes(&self) {
        let before = self.now().await;
        let after = self.after("[data-scope=all]").await;
        assert!(after.values().all(|seen| seen.all("MISS")), "{after:?}");
        assert_ne!(before[NOW].pixels, after[NOW].pixels);
        assert_eq!(
            self.run("return document.querySelectorAll('#chart .mark-line').length >= 3", vec![])
                .await,
            true
        );
    }

    /// From the top of the page by Tab to the picture's own button, and then by Enter.
    async fn keyboard_alone_will_do(&self) {
        self.open(BEN).await;
        self.find("#key").await.send_keys(&format!("{KEY}{ENTER}")).await.unwrap();
        let before = self.now().await;
        self.run(
            "document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0);",
            vec![],
        )
        .await;
        self.run(
            "document.querySelector('h1').tabIndex = -1; document.querySelector('h1').focus();",
            vec![],
        )
        .await;
        let mut names = Vec::new();
        loop {
            self.press(TAB).await;
            let script = "const node = document.activeElement; return [node.getAttribute('aria-label') || node.textContent || node.id, node.matches(':focus-visible') && getComputedStyle(node).outlineStyle !== 'none'];";
            let (name, is_seen): (String, bool) =
                serde_json::from_value(self.run(script, vec![]).await).unwrap();
            assert!(is_seen, "{name} has the focus and doesn't show it");
            names.push(name.clone());
            if name == "Invalidate /sample.li/now.png" {
                break;
            }
            assert!(names.len() < 50, "{names:?}");
        }
        let turns: BTreeMap<_, _> =
            self.turns().await.into_iter().map(|(path, turn)| (path, turn + 1)).collect();
        self.press(ENTER).await;
        let after = self.look(&turns).await;
        assert!(after[NOW].all("MISS"), "{:?}", after[NOW]);
        assert_others_stayed(&before, &after, &[NOW]);
        assert!(
            self.text(&format!("[data-picture='{NOW}'] [role=status]"))
                .await
                .contains("3 variants removed")
        );
    }

    async fn press(&self, key: &str) {
        self.client.active_element().await.unwrap().send_keys(key).await.unwrap();
    }

    async fn another_picture_can_be_shown(&self) {
        let path = self.find("#path").await;
        path.send_keys("sample.li/nothing.jpg").await.unwrap();
        self.click("#add button").await;
        self.until("return document.querySelector(\"[data-picture='/sample.li/nothing.jpg'] .state\")?.textContent === 'ERROR'", vec![]).await;
        assert!(self.text("[data-picture='/sample.li/nothing.jpg'] time").await.starts_with("404"));
        self.run(
            "document.querySelector(\"[data-picture='/sample.li/nothing.jpg']\").remove();",
            vec![],
        )
        .await;
    }

    async fn commands_are_those_of_the_buttons(&self) {
        self.choose(ANN).await;
        self.click("[value=soft]").await;
        for (scope, body) in [
            (
                "picture",
                r#"{"scope":"original","urls":["/sample.li/avatars/ann.png"],"mode":"soft"}"#,
            ),
            ("folder", r#"{"scope":"original","urls":["/sample.li/avatars/*"],"mode":"soft"}"#),
            ("all", r#"{"scope":"all","mode":"soft"}"#),
        ] {
            self.run(
                "document.querySelector(`[data-scope=${arguments[0]}]`).focus()",
                vec![scope.into()],
            )
            .await;
            let command = self.text("#curl").await;
            assert!(command.contains(&format!("-d '{body}'")), "{command}");
            assert!(command.contains(&format!("'{}invalidate'", self.page)), "{command}");
            assert!(command.contains(&format!("'X-Client-Key: {KEY}'")), "{command}");
        }
        self.click("#copy").await;
        // Where the clipboard is out of reach, the text is selected instead.
        self.until("return ['Copied', 'Press Ctrl-C'].includes(document.querySelector('#copy').textContent)", vec![]).await;
        self.click("[value=hard]").await;
        self.choose(NOW).await;
    }

    /// Saves the page as a visitor sees it after a minute of play.
    async fn keep_screenshot(&self) {
        let Ok(file) = env::var("EDGE_SCREENSHOT") else { return };
        let metrics =
            json!({ "width": 1280, "height": 1800, "deviceScaleFactor": 1, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        self.run("document.querySelector('#key-field').hidden = true; document.querySelector('#again').click()", vec![]).await;
        for button in ["[data-scope=all]", "[data-scope=picture]", "[data-scope=picture]"] {
            sleep(Duration::from_secs(12)).await;
            self.click(button).await;
        }
        sleep(Duration::from_secs(5)).await;
        // The key of the tests is not secret, but it would look like a secret key.
        self.run("const curl = document.querySelector('#curl'); curl.textContent = curl.textContent.replace(arguments[0], 'YOUR-KEY'); scrollTo(0, 0)", vec![KEY.into()]).await;
        std::fs::write(file, self.client.screenshot().await.unwrap()).unwrap();
        self.run("document.querySelector('#key-field').hidden = false; document.querySelector('#again').click()", vec![]).await;
    }

    async fn fits_on_a_phone_and_can_be_read_in_the_dark(&self) {
        for (width, scheme) in [(360, "light"), (1280, "light"), (1280, "dark"), (360, "dark")] {
            let metrics = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
            self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
            let media =
                json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            self.devtools("Emulation.setEmulatedMedia", media).await;
            // With the longest ages that there are.
            let wide = "for (const time of document.querySelectorAll('time')) time.textContent = '59 min ago'; return [document.documentElement.scrollWidth, innerWidth]";
            let wide: (u64, u64) = serde_json::from_value(self.run(wide, vec![]).await).unwrap();
            assert!(wide.0 <= wide.1, "{width} {scheme}: {wide:?}");
            let faint = self.run(FAINT, vec![]).await;
            assert_eq!(faint, json!([]), "{width} {scheme}");
        }
    }

    async fn devtools(&self, cmd: &str, params: Value) {
        let body = json!({ "cmd": cmd, "params": params });
        self.client.post("/goog/cdp/execute", &body).await.unwrap();
    }

    /// Nothing is shown before there is a key.
    async fn shows_each_customer_their_own(&self) {
        // The page of the server that is gone still asks for it, and the browser complains.
        self.client.goto("about:blank").await.unwrap();
        self.complaints().await;
        self.client.goto(&self.page).await.unwrap();
        let said = "return !document.querySelector('#problem').hidden && /several customers/.test(document.querySelector('#problem').textContent)";
        self.until(said, vec![]).await;
        self.type_key("nobody-knows-this").await;
        let refused = "return /client key/.test(document.querySelector('#problem').textContent)";
        self.until(refused, vec![]).await;
        assert!(self.turns().await.is_empty());

        self.type_key(KEY).await;
        let first = self.look(&BTreeMap::from([(NOW.to_owned(), 1)])).await;
        assert!(first.len() == 6 && first.values().all(|seen| seen.all("MISS")), "{first:?}");
        // The browser reports the refusal above. It would also report pictures that the policy
        // blocks.
        let complaints = self.complaints().await;
        assert!(complaints.iter().all(|text| text.contains("401")), "{complaints:?}");

        self.type_key(OTHER_KEY).await;
        let of_old = format!("/v7{NOW}");
        let second = self.look(&BTreeMap::from([(of_old.clone(), 1)])).await;
        assert!(
            second.len() == 6 && second.keys().all(|path| path.starts_with("/v7/")),
            "{second:?}"
        );
        assert!(second.values().all(|seen| seen.all("MISS")), "{second:?}");
        let after = self.after("[data-scope=all]").await;
        assert!(after.values().all(|seen| seen.all("MISS")), "{after:?}");

        self.type_key(KEY).await;
        let first_again = self.look(&BTreeMap::from([(NOW.to_owned(), 1)])).await;
        assert!(first_again.values().all(|seen| seen.all("HIT")), "{first_again:?}");
    }

    async fn type_key(&self, key: &str) {
        let field = self.find("#key").await;
        field.clear().await.unwrap();
        field.send_keys(&format!("{key}{ENTER}")).await.unwrap();
    }

    async fn says_that_the_server_is_gone(&self) {
        self.until("return /does not answer/.test(document.querySelector('#problem').textContent) && !document.querySelector('#problem').hidden", vec![]).await;
    }
}

/// Texts whose contrast with their background is below 4.5, the minimum of the accessibility
/// guidelines.
const FAINT: &str = r#"
const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
const rgba = (color) => { context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1); return [...context.getImageData(0, 0, 1, 1).data]; };
const light = (color) => { const [r, g, b] = rgba(color).map((part) => { part /= 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (node) => { for (; node; node = node.parentElement) { const color = getComputedStyle(node).backgroundColor; if (rgba(color)[3] === 255) return color; } return getComputedStyle(document.documentElement).colorScheme === "dark" ? "black" : "white"; };
const faint = [];
for (const node of document.querySelectorAll("body *")) {
  const says = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  if (!says || node.closest("svg, script, style, option") || !node.getClientRects().length) continue;
  const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
  const contrast = (a + 0.05) / (b + 0.05);
  if (contrast < 4.5) faint.push(`${node.tagName} ${node.textContent.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
}
return faint;
"#;
