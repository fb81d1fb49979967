//! URLs of other image servers in the index: those of imgproxy and of thumbor, stored under opaque
//! names.
//!
//! Both servers resize the same source picture here. When it changes, one purge takes the
//! renditions of both.
//!
//! ```sh
//! cargo run --example own_urls
//! ```

use cache_index::{CacheIndex, Hard, Lookup, NameError, OriginPath, VariantKey};

/// `/SIGNATURE/OPTIONS/plain/SOURCE@FORMAT`: the signature and the scheme of the source don't
/// change the picture.
fn imgproxy(target: &str) -> Option<Result<(OriginPath<'_>, VariantKey<'_>), NameError>> {
    let (_signature, rest) = target.strip_prefix('/')?.split_once('/')?;
    let (options, source) = rest.split_once("/plain/")?;
    let (source, format) = source.rsplit_once('@').unwrap_or((source, "jpg"));
    let source = source.strip_prefix("https://").unwrap_or(source);
    Some(names(source, format!("imgproxy/{options}@{format}")))
}

/// `/unsafe/OPTIONS/SOURCE`: the source begins with the first segment that looks like a host.
fn thumbor(target: &str) -> Option<Result<(OriginPath<'_>, VariantKey<'_>), NameError>> {
    let rest = target.strip_prefix("/unsafe/")?;
    let host = rest.split('/').find(|segment| segment.contains('.'))?;
    let (options, _) = rest.split_once(host)?;
    Some(names(&rest[options.len()..], format!("thumbor/{options}")))
}

fn names(source: &str, key: String) -> Result<(OriginPath<'_>, VariantKey<'_>), NameError> {
    Ok((OriginPath::opaque(source)?, VariantKey::opaque(key)?))
}

fn main() -> Result<(), NameError> {
    let index = CacheIndex::default();
    let shop = index.tenant("shop");
    let requests = [
        imgproxy("/sig/rs:fit:300:200/plain/https://shop.example/a.jpg@webp"),
        imgproxy("/sig/rs:fit:300:200/plain/https://shop.example/b.jpg@webp"),
        thumbor("/unsafe/300x200/smart/shop.example/a.jpg"),
    ];
    let files: Vec<_> = requests.into_iter().flatten().collect::<Result<_, _>>()?;
    for ((source, key), object) in files.iter().zip(1_u64..) {
        assert!(index.lease(&shop, source).commit(key, object).is_stored());
    }

    let changed = OriginPath::opaque("shop.example/a.jpg")?;
    let mut gone: Vec<_> =
        index.purge(&shop, &changed, Hard).into_iter().map(|(key, _)| String::from(key)).collect();
    gone.sort();
    assert_eq!(gone, ["imgproxy/rs:fit:300:200@webp", "thumbor/300x200/smart/"]);
    let (other, key) = &files[1];
    assert_eq!(index.lookup(&shop, other, key), Lookup::Live(2));
    Ok(())
}
