//! `Canvas`: the few strokes that the sample pictures are drawn with.
//!
//! Coordinates are pixels from the upper left corner. Shapes that can't be (a circle without a
//! radius) are not drawn.

use font8x8::legacy::BASIC_LEGACY;
use pictures::Picture;
use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LinearGradient, Paint, Path, PathBuilder, Pixmap,
    Point, RadialGradient, Rect, Shader, SpreadMode, Stroke, Transform,
};

/// A picture that is being drawn.
pub(super) struct Canvas(Pixmap);

/// A color as hexadecimal RRGGBBAA.
pub(super) fn rgba(color: u32) -> Color {
    let [red, green, blue, alpha] = color.to_be_bytes();
    Color::from_rgba8(red, green, blue, alpha)
}

/// A color by hue in degrees, saturation and lightness from 0 to 1.
pub(super) fn hsl(hue: f32, saturation: f32, lightness: f32) -> Color {
    let channel = |n: f32| {
        let k = (n + hue / 30.0) % 12.0;
        let reach = saturation * lightness.min(1.0 - lightness);
        (lightness - reach * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0)).clamp(0.0, 1.0)
    };
    Color::from_rgba(channel(0.0), channel(8.0), channel(4.0), 1.0).unwrap_or(Color::BLACK)
}

impl Canvas {
    /// An empty, transparent canvas.
    pub(super) fn new(width: u32, height: u32) -> Self {
        // A pixmap can't be empty; sizes are constants of the scenes.
        Self(Pixmap::new(width.max(1), height.max(1)).expect("a canvas of some pixels"))
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes of some thousand pixels")]
    pub(super) fn width(&self) -> f32 {
        self.0.width() as f32
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes of some thousand pixels")]
    pub(super) fn height(&self) -> f32 {
        self.0.height() as f32
    }

    /// Fills a rectangle with colors that run from its top to its bottom.
    pub(super) fn gradient(&mut self, top: f32, bottom: f32, colors: &[Color]) {
        let line = (Point::from_xy(0.0, top), Point::from_xy(0.0, bottom));
        let Some(shader) = LinearGradient::new(
            line.0,
            line.1,
            stops(colors),
            SpreadMode::Pad,
            Transform::identity(),
        ) else {
            return;
        };
        let width = self.width();
        if let Some(area) = Rect::from_ltrb(0.0, top, width, bottom) {
            self.0.fill_rect(area, &paint(shader), Transform::identity(), None);
        }
    }

    /// A soft disc of light.
    pub(super) fn glow(&mut self, (x, y): (f32, f32), radius: f32, colors: &[Color]) {
        let center = Point::from_xy(x, y);
        let shader = RadialGradient::new(
            center,
            0.0,
            center,
            radius,
            stops(colors),
            SpreadMode::Pad,
            Transform::identity(),
        );
        if let (Some(shader), Some(path)) = (shader, PathBuilder::from_circle(x, y, radius)) {
            self.fill(&path, shader);
        }
    }

    pub(super) fn disc(&mut self, (x, y): (f32, f32), radius: f32, color: Color) {
        if let Some(path) = PathBuilder::from_circle(x, y, radius) {
            self.fill(&path, Shader::SolidColor(color));
        }
    }

    pub(super) fn oval(&mut self, (x, y): (f32, f32), (across, down): (f32, f32), color: Color) {
        let area = Rect::from_ltrb(x - across, y - down, x + across, y + down);
        if let Some(path) = area.and_then(PathBuilder::from_oval) {
            self.fill(&path, Shader::SolidColor(color));
        }
    }

    pub(super) fn polygon(&mut self, points: &[(f32, f32)], color: Color) {
        let mut builder = PathBuilder::new();
        for (nth, (x, y)) in points.iter().enumerate() {
            if nth == 0 { builder.move_to(*x, *y) } else { builder.line_to(*x, *y) }
        }
        builder.close();
        if let Some(path) = builder.finish() {
            self.fill(&path, Shader::SolidColor(color));
        }
    }

    /// A line through three points, bent at the middle one.
    pub(super) fn bow(&mut self, points: [(f32, f32); 3], width: f32, color: Color) {
        let [from, over, to] = points;
        let mut builder = PathBuilder::new();
        builder.move_to(from.0, from.1);
        builder.quad_to(over.0, over.1, to.0, to.1);
        let stroke = Stroke { width, line_cap: LineCap::Round, ..Stroke::default() };
        if let Some(path) = builder.finish() {
            let shader = Shader::SolidColor(color);
            self.0.stroke_path(&path, &paint(shader), &stroke, Transform::identity(), None);
        }
    }

    /// Everything below a line across the picture, whose height is given for each pixel.
    pub(super) fn ground(&mut self, line: impl Fn(f32) -> f32, color: Color) {
        let (width, height) = (self.width(), self.height());
        let mut points = vec![(0.0, height)];
        let mut x = 0.0;
        while x <= width {
            points.push((x, line(x)));
            x += 4.0;
        }
        points.extend([(width, line(width)), (width, height)]);
        self.polygon(&points, color);
    }

    /// Writes ASCII text, centered at `x`, its upper edge at `y`; a letter is 8 dots wide and high.
    pub(super) fn text(&mut self, text: &str, (x, y): (f32, f32), dot: f32, color: Color) {
        let mut left = x - text_width(text, dot) / 2.0;
        let mut builder = PathBuilder::new();
        for letter in text.bytes() {
            let rows = BASIC_LEGACY[usize::from(letter & 0x7F)];
            let mut top = y;
            for row in rows {
                let mut at = left;
                for bit in 0..8 {
                    if row >> bit & 1 == 1 {
                        builder.extend_with(Rect::from_xywh(at, top, dot, dot));
                    }
                    at += dot;
                }
                top += dot;
            }
            left += 8.0 * dot;
        }
        if let Some(path) = builder.finish() {
            self.fill(&path, Shader::SolidColor(color));
        }
    }

    /// Returns the drawn picture.
    pub(super) fn into_picture(self) -> Picture {
        let (width, height) = (self.0.width(), self.0.height());
        let pixels = self.0.take_demultiplied();
        // The pixels of a pixmap always fill its size; if they didn't, a white picture would be
        // better than a panic.
        Picture::from_rgba(width, height, pixels)
            .unwrap_or_else(|| Picture::filled(width, height, [u8::MAX; 3]))
    }

    fn fill(&mut self, path: &Path, shader: Shader<'_>) {
        self.0.fill_path(path, &paint(shader), FillRule::Winding, Transform::identity(), None);
    }
}

trait ExtendWith {
    fn extend_with(&mut self, rect: Option<Rect>);
}

impl ExtendWith for PathBuilder {
    fn extend_with(&mut self, rect: Option<Rect>) {
        if let Some(rect) = rect {
            self.push_rect(rect);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "some letters")]
fn text_width(text: &str, dot: f32) -> f32 {
    text.len() as f32 * 8.0 * dot
}

/// Colors at equal distances.
#[expect(clippy::cast_precision_loss, reason = "some colors")]
fn stops(colors: &[Color]) -> Vec<GradientStop> {
    let last = colors.len().saturating_sub(1).max(1) as f32;
    let stop = |(nth, color): (usize, &Color)| GradientStop::new(nth as f32 / last, *color);
    colors.iter().enumerate().map(stop).collect()
}

fn paint(shader: Shader<'_>) -> Paint<'_> {
    Paint { shader, anti_alias: true, ..Paint::default() }
}
