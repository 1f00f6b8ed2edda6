//! `tidegate plan`.

use std::fmt::Write;

use serde_json::{Value, json};

use super::args::{PlanArgs, TableFormat};
use super::diff::unknown;
use super::failure::Failure;
use super::trace::unread;
use super::{Done, notes, policy, target};
use crate::compile::Subject;
use crate::deploy::{self, NewRules, Preview};
use crate::host::Host;
use crate::question::{self, Diff, Differences, Side, SideKind};

pub(super) fn run(args: &PlanArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let with = policy::With {
        host: args.host_name.as_deref(),
        inventory: args.inventory.as_deref(),
        ..policy::With::default()
    };
    let (subject, warnings) = target::named(&args.what, &with)?;
    let preview = deploy::preview(&host, &subject.bundle)?;
    let mut all = Vec::new();
    for rules in &preview.rules {
        all.push(differences(&host, rules, &subject)?);
    }
    let diff = Diff::of(all);
    Ok(Done {
        text: match args.format {
            TableFormat::Json => format!("{:#}\n", as_json(&diff, &preview)),
            TableFormat::Markdown => diff.as_markdown() + "\n" + &steps(&preview, "- "),
            TableFormat::Text => connections(&diff) + &steps(&preview, ""),
        },
        warnings: warnings + &notes(&preview.notes),
        yes: preview.steps.is_empty(),
    })
}

/// Compares the running machine with itself, the new rules loaded and the new routes set.
fn differences(
    host: &dyn Host,
    rules: &NewRules,
    subject: &Subject,
) -> Result<Differences, Failure> {
    let family = rules.family;
    let (addresses, routes) = (host.addresses()?, host.routes(family)?);
    let machine = question::of_live(&rules.now, &addresses, &routes, family);
    let before = Side {
        machine: machine.map_err(|error| unread(&error))?,
        policy: Some(subject.policy.clone()),
        kind: SideKind::Live,
    };
    let mut after = before.clone();
    let loaded = after.machine.rules.load(&rules.text, family);
    loaded.map_err(|error| unread(&error.into()))?;
    for route in &subject.bundle.manifest().routes {
        let device = route.device.as_deref().or(before.machine.route(route.via));
        let device = device.map(str::to_owned).filter(|_| family.has(route.via));
        after
            .machine
            .routes
            .extend(device.map(|device| (route.prefix, device)));
    }
    question::differences(&before, &after).map_err(|error| unknown(&error))
}

fn connections(diff: &Diff) -> String {
    if diff.differs() {
        return diff.as_text();
    }
    "no new connection is opened or closed\n".to_owned()
}

/// Writes what would be done, and what becomes of connections that are there.
fn steps(preview: &Preview, mark: &str) -> String {
    let mut text = String::new();
    for step in &preview.steps {
        let _ = writeln!(text, "{mark}{step}");
    }
    if preview.steps.is_empty() {
        let _ = writeln!(text, "{mark}already in force");
    }
    let _ = writeln!(text, "{mark}{}", established(preview));
    text
}

/// Our chains let packets of known connections go on, and nobody makes the kernel forget one.
fn established(preview: &Preview) -> String {
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
    format!("established connections stay{but}{tracked}")
}

fn as_json(diff: &Diff, preview: &Preview) -> Value {
    json!({
        "connections": diff.as_json(),
        "steps": preview.steps,
        "notes": preview.notes,
        "established": {"says": established(preview), "tracked": preview.tracked},
    })
}
