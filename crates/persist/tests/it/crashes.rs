//! Crashes at any call of the file layer, and the state that is found afterwards.

use crate::history::{Crash, Oracle, open, open_serving};
use crate::scale;
use crate::sim::{Fault, Lie, Sim};

/// One history of several processes, each of which crashes. Returns how many images were looked at.
fn run(seed: u64, lie: Option<Lie>) -> Result<Counts, String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sim = Sim::new([512, 4096][random.usize(0..2)]);
    sim.lie(lie);
    let mut oracle = Oracle::default();
    let mut counts = Counts::default();
    // A directory that was never opened with success may be anything.
    let mut was_opened = false;
    for _ in 0..random.u8(1..5) {
        if random.u8(0..4) > 0 {
            sim.fail(random.u64(0..400), Fault::PowerOff);
        }
        let is_serving = random.bool();
        if let Ok(cache) = if is_serving { open_serving(&sim) } else { open(&sim) } {
            for _ in 0..if is_serving && was_opened { random.u8(0..8) } else { 0 } {
                oracle.step_while_loading(&cache, &mut random);
            }
            cache.wait_until_loaded();
            if was_opened && !(is_serving && sim.is_off()) {
                oracle.check(&cache, Crash::Killed, false)?;
            }
            oracle.restart(&cache)?;
            was_opened = true;
            let steps = if random.u8(0..8) == 0 { 400 } else { 60 };
            for _ in 0..random.u16(0..steps) {
                if sim.is_off() {
                    break;
                }
                oracle.step(&cache, &mut random);
            }
            counts.acknowledged = oracle.acknowledged;
            counts.images += look_at_images(&sim, &oracle, &mut random)?;
            drop(cache);
            sim = if random.bool() { sim.killed() } else { sim.power_lost(&mut random) };
            if lie.is_none() {
                // Everything that one image has proved must also hold for the next process.
                let reopened = open(&sim.killed()).map_err(|error| error.to_string())?;
                oracle.check(&reopened, Crash::PowerLost, false)?;
            }
        } else {
            sim = if random.bool() { sim.killed() } else { sim.power_lost(&mut random) };
        }
    }
    Ok(counts)
}

/// Opens what a crash at this moment may leave. Returns how many images that were.
fn look_at_images(sim: &Sim, oracle: &Oracle, random: &mut fastrand::Rng) -> Result<u64, String> {
    let mut images = vec![(Crash::Killed, sim.killed())];
    images.extend((0..6).map(|_| (Crash::PowerLost, sim.power_lost(random))));
    for (crash, image) in &images {
        let reopened = open(&image.killed()).map_err(|error| error.to_string())?;
        oracle.clone().check(&reopened, *crash, false)?;
    }
    Ok(images.len() as u64)
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    images: u64,
    acknowledged: u64,
}

#[test]
fn no_acknowledged_invalidation_is_forgotten_in_any_crash() {
    let mut total = Counts::default();
    let histories = 250 * scale();
    for seed in 0..histories {
        let counts = run(seed, None).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        total.images += counts.images;
        total.acknowledged += counts.acknowledged;
    }
    println!("{histories} histories, {} images, {} acknowledged", total.images, total.acknowledged);
    assert!(total.images > 3000 && total.acknowledged > 2000, "{total:?}");
}

/// The harness proves itself: each of these lies must be noticed.
#[test]
fn lies_of_the_file_layer_are_noticed() {
    for lie in
        [Lie::FilesNotSynced, Lie::FilesSyncedLate, Lie::DirectoryNotSynced, Lie::RenamedFirst]
    {
        let noticed =
            (0..2000).find_map(|seed| run(seed, Some(lie)).err().map(|error| (seed, error)));
        let (seed, error) = noticed.unwrap_or_else(|| panic!("{lie:?} was not noticed"));
        println!("{lie:?} noticed in history {seed}: {error}");
    }
}
