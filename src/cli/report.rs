//! `tidegate report`.

use std::net::IpAddr;

use super::args::{ReportArgs, SideArgs};
use super::diff::compared;
use super::failure::{Failure, FailureKind};
use super::graph::{cells, machines, policy_of, side_args, title, written};
use super::side::{Made, Source, source};
use super::{Done, policy};
use crate::compile::{How, Subject};
use crate::diag::Severity;
use crate::host::{self, Trust};
use crate::picture;
use crate::policy::ir::{Container, Exposure, Protocol};
use crate::question::{Cell, Diff, Opener, Openers, Port};
use crate::report::{self, Exposed, Review};
use crate::source::SourceMap;

pub(super) fn run(args: &ReportArgs) -> Result<Done, Failure> {
    let paper = &args.paper;
    let side = side_args(paper);
    let inventory = paper.inventory.as_deref();
    let moving = policy::compiling(&args.policy);
    let how = How {
        lints: true,
        ..How::default()
    };
    let compiled = policy::read(&args.policy, inventory, Trust::Anybody, how)?;
    let (sources, found) = (compiled.sources.clone(), compiled.diagnostics.clone());
    let host = paper.host_name.as_deref();
    let (subject, _) = policy::of_host(&args.policy, compiled, host, "no page is written")?;
    let after = Source::Policy(Box::new(subject));
    let subject = policy_of(&after, "a page")?;
    let (made, mut said) = machines(&after, &side)?;
    let cells = cells(&made)?;
    let title = title(&args.policy, subject);
    moving.now("working out who reaches whom");
    let graph = picture::graph(&title, &subject.policy, &cells);
    let change = change(args, &after, &side, &mut said)?;
    let change = change.as_ref();
    let warnings = found.iter().filter(|it| it.severity == Severity::Warning);
    let page = report::html(&Review {
        title: &title,
        version: subject.bundle.short_version(),
        policy: &subject.policy,
        sources: &sources,
        cells: &cells,
        picture: &picture::svg(&graph),
        exposed: &exposed(subject, &made, &cells, &sources),
        warnings: &warnings.cloned().collect::<Vec<_>>(),
        change: change.map(|(name, diff)| (name.as_str(), diff)),
        assumptions: &said,
    });
    written(paper.output.as_ref(), page, String::new())
}

/// Compares with what was before, where that is given.
fn change(
    args: &ReportArgs,
    after: &Source,
    side: &SideArgs,
    said: &mut Vec<String>,
) -> Result<Option<(String, Diff)>, Failure> {
    let Some(path) = &args.against else {
        return Ok(None);
    };
    let (before, _) = source(path, side)?;
    if matches!(before, Source::Live) {
        let help = "ask `tidegate diff live POLICY`: a page tells the same wherever it is made";
        return Err(Failure::new(
            FailureKind::Usage,
            "a page is not about this machine",
            help,
        ));
    }
    let (diff, notes) = compared(&before, after, side)?;
    for note in notes {
        if !said.contains(&note) {
            said.push(note);
        }
    }
    let name = path.file_name().map(std::path::PathBuf::from);
    Ok(Some((host::shown(&name.unwrap_or_default()), diff)))
}

/// Returns every exposed port with who reaches it, in the order written.
fn exposed(subject: &Subject, made: &[Made], cells: &[Cell], sources: &SourceMap) -> Vec<Exposed> {
    let sides: Vec<Openers<'_>> = made
        .iter()
        .map(|made| Openers::new(&made.side, cells))
        .collect();
    let mut all = Vec::new();
    for container in &subject.policy.containers {
        for exposure in &container.exposures {
            let published = exposure.published.as_ref();
            let at = published.map(|it| match it.address {
                Some(IpAddr::V6(address)) => {
                    format!("[{address}]:{}", range(it.ports.first, it.ports.last))
                }
                Some(address) => format!("{address}:{}", range(it.ports.first, it.ports.last)),
                None => range(it.ports.first, it.ports.last),
            });
            let protocol = word(exposure.protocol);
            let ports = range(exposure.ports.first, exposure.ports.last);
            all.push(Exposed {
                container: container.name.clone(),
                service: format!("{ports}/{protocol}"),
                published: at,
                place: sources.place(exposure.span),
                openers: openers(container, exposure, protocol, &sides),
            });
        }
    }
    all
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Icmp => "icmp",
        Protocol::Sctp => "sctp",
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

fn range(first: u16, last: u16) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}

/// Returns who reaches the first port of an exposure, the same in both families once.
fn openers(
    container: &Container,
    exposure: &Exposure,
    protocol: &str,
    sides: &[Openers<'_>],
) -> Vec<Opener> {
    let port = Port {
        container: &container.name,
        protocol,
        port: exposure.ports.first,
        published: exposure.published.as_ref().map(|it| it.ports.first),
    };
    let mut all: Vec<Opener> = Vec::new();
    for side in sides {
        for opener in side.of(port) {
            if opener.from != "host" && !all.contains(&opener) {
                all.push(opener);
            }
        }
    }
    all
}
