//! The race in Pingora: a purge returns while the origin still sends the old picture. Prints which
//! picture the next request gets.
//!
//! ```sh
//! cargo run -p pingora_storage --example race
//! ```
#![expect(clippy::print_stdout, reason = "prints its result")]

#[path = "../rig/mod.rs"]
mod rig;

use rig::Rig;
use rig::origin::{Ending, Point};
use std::sync::Arc;

const PATH: &str = "/birds/1.jpg";
const TARGET: &str = "/birds/1.jpg?w=300";

/// The scopes, as the control port names them.
const SCOPES: [(&str, &str); 4] = [
    ("a picture", "/purge/shop.example/birds/1.jpg"),
    ("a folder", "/purge/shop.example/birds/*"),
    ("a tenant", "/flush/shop.example"),
    ("everything", "/flush"),
];

#[tokio::main]
async fn main() {
    // A purge of `MemCache` makes the fill panic whose answer is under way.
    std::panic::set_hook(Box::new(|info| {
        if !info.location().is_some_and(|at| at.file().contains("pingora-cache")) {
            println!("{info}");
        }
    }));
    println!("| purged during a fetch | | MemCache | cache-index |\n|---|---|---|---|");
    for (scope, purge) in SCOPES {
        for (point, name) in
            [(Point::BeforeHeader, "before the header"), (Point::InBody, "in the body")]
        {
            let mem = match scope {
                "a picture" => race(Rig::mem_cache().await, None, point).await,
                _ => "cannot purge it",
            };
            let index = race(Rig::indexed(1 << 20).await, Some(purge), point).await;
            println!("| {scope} | {name} | {mem} | {index} |");
        }
    }
}

async fn race(rig: Rig, purge: Option<&str>, point: Point) -> &'static str {
    let rig = Arc::new(rig);
    rig.origin.set(PATH, "the old picture", &[]);
    let mut held = rig.origin.hold(PATH, point);
    let first = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.begin(TARGET).await.finish().await }
    });
    held.reached().await;
    if point == Point::InBody {
        // The second request reads along, so the first half has come through.
        drop(rig.begin(TARGET).await);
    }
    rig.origin.set(PATH, "the new picture", &[]);
    match purge {
        Some(purge) => drop(rig.invalidate(purge).await),
        None => drop(rig.purge_method(TARGET).await),
    }
    held.release(Ending::Whole);
    let first = first.await.unwrap();
    match (first.as_deref(), rig.get(TARGET).await.text()) {
        (Ok("the old picture"), Ok("the new picture")) => "new picture",
        (Ok("the old picture"), Ok("the old picture")) => "**old picture**",
        (Err(_), Ok("the new picture")) => "new picture, but the answer under way breaks",
        (first, next) => panic!("{first:?}, {next:?}"),
    }
}
