//! The variants of one path, as a user would write them for a map of paths: a short list that is
//! searched from its start. It turns into a map if a path has unusually many variants.

use crate::site::Payload;
use ahash::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::ops::DerefMut;

/// Above this, a map finds a key faster.
const MAX_FEW: usize = 32;

/// The type of the short list.
pub(super) trait Short: 'static {
    type List<T: Send + Sync + 'static>: Default
        + DerefMut<Target = [T]>
        + IntoIterator<Item = T>
        + Send
        + Sync
        + 'static;

    fn push<T: Send + Sync + 'static>(list: &mut Self::List<T>, item: T);
}

/// The fastest list: the first items lie inside the table's entry, so that a lookup waits for
/// memory once less.
pub(super) struct Inline;

/// The smallest list: a table's empty entries have no room for items.
pub(super) struct Lean;

impl Short for Inline {
    type List<T: Send + Sync + 'static> = SmallVec<[T; 4]>;

    fn push<T: Send + Sync + 'static>(list: &mut Self::List<T>, item: T) {
        list.push(item);
    }
}

impl Short for Lean {
    type List<T: Send + Sync + 'static> = Vec<T>;

    fn push<T: Send + Sync + 'static>(list: &mut Self::List<T>, item: T) {
        list.push(item);
    }
}

pub(super) enum Variants<V: Payload, S: Short> {
    Few(S::List<(Box<str>, V)>),
    Many(Box<HashMap<Box<str>, V, RandomState>>),
}

impl<V: Payload, S: Short> Default for Variants<V, S> {
    fn default() -> Self {
        Self::Few(S::List::default())
    }
}

impl<V: Payload, S: Short> Variants<V, S> {
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
            if few.len() < MAX_FEW {
                S::push(few, (key.into(), value));
                return None;
            }
            let few = std::mem::take(few);
            *self = Self::Many(Box::new(few.into_iter().collect()));
        }
        let Self::Many(many) = self else { unreachable!("a full list was turned into a map") };
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
