//! `tidegate plan`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::args::{PlanArgs, TableFormat};
use super::diff::unknown;
use super::failure::{Failure, FailureKind};
use super::target::Wanted;
use super::trace::unread;
use super::{Done, beside, notes, policy, target};
use crate::compare::{Asks, World, against_others, under_rules};
use crate::compile::Subject;
use crate::deploy::against::Engine;
use crate::deploy::{self, NewRules, Preview, SideError};
use crate::diag::finding::{Finding, Weight};
use crate::facts::Facts;
use crate::host::Host;
use crate::netfilter::Family;
use crate::netfilter::trace::Machine;
use crate::question::{self, Change, Diff, Side, SideKind};

/// Exit status 2 says that something would change, and nothing else: what is no answer is a 1, or a 3.
pub(super) fn run(args: &PlanArgs) -> Result<Done, Failure> {
    planned(args).map_err(|failure| match failure.kind {
        FailureKind::Usage => Failure {
            kind: FailureKind::No,
            ..failure
        },
        FailureKind::No | FailureKind::Host | FailureKind::Stuck => failure,
    })
}

fn planned(args: &PlanArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let is_for_people = args.format == TableFormat::Text;
    let _moving = is_for_people.then(|| policy::compiling(&args.what));
    let with = policy::With {
        host: args.host_name.as_deref(),
        inventory: args.inventory.as_deref(),
        ..policy::With::default()
    };
    let Wanted {
        subject,
        warnings,
        engine,
    } = target::wanted(&host, &args.what, &with)?;
    let preview = deploy::preview(&host, &subject.bundle)?;
    let (mut all, mut machines) = (Vec::new(), Vec::new());
    let mut cut = host.flows().ok().map(|flows| (flows, 0));
    for rules in &preview.rules {
        let [before, after] = sides(&host, rules, &subject, &engine)?;
        if let Some((flows, count)) = &mut cut {
            *count += deploy::doomed(&after.machine, flows).len();
        }
        let found = question::differences(&before, &after);
        all.push(found.map_err(|error| unknown(&error))?);
        machines.push(after.machine);
    }
    let mut found = would(&subject, &engine, &machines);
    let refused = refusal(&host, &subject, &engine, &mut found);
    let is_refused = !refused.is_empty() || found.iter().any(|it| it.weight == Weight::Error);
    let would: String = found.iter().map(Finding::text).collect();
    let diff = Diff::of(all);
    let fate = established(&preview, cut.map(|(_, count)| count));
    let done = Done {
        text: match args.format {
            TableFormat::Json => format!("{:#}\n", as_json(&diff, &preview, &fate)),
            TableFormat::Markdown => diff.as_markdown() + "\n" + &steps(&preview, "- ", &fate),
            TableFormat::Text => {
                summary(&diff, &preview) + &connections(&diff) + &steps(&preview, "", &fate)
            }
        },
        warnings: warnings + &notes(&preview.notes) + &would + &refused,
        yes: !is_refused,
        changes: diff.differs() || !preview.steps.is_empty(),
    };
    let families: Vec<Family> = preview.rules.iter().map(|rules| rules.family).collect();
    Ok(beside::add(done, &host, &families))
}

/// Returns what would become of ports that the engine publishes and no line opens, and what others would drop.
fn would(subject: &Subject, engine: &Engine, machines: &[Machine]) -> Vec<Finding> {
    let Some(facts) = engine.facts() else {
        return Vec::new();
    };
    let world = World {
        policy: &subject.policy,
        facts,
        asks: Asks::Plan,
    };
    let openings = subject.bundle.parties().map_or(&[][..], |it| &it.openings);
    let found = under_rules(world, openings, Ok(machines)).into_iter();
    found
        .chain(against_others(world, openings, machines))
        .collect()
}

/// Says why `apply` would refuse the bundle: for networks that it forgets, or that nobody knows which, or for
/// ports that a first policy closes.
fn refusal(
    host: &dyn Host,
    subject: &Subject,
    engine: &Engine,
    found: &mut Vec<Finding>,
) -> String {
    found.extend(deploy::closed_at_first(host, &subject.policy, false));
    match deploy::forgets_nothing(host, &subject.bundle, engine.facts(), &[]) {
        Ok(unread) => {
            found.extend(unread);
            String::new()
        }
        Err(error) => Failure::from(error).text,
    }
}

/// Returns the running machine, and itself with the new rules loaded and the new routes set.
fn sides(
    host: &dyn Host,
    rules: &NewRules,
    subject: &Subject,
    engine: &Engine,
) -> Result<[Side; 2], Failure> {
    let machines = deploy::sides(host, rules, subject.bundle.manifest());
    let machines = machines.map_err(|error| match error {
        SideError::Host(error) => Failure::from(error),
        SideError::Live(error) => unread(&error),
    })?;
    Ok(machines.map(|machine| Side {
        machine,
        policy: Some(subject.policy.clone()),
        kind: SideKind::Live,
        known: engine.facts().map_or_else(BTreeMap::new, known),
    }))
}

/// Returns the addresses of containers by the engine's names.
fn known(facts: &Facts) -> BTreeMap<String, Vec<IpAddr>> {
    let all = facts.containers.iter().map(|(name, facts)| {
        let addresses = facts.networks.values().flatten().copied();
        (name.clone(), addresses.collect())
    });
    all.collect()
}

/// Says in a line how much would change; nothing where nothing would.
fn summary(diff: &Diff, preview: &Preview) -> String {
    if !diff.differs() && preview.steps.is_empty() {
        return String::new();
    }
    let count = |change| diff.rows.iter().filter(|row| row.change == change).count();
    format!(
        "opens: {}, closes: {}, leads elsewhere: {}, steps: {}\n",
        count(Change::Opens),
        count(Change::Closes),
        count(Change::Moves),
        preview.steps.len()
    )
}

fn connections(diff: &Diff) -> String {
    if diff.differs() {
        return diff.as_text();
    }
    "no new connection is opened or closed\n".to_owned()
}

/// Writes what would be done, and what becomes of connections that are there.
fn steps(preview: &Preview, mark: &str, fate: &Fate) -> String {
    let mut text = String::new();
    for step in &preview.steps {
        let _ = writeln!(text, "{mark}{step}");
    }
    if preview.steps.is_empty() {
        let _ = writeln!(text, "{mark}already in force");
    }
    let _ = writeln!(text, "{mark}{}", fate.says);
    text
}

/// What becomes of connections that are there.
struct Fate {
    says: String,
    /// How many `apply` would cut, where the kernel tells which there are.
    cut: Option<usize>,
}

/// Our chains let packets of known connections go on; the kernel is made to forget those that the new
/// rules would not let begin.
fn established(preview: &Preview, cut: Option<usize>) -> Fate {
    let drops = |step: &String| step.ends_with("the policy of FORWARD becomes DROP");
    let but = if preview.steps.iter().any(drops) {
        ", but FORWARD's new policy drops those that no rule accepts"
    } else {
        ""
    };
    let tracked = match preview.tracked {
        Some(1) => "; 1 is tracked".to_owned(),
        Some(count) => format!("; {count} are tracked"),
        None => String::new(),
    };
    let fate = match cut {
        None => "the kernel does not tell which established connections would be cut".to_owned(),
        Some(0) => format!("established connections stay{but}{tracked}"),
        Some(1) => format!("1 established connection is cut, all others stay{but}{tracked}"),
        Some(cut) => {
            format!("{cut} established connections are cut, all others stay{but}{tracked}")
        }
    };
    Fate { says: fate, cut }
}

fn as_json(diff: &Diff, preview: &Preview, fate: &Fate) -> Value {
    json!({
        "connections": diff.as_json(),
        "steps": preview.steps,
        "notes": preview.notes,
        "established": {"says": fate.says, "tracked": preview.tracked, "cut": fate.cut},
    })
}
