//! `tidegate install` and `tidegate uninstall`.

use std::path::Path;

use super::args::{InstallArgs, UninstallArgs};
use super::failure::{Failure, FailureKind};
use super::target::Wanted;
use super::{Done, notes, policy, target};
use crate::deploy;
use crate::diag::finding::{Finding, Weight};
use crate::facts::Facts;
use crate::host::{self, Host, HostError, LinuxHost, Variant};
use crate::netfilter::Family;

pub(super) fn run(args: &InstallArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let watched = if args.watch {
        Some(watched(args)?)
    } else {
        None
    };
    let with = policy::With {
        host: args.host_name.as_deref(),
        inventory: args.inventory.as_deref(),
        engine: watched.is_some().then(Facts::nothing_runs),
    };
    let Wanted {
        subject,
        mut warnings,
        engine,
    } = target::wanted(&host, &args.what, &with)?;
    let bundle = subject.bundle;
    let unread = deploy::forgets_nothing(&host, &bundle, engine.facts(), &args.forget)?;
    if let Some(closed) = deploy::closed_at_first(&host, &subject.policy, false) {
        return Err(target::unwanted(&[closed]));
    }
    deploy::install(&host, &bundle, watched.as_deref())?;
    deploy::report_only(&host, args.report_only)?;
    let mut lines = vec!["keep the policy itself in /etc/tidegate".to_owned()];
    if args.host.root == Path::new("/") {
        let watch = watched.map(|name| format!(" {}", deploy::instance(&name)));
        let watch = watch.unwrap_or_default();
        lines.push(format!(
            "put it in force now: systemctl start tidegate-guard tidegate tidegate-drift.timer{watch}"
        ));
    }
    let (policy, version) = (&bundle.manifest().policy, bundle.short_version());
    let text = format!("{policy}, version {version}: installed, in force from the next boot\n");
    let text = text + &notes(&lines);
    warnings.extend(unread.iter().map(Finding::text));
    Ok(Done {
        text,
        warnings,
        yes: unread.is_none_or(|it| it.weight != Weight::Error),
        ..Done::default()
    })
}

/// Returns the name by which a unit finds the policy.
fn watched(args: &InstallArgs) -> Result<String, Failure> {
    let folder = args
        .host
        .root
        .join(deploy::POLICIES.trim_start_matches('/'));
    let name = args
        .what
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned());
    let fits = |name: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        name.chars().all(plain) && args.what == folder.join(format!("{name}.tide"))
    };
    name.filter(fits).ok_or_else(|| {
        let message = format!("{} is not where a unit would look", host::shown(&args.what));
        let help = format!(
            "put it into {}, as NAME.tide, with what it includes",
            host::shown(&folder)
        );
        Failure::new(FailureKind::Usage, &message, &help)
    })
}

pub(super) fn remove(args: &UninstallArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    if let Some(other) = other_variant(&host)? {
        deploy::clear(&other)?;
    }
    if args.keep_bundle {
        let left = deploy::disarm(&host)?;
        let text = "rules and settings of tidegate are out of force; its bundle stays\n";
        return Ok(Done::yes(text.to_owned() + &notes(&left)));
    }
    let left = deploy::uninstall(&host)?;
    let text = "rules, units and files of tidegate are gone\n".to_owned();
    Ok(Done::yes(text + &notes(&left)))
}

/// Returns the machine by the iptables that is not asked, where that one has rules of tidegate's: what
/// `iptables` is now, it may not have been when they were loaded.
fn other_variant(host: &LinuxHost) -> Result<Option<LinuxHost>, Failure> {
    let other = Variant::of_version(&host.iptables_version()?).other();
    for family in Family::BOTH {
        let saved = match host.save_variant(other, family) {
            Err(HostError::NoCommand(_)) => continue,
            saved => saved?,
        };
        if saved.contains("TIDE-") {
            return Ok(Some(host.clone().by(other)));
        }
    }
    Ok(None)
}
