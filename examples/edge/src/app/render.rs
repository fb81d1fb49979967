//! Rendering: from the bytes of a picture to the bytes of a rendition.
//!
//! Invariant: the output is always a picture. No picture is decoded that would need more than
//! [`MOST_SOURCE_PIXELS`]: the header is read first.
//!
//! Rendering blocks and is expensive: call it where that is allowed. No cache and no HTTP in here.

use super::geometry::{Plan, Size};
use super::operations::{Format, Operations};
use axum::body::Bytes;
use pictures::{Picture, Source, Unreadable};
use std::fmt;

/// The most pixels of a source: 256 MiB when decoded.
const MOST_SOURCE_PIXELS: u64 = 64 * 1024 * 1024;

/// The quality of a JPEG if the request does not set it.
const QUALITY: u8 = 82;

/// A picture ready to be served.
#[derive(Clone, Debug)]
pub(crate) struct Rendition {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
}

/// Why there is no rendition.
#[derive(Debug)]
pub(crate) enum RenderError {
    /// The origin gave something that isn't a picture of a known format, or a broken one, or one
    /// too large.
    Source(String),
    /// The picture is good, but the operations can't be done with it.
    Operations(String),
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(reason) | Self::Operations(reason) => f.write_str(reason),
        }
    }
}

/// Applies `operations` to the picture in `source`. Without operations, the bytes stay the same.
pub(crate) fn render(source: &Bytes, operations: &Operations) -> Result<Rendition, RenderError> {
    let format = Format::of(source).ok_or_else(|| {
        RenderError::Source("the source is no JPEG, PNG or WebP picture".to_owned())
    })?;
    let header = Source::open(source).map_err(unreadable)?;
    let (width, height) = header.size();
    check_source(Size { width, height })?;
    if is_untouched(operations, format) {
        return Ok(Rendition { bytes: source.clone(), format });
    }
    let picture = header.decode().map_err(unreadable)?;
    let (width, height) = picture.size();
    let plan = Plan::new(Size { width, height }, operations).map_err(RenderError::Operations)?;
    let format = operations.format.unwrap_or(format);
    let bytes = follow(&plan, picture)
        .and_then(|picture| picture.encode(format, operations.quality.unwrap_or(QUALITY)))
        .map_err(RenderError::Operations)?;
    Ok(Rendition { bytes: bytes.into(), format })
}

fn check_source(size: Size) -> Result<(), RenderError> {
    let Size { width, height } = size;
    match u64::from(width) * u64::from(height) {
        0 => Err(RenderError::Source("the source is a picture without pixels".to_owned())),
        1..=MOST_SOURCE_PIXELS => Ok(()),
        _ => Err(RenderError::Source(format!(
            "the source has {width} x {height} pixels: at most {MOST_SOURCE_PIXELS} are decoded"
        ))),
    }
}

fn is_untouched(operations: &Operations, source: Format) -> bool {
    let resized = operations.width.is_some() || operations.height.is_some();
    let converted = operations.format.is_some_and(|format| format != source);
    let recompressed = operations.quality.is_some() && source == Format::Jpeg;
    !resized && !converted && !recompressed
}

fn follow(plan: &Plan, picture: Picture) -> Result<Picture, String> {
    let part = plan.cut.map(|cut| [cut.left, cut.top, cut.width, cut.height]);
    let scaled = picture.scale(part, plan.scaled.width, plan.scaled.height)?;
    Ok(match plan.canvas {
        Some(Size { width, height }) => scaled.on_canvas(width, height),
        None => scaled,
    })
}

fn unreadable(reason: Unreadable) -> RenderError {
    RenderError::Source(match reason {
        Unreadable::TooLarge => "the source is too large to be decoded".to_owned(),
        Unreadable::Broken => "the source is a broken picture".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left half red, right half blue.
    fn flag(width: u32, height: u32) -> Bytes {
        let color = |at: u32| if at % width < width / 2 { [255, 0, 0] } else { [0, 0, 255] };
        let pixels = (0..width * height).flat_map(color).collect();
        Picture::from_rgb(width, height, pixels).unwrap().encode(Format::Png, 100).unwrap().into()
    }

    fn rendered(operations: &Operations) -> Picture {
        let rendition = render(&flag(200, 100), operations).unwrap();
        Picture::decode(&rendition.bytes).unwrap()
    }

    fn boxed(width: u32, height: u32, func: super::super::operations::Func) -> Operations {
        Operations { width: Some(width), height: Some(height), func, ..Operations::default() }
    }

    #[test]
    fn each_func_gives_its_size_and_fit_pads_with_white() {
        use super::super::operations::Func::{Bound, Cover, Crop, Fit};
        for (func, size) in
            [(Crop, (50, 50)), (Fit, (50, 50)), (Bound, (50, 25)), (Cover, (100, 50))]
        {
            let picture = rendered(&boxed(50, 50, func));
            assert_eq!(picture.size(), size, "{func:?}");
        }
        let fit = rendered(&boxed(50, 50, Fit));
        assert_eq!(fit.pixel(5, 2), [255, 255, 255, 255]);
        assert_eq!(fit.pixel(5, 25), [255, 0, 0, 255]);
        let crop = rendered(&boxed(50, 50, Crop));
        assert_eq!(crop.pixel(5, 2), [255, 0, 0, 255]);
        assert_eq!(crop.pixel(45, 2), [0, 0, 255, 255]);
    }

    #[test]
    fn nothing_to_do_leaves_the_bytes_alone() {
        let source = flag(20, 10);
        let rendition = render(&source, &Operations::default()).unwrap();
        assert_eq!(rendition.bytes, source);
        let format = Some(Format::Png);
        let same = Operations { format, quality: Some(10), ..Operations::default() };
        assert_eq!(render(&source, &same).unwrap().bytes, source);
    }

    #[test]
    fn each_format_comes_out_as_asked_and_transparency_turns_white_in_jpeg() {
        let clear = Picture::from_rgba(8, 8, [255, 0, 0, 0].repeat(64)).unwrap();
        let source: Bytes = clear.encode(Format::Png, 100).unwrap().into();
        for format in [Format::Jpeg, Format::WebP] {
            let operations = Operations { format: Some(format), ..Operations::default() };
            let rendition = render(&source, &operations).unwrap();
            assert_eq!(Format::of(&rendition.bytes), Some(format));
            let pixel = Picture::decode(&rendition.bytes).unwrap().pixel(4, 4);
            match format {
                Format::Jpeg => assert_eq!(pixel, [255; 4]),
                _ => assert_eq!(pixel[3], 0),
            }
        }
    }

    #[test]
    fn a_lower_quality_makes_a_smaller_jpeg() {
        let byte = |number: u32| number.to_le_bytes()[0];
        let pixel = |(x, y): (u32, u32)| [byte(x * 37), byte(y * 91), byte(x * y)];
        let noise = (0..64 * 64).map(|at| (at % 64, at / 64)).flat_map(pixel).collect();
        let noise = Picture::from_rgb(64, 64, noise).unwrap();
        let source: Bytes = noise.encode(Format::Jpeg, 95).unwrap().into();
        let size = |quality| {
            let operations = Operations { quality: Some(quality), ..Operations::default() };
            render(&source, &operations).unwrap().bytes.len()
        };
        assert!(size(10) < size(90));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let reason = |bytes: &[u8]| {
            render(&Bytes::copy_from_slice(bytes), &Operations::default()).unwrap_err().to_string()
        };
        assert_eq!(reason(b""), "the source is no JPEG, PNG or WebP picture");
        assert_eq!(reason(b"<html>oops"), "the source is no JPEG, PNG or WebP picture");
        assert_eq!(reason(&flag(20, 10)[..20]), "the source is a broken picture");
    }

    #[test]
    fn a_decompression_bomb_is_refused_by_its_header() {
        // A PNG that claims 60,000 x 60,000 pixels: 11 GB in a file of 200 bytes.
        let mut bomb = flag(2, 1).to_vec();
        bomb[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
        let mut crc = u32::MAX;
        for byte in &bomb[12..29] {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
        bomb[29..33].copy_from_slice(&(!crc).to_be_bytes());
        let error = render(&bomb.into(), &Operations::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the source has 60000 x 60000 pixels: at most 67108864 are decoded"
        );
    }
}
