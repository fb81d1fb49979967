//! The race's own checks: an entrant that merely looks as if it refused is found out.

use super::{Before, Entrant, Rendition, Scope, Usage, Verdict, Version};
use parking_lot::Mutex;
use std::collections::HashMap;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    StoresNothing,
    InvalidatesNothing,
    InvalidatesEverything,
    ReadsNothing,
    RefusesForEver,
    None,
}

struct Faulty {
    fault: Fault,
    stored: Mutex<HashMap<(&'static str, &'static str), Version>>,
    invalidated: Mutex<bool>,
}

impl Faulty {
    fn purge(&self, covers: impl Fn(&str) -> bool) {
        *self.invalidated.lock() = true;
        let all = self.fault == Fault::InvalidatesEverything;
        if self.fault != Fault::InvalidatesNothing {
            self.stored.lock().retain(|(path, _), _| !all && !covers(path));
        }
    }
}

impl Usage for Faulty {
    fn lookup(&self, rendition: Rendition) -> Option<Version> {
        self.stored.lock().get(&(rendition.path, rendition.variant)).copied()
    }

    fn fill(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        let picture = read();
        let refuses = self.fault == Fault::RefusesForEver && *self.invalidated.lock();
        if self.fault != Fault::StoresNothing && !refuses {
            self.stored.lock().insert((rendition.path, rendition.variant), picture);
        }
    }

    fn refresh(&self, rendition: Rendition, read: &dyn Fn() -> Version) {
        if self.fault != Fault::ReadsNothing {
            self.fill(rendition, read);
        }
    }

    fn purge_variant(&self, rendition: Rendition) {
        self.purge_path(rendition.path);
    }

    fn purge_path(&self, purged: &'static str) {
        self.purge(|path| path == purged);
    }

    fn purge_prefix(&self, prefix: &'static str) {
        self.purge(|path| path.starts_with(prefix));
    }

    fn flush_all(&self) {
        self.purge(|_| true);
    }
}

fn race(make: fn() -> Box<dyn Usage>) -> Result<Verdict, String> {
    let entrant = Entrant { peer: "faulty", usage: "planted", how: "", make };
    entrant.race(Scope::Path, Before::Present)
}

fn faulty(fault: Fault) -> Box<dyn Usage> {
    Box::new(Faulty { fault, stored: Mutex::default(), invalidated: Mutex::default() })
}

#[track_caller]
fn is_found_out(make: fn() -> Box<dyn Usage>, by: &str) {
    let what = race(make).expect_err("the fault is found");
    assert!(what.ends_with(by), "{what}");
}

#[test]
fn a_map_without_faults_serves_old() {
    assert_eq!(race(|| faulty(Fault::None)), Ok(Verdict::ServedOld));
}

#[test]
fn storing_nothing_is_no_refusal() {
    is_found_out(|| faulty(Fault::StoresNothing), "an undisturbed fill is not served");
}

#[test]
fn an_invalidation_must_take_what_was_stored() {
    is_found_out(|| faulty(Fault::InvalidatesNothing), "the invalidation left what was stored");
}

#[test]
fn an_invalidation_must_leave_what_it_does_not_cover() {
    let by = "the invalidation took too much or too little";
    is_found_out(|| faulty(Fault::InvalidatesEverything), by);
}

#[test]
fn a_fill_must_read_the_source() {
    is_found_out(|| faulty(Fault::ReadsNothing), "no fill was under way");
}

#[test]
fn refusing_later_fills_too_is_no_refusal() {
    let by = "a fill that began after the invalidation is not served";
    is_found_out(|| faulty(Fault::RefusesForEver), by);
}
