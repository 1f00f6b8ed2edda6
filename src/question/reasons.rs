//! What becomes of a packet, and which line decided, in few words.

use std::collections::BTreeSet;

use super::meaning::Told;
use super::names::Names;
use crate::net::IntervalSet;
use crate::netfilter::trace::{End, Event, Machine, Probe, Step, Trace, traces};

/// What one machine does with a packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    pub arrives: bool,
    /// As in `dropped` or `passes`.
    pub end: String,
    /// Where it arrives, if that is not where it was sent.
    pub to: Option<String>,
    /// The ports there, of protocols that have some.
    pub ports: BTreeSet<u16>,
    /// The policy's line, or else the rule; nothing where no rule decided.
    pub by: Option<String>,
}

impl Reason {
    /// Returns where packets arrive, with their ports there.
    pub fn place(&self) -> Option<String> {
        let ranges = self
            .ports
            .iter()
            .map(|port| ((*port).into(), (*port).into()));
        let ranges = IntervalSet::from_ranges(ranges.collect());
        let port = |(first, last): &(u128, u128)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        };
        let ports: Vec<String> = ranges.ranges().iter().map(port).collect();
        let at = |name: &String| match ports.as_slice() {
            [] => name.clone(),
            ports => format!("{name}:{}", ports.join(",")),
        };
        self.to.as_ref().map(at)
    }
}

/// Returns what a machine does with a packet, where only the kernel can answer as it was `taken` to.
pub(super) fn reason(
    machine: &Machine,
    probe: &Probe,
    taken: &[(String, bool)],
    arrives: bool,
    names: &Names,
) -> Reason {
    let all = traces(machine, probe);
    let fits = |trace: &&Trace| {
        let assumed = trace.assumptions.iter();
        let mut contrary = assumed.filter(|it| {
            let text = |(text, holds): &(String, bool)| *text == it.what.text && *holds != it.holds;
            taken.iter().any(text)
        });
        contrary.next().is_none() && trace.end.arrives() == arrives
    };
    let found = all.iter().find(fits).or(all.first());
    found.map_or_else(
        || unreachable!("a packet takes at least one way"),
        |trace| told(trace, machine, probe, names),
    )
}

fn told(trace: &Trace, machine: &Machine, probe: &Probe, names: &Names) -> Reason {
    let arrives = trace.end.arrives();
    let (address, port) = trace.destination;
    let grant = Told::new(machine, None).grant(trace).map(|it| it.source);
    let moved = arrives && (address, port) != (probe.destination, probe.port);
    Reason {
        arrives,
        end: end(&trace.end),
        to: moved.then(|| names.one(address)),
        ports: (moved && port != 0).then_some(port).into_iter().collect(),
        by: if arrives {
            grant.or_else(|| passed(trace))
        } else {
            let reason = Told::new(machine, None).reason(trace);
            let said = reason.map(|meaning| meaning.source);
            said.or_else(|| trace.steps.last().map(place))
        },
    }
}

fn end(end: &End) -> String {
    match end {
        End::Out(_) | End::Host => "passes".to_owned(),
        End::Dropped => "dropped".to_owned(),
        End::Rejected(answer) => format!("rejected with {answer}"),
        End::NoRoute => "no route".to_owned(),
        End::Martian => "dropped before routing".to_owned(),
        End::Unknown(target) => format!("ends at the target {target}"),
        End::Endless => "rules lead in a circle".to_owned(),
    }
}

/// Returns what let a packet pass: the last say of the filter table, if it had any.
fn passed(trace: &Trace) -> Option<String> {
    let steps = trace.steps.iter().rev();
    let mut filter = steps.filter(|step| step.table == "filter");
    filter.next().map(place)
}

fn place(step: &Step) -> String {
    match step.event {
        Event::Rule(number) => format!("{} {} {number}", step.table, step.chain),
        Event::Hook | Event::Policy => format!("the policy of {} {}", step.table, step.chain),
    }
}
