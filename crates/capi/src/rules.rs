//! Cloudimage's rules for the URLs of one tenant.

use crate::boundary::{array, guard, hand_over_made, settings, sized, take_back};
use crate::error::{Failure, ci_error};
use crate::index::flag;
use crate::text::ci_str;
use cache_index::canonical::{Grouping, PathError, Root, Rules, RulesBuilder, RulesError, V7};
use std::error::Error;
use std::ffi::c_int;

/// The rules of one tenant. Any number of threads may use them.
pub struct ci_rules(pub(crate) Rules);

/// The settings of rules. Set `size` to `sizeof(struct ci_rules_config)` and the rest to zero,
/// which stands for the defaults: targets of a token without `v7` and without a prefix.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_rules_config {
    /// `sizeof(struct ci_rules_config)`.
    pub size: usize,
    /// The token: pictures are delivered from `token.cloudimg.io`. 1 to 63 ASCII letters, digits,
    /// `-` and `_`. Empty: none.
    pub token: ci_str,
    /// A host of the customer's from which pictures are delivered, without a port. Empty: none.
    pub custom_host: ci_str,
    /// More hosts that the server answers to, such as `localhost:8080`.
    pub delivery_hosts: *const ci_str,
    /// The number of `delivery_hosts`.
    pub delivery_hosts_count: usize,
    /// The URL that relative paths are resolved against, with its scheme, without a query. Empty:
    /// none.
    pub prefix: ci_str,
    /// Whether paths begin with `v7/`, as in the URLs of tokens from before November 2021: 0 never,
    /// so that `/v7/...` is an error, 1 always, 2 optionally.
    pub v7: c_int,
    /// The kind of a first segment: 0 or 1 a host if it looks like one, so that its letters are
    /// written in lower case; 2 a folder. With a `prefix`, 0 is 2.
    pub root: c_int,
    /// 1: an invalidation entry that ends in `*` names all pictures with that prefix.
    pub wildcards: c_int,
    /// 1: `http://`, `https://` and no scheme, `%28` and `(` name the same picture: the path is the
    /// same, and a mark in the variant keeps the difference, see `ci_request_target`. 0: they are
    /// different pictures, and a purge of one leaves the others.
    pub grouping: c_int,
}

sized!(ci_rules_config);

/// # Safety
/// All texts can be read.
unsafe fn builder(config: &ci_rules_config) -> Result<RulesBuilder, Failure> {
    let mut builder = Rules::builder();
    // SAFETY: as promised.
    let (token, custom_host, prefix, hosts) = unsafe {
        let hosts = array(config.delivery_hosts, config.delivery_hosts_count, "delivery_hosts")?;
        let hosts = hosts.iter().enumerate();
        let hosts = hosts.map(|(at, host)| {
            host.text("text").map_err(|failure| failure.of("delivery_hosts", at))
        });
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        let token = config.token.text("token")?;
        let custom_host = config.custom_host.text("custom_host")?;
        (token, custom_host, config.prefix.text("prefix")?, hosts)
    };
    if !token.is_empty() {
        builder = builder.token(token);
    }
    if !custom_host.is_empty() {
        builder = builder.custom_host(custom_host);
    }
    if !prefix.is_empty() {
        builder = builder.prefix(prefix);
    }
    builder = hosts.into_iter().fold(builder, RulesBuilder::delivery_host);
    builder = builder.v7(one_of(config.v7, "v7", [V7::Never, V7::Required, V7::Optional])?);
    if let Some(root) = one_of(config.root, "root", [None, Some(Root::Host), Some(Root::Path)])? {
        builder = builder.root(root);
    }
    if flag(config.wildcards, "wildcards")? {
        builder = builder.allow_wildcards();
    }
    if flag(config.grouping, "grouping")? {
        builder = builder.grouping(Grouping::Grouped);
    }
    Ok(builder)
}

fn one_of<T: Copy>(value: c_int, name: &str, choices: [T; 3]) -> Result<T, Failure> {
    let chosen = usize::try_from(value).ok().and_then(|at| choices.get(at).copied());
    chosen.ok_or_else(|| Failure::argument(format_args!("{name} is {value}: expected 0, 1 or 2")))
}

/// The error of settings that no rules can have. An error inside the prefix has its position.
#[cold]
fn contradiction(error: &RulesError) -> Failure {
    let inside = error.source().and_then(|source| source.downcast_ref::<PathError>());
    inside.map_or_else(|| Failure::argument(error), |inside| Failure::setting("prefix", inside))
}

/// Creates the rules of a tenant. `config` may be NULL, for the defaults.
///
/// Owner: you; free `*out` with `ci_rules_free`. All texts are copied.
///
/// Returns CI_OK. Otherwise nothing is created:
/// CI_ERR_TEXT: a text is not UTF-8, or has more than 16777215 bytes.
/// CI_ERR_ARGUMENT: a number is out of range; the token, a host or the prefix is malformed
/// (`ci_error.at` is set only for the prefix); or two settings contradict each other.
/// CI_ERR_NULL, CI_ERR_SIZE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_rules_new(
    config: *const ci_rules_config,
    out: *mut *mut ci_rules,
    error: *mut ci_error,
) -> c_int {
    let make = || {
        // SAFETY: the caller passes NULL or a valid struct, with texts that can be read.
        let builder = match unsafe { settings(config, "config") }? {
            None => Rules::builder(),
            // SAFETY: as above.
            Some(config) => unsafe { builder(&config) }?,
        };
        Ok(ci_rules(builder.build().map_err(|error| contradiction(&error))?))
    };
    // SAFETY: `out` and `error` are NULL or can be written to.
    unsafe { guard(error, || hand_over_made(out, make)) }
}

/// Frees rules. NULL is allowed.
///
/// Undefined: to free rules twice, or while another thread uses them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_rules_free(rules: *mut ci_rules) {
    // SAFETY: the caller passes NULL or rules that are not used any more.
    unsafe { take_back(rules) }
}
