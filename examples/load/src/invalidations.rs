//! Invalidations: a steady number a second, of every kind. A picture changes first, and is
//! invalidated then.

use crate::Args;
use crate::edge::{Edge, Http};
use crate::origin;
use crate::report::Report;
use crate::versions::Versions;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// Invalidates.
pub(crate) struct Invalidator {
    http: Http,
    versions: Arc<Versions>,
    report: Arc<Report>,
    every: Duration,
}

impl Invalidator {
    pub(crate) fn new(
        edge: &Edge,
        versions: &Arc<Versions>,
        report: &Arc<Report>,
        args: &Args,
    ) -> Self {
        Self {
            http: edge.http.apart(),
            versions: Arc::clone(versions),
            report: Arc::clone(report),
            every: Duration::from_secs(1) / args.invalidations.max(1),
        }
    }

    pub(crate) async fn go_on_until(self, over: Arc<AtomicBool>) {
        let invalidator = Arc::new(self);
        let mut ticks = interval(invalidator.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut count = 0_u64;
        let mut under_way = tokio::task::JoinSet::new();
        while !over.load(Ordering::Relaxed) {
            ticks.tick().await;
            let one = Arc::clone(&invalidator);
            // One that is slow doesn't hold up the next.
            under_way.spawn(async move { one.invalidate(count).await });
            while under_way.try_join_next().is_some() {}
            count += 1;
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn invalidate(&self, count: u64) {
        let pictures = self.versions.len();
        let one = fastrand::usize(0..pictures);
        let (names, touched): (Vec<String>, Vec<usize>) = match count % 500 {
            // Everything.
            499 => (Vec::new(), (0..pictures).collect()),
            // A folder.
            nth if nth % 50 == 49 => {
                let folder = one / 10;
                let inside = folder * 10..((folder + 1) * 10).min(pictures);
                (vec![format!("/{folder:04}/*")], inside.collect())
            }
            // Several pictures.
            nth if nth % 10 == 9 => {
                let some: Vec<_> = (0..10).map(|_| fastrand::usize(0..pictures)).collect();
                (some.iter().map(|number| origin::path(*number)).collect(), some)
            }
            // A picture.
            _ => (vec![origin::path(one)], vec![one]),
        };
        let softly = count % 5 == 3;
        let mode = if softly { "soft" } else { "hard" };
        let body = if names.is_empty() {
            serde_json::json!({ "scope": "all", "mode": mode })
        } else {
            serde_json::json!({ "scope": "original", "urls": names, "mode": mode })
        };
        let changed: Vec<_> =
            touched.iter().map(|number| (*number, self.versions.change(*number))).collect();
        let begun = Instant::now();
        match self.http.invalidate(body.to_string()).await {
            Ok(answer) if answer.status == 201 => {
                self.report.invalidated(begun.elapsed());
                for (number, version) in changed {
                    self.versions.invalidated(number, version, softly);
                }
            }
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                self.report.error(&format!("invalidation: {} {text}", answer.status));
            }
            Err(error) => self.report.error(&format!("invalidation: {error}")),
        }
    }
}
