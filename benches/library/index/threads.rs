//! Several threads at once: lookups alone, and with fills and purges among them. The time is that
//! of one operation of one thread. With more threads than cores, they take turns.

use super::{PATHS, VARIANTS, World};
use cache_index::{Hard, Lookup};
use criterion::{BenchmarkId, Criterion};
use std::sync::Barrier;
use std::time::{Duration, Instant};

pub(super) fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("threads");
    let world = World::new(PATHS, VARIANTS);
    for threads in [1, 2, 4, 8] {
        group.bench_function(BenchmarkId::new("look-ups", threads), |b| {
            b.iter_custom(|iterations| {
                together(threads, |thread| {
                    walk(&world, thread, iterations, |path, key| {
                        let (path, value) = (&world.paths[path], key as u64);
                        let found = world.index.lookup(&world.tenant, path, &world.keys[key]);
                        assert_eq!(found, Lookup::Live(value));
                    });
                })
            });
        });
        group.bench_function(BenchmarkId::new("950 look-ups, 45 fills, 5 purges", threads), |b| {
            b.iter_custom(|iterations| {
                together(threads, |thread| {
                    let mut count = 0;
                    walk(&world, thread, iterations, |path, key| {
                        count += 1;
                        mixed(&world, count, path, key);
                    });
                })
            });
            world.paths.iter().for_each(|path| world.fill(path));
        });
    }
    group.finish();
}

fn mixed(world: &World, count: u64, path: usize, key: usize) {
    let (path, value) = (&world.paths[path], key as u64);
    let key = &world.keys[key];
    match count % 200 {
        0 => drop(world.index.purge(&world.tenant, path, Hard)),
        1..10 => drop(world.index.lease(&world.tenant, path).commit(key, value)),
        _ => {
            let found = world.index.lookup(&world.tenant, path, key);
            assert!(found == Lookup::Live(value) || found == Lookup::Miss);
        }
    }
}

/// Each thread starts its walk at another path.
fn walk(world: &World, thread: usize, steps: u64, mut step: impl FnMut(usize, usize)) {
    let mut path = thread * 7919 % world.paths.len();
    for _ in 0..steps {
        path = (path + 61_843) % world.paths.len();
        step(path, path % world.keys.len());
    }
}

/// Returns the time from the start of all threads to the end of the last.
fn together(threads: usize, work: impl Fn(usize) + Sync) -> Duration {
    let start = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(thread);
            });
        }
        start.wait();
        Instant::now()
    })
    .elapsed()
}
