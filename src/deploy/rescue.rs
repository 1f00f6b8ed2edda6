//! Puts a machine's own bundle in force again, or the newest copy that is intact.

use super::apply::{NextBoot, Options, Outcome, apply_locked, refused, remember};
use super::blind;
use super::closed;
use super::converge::{families, live, load_each};
use super::error::{ApplyError, Problem};
use super::intact::{self, Copy, Intact};
use super::job::Job;
use super::plan::transaction;
use super::state::{TideState, is_tide};
use super::store;
use super::trial::short;
use crate::artifact::Bundle;
use crate::host::Host;
use crate::netfilter::save::Tables;
use crate::netfilter::{Family, Table};

/// Puts what is installed in force again.
///
/// Where that is damaged, an older bundle closes more than no rules would: it is loaded, and the error
/// says so until somebody has applied a whole one.
pub(super) fn put_installed(
    host: &dyn Host,
    options: Options,
) -> Result<(Bundle, Outcome), ApplyError> {
    let Intact { copy, instead } = intact::newest(host).map_err(refused)?;
    match (copy, instead) {
        (Copy::Whole(bundle), None) => {
            let mut outcome = apply_locked(host, &bundle, options, NextBoot::AsBefore)?;
            outcome.notes.extend(kept(host, &bundle));
            Ok((*bundle, outcome))
        }
        (Copy::Whole(bundle), Some(why)) => Err(put_instead(host, options, &bundle, why)),
        (Copy::Rules(error, rules), why) => {
            let problem = why.unwrap_or(Problem::Bundle(error));
            Err(rules_alone(host, &rules, problem))
        }
    }
}

/// Has the history hold a bundle that was installed without an apply: a second copy, should one be
/// damaged. Returns a note where that fails. One with addresses of the moment is for this boot alone.
fn kept(host: &dyn Host, bundle: &Bundle) -> Option<String> {
    if host.exists(store::BOOT) {
        return None;
    }
    let now = host.modified(store::MANIFEST).ok().flatten();
    let now = now.unwrap_or_else(|| host.time_of_day());
    let kept = remember(host, None, bundle, now);
    kept.err()
        .map(|error| format!("the history does not have it: {error}"))
}

/// Loads another bundle than the installed one, which stays as it is for people to look at.
fn put_instead(host: &dyn Host, options: Options, bundle: &Bundle, why: Problem) -> ApplyError {
    let put = Job::new(host, bundle, options).map_err(ApplyError::Refused);
    let put = put.and_then(|mut job| {
        job.keeps_nothing = true;
        job.put(options, NextBoot::AsBefore)
    });
    match put {
        Ok(_) => ApplyError::Instead(Problem::Damaged {
            why: Box::new(why),
            policy: bundle.manifest().policy.clone(),
            version: short(bundle.version()).to_owned(),
        }),
        Err(error) => error,
    }
}

/// Loads the rules of a bundle without its manifest, which is that of another version of tidegate: an
/// engine is about to open ports, and no rules close less than these.
///
/// Where rules of ours are in force, they were those of a whole bundle, and stay. Settings and modules
/// were left to systemd, routes are missing. `problem` is why; it is returned with what stands now.
fn rules_alone(host: &dyn Host, rules: &[(Family, String)], problem: Problem) -> ApplyError {
    let mut any = false;
    for (family, text) in rules {
        if let (Some(now), Ok(wanted)) = (bare(host, *family), TideState::of_rules(text, *family)) {
            any = true;
            // Whatever fails here, the bundle is the reason to tell.
            for table in now.unread().keys() {
                let _ = blind::load(host, *family, *table, &wanted);
            }
            if let Some(text) = transaction(&now, &wanted) {
                let _ = load_each(host, *family, &wanted, &text);
            }
        }
    }
    if any {
        ApplyError::Partial(problem)
    } else {
        ApplyError::Refused(problem)
    }
}

/// Returns the rules of a family that the kernel has, if no chain of a bundle is in them.
fn bare(host: &dyn Host, family: Family) -> Option<Tables> {
    let tables = live(host, family).ok()?;
    let texts = Table::ALL
        .into_iter()
        .filter_map(|table| tables.table(table));
    let mut chains = texts.flat_map(|table| table.chains.keys());
    let is_policy = |chain: &String| is_tide(chain) && !closed::is_chain(chain);
    let is_bare = families(host).contains(&family) && !chains.any(is_policy);
    is_bare.then_some(tables)
}
