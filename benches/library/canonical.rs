//! Canonicalization: `cargo bench -p benchmarks --bench canonical`. Every bench checks the result
//! of its operation.
//!
//! Axes: how much of the text must change, its length, how many parameters it has. Beside URL
//! parsers: `cargo bench -p peers --bench canonical`.

use cache_index::canonical::{Grouping, Rules, Target};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const CANONICAL: &str = "https://doc.cloudimg.io/sample.li/products/birds-0001.jpg?h=400&w=600";

fn rules() -> Rules {
    Rules::builder().token("doc").allow_wildcards().build().expect("good rules")
}

fn delivery(c: &mut Criterion) {
    let mut group = c.benchmark_group("delivery");
    let rules = rules();
    let expected = rules.delivery(CANONICAL).expect("good text");
    for (name, text) in [
        ("canonical", CANONICAL),
        ("no scheme", "/sample.li/products/birds-0001.jpg?h=400&w=600"),
        ("order", "/sample.li/products/birds-0001.jpg?w=600&h=400"),
        ("long names", "/sample.li/products/birds-0001.jpg?width=600&height=400"),
        ("escapes", "/sample.li/pr%6fducts/birds%2D0001.jpg?h=400&w=600"),
        ("dots", "/sample.li/./old/../products/birds-0001.jpg?h=400&w=600"),
        ("signed", "/sample.li/products/birds-0001.jpg?h=400&w=600&ci_sign=84c81ef20852013046"),
        (
            "all of these",
            "/Sample.LI/./old/../pr%6fducts/birds%2D0001.jpg?width=600&ci_sign=84c8&height=400",
        ),
        ("encoded", "/sample.li%2Fproducts%2Fbirds-0001.jpg?ci_url_encoded=1&h=400&w=600"),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(rules.delivery(black_box(text)).as_ref(), Ok(&expected)));
        });
    }
    group.finish();
}

fn refused(c: &mut Criterion) {
    let mut group = c.benchmark_group("delivery, refused");
    let rules = rules();
    for (name, text) in [
        ("above the root", "/sample.li/a/b/c/../../../../../birds.jpg?h=400&w=600"),
        ("other host", "https://other.example.com/sample.li/birds.jpg?h=400&w=600"),
        ("escape", "/sample.li/products/birds-0001.jpg?h=400&w=6%zz"),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| assert!(rules.delivery(black_box(text)).is_err(), "{text}"));
        });
    }
    group.finish();
}

fn by_length(c: &mut Criterion) {
    let mut group = c.benchmark_group("delivery, by bytes of path");
    let rules = rules();
    for length in [30, 100, 300, 1000, 5000] {
        let plain = format!("/sample.li/{}/birds.jpg", "folder/".repeat(length / 7));
        let escaped = plain.replacen("folder", "f%6flder", usize::MAX);
        let expected = rules.delivery(&plain).expect("good text");
        for (name, text) in [("canonical", &plain), ("every folder escaped", &escaped)] {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(name, length), |b| {
                b.iter(|| assert_eq!(rules.delivery(black_box(text)).as_ref(), Ok(&expected)));
            });
        }
    }
    group.finish();
}

fn by_parameters(c: &mut Criterion) {
    let mut group = c.benchmark_group("delivery, by parameters");
    let rules = rules();
    // Known ones in their order, so that there is something to sort; of many, each is repeated.
    let names = [
        "ar", "blur", "bright", "dpr", "f", "flip", "func", "gray", "h", "margin", "q", "r",
        "sharp", "trim", "w", "wat",
    ];
    for count in [0_usize, 1, 4, 16, 64] {
        let query = |order: &mut dyn Iterator<Item = usize>| {
            let repeats = count.div_ceil(names.len());
            let pairs: Vec<_> = order.map(|n| format!("{}=1", names[n / repeats])).collect();
            format!("/sample.li/birds.jpg?{}", pairs.join("&"))
        };
        let (sorted, turned) = (query(&mut (0..count)), query(&mut (0..count).rev()));
        let expected = rules.delivery(&sorted).expect("good text");
        for (name, text) in [("sorted", &sorted), ("turned around", &turned)] {
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| assert_eq!(rules.delivery(black_box(text)).as_ref(), Ok(&expected)));
            });
        }
    }
    group.finish();
}

fn invalidation(c: &mut Criterion) {
    let mut group = c.benchmark_group("invalidation");
    let rules = rules();
    let path = |text: &str| match rules.invalidation(text) {
        Ok(Target::Path(path)) => path.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(path("/sample.li/birds.jpg"), "sample.li/birds.jpg");
    group.bench_function("path", |b| {
        b.iter(|| {
            let target = rules.invalidation(black_box("/sample.li/birds.jpg"));
            assert!(matches!(target, Ok(Target::Path(path)) if path.as_str().len() == 19));
        });
    });
    group.bench_function("path, needing changes", |b| {
        b.iter(|| {
            let target = rules.invalidation(black_box("/Sample.LI/./b%69rds.jpg"));
            assert!(matches!(target, Ok(Target::Path(path)) if path.as_str().len() == 19));
        });
    });
    group.bench_function("prefix", |b| {
        b.iter(|| {
            let target = rules.invalidation(black_box("/sample.li/avatars/*"));
            assert!(matches!(target, Ok(Target::Prefix(prefix)) if prefix.as_str().len() == 18));
        });
    });
    group.bench_function("one variant", |b| {
        b.iter(|| {
            let entry = rules.variant_entry(black_box("/sample.li/paris.jpg?width=400"));
            assert_eq!(entry.expect("good text").variant.as_str(), "?w=400");
        });
    });
    group.bench_function("operations", |b| {
        b.iter(|| {
            let operations = rules.operations(black_box("height=300&width=200"));
            assert_eq!(operations.expect("good text").as_str(), "?h=300&w=200");
        });
    });
    group.bench_function("query where none may be", |b| {
        b.iter(|| {
            let error = rules.invalidation(black_box("/sample.li/birds.jpg?w=600"));
            assert_eq!(error.expect_err("a query").byte_offset(), 20);
        });
    });
    group.finish();
}

fn grouped(c: &mut Criterion) {
    let mut group = c.benchmark_group("delivery, spellings grouped");
    let rules =
        Rules::builder().token("doc").grouping(Grouping::Grouped).build().expect("good rules");
    for (name, text) in [
        ("nothing to group", CANONICAL),
        ("scheme", "/https://sample.li/products/birds-0001.jpg?h=400&w=600"),
        ("punctuation", "/sample.li/products/birds-%28001%29.jpg?h=400&w=600"),
    ] {
        let expected = rules.delivery(text).expect("good text");
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(rules.delivery(black_box(text)).as_ref(), Ok(&expected)));
        });
    }
    group.finish();
}

criterion_group!(all, delivery, refused, by_length, by_parameters, invalidation, grouped);
criterion_main!(all);
