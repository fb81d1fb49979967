//! Rendering: from the bytes of a picture to the bytes of a rendition.
//!
//! Invariant: nothing that isn't a picture comes out, and no picture is decoded that would need more than [`MOST_SOURCE_PIXELS`]:
//! the header is looked at first. Blocking and heavy: call it where that is allowed. No cache and no HTTP in here.

use super::geometry::{Plan, Size};
use super::operations::{Format, Operations};
use axum::body::Bytes;
use fast_image_resize::{ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits, Pixel, Rgb,
    RgbImage, Rgba, RgbaImage, imageops,
};
use std::fmt;
use std::io::Cursor;

/// The most pixels of a source: 256 MiB when decoded.
const MOST_SOURCE_PIXELS: u64 = 64 * 1024 * 1024;

/// What decoding may allocate, in bytes.
const DECODE_BYTES: u64 = 512 * 1024 * 1024;

/// The quality of a JPEG if the request doesn't say.
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
    /// The origin gave something that isn't a picture of a known format, or a broken one, or one too large.
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

/// Does `operations` with the picture in `source`. If there is nothing to do, the bytes stay as they are.
pub(crate) fn render(source: &Bytes, operations: &Operations) -> Result<Rendition, RenderError> {
    let format = sniff(source)?;
    let mut decoder = open(source).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    check_source(Size { width, height })?;
    if is_untouched(operations, format) {
        return Ok(Rendition { bytes: source.clone(), format });
    }
    let orientation = decoder.orientation().map_err(broken)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);

    let size = Size { width: picture.width(), height: picture.height() };
    let plan = Plan::new(size, operations).map_err(RenderError::Operations)?;
    let picture = follow(&plan, eight_bit(picture)).map_err(RenderError::Operations)?;
    let format = operations.format.unwrap_or(format);
    let bytes = encode(picture, format, operations.quality.unwrap_or(QUALITY))
        .map_err(|error| RenderError::Operations(format!("encoding failed: {error}")))?;
    Ok(Rendition { bytes: bytes.into(), format })
}

/// The format, by the first bytes: names and headers are not to be trusted.
fn sniff(source: &[u8]) -> Result<Format, RenderError> {
    match image::guess_format(source) {
        Ok(ImageFormat::Jpeg) => Ok(Format::Jpeg),
        Ok(ImageFormat::Png) => Ok(Format::Png),
        Ok(ImageFormat::WebP) => Ok(Format::WebP),
        _ => Err(RenderError::Source("the source is no JPEG, PNG or WebP picture".to_owned())),
    }
}

fn open(source: &[u8]) -> ImageResult<impl ImageDecoder + '_> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODE_BYTES);
    let mut reader = ImageReader::new(Cursor::new(source)).with_guessed_format()?;
    reader.limits(limits);
    reader.into_decoder()
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

/// Two kinds of picture are enough from here on.
fn eight_bit(picture: DynamicImage) -> DynamicImage {
    if picture.color().has_alpha() {
        DynamicImage::ImageRgba8(picture.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(picture.into_rgb8())
    }
}

fn follow(plan: &Plan, picture: DynamicImage) -> Result<DynamicImage, String> {
    let scaled = scale(plan, picture)?;
    Ok(match plan.canvas {
        Some(canvas) => lay(canvas, &scaled),
        None => scaled,
    })
}

fn scale(plan: &Plan, picture: DynamicImage) -> Result<DynamicImage, String> {
    let Size { width, height } = plan.scaled;
    if plan.cut.is_none() && (picture.width(), picture.height()) == (width, height) {
        return Ok(picture);
    }
    let mut scaled = DynamicImage::new(width, height, picture.color());
    let options = match plan.cut {
        Some(cut) => ResizeOptions::new().crop(cut.left, cut.top, cut.width, cut.height),
        None => ResizeOptions::new(),
    };
    Resizer::new()
        .resize(&picture, &mut scaled, &options)
        .map_err(|error| format!("resizing failed: {error}"))?;
    Ok(scaled)
}

/// Lays a picture in the middle of a white canvas. Where the picture is transparent, the result is.
fn lay(canvas: Size, picture: &DynamicImage) -> DynamicImage {
    let left = i64::from(canvas.width.saturating_sub(picture.width()) / 2);
    let top = i64::from(canvas.height.saturating_sub(picture.height()) / 2);
    if let DynamicImage::ImageRgba8(picture) = picture {
        let white = Rgba([u8::MAX; 4]);
        let mut result = RgbaImage::from_pixel(canvas.width, canvas.height, white);
        imageops::replace(&mut result, picture, left, top);
        return DynamicImage::ImageRgba8(result);
    }
    let mut result = RgbImage::from_pixel(canvas.width, canvas.height, Rgb([u8::MAX; 3]));
    imageops::replace(&mut result, &picture.to_rgb8(), left, top);
    DynamicImage::ImageRgb8(result)
}

fn encode(picture: DynamicImage, format: Format, quality: u8) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    match format {
        Format::Jpeg => on_white(picture)
            .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))?,
        Format::Png => picture.write_with_encoder(PngEncoder::new(&mut bytes))?,
        Format::WebP => picture.write_with_encoder(WebPEncoder::new_lossless(&mut bytes))?,
    }
    Ok(bytes)
}

/// JPEG knows no transparency.
fn on_white(picture: DynamicImage) -> DynamicImage {
    let DynamicImage::ImageRgba8(picture) = picture else { return picture };
    let mut result = RgbImage::new(picture.width(), picture.height());
    for (over, result) in picture.pixels().zip(result.pixels_mut()) {
        let mut white = Rgba([u8::MAX; 4]);
        white.blend(over);
        *result = white.to_rgb();
    }
    DynamicImage::ImageRgb8(result)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: image::ImageError) -> RenderError {
    match error {
        image::ImageError::Limits(_) => {
            RenderError::Source("the source is too large to be decoded".to_owned())
        }
        _ => RenderError::Source("the source is a broken picture".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left half red, right half blue.
    fn flag(width: u32, height: u32) -> Bytes {
        let picture = RgbImage::from_fn(width, height, |x, _| {
            if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) }
        });
        encode(DynamicImage::ImageRgb8(picture), Format::Png, 100).unwrap().into()
    }

    fn rendered(operations: &Operations) -> DynamicImage {
        let rendition = render(&flag(200, 100), operations).unwrap();
        image::load_from_memory(&rendition.bytes).unwrap()
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
            assert_eq!((picture.width(), picture.height()), size, "{func:?}");
        }
        let fit = rendered(&boxed(50, 50, Fit)).into_rgb8();
        assert_eq!(fit.get_pixel(5, 2), &Rgb([255, 255, 255]));
        assert_eq!(fit.get_pixel(5, 25), &Rgb([255, 0, 0]));
        let crop = rendered(&boxed(50, 50, Crop)).into_rgb8();
        assert_eq!(crop.get_pixel(5, 2), &Rgb([255, 0, 0]));
        assert_eq!(crop.get_pixel(45, 2), &Rgb([0, 0, 255]));
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
        let clear = RgbaImage::from_pixel(8, 8, Rgba([255, 0, 0, 0]));
        let source: Bytes =
            encode(DynamicImage::ImageRgba8(clear), Format::Png, 100).unwrap().into();
        for (format, guessed) in
            [(Format::Jpeg, ImageFormat::Jpeg), (Format::WebP, ImageFormat::WebP)]
        {
            let operations = Operations { format: Some(format), ..Operations::default() };
            let rendition = render(&source, &operations).unwrap();
            assert_eq!(image::guess_format(&rendition.bytes).unwrap(), guessed);
            let pixel =
                *image::load_from_memory(&rendition.bytes).unwrap().to_rgba8().get_pixel(4, 4);
            match format {
                Format::Jpeg => assert_eq!(pixel, Rgba([255, 255, 255, 255])),
                _ => assert_eq!(pixel.0[3], 0),
            }
        }
    }

    #[test]
    fn a_lower_quality_makes_a_smaller_jpeg() {
        let noise = RgbImage::from_fn(64, 64, |x, y| {
            let byte = |number: u32| number.to_le_bytes()[0];
            Rgb([byte(x * 37), byte(y * 91), byte(x * y)])
        });
        let source: Bytes =
            encode(DynamicImage::ImageRgb8(noise), Format::Jpeg, 95).unwrap().into();
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
        // A PNG that says it has 60,000 x 60,000 pixels: eleven gigabytes in a file of 200 bytes.
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
