//! `Samples`: a handful of pictures that are drawn here, so that the edge can be tried without a
//! picture at hand.
//!
//! Invariant: each picture is drawn once, at start, and stays as it is; except [`NOW`], which is
//! drawn afresh at each fetch and shows when that was. A cached `now.png` shows an old time, a
//! purged one the present time.

mod canvas;
mod scenes;

use super::{Fetch, Fetched, Origin, OriginError, Wanted};
use axum::body::Bytes;
use cache_index::canonical::Root;
use jiff::Timestamp;
use pictures::{Format, Picture};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task;

/// The picture that shows when it was fetched from the origin.
pub(crate) const NOW: &str = "sample.li/now.png";

/// Pictures drawn in here.
pub(crate) struct Samples {
    pictures: Vec<(&'static str, Bytes)>,
    /// How often `now.png` has been drawn.
    drawn: Arc<AtomicU64>,
}

impl Samples {
    /// Draws the pictures: some hundred milliseconds of work.
    ///
    /// # Errors
    /// If one can't be encoded.
    pub(crate) fn draw() -> Result<Self, String> {
        let pictures = vec![
            ("sample.li/birds.jpg", jpeg(scenes::birds())?),
            ("sample.li/boat.jpg", jpeg(scenes::boat())?),
            ("sample.li/logo.png", png(scenes::logo())?),
            ("sample.li/avatars/ann.png", png(scenes::avatar("Ann", 330.0))?),
            ("sample.li/avatars/ben.png", png(scenes::avatar("Ben", 160.0))?),
        ];
        Ok(Self { pictures, drawn: Arc::default() })
    }
}

impl Origin for Samples {
    fn fetch<'a>(&'a self, wanted: Wanted<'a>) -> Fetch<'a> {
        let drawn = Arc::clone(&self.drawn);
        let name = name(wanted);
        let known = self.pictures.iter().find(|(known, _)| *known == name);
        Box::pin(async move {
            if name != NOW {
                let found = known.map(|(_, bytes)| Fetched::from(bytes.clone()));
                return found.ok_or(OriginError::NotFound);
            }
            let failed = || OriginError::Failed("the picture could not be drawn".to_owned());
            let drawing = task::spawn_blocking(move || {
                let count = drawn.fetch_add(1, Ordering::Relaxed) + 1;
                png(scenes::now(Timestamp::now(), count))
            });
            let drawn = drawing.await.map_err(|_| failed())?.map_err(|_| failed())?;
            Ok(Fetched::from(drawn))
        })
    }

    fn root(&self) -> Root {
        Root::Host
    }

    fn examples(&self) -> Vec<String> {
        let fixed = self.pictures.iter().map(|(name, _)| *name);
        std::iter::once(NOW).chain(fixed).map(|name| format!("/{name}")).collect()
    }
}

/// The name of a sample, without the scheme; below the customer's prefix, if it is relative to one.
fn name(wanted: Wanted<'_>) -> String {
    let path = wanted.path.as_str();
    let whole = match wanted.prefix {
        Some(prefix) if !path.contains("://") => format!("{}/{path}", prefix.trim_end_matches('/')),
        _ => path.to_owned(),
    };
    match whole.split_once("://") {
        Some((_, name)) => name.to_owned(),
        None => whole,
    }
}

fn jpeg(picture: Picture) -> Result<Bytes, String> {
    picture.encode(Format::Jpeg, 90).map(Bytes::from)
}

fn png(picture: Picture) -> Result<Bytes, String> {
    // The quality is that of a JPEG.
    picture.encode(Format::Png, 90).map(Bytes::from)
}
