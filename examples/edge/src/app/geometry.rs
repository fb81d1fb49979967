//! Geometry: from the size of a picture and the operations to the crop, the scale, and the canvas.
//!
//! Invariant: no result has a side of 0 pixels, or more pixels than [`MOST_PIXELS`]. Pure: no
//! picture is touched here.

use super::operations::{Enlarge, Func, Operations};

/// The most pixels of a result: 64 MiB while it is being made.
pub(crate) const MOST_PIXELS: u64 = 4096 * 4096;

/// The longest side of a result; WebP can't have more than 16,383.
const LONGEST_RESULT: u32 = 8192;

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A rectangle of the source, in its pixels, which need not be whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// The steps, in order: crop the source, scale the rest, place it in the middle of a canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) cut: Option<Cut>,
    pub(crate) scaled: Size,
    pub(crate) canvas: Option<Size>,
}

impl Plan {
    /// # Errors
    /// If the result would be too large; the text contains the size.
    pub(crate) fn new(source: Size, operations: &Operations) -> Result<Self, String> {
        let plan = match (operations.width, operations.height) {
            (None, None) => Self { cut: None, scaled: source, canvas: None },
            (Some(width), None) => {
                Self::whole(source, f64::from(width) / f64::from(source.width), operations)
            }
            (None, Some(height)) => {
                Self::whole(source, f64::from(height) / f64::from(source.height), operations)
            }
            (Some(width), Some(height)) => Self::boxed(source, Size { width, height }, operations),
        };
        plan.check(operations)
    }

    /// The whole picture, scaled by `factor`.
    fn whole(source: Size, factor: f64, operations: &Operations) -> Self {
        Self { cut: None, scaled: source.times(allowed(factor, operations)), canvas: None }
    }

    fn boxed(source: Size, wanted: Size, operations: &Operations) -> Self {
        let across = f64::from(wanted.width) / f64::from(source.width);
        let down = f64::from(wanted.height) / f64::from(source.height);
        let inside = Self::whole(source, across.min(down), operations);
        let around = Self::whole(source, across.max(down), operations);
        match operations.func {
            Func::Bound => inside,
            Func::Cover => around,
            Func::Fit => Self { canvas: Some(wanted), ..inside },
            Func::Crop => {
                let factor = allowed(across.max(down), operations);
                Self::cut(source, around.scaled.min(wanted), factor)
            }
        }
    }

    /// The middle of the source, as much of it as makes `result` when scaled by `factor`.
    fn cut(source: Size, result: Size, factor: f64) -> Self {
        let width = (f64::from(result.width) / factor).min(f64::from(source.width));
        let height = (f64::from(result.height) / factor).min(f64::from(source.height));
        let left = (f64::from(source.width) - width) / 2.0;
        let top = (f64::from(source.height) - height) / 2.0;
        Self { cut: Some(Cut { left, top, width, height }), scaled: result, canvas: None }
    }

    fn check(self, operations: &Operations) -> Result<Self, String> {
        let Size { width, height } = self.canvas.unwrap_or(self.scaled);
        let resized = operations.width.is_some() || operations.height.is_some();
        // A picture that was not resized is as large as the source, which also has a limit.
        let fits = width.max(height) <= LONGEST_RESULT
            && u64::from(width) * u64::from(height) <= MOST_PIXELS;
        if fits || !resized {
            return Ok(self);
        }
        Err(format!(
            "the result would have {width} x {height} pixels: at most {LONGEST_RESULT} a side and {MOST_PIXELS} in all"
        ))
    }
}

impl Size {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of u32 just before"
    )]
    fn times(self, factor: f64) -> Self {
        let scale =
            |side: u32| (f64::from(side) * factor).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        Self { width: scale(self.width), height: scale(self.height) }
    }

    fn min(self, other: Self) -> Self {
        Self { width: self.width.min(other.width), height: self.height.min(other.height) }
    }
}

fn allowed(factor: f64, operations: &Operations) -> f64 {
    match operations.enlarge {
        Enlarge::Allowed => factor,
        Enlarge::Never => factor.min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Size = Size { width: 1200, height: 800 };

    fn boxed(width: u32, height: u32, func: Func, enlarge: Enlarge) -> Plan {
        let (width, height) = (Some(width), Some(height));
        let operations = Operations { width, height, func, enlarge, ..Operations::default() };
        Plan::new(SOURCE, &operations).unwrap()
    }

    fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    #[test]
    fn one_side_alone_keeps_the_proportion() {
        let width = Operations { width: Some(300), ..Operations::default() };
        assert_eq!(Plan::new(SOURCE, &width).unwrap().scaled, size(300, 200));
        let height = Operations { height: Some(100), ..Operations::default() };
        assert_eq!(Plan::new(SOURCE, &height).unwrap().scaled, size(150, 100));
    }

    #[test]
    fn crop_fills_the_box_and_cuts_both_sides_alike() {
        let plan = boxed(400, 400, Func::Crop, Enlarge::Allowed);
        assert_eq!(plan.scaled, size(400, 400));
        let cut = Cut { left: 200.0, top: 0.0, width: 800.0, height: 800.0 };
        assert_eq!((plan.cut, plan.canvas), (Some(cut), None));
    }

    #[test]
    fn fit_lies_whole_in_a_canvas_of_the_box() {
        let plan = boxed(400, 400, Func::Fit, Enlarge::Allowed);
        assert_eq!((plan.scaled, plan.canvas), (size(400, 267), Some(size(400, 400))));
    }

    #[test]
    fn bound_stays_inside_and_cover_reaches_around() {
        assert_eq!(boxed(400, 400, Func::Bound, Enlarge::Allowed).scaled, size(400, 267));
        assert_eq!(boxed(400, 400, Func::Cover, Enlarge::Allowed).scaled, size(600, 400));
    }

    #[test]
    fn a_small_picture_is_enlarged_only_if_allowed() {
        assert_eq!(boxed(2400, 2400, Func::Bound, Enlarge::Allowed).scaled, size(2400, 1600));
        assert_eq!(boxed(2400, 2400, Func::Bound, Enlarge::Never).scaled, SOURCE);
        let crop = boxed(1000, 1000, Func::Crop, Enlarge::Never);
        assert_eq!(crop.scaled, size(1000, 800));
        let fit = boxed(2400, 2400, Func::Fit, Enlarge::Never);
        assert_eq!((fit.scaled, fit.canvas), (SOURCE, Some(size(2400, 2400))));
    }

    #[test]
    fn a_sliver_never_vanishes_and_never_explodes() {
        let sliver = size(1, 4000);
        let narrow = Operations { height: Some(10), ..Operations::default() };
        assert_eq!(Plan::new(sliver, &narrow).unwrap().scaled, size(1, 10));
        let wide = Operations { width: Some(4096), ..Operations::default() };
        assert_eq!(
            Plan::new(sliver, &wide).unwrap_err(),
            "the result would have 4096 x 16384000 pixels: at most 8192 a side and 16777216 in all"
        );
    }
}
