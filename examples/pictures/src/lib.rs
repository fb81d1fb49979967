//! Reads, resizes and writes pictures.
//!
//! No function is generic, so that the decoders are compiled once, optimized, in this crate. A
//! decoder that is called with a reader of the caller's would be compiled in the caller's crate,
//! once for each of its binaries.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{
    DynamicImage, GenericImageView, ImageDecoder, ImageError, ImageFormat, ImageReader,
    ImageResult, Limits, Pixel, Rgb, RgbImage, Rgba, RgbaImage, imageops,
};
use std::error::Error;
use std::io::Cursor;

/// Decoding one picture allocates at most this many bytes.
const DECODE_BYTES: u64 = 512 * 1024 * 1024;

/// The formats that are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG, which has no transparency.
    Jpeg,
    /// PNG.
    Png,
    /// WebP, written without loss: the encoder has no other mode.
    WebP,
}

impl Format {
    /// Returns the format of these bytes, by the first of them.
    #[must_use]
    pub fn of(source: &[u8]) -> Option<Self> {
        match image::guess_format(source) {
            Ok(ImageFormat::Jpeg) => Some(Self::Jpeg),
            Ok(ImageFormat::Png) => Some(Self::Png),
            Ok(ImageFormat::WebP) => Some(Self::WebP),
            _ => None,
        }
    }

    /// Returns the media type of the format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }
}

/// Why bytes could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// They are not a picture, or a damaged one.
    Broken,
    /// Decoding them would need too much memory.
    TooLarge,
}

impl From<ImageError> for Unreadable {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooLarge,
            _ => Self::Broken,
        }
    }
}

/// A picture of which only the header has been read.
#[expect(missing_debug_implementations, reason = "decoders have none")]
pub struct Source<'a>(Box<dyn ImageDecoder + 'a>);

impl<'a> Source<'a> {
    /// Reads the header of a picture.
    ///
    /// # Errors
    /// If the header is damaged.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut limits = Limits::default();
        limits.max_alloc = Some(DECODE_BYTES);
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        let mut reader = reader.map_err(|_| Unreadable::Broken)?;
        reader.limits(limits);
        Ok(Self(Box::new(reader.into_decoder()?)))
    }

    /// Returns width and height as the header has them.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    /// Decodes the picture and turns it upright.
    ///
    /// # Errors
    /// If the picture is damaged or too large.
    pub fn decode(mut self) -> Result<Picture, Unreadable> {
        let orientation = self.0.orientation()?;
        let mut picture = DynamicImage::from_decoder(self.0)?;
        picture.apply_orientation(orientation);
        // Two kinds of picture are enough from here on.
        Ok(Picture(if picture.color().has_alpha() {
            DynamicImage::ImageRgba8(picture.into_rgba8())
        } else {
            DynamicImage::ImageRgb8(picture.into_rgb8())
        }))
    }
}

/// A decoded picture of eight bits a channel, with or without transparency.
#[derive(Clone, Debug)]
pub struct Picture(DynamicImage);

impl Picture {
    /// Decodes a picture.
    ///
    /// # Errors
    /// If the picture is damaged or too large.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        Source::open(bytes)?.decode()
    }

    /// Makes a picture of one color.
    #[must_use]
    pub fn filled(width: u32, height: u32, color: [u8; 3]) -> Self {
        Self(DynamicImage::ImageRgb8(RgbImage::from_pixel(width, height, Rgb(color))))
    }

    /// Makes a picture of red, green and blue, row by row. Returns `None` if there are too few
    /// bytes.
    #[must_use]
    pub fn from_rgb(width: u32, height: u32, bytes: Vec<u8>) -> Option<Self> {
        RgbImage::from_raw(width, height, bytes).map(|picture| Self(picture.into()))
    }

    /// Makes a picture of red, green, blue and opacity, row by row. Returns `None` if there are too
    /// few bytes.
    #[must_use]
    pub fn from_rgba(width: u32, height: u32, bytes: Vec<u8>) -> Option<Self> {
        RgbaImage::from_raw(width, height, bytes).map(|picture| Self(picture.into()))
    }

    /// Returns width and height.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    /// Returns red, green, blue and opacity of one pixel.
    ///
    /// # Panics
    /// If the pixel is outside of the picture.
    #[must_use]
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        self.0.get_pixel(x, y).0
    }

    /// Returns the color of all pixels, if they have the same one.
    #[must_use]
    pub fn color(&self) -> Option<[u8; 3]> {
        let pixels = self.0.to_rgb8();
        let color = pixels.get_pixel_checked(0, 0)?.0;
        pixels.pixels().all(|pixel| pixel.0 == color).then_some(color)
    }

    /// Scales the picture, or the part `[left, top, width, height]` of it, to this size.
    ///
    /// # Errors
    /// If a side has 0 pixels, or the part is not inside the picture.
    pub fn scale(self, part: Option<[f64; 4]>, width: u32, height: u32) -> Result<Self, String> {
        if part.is_none() && self.size() == (width, height) {
            return Ok(self);
        }
        let has_alpha = self.0.color().has_alpha();
        let mut options = ResizeOptions::new().use_alpha(has_alpha);
        if let Some([left, top, width, height]) = part {
            options = options.crop(left, top, width, height);
        }
        let source = self.0.into_rgba8();
        let mut scaled = RgbaImage::new(width, height);
        resize(&source, &mut scaled, &options)
            .map_err(|error| format!("resizing failed: {error}"))?;
        let scaled = DynamicImage::ImageRgba8(scaled);
        Ok(Self(if has_alpha { scaled } else { scaled.into_rgb8().into() }))
    }

    /// Puts the picture in the middle of a white canvas. Transparent parts of the picture stay
    /// transparent.
    #[must_use]
    pub fn on_canvas(self, width: u32, height: u32) -> Self {
        let left = i64::from(width.saturating_sub(self.0.width()) / 2);
        let top = i64::from(height.saturating_sub(self.0.height()) / 2);
        if let DynamicImage::ImageRgba8(picture) = &self.0 {
            let mut result = RgbaImage::from_pixel(width, height, Rgba([u8::MAX; 4]));
            imageops::replace(&mut result, picture, left, top);
            return Self(result.into());
        }
        let mut result = RgbImage::from_pixel(width, height, Rgb([u8::MAX; 3]));
        imageops::replace(&mut result, &self.0.into_rgb8(), left, top);
        Self(result.into())
    }

    /// Encodes the picture. The quality, from 1 to 100, is that of a JPEG.
    ///
    /// # Errors
    /// If the format cannot hold a picture of this size.
    pub fn encode(self, format: Format, quality: u8) -> Result<Vec<u8>, String> {
        self.encoded(format, quality).map_err(|error| format!("encoding failed: {error}"))
    }

    fn encoded(self, format: Format, quality: u8) -> ImageResult<Vec<u8>> {
        let mut bytes = Vec::new();
        match format {
            Format::Jpeg => on_white(self.0)
                .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))?,
            Format::Png => self.0.write_with_encoder(PngEncoder::new(&mut bytes))?,
            Format::WebP => self.0.write_with_encoder(WebPEncoder::new_lossless(&mut bytes))?,
        }
        Ok(bytes)
    }
}

fn resize(
    source: &RgbaImage,
    scaled: &mut RgbaImage,
    options: &ResizeOptions,
) -> Result<(), Box<dyn Error>> {
    let (width, height) = scaled.dimensions();
    let from = TypedImageRef::<U8x4>::from_buffer(source.width(), source.height(), source)?;
    let mut to = TypedImage::<U8x4>::from_buffer(width, height, scaled)?;
    Resizer::new().resize_typed(&from, &mut to, options)?;
    Ok(())
}

/// JPEG has no transparency.
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
