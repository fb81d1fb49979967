//! The choice of the next picture.

use crate::site::{Site, mixed};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};

/// The popularity of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// Few pictures are requested often, and many seldom: Zipf's law with exponent 0.99.
    Zipf,
    /// Every picture as often as any other.
    Uniform,
}

/// Draws pictures and their variants. The same seed draws the same sequence.
#[derive(Debug)]
pub struct Draw {
    random: SmallRng,
    zipf: Option<Zipf<f64>>,
    pictures: u64,
}

impl Draw {
    /// # Panics
    /// If there are no pictures.
    pub fn new(pictures: u64, skew: Skew, seed: u64) -> Self {
        let zipf = match skew {
            Skew::Zipf => Some(Zipf::new(pictures as f64, 0.99).expect("some pictures")),
            Skew::Uniform => None,
        };
        Self { random: SmallRng::seed_from_u64(mixed(seed)), zipf, pictures }
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.random.random_range(0..end)
    }

    /// Returns a picture.
    pub fn picture(&mut self) -> u64 {
        match self.zipf {
            Some(zipf) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a rank, from 1 on"
                )]
                let rank = zipf.sample(&mut self.random) as u64 - 1;
                // This prime divides no number of pictures used here, so popular pictures do not
                // lie side by side.
                rank.wrapping_mul(1_000_000_007) % self.pictures
            }
            None => self.below(self.pictures),
        }
    }

    /// Returns a picture, and a variant that it has.
    pub fn variant(&mut self, site: &Site) -> (u64, u64) {
        let picture = self.picture();
        (picture, self.below(site.variants(picture)))
    }
}
