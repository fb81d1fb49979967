//! `cache-index` beside its peers.
use peers::adapters::contestants;
use peers::single::{Effort, Field};
use peers::table::Table;

fn main() {
    let pictures: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let rounds: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    peers::agreement::check().unwrap();
    let start = std::time::Instant::now();
    let mut table = Table::new(&contestants::<u64>());
    let field = Field::populate(pictures, Effort { rounds, batches: 64, purges: 2048 });
    eprintln!("populated {:?}", start.elapsed());
    table.lines.extend(field.lines());
    print!("{}", table.markdown());
    eprintln!("done {:?}", start.elapsed());
}
