//! Faults, and their end.

use super::plan::{MILLI, SECOND};
use super::world::{Answer, Event, Local, World};

impl World {
    fn tell(&self, text: &str) {
        if self.plan.is_verbose {
            println!("{:>10.3} ms: {text}", self.now as f64 / MILLI as f64);
        }
    }

    pub(super) fn node_fault(&mut self) {
        if self.is_healed {
            return;
        }
        let next = self.around(self.plan.node_faults);
        self.after(next, Event::NodeFault);
        let site = self.random.usize(..self.sites.len());
        let period = u64::try_from(self.plan.period.as_nanos()).expect("seconds");
        let length = self.random.u64(100 * MILLI..period * 3);
        match self.random.u8(..10) {
            0 | 1 => self.kill(site, length),
            2 | 3 => {
                self.tell(&format!("node {site} is frozen for {length}"));
                let until = self.now + length;
                self.sites[site].frozen_until = self.sites[site].frozen_until.max(until);
            }
            4 | 5 => {
                self.tell(&format!("node {site} is cut off for {length}"));
                let direction = self.random.u8(..3);
                if direction != 0 {
                    self.sites[site].cut_out = self.now + length;
                }
                if direction != 1 {
                    self.sites[site].cut_in = self.now + length;
                    self.fail_reader(site);
                }
            }
            6 if self.plan.loses_disks => {
                self.kill(site, length);
                self.tell(&format!("node {site} loses its disk"));
                let now = self.now;
                self.sites[site].lose_disk(now);
            }
            _ => {
                self.tell(&format!("node {site} begins a snapshot"));
                self.sites[site].begin_snapshot();
                let (boot, what) = (self.sites[site].boot, Local::SnapshotRead);
                let delay = self.random.u64(..30 * MILLI);
                self.after(delay, Event::At { site, boot, what });
            }
        }
    }

    fn kill(&mut self, site: usize, length: u64) {
        self.tell(&format!("node {site} is killed for {length}"));
        self.sites[site].process = None;
        self.sites[site].frozen_until = 0;
        self.engine.tails.retain(|tail| tail.site != site);
        self.after(length, Event::Restart(site));
    }

    /// A reader notices after a second that nothing comes.
    fn fail_reader(&mut self, site: usize) {
        let failed: Vec<_> = self.engine.tails.iter().filter(|tail| tail.site == site).collect();
        let failed: Vec<_> = failed.iter().map(|tail| (tail.boot, tail.attempt)).collect();
        for (boot, attempt) in failed {
            let what = Local::Answer(Answer::ReaderFailed { attempt });
            self.after(SECOND, Event::At { site, boot, what });
        }
    }

    pub(super) fn engine_fault(&mut self) {
        if self.is_healed {
            return;
        }
        let next = self.around(self.plan.engine_faults);
        self.after(next, Event::EngineFault);
        let first = self.engine.now.stream.info(0).first;
        let last = self.engine.now.stream.last();
        match self.random.u8(..12) {
            0..3 => self.engine.back_up(),
            3..6 => self.crash("crashes", |_| {}),
            _ if !self.plan.is_lossy => {}
            6 => {
                let count = self.random.u64(1..6);
                self.crash("crashes and loses messages", |world| world.engine.lose(count));
            }
            7 => self.crash("is wiped", |world| world.engine.wipe()),
            8 => self.crash("is restored", |world| {
                let mut random = world.random.clone();
                world.engine.restore(&mut random);
            }),
            9 if last > first => {
                let below = self.random.u64(first..=last + 1);
                self.tell(&format!("engine: everything below {below} is purged"));
                self.engine.now.stream.purge_below(below);
            }
            10 if last > first => {
                let sequence = self.random.u64(first..last);
                self.tell(&format!("engine: message {sequence} is deleted"));
                self.engine.now.stream.delete(sequence);
            }
            _ => {
                self.tell("engine: forgets ids");
                self.engine.now.stream.forget_ids();
            }
        }
    }

    fn crash(&mut self, what: &str, change: impl FnOnce(&mut Self)) {
        let last = self.engine.now.stream.last();
        change(self);
        let length = self.random.u64(..4 * SECOND);
        let now = self.engine.now.stream.last();
        self.tell(&format!("engine {what}, for {length}: {last} -> {now}"));
        self.note_restored();
        self.engine.is_up = false;
        for site in 0..self.sites.len() {
            self.fail_reader(site);
        }
        self.engine.tails.clear();
        self.after(length, Event::EngineUp);
    }

    pub(super) fn heal(&mut self) {
        self.tell("everything heals");
        self.is_healed = true;
        self.engine.is_up = true;
        for site in 0..self.sites.len() {
            self.sites[site].frozen_until = 0;
            (self.sites[site].cut_in, self.sites[site].cut_out) = (0, 0);
            self.fail_reader(site);
            self.restart(site);
        }
    }
}
