//! The variants of one path, as one would write them for a map of paths: a short vector, searched from its start, that turns into a
//! map where a path has unusually many.

use crate::site::Payload;
use ahash::RandomState;
use hashbrown::HashMap;

/// Above this, a map finds a key sooner.
const MOST_FEW: usize = 32;

pub(super) enum Variants<V> {
    Few(Vec<(Box<str>, V)>),
    Many(Box<HashMap<Box<str>, V, RandomState>>),
}

impl<V> Default for Variants<V> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<V: Payload> Variants<V> {
    pub(super) fn get(&self, key: &str) -> Option<V> {
        match self {
            Self::Few(few) => {
                few.iter().find(|(other, _)| **other == *key).map(|(_, value)| *value)
            }
            Self::Many(many) => many.get(key).copied(),
        }
    }

    pub(super) fn insert(&mut self, key: &str, value: V) -> Option<V> {
        if let Self::Few(few) = self {
            if let Some((_, old)) = few.iter_mut().find(|(other, _)| **other == *key) {
                return Some(std::mem::replace(old, value));
            }
            if few.len() < MOST_FEW {
                few.push((key.into(), value));
                return None;
            }
            let few = std::mem::take(few);
            *self = Self::Many(Box::new(few.into_iter().collect()));
        }
        let Self::Many(many) = self else { unreachable!("a full vector was turned into a map") };
        match many.get_mut(key) {
            Some(old) => Some(std::mem::replace(old, value)),
            None => many.insert(key.into(), value),
        }
    }

    pub(super) fn hand_over(self, gone: &mut dyn FnMut(&str, V)) {
        match self {
            Self::Few(few) => few.into_iter().for_each(|(key, value)| gone(&key, value)),
            Self::Many(many) => many.into_iter().for_each(|(key, value)| gone(&key, value)),
        }
    }
}
