//! What putting a bundle in force would do, without doing any of it.

use super::apply::Options;
use super::converge::live;
use super::cut::would_end;
use super::error::Problem;
use super::job::{Job, changed};
use super::plan::{steps, transaction};
use super::{confirm, store, trial};
use crate::artifact::{Bundle, Manifest};
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::host::{Ends, Host, HostError};
use crate::netfilter::Family;
use crate::netfilter::trace::Machine;
use crate::question::{LiveError, of_live};

/// The rules of one family, and what would be loaded on top of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRules {
    pub family: Family,
    /// As iptables-save(8) prints them.
    pub now: String,
    /// For `iptables-restore --noflush`; empty where nothing has to change.
    pub text: String,
}

/// All that [`apply`](super::apply) would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub rules: Vec<NewRules>,
    /// One step a line; none where the bundle is in force already.
    pub steps: Vec<String>,
    pub notes: Vec<String>,
    /// How many connections the kernel knows, where it tells.
    pub tracked: Option<u64>,
}

/// Looks at the machine and works out what a bundle would change; changes nothing but, if a change of
/// bundles was cut short, its end.
pub fn preview(host: &dyn Host, bundle: &Bundle) -> Result<Preview, Problem> {
    let _lock = host.lock()?;
    store::heal(host)?;
    let job = Job::new(host, bundle, Options::default())?;
    let mut preview = Preview {
        rules: Vec::new(),
        steps: Vec::new(),
        notes: job.notes.clone(),
        tracked: tracked(host)?,
    };
    if let Some(trial) = trial::of(host)? {
        let left = trial.left(host)?.unwrap_or_default();
        let problem = confirm::waiting(&trial, left);
        preview
            .notes
            .push(format!("{problem}: until then `apply` refuses"));
    }
    for rules in &job.rules {
        let (family, now) = (rules.family, host.save(rules.family)?);
        let tables = live(host, family)?;
        let text = transaction(&tables, &rules.wanted).unwrap_or_default();
        let words = steps(&tables, &rules.wanted).into_iter();
        let words = words.map(|(table, step)| format!("{family} {table}: {step}"));
        preview.steps.extend(words);
        let unread = rules.not_compared();
        let unread = unread.map(|why| format!("chains and jumps are loaded unread: {why}"));
        preview.steps.extend(unread);
        preview.rules.push(NewRules { family, now, text });
    }
    preview.steps.extend(others(&job));
    Ok(preview)
}

/// Returns a machine as it is, and with the new rules loaded and the new routes set.
pub fn sides(
    host: &dyn Host,
    rules: &NewRules,
    manifest: &Manifest,
) -> Result<[Machine; 2], SideError> {
    let family = rules.family;
    let (addresses, routes) = (host.addresses()?, host.routes(family)?);
    let before = of_live(&rules.now, &addresses, &routes, family)?;
    let mut after = before.clone();
    let loaded = after.rules.load(&rules.text, family);
    loaded.map_err(LiveError::from)?;
    for route in &manifest.routes {
        let device = route.device.as_deref().or(before.route(route.via));
        let device = device.map(str::to_owned).filter(|_| family.has(route.via));
        let routes = device.map(|device| (route.prefix, device));
        after.routes.extend(routes);
    }
    Ok([before, after])
}

/// Why a machine cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Live(#[from] LiveError),
}

/// Refuses a bundle under whose rules a session, in which somebody is about to apply it, could not begin
/// again: it would be cut, and there would be no other. Where that is not known, that is said.
pub fn ends_session(host: &dyn Host, bundle: &Bundle, session: &Ends) -> Option<Finding> {
    // Why it cannot be put in force, `apply` says itself.
    let preview = preview(host, bundle).ok()?;
    let family = Family::of(session.source);
    let rules = preview.rules.iter().find(|rules| rules.family == family)?;
    match sides(host, rules, bundle.manifest()) {
        Ok([_, after]) => would_end(&after, session).then(|| ended(session)),
        Err(why) => Some(unknown(session, &why)),
    }
}

fn unknown(session: &Ends, why: &SideError) -> Finding {
    let seen = format!(
        "whether the session from {} goes on is not known",
        session.source
    );
    Finding::new(code::ENDS_SESSION, Weight::Warning, seen)
        .why(format!("this machine's rules cannot be followed: {why}"))
        .remedy("keep a second session open, or apply with `--confirm`")
}

fn ended(session: &Ends) -> Finding {
    let (from, port) = (session.source, session.port);
    let seen = format!("this would end the session from {from} that you are in, on port {port}");
    Finding::new(code::ENDS_SESSION, Weight::Error, seen)
        .why("under the new rules no such connection begins: there would be no way back in")
        .remedy("let it in, or try the policy with `--confirm`, which goes back by itself")
}

/// Returns what would be done besides rules.
fn others(job: &Job<'_>) -> Vec<String> {
    let modules = job.modules.iter();
    let mut steps: Vec<String> = modules
        .map(|module| format!("kernel module {module} is loaded"))
        .collect();
    for value in job.values.iter().filter(|value| !value.is_done()) {
        let setting = &value.setting;
        let before = value.before.as_deref().map_or("not there", str::trim_end);
        steps.push(format!(
            "{} becomes {}, is {before}, {}",
            setting.key, setting.value, setting.source
        ));
    }
    steps.extend(job.frames.step());
    steps.extend(job.routes.steps());
    for fragment in changed(&job.fragments, &job.fragments_before) {
        let does = if fragment.text.is_some() {
            "is written"
        } else {
            "goes"
        };
        steps.push(format!("{} {does}", fragment.path));
    }
    if !job.is_installed {
        steps.push("the bundle is kept for the next boot".to_owned());
    }
    steps
}

fn tracked(host: &dyn Host) -> Result<Option<u64>, Problem> {
    let count = host.sysctl("net/netfilter/nf_conntrack_count")?;
    Ok(count.and_then(|count| count.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_session_that_would_end() {
        let session = Ends {
            source: [192, 0, 2, 10].into(),
            destination: [192, 0, 2, 1].into(),
            protocol: 6,
            source_port: 50_000,
            port: 22,
            icmp: (0, 0),
        };
        let found = ended(&session);
        crate::diag::told(found.code, &found.text());
        let why = SideError::Host(HostError::NoCommand("ip".to_owned()));
        let found = unknown(&session, &why);
        assert_eq!(found.weight, Weight::Warning);
        assert!(found.text().contains("is not known"), "{}", found.text());
    }
}
