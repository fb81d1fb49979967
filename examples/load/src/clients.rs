//! Clients: each requests one picture after the other, and checks the answer.

use crate::Args;
use crate::edge::{Answer, Edge, Http};
use crate::origin;
use crate::report::Report;
use crate::versions::Versions;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How many ETags a client knows the version of before it forgets them all.
const MOST_KNOWN: usize = 20_000;

/// One client.
pub(crate) struct Client {
    http: Http,
    versions: Arc<Versions>,
    report: Arc<Report>,
    renditions: usize,
    random: fastrand::Rng,
    /// Versions by ETag: equal bytes have equal ones, and decoding them once is enough.
    known: HashMap<Vec<u8>, u32>,
}

impl Client {
    pub(crate) fn new(
        edge: &Edge,
        versions: &Arc<Versions>,
        report: &Arc<Report>,
        args: &Args,
        seed: u64,
    ) -> Self {
        Self {
            http: edge.http.apart(),
            versions: Arc::clone(versions),
            report: Arc::clone(report),
            renditions: args.renditions,
            random: fastrand::Rng::with_seed(seed),
            known: HashMap::new(),
        }
    }

    pub(crate) async fn ask_until(mut self, over: Arc<AtomicBool>) {
        while !over.load(Ordering::Relaxed) {
            self.ask().await;
        }
    }

    async fn ask(&mut self) {
        // Some pictures are asked for far more often than others.
        let popularity = self.random.f64().powi(3);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below the number of pictures"
        )]
        let number = (popularity * self.versions.len() as f64) as usize;
        let width = 8 + self.random.usize(0..self.renditions);
        let target = format!("{}?w={width}", origin::path(number));
        // Read before the request is sent: a picture that was invalidated before must not be
        // served.
        let floor = self.versions.floor(number);
        let begun = Instant::now();
        let answer = match self.http.get(&target).await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                return self.report.error(&format!("{target}: {} {text}", answer.status));
            }
            Err(error) => return self.report.error(&format!("{target}: {error}")),
        };
        let cache = header(&answer, "x-cache");
        self.report.answered(&cache, begun.elapsed());
        let Some(version) = self.version(&answer) else {
            return self.report.error(&format!("{target}: a picture without a version"));
        };
        let oldest = if cache == "STALE" { floor.hard } else { floor.any };
        if version < oldest {
            self.report.too_old(&format!(
                "{target}: {cache} of version {version}, although {oldest} was invalidated before"
            ));
        }
    }

    fn version(&mut self, answer: &Answer) -> Option<u32> {
        let etag = answer.headers.get("etag")?.as_bytes();
        if let Some(version) = self.known.get(etag) {
            return Some(*version);
        }
        let version = origin::version(&answer.body)?;
        if self.known.len() == MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(etag.to_vec(), version);
        Some(version)
    }
}

fn header(answer: &Answer, name: &str) -> String {
    let value = answer.headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
