//! All interleavings of a fill at an edge with one purge, which the edge and the shield apply on
//! their own: the protocol keeps no old answer, and each of five similar protocols does.
//!
//! The picture has changed at the origin, and the shield still has the old one. Both caches are
//! real indexes.

use cache_index::{CacheIndex, Config, FillLease, Hard, Lookup, OriginPath, Tenant, VariantKey};
use cache_index_watermark::{Answer, Progress, StreamId, Watermark};

const OLD: u32 = 1;
const NEW: u32 = 2;
const PURGE: u64 = 1;

/// The number that the edge sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    None,
    AppliedBeforeLease,
    BegunBeforeLease,
    AppliedAfterLease,
    BegunAfterLease,
}

/// The number that the shield compares with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    Applied,
    Begun,
}

/// The steps of the three actors, each in their order. `Progress::apply` keeps the order of the
/// last two actors, so that their steps are numbers here.
const FILL: usize = 5;
const APPLY: usize = 3;

struct Node {
    index: CacheIndex<u32>,
    tenant: Tenant,
    begun: u64,
    applied: u64,
}

struct World {
    edge: Node,
    shield: Node,
    path: OriginPath<'static>,
    key: VariantKey<'static>,
    stream: StreamId,
    lease: Option<FillLease<u32>>,
    sent: Option<Watermark>,
    answer: Option<Answer>,
    fetched: Option<(u32, Option<Watermark>)>,
}

impl Node {
    fn new() -> Self {
        let index = CacheIndex::new(Config::builder().shards(1).build().unwrap());
        Self { tenant: index.tenant("doc"), index, begun: 0, applied: 0 }
    }

    fn apply(&mut self, step: usize, path: &OriginPath<'_>) {
        match step {
            0 => self.begun = PURGE,
            1 => drop(self.index.purge(&self.tenant, path, Hard)),
            _ => self.applied = PURGE,
        }
    }
}

impl World {
    fn new() -> Self {
        let (path, key) = ("birds.jpg", "200w");
        let world = Self {
            edge: Node::new(),
            shield: Node::new(),
            path: OriginPath::opaque(path).unwrap(),
            key: VariantKey::opaque(key).unwrap(),
            stream: "s".parse().unwrap(),
            lease: None,
            sent: None,
            answer: None,
            fetched: None,
        };
        let Node { index, tenant, .. } = &world.shield;
        assert!(index.insert(tenant, &world.path, &world.key, OLD).is_stored());
        world
    }

    fn fill(&mut self, step: usize, sent: Sent, compared: Compared) {
        let is_lease_first = matches!(sent, Sent::AppliedAfterLease | Sent::BegunAfterLease);
        match step {
            0 if is_lease_first => self.take_lease(),
            0 => self.read_number(sent),
            1 if is_lease_first => self.read_number(sent),
            1 => self.take_lease(),
            2 => {
                let number = match compared {
                    Compared::Applied => self.shield.applied,
                    Compared::Begun => self.shield.begun,
                };
                let shield = Progress::new(self.stream.clone(), number);
                self.answer = self.sent.as_ref().map(|sent| shield.answer_to(sent));
            }
            3 => {
                let Node { index, tenant, .. } = &self.shield;
                let cached = index.lookup(tenant, &self.path, &self.key).servable();
                self.fetched = Some(match self.answer.take() {
                    None => (cached.unwrap_or(NEW), None),
                    Some(Answer::FromCache { echo }) => (cached.unwrap_or(NEW), Some(echo)),
                    // Past the cache: the answer of the origin is as new as can be.
                    Some(_) => (NEW, self.sent.clone()),
                });
            }
            _ => {
                let (picture, echo) = self.fetched.take().unwrap();
                let lease = self.lease.take().unwrap();
                let sent = self.sent.as_ref();
                if sent.is_none_or(|sent| sent.allows_keeping(echo.as_ref())) {
                    drop(lease.commit(&self.key, picture));
                }
            }
        }
    }

    fn take_lease(&mut self) {
        self.lease = Some(self.edge.index.lease(&self.edge.tenant, &self.path));
    }

    fn read_number(&mut self, sent: Sent) {
        let number = match sent {
            Sent::None => return,
            Sent::AppliedBeforeLease | Sent::AppliedAfterLease => self.edge.applied,
            Sent::BegunBeforeLease | Sent::BegunAfterLease => self.edge.begun,
        };
        self.sent = Some(Watermark::new(self.stream.clone(), number));
    }
}

/// All orders of the steps of three actors.
fn orders() -> Vec<Vec<usize>> {
    fn extend(order: &mut Vec<usize>, left: [usize; 3], orders: &mut Vec<Vec<usize>>) {
        if left == [0; 3] {
            orders.push(order.clone());
        }
        for actor in (0..3).filter(|actor| left[*actor] > 0) {
            let mut rest = left;
            rest[actor] -= 1;
            order.push(actor);
            extend(order, rest, orders);
            order.pop();
        }
    }
    let mut orders = Vec::new();
    extend(&mut Vec::new(), [FILL, APPLY, APPLY], &mut orders);
    orders
}

/// In how many orders the edge keeps the old picture for good, and the new one.
fn kept(sent: Sent, compared: Compared) -> (usize, usize) {
    let (mut old, mut new) = (0, 0);
    for order in orders() {
        let mut world = World::new();
        let mut steps = [0; 3];
        for actor in order {
            let step = steps[actor];
            steps[actor] += 1;
            match actor {
                0 => world.fill(step, sent, compared),
                1 => world.edge.apply(step, &world.path),
                _ => world.shield.apply(step, &world.path),
            }
        }
        match world.edge.index.lookup(&world.edge.tenant, &world.path, &world.key) {
            Lookup::Live(OLD) => old += 1,
            Lookup::Live(_) => new += 1,
            Lookup::Stale(_) | Lookup::Miss => {}
        }
    }
    (old, new)
}

#[test]
fn protocol_keeps_no_old_picture_in_any_order() {
    assert_eq!(orders().len(), 9240);
    // In most orders, the purge refuses the edge's lease, whichever answer it brings.
    assert_eq!(kept(Sent::BegunAfterLease, Compared::Applied), (0, 990));
}

#[test]
fn five_similar_protocols_keep_old_pictures() {
    let wrong = [
        (Sent::None, Compared::Applied, (526, 2114)),
        (Sent::AppliedBeforeLease, Compared::Applied, (501, 2139)),
        (Sent::BegunBeforeLease, Compared::Applied, (167, 2473)),
        (Sent::AppliedAfterLease, Compared::Applied, (142, 848)),
        (Sent::BegunAfterLease, Compared::Begun, (129, 861)),
    ];
    for (sent, compared, counts) in wrong {
        assert_eq!(kept(sent, compared), counts, "{sent:?}, {compared:?}");
    }
}
