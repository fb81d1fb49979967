//! Sequences of operations, on the index and on the reference model: every outcome must be the
//! same.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test model` runs the long form.

mod common;

use cache_index::DeadValues;
use common::Names;
use common::model::{Mode, PATHS, PREFIXES};
use common::pair::{HANDLES, Op, Pair, TENANTS, VARIANTS};
use proptest::prelude::*;

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![3 => Just(Mode::Hard), 2 => Just(Mode::Soft)]
}

fn op() -> impl Strategy<Value = Op> {
    // Rarely a forgotten tenant, which has no entries.
    let t = prop_oneof![8 => 0..TENANTS, 1 => TENANTS..HANDLES];
    let p = 0..PATHS.len();
    let (t2, p2) = (t.clone(), p.clone());
    // Few variants as a rule, so that they meet; now and then enough of them for the set to change
    // its form.
    let v = || prop_oneof![4 => 0..4_usize, 1 => 0..VARIANTS];
    prop_oneof![
        6 => (t.clone(), p.clone(), v()).prop_map(|(t, p, v)| Op::Lookup(t, p, v)),
        1 => (t.clone(), proptest::collection::vec((p.clone(), v()), 0..40))
            .prop_map(|(t, variants)| Op::LookupMany(t, variants)),
        4 => (t.clone(), p.clone()).prop_map(|(t, p)| Op::Lease(t, p)),
        4 => (t.clone(), p.clone(), v()).prop_map(|(t, p, v)| Op::Claim(t, p, v)),
        6 => (any::<usize>(), v()).prop_map(|(n, v)| Op::Commit(n, v)),
        1 => any::<usize>().prop_map(Op::Drop),
        6 => (t.clone(), p.clone(), v()).prop_map(|(t, p, v)| Op::Insert(t, p, v)),
        1 => (t.clone(), p.clone(), 0..=VARIANTS)
            .prop_map(|(t, p, n)| Op::InsertSome(t, p, n)),
        2 => (t.clone(), p.clone(), v(), any::<bool>())
            .prop_map(|(t, p, v, right)| Op::Remove(t, p, v, right)),
        3 => (t.clone(), p.clone(), mode()).prop_map(|(t, p, m)| Op::Purge(t, p, m)),
        1 => (t.clone(), p.clone(), any::<u64>(), mode())
            .prop_map(|(t, p, vs, m)| Op::PurgeKeys(t, p, vs % (1 << VARIANTS), m)),
        1 => (t.clone(), p.clone(), 0..VARIANTS / 2, mode())
            .prop_map(|(t, p, w, m)| Op::PurgeWidth(t, p, w, m)),
        1 => (t.clone(), proptest::collection::vec(p.clone(), 0..4), mode())
            .prop_map(|(t, ps, m)| Op::PurgeMany(t, ps, m)),
        2 => (t.clone(), 0..PREFIXES.len(), mode())
            .prop_map(|(t, p, m)| Op::PurgePrefix(t, p, m)),
        1 => (
            t.clone(),
            proptest::collection::vec(0..PATHS.len() + PREFIXES.len(), 0..4),
            proptest::option::weighted(0.3, 0..2_usize),
            mode()
        )
            .prop_map(|(t, entries, width, m)| Op::Request(t, entries, width, m)),
        1 => (t.clone(), proptest::collection::vec(p.clone(), 1..3), 0..2_usize, mode())
            .prop_map(|(t, entries, width, m)| Op::Request(t, entries, Some(width), m)),
        1 => (t.clone(), proptest::collection::vec((p.clone(), v()), 0..4), mode())
            .prop_map(|(t, variants, m)| Op::RequestUrls(t, variants, m)),
        1 => (t.clone(), mode()).prop_map(|(t, m)| Op::RequestAll(t, m)),
        1 => (t.clone(), mode()).prop_map(|(t, m)| Op::FlushTenant(t, m)),
        1 => mode().prop_map(Op::FlushAll),
        2 => (proptest::option::of(t.clone()), 0..100_u64, 0..30_u64, any::<bool>())
            .prop_map(|(t, seconds, passed, stale)| Op::FlushOver(t, seconds, passed, stale)),
        3 => (0..60_u64).prop_map(Op::Wait),
        1 => t.clone().prop_map(Op::Forget),
        1 => (t.clone(), p).prop_map(|(t, p)| Op::Variants(t, p)),
        1 => (t, 0..PREFIXES.len()).prop_map(|(t, p)| Op::Paths(t, p)),
        1 => (0..20_usize).prop_map(Op::Reclaim),
        2 => (1..10_usize).prop_map(Op::Export),
        2 => Just(Op::BeginRestore),
        1 => Just(Op::EndRestore),
        4 => (t2, p2, v(), 0..=6_usize).prop_map(|(t, p, v, n)| Op::Restore(t, p, v, n)),
        1 => (0..TENANTS, 0..PATHS.len(), v(), 0..=VARIANTS)
            .prop_map(|(t, p, v, n)| Op::Restore(t, p, v, n)),
    ]
}

proptest! {
    #[test]
    fn every_outcome_is_the_models(
        shards in prop_oneof![Just(1), Just(2), Just(64)],
        dead_values in prop_oneof![Just(DeadValues::Queue), Just(DeadValues::Drop)],
        names in prop_oneof![
            Just(Names::Canonical),
            any::<char>().prop_map(Names::Opaque),
        ],
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut pair = Pair::new(shards, dead_values, names);
        for op in &ops {
            pair.run(op);
            pair.check_totals();
        }
        pair.finish();
    }
}
