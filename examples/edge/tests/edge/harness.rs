//! `Site`: a running edge, in front of an origin that a test controls.

use crate::app::accounts::{Account, AccountSettings, TOKEN, Unnamed};
use crate::app::client::{Answer, Client};
use crate::app::client_key::ClientKey;
use crate::app::edge::{Edge, Limits, Setup};
use crate::app::freshness::Policy;
use crate::app::index::DataSettings;
use crate::app::inspect::agreement;
use crate::app::origin::gate::Gate;
use crate::app::origin::{Fetch, Fetched, Origin, OriginError, Wanted};
use crate::app::server::Running;
use axum::body::Bytes;
use axum::http::{HeaderValue, Method, StatusCode};
use cache_index::canonical::{Delivery, Grouping, Root};
use pictures::{Format, Picture};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

pub(crate) const KEY: &str = "a-key-for-tests";

/// The time limit of a test for any step. No step is expected to take long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// A small picture in one color.
pub(crate) fn picture(color: [u8; 3]) -> Bytes {
    Picture::filled(60, 40, color).encode(Format::Png, 100).unwrap().into()
}

pub(crate) const RED: [u8; 3] = [255, 0, 0];
pub(crate) const BLUE: [u8; 3] = [0, 0, 255];

/// An origin whose answers a test sets.
#[derive(Clone, Default)]
pub(crate) struct Script {
    answers: Arc<Mutex<HashMap<String, Result<Bytes, OriginError>>>>,
    validators: Arc<Mutex<HashMap<String, HeaderValue>>>,
    fetches: Arc<AtomicUsize>,
}

impl Script {
    pub(crate) fn set(&self, path: &str, answer: Result<Bytes, OriginError>) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Sets the validator of the current version of a picture.
    pub(crate) fn set_validator(&self, path: &str, validator: &'static str) {
        let validator = HeaderValue::from_static(validator);
        self.validators.lock().unwrap().insert(path.to_owned(), validator);
    }

    /// How often it was asked.
    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl Origin for Script {
    fn fetch<'a>(&'a self, wanted: Wanted<'a>) -> Fetch<'a> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let path = wanted.path.as_str();
        let validator = self.validators.lock().unwrap().get(path).cloned();
        let answer = match self.answers.lock().unwrap().get(path).cloned() {
            Some(Ok(_)) if wanted.known.is_some() && wanted.known == validator.as_ref() => {
                Ok(Fetched::Unchanged { policy: None })
            }
            Some(Ok(bytes)) => Ok(Fetched::Picture { bytes, validator, policy: Policy::default() }),
            Some(Err(error)) => Err(error),
            None => Err(OriginError::NotFound),
        };
        Box::pin(async { answer })
    }

    fn root(&self) -> Root {
        Root::Host
    }

    fn examples(&self) -> Vec<String> {
        vec!["/sample.li/birds.jpg".to_owned()]
    }
}

/// The setup of one customer.
pub(crate) fn setup(grouping: Grouping, limits: Limits) -> Setup {
    let accounts = vec![AccountSettings::new(TOKEN, ClientKey::new(KEY).unwrap())];
    Setup { accounts, unnamed: Unnamed::Sole, grouping, limits, data: None }
}

/// The setup of one customer whose data are kept in a directory. Snapshots are written by hand.
pub(crate) fn setup_in(dir: &Path) -> Setup {
    let data = DataSettings {
        dir: dir.to_owned(),
        snapshot_every: Duration::from_secs(3600),
        memory_bytes: 64 << 20,
    };
    Setup { data: Some(data), ..setup(Grouping::Grouped, Limits::default()) }
}

/// An edge that is running. At its origin are `sample.li/birds.jpg` (red) and `sample.li/boat.jpg`
/// (blue).
pub(crate) struct Site {
    pub(crate) running: Running,
    pub(crate) client: Client,
    pub(crate) script: Script,
    pub(crate) gate: Gate,
}

/// All that an invalidation could change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    birds: Vec<String>,
    boat: Vec<String>,
    objects: usize,
    bytes: u64,
    live: usize,
    dead: usize,
    purges: u64,
    flushes: u64,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub(crate) async fn start_with(limits: Limits) -> Self {
        Self::start_as(Grouping::Grouped, limits).await
    }

    pub(crate) async fn start_as(grouping: Grouping, limits: Limits) -> Self {
        Self::start_for(setup(grouping, limits)).await
    }

    pub(crate) async fn start_for(setup: Setup) -> Self {
        let script = Script::default();
        script.set("sample.li/birds.jpg", Ok(picture(RED)));
        script.set("sample.li/boat.jpg", Ok(picture(BLUE)));
        let gate = Gate::new(Arc::new(script.clone()));
        let edge = Edge::new(Arc::new(gate.clone()), setup).unwrap();
        let running = Running::start(edge).await.unwrap();
        let client = Client::new(running.delivery, running.control);
        Self { running, client, script, gate }
    }

    pub(crate) fn edge(&self) -> &Edge {
        &self.running.edge
    }

    /// The one customer.
    pub(crate) fn account(&self) -> &Account {
        &self.edge().accounts.all()[0]
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.client.get(target).await.unwrap()
    }

    /// Asks for a picture, and checks how that went.
    #[track_caller]
    pub(crate) fn expect(
        &self,
        target: &str,
        status: u16,
        cache: &str,
    ) -> impl Future<Output = Answer> {
        let (client, target, cache) = (self.client.clone(), target.to_owned(), cache.to_owned());
        let caller = std::panic::Location::caller();
        async move {
            let answer = client.get(&target).await.unwrap();
            let seen = (answer.status.as_u16(), answer.cache());
            assert_eq!(seen, (status, cache.as_str()), "{target} at {caller}: {answer:?}");
            answer
        }
    }

    pub(crate) async fn post(&self, body: impl Into<Bytes>) -> Answer {
        self.client.invalidate(KEY, body).await.unwrap()
    }

    /// Asks the control listener with the right key.
    pub(crate) async fn ask(&self, target: &str) -> Answer {
        let headers = [("x-client-key", KEY)];
        self.client.control(Method::GET, target, &headers, Bytes::new()).await.unwrap()
    }

    /// Invalidates pictures softly.
    pub(crate) async fn soften(&self, urls: &[&str]) -> Vec<Value> {
        let body = serde_json::json!({ "scope": "original", "urls": urls, "mode": "soft" });
        let answer = self.post(body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        json(&answer)["invalidation"]["entries"].as_array().unwrap().clone()
    }

    /// Invalidates pictures, and returns the lines of the receipt.
    pub(crate) async fn purge(&self, urls: &[&str]) -> Vec<Value> {
        let body = serde_json::json!({ "scope": "original", "urls": urls });
        let answer = self.post(body.to_string()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        json(&answer)["invalidation"]["entries"].as_array().unwrap().clone()
    }

    /// Returns the variants of a picture in the index.
    pub(crate) fn variants(&self, path: &str) -> Vec<String> {
        let account = self.account();
        let target = format!("/{path}");
        let Delivery { origin, .. } = account.filing.delivery(&target).unwrap();
        let variants = self.edge().index.variants(&account.tenant, &origin);
        let mut names: Vec<_> = variants.iter().map(|key| key.as_str().to_owned()).collect();
        names.sort();
        names
    }

    pub(crate) fn state(&self) -> State {
        let stats = self.edge().index.stats();
        State {
            birds: self.variants("sample.li/birds.jpg"),
            boat: self.variants("sample.li/boat.jpg"),
            objects: self.edge().store.len(),
            bytes: self.edge().store.bytes(),
            live: stats.live,
            dead: stats.dead,
            purges: stats.purges,
            flushes: stats.flushes + stats.tenant_flushes,
        }
    }

    /// Checks that index and object store agree: each entry has its object, and no object is left
    /// over.
    #[track_caller]
    pub(crate) fn assert_agreement(&self) {
        let agreement = agreement(self.edge()).unwrap();
        assert!(agreement.agree, "{agreement:?}");
        assert_eq!(agreement.objects, agreement.entries, "{agreement:?}");
        let stats = self.edge().index.stats();
        assert_eq!(stats.live + stats.stale, agreement.entries);
    }
}

/// The body of an answer.
pub(crate) fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// The body of an answer.
pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// Waits for something that happens in the background. The test fails if it never does.
#[track_caller]
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let waiting = async {
            while !holds() {
                sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(timeout(PATIENCE, waiting).await.is_ok(), "never came true: {caller}");
    }
}

/// Serves a router, without the care that the edge takes.
pub(crate) async fn serve_plainly(listener: TcpListener, router: axum::Router) {
    let service = hyper_util::service::TowerToHyperService::new(router);
    while let Ok((stream, _)) = listener.accept().await {
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service.clone());
        tokio::spawn(connection);
    }
}
