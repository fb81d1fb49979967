//! Checks, before the timing, that all contestants return the same answers.

use crate::access::{Draw, Skew};
use crate::adapters::{Contestant, Room, contestants, lean_contestants};
use crate::site::{Keys, PREFIX_SPANS, Requests, Site};
use cache_index::{OriginPath, PathPrefix, VariantKey};
use std::collections::BTreeMap;

const PICTURES: u64 = 3000;
const STEPS: u64 = 60_000;

/// The expected content of a contestant, kept by the standard library.
type Model = BTreeMap<String, BTreeMap<String, u64>>;

/// Makes all of them do the same long mix of operations, and compares each answer with a model's.
///
/// # Errors
/// If an answer differs from that of the model: the contestant, its answer and the expected answer.
pub fn check() -> Result<(), String> {
    let site = Site::default();
    contestants::<u64>().iter().try_for_each(|contestant| agrees(contestant, &site))?;
    let site = Site::new(Keys::Many);
    lean_contestants::<u64>().iter().try_for_each(|contestant| agrees(contestant, &site))
}

fn agrees(contestant: &Contestant<u64>, site: &Site) -> Result<(), String> {
    // Fewer than will be stored, so that tables grow.
    let peer = contestant.build(Room { expected: 20_000, ..Room::presized(100, 600) });
    let peer = peer.peer();
    let (mut model, mut draw) = (Model::new(), Draw::new(PICTURES, Skew::Zipf, 7));
    let mut requests = Requests::default();
    for step in 0..STEPS {
        requests.clear();
        let picture = draw.picture();
        let variant = draw.below(site.variants(picture) + 1);
        requests.push(site, picture, variant);
        let request = &requests.ready()[0];
        let (path, key) = (&request.path, &request.key);
        let (answer, expected) = match draw.below(if contestant.purges() { 1000 } else { 960 }) {
            0..480 => (peer.look_up(path, key), find(&model, path, key)),
            480..700 => (peer.insert(path, key, step), store(&mut model, path, key, step)),
            700..950 => (peer.fill(path, key, step), store(&mut model, path, key, step)),
            950..960 => {
                let mut found = Vec::new();
                peer.look_up_many(&[(path, key); 3], &mut found);
                if found != [find(&model, path, key); 3] {
                    return Err(format!("{contestant:?}: {found:?} at once in step {step}"));
                }
                continue;
            }
            960..999 => {
                let mut gone = BTreeMap::new();
                peer.purge(path, &mut |key, value| {
                    gone.insert(key.to_owned(), value);
                });
                let expected = model.remove(path.as_str()).unwrap_or_default();
                if gone != expected {
                    return Err(format!(
                        "{contestant:?}: purge {step}: {gone:?}, not {expected:?}"
                    ));
                }
                continue;
            }
            _ => {
                let span = PREFIX_SPANS[usize::try_from(step % 3).expect("small")];
                let mut prefix = String::new();
                site.folder(picture, span, &mut prefix);
                peer.purge_prefix(&PathPrefix::from_canonical(&prefix).expect("canonical"));
                model.retain(|path, _| !path.starts_with(&prefix));
                continue;
            }
        };
        if answer != expected {
            return Err(format!("{contestant:?}: step {step}: {answer:?}, not {expected:?}"));
        }
    }
    ends_the_same(contestant, peer, &model)
}

/// Every entry is there, none after a flush, and after that the peer works as before.
fn ends_the_same(
    contestant: &Contestant<u64>,
    peer: &dyn crate::adapters::Peer<u64>,
    model: &Model,
) -> Result<(), String> {
    let entries = || {
        model.iter().flat_map(|(path, variants)| {
            let path = OriginPath::from_canonical(path).expect("canonical");
            variants.iter().map(move |(key, value)| {
                (path.clone(), VariantKey::from_canonical(key).expect("canonical"), *value)
            })
        })
    };
    let fail = |what| Err(format!("{contestant:?}: {what}"));
    if entries().any(|(path, key, value)| peer.look_up(&path, &key) != Some(value)) {
        return fail("an entry is missing at the end");
    }
    peer.flush_tenant();
    if entries().any(|(path, key, _)| peer.look_up(&path, &key).is_some()) {
        return fail("an entry has outlived a flush of its tenant");
    }
    if entries().any(|(path, key, value)| peer.insert(&path, &key, value).is_some()) {
        return fail("an entry has outlived a flush of its tenant and was replaced");
    }
    peer.flush_all();
    peer.reclaim();
    if entries().any(|(path, key, _)| peer.look_up(&path, &key).is_some()) {
        return fail("an entry has outlived a flush of everything");
    }
    if entries().any(|(path, key, value)| peer.fill(&path, &key, value).is_some()) {
        return fail("an entry was replaced after a flush of everything");
    }
    if entries().any(|(path, key, value)| peer.look_up(&path, &key) != Some(value)) {
        return fail("an entry is missing after a flush and new fills");
    }
    Ok(())
}

fn find(model: &Model, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<u64> {
    model.get(path.as_str())?.get(key.as_str()).copied()
}

fn store(
    model: &mut Model,
    path: &OriginPath<'_>,
    key: &VariantKey<'_>,
    value: u64,
) -> Option<u64> {
    model.entry(path.as_str().into()).or_default().insert(key.as_str().into(), value)
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_contestants_give_the_same_answers() {
        super::check().unwrap();
    }
}
