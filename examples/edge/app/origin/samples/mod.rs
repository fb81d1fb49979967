//! `Samples`: a handful of pictures that are drawn here, so that the edge can be tried without a picture at hand.
//!
//! Invariant: each picture is drawn once, at start, and stays as it is; except [`NOW`], which is drawn afresh at each fetch and
//! shows when that was. A cached `now.png` shows an old time, a purged one the present time.

mod canvas;
mod scenes;

use super::{Fetch, Origin, OriginError};
use axum::body::Bytes;
use cache_index::OriginPath;
use cache_index::canonical::Root;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageError};
use jiff::Timestamp;
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
    pub(crate) fn draw() -> Result<Self, ImageError> {
        let pictures = vec![
            ("sample.li/birds.jpg", jpeg(&scenes::birds())?),
            ("sample.li/boat.jpg", jpeg(&scenes::boat())?),
            ("sample.li/logo.png", png(&scenes::logo())?),
            ("sample.li/avatars/ann.png", png(&scenes::avatar("Ann", 330.0))?),
            ("sample.li/avatars/ben.png", png(&scenes::avatar("Ben", 160.0))?),
        ];
        Ok(Self { pictures, drawn: Arc::default() })
    }
}

impl Origin for Samples {
    fn fetch<'a>(&'a self, path: &'a OriginPath<'_>) -> Fetch<'a> {
        let drawn = Arc::clone(&self.drawn);
        let known = self.pictures.iter().find(|(name, _)| *name == path.as_str());
        Box::pin(async move {
            if path.as_str() != NOW {
                return known.map(|(_, bytes)| bytes.clone()).ok_or(OriginError::NotFound);
            }
            let failed = || OriginError::Failed("the picture could not be drawn".to_owned());
            let drawing = task::spawn_blocking(move || {
                let count = drawn.fetch_add(1, Ordering::Relaxed) + 1;
                png(&scenes::now(Timestamp::now(), count))
            });
            drawing.await.map_err(|_| failed())?.map_err(|_| failed())
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

fn jpeg(picture: &DynamicImage) -> Result<Bytes, ImageError> {
    let mut bytes = Vec::new();
    picture.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90))?;
    Ok(bytes.into())
}

fn png(picture: &DynamicImage) -> Result<Bytes, ImageError> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(PngEncoder::new(&mut bytes))?;
    Ok(bytes.into())
}
