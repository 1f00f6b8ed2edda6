//! What a trace says, for people and for programs.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::who::Way;
use crate::netfilter::dump::States;
use crate::netfilter::trace::{End, Event, Machine, Probe, Step, Trace};

/// A question's packet and every way that it may take.
#[derive(Debug, Clone)]
pub struct Answer {
    pub way: Way,
    pub traces: Vec<Trace>,
}

impl Answer {
    /// Tells whether the packet arrives whatever the kernel answers where only it can tell.
    pub fn arrives(&self) -> bool {
        self.traces.iter().all(|trace| trace.end.arrives())
    }
}

/// Writes every rule that a packet meets.
pub fn as_text(answers: &[Answer], machine: &Machine) -> String {
    let mut text = String::new();
    for answer in answers {
        let _ = writeln!(text, "{}", packet(&answer.way));
        for trace in &answer.traces {
            for assumed in &trace.assumptions {
                let holds = if assumed.holds {
                    "holds"
                } else {
                    "does not hold"
                };
                let _ = writeln!(text, "  taken that `{}` {holds}", assumed.what.text);
            }
            for step in &trace.steps {
                text.push_str(&self::step(step, machine));
            }
            let _ = writeln!(text, "=> {}\n", end(trace, machine));
        }
    }
    text
}

/// Writes one line for each packet: what became of it, and the rule that decided.
pub fn shortest(answers: &[Answer], machine: &Machine) -> String {
    let mut text = String::new();
    for answer in answers {
        for trace in &answer.traces {
            let taken = trace.assumptions.iter().map(|assumed| {
                let not = if assumed.holds { "" } else { "not " };
                format!(" if {not}`{}`", assumed.what.text)
            });
            let taken: Vec<String> = taken.collect();
            let _ = writeln!(
                text,
                "{}: {}{}",
                packet(&answer.way),
                end(trace, machine),
                taken.concat()
            );
        }
    }
    text
}

fn packet(way: &Way) -> String {
    let probe = &way.probe;
    let from = match &probe.input {
        Some(input) => format!("{} in by {input}", probe.source),
        None => "the host itself".to_owned(),
    };
    let says = match way.says.as_str() {
        "" => String::new(),
        says => format!(", {says}"),
    };
    format!("{from} to {}{says}", target(probe))
}

fn target(probe: &Probe) -> String {
    let protocol = match probe.protocol {
        1 | 58 => return format!("{}, icmp", probe.destination),
        6 => "tcp",
        17 => "udp",
        132 => "sctp",
        _ => "ip",
    };
    let state = if probe.state == States::NEW {
        ""
    } else {
        ", established"
    };
    format!(
        "{}/{protocol}{state}",
        SocketAddr::new(probe.destination, probe.port)
    )
}

fn step(step: &Step, machine: &Machine) -> String {
    let (table, chain) = (step.table, &step.chain);
    match step.event {
        Event::Hook => format!("{table} {chain}\n"),
        Event::Policy => format!("    policy {}\n", policy(step, machine)),
        Event::Rule(number) => {
            let text = rule(step, machine);
            let mut line = format!("    {chain} {number}: {text}\n");
            if let Some((address, port)) = step.translated {
                let _ = writeln!(line, "        now to {}", SocketAddr::new(address, port));
            }
            if let Some(address) = step.masked {
                let _ = writeln!(line, "        now from {address}");
            }
            line
        }
    }
}

fn policy(step: &Step, machine: &Machine) -> &'static str {
    let chain = machine.rules.chain(step.table, &step.chain);
    chain
        .and_then(|chain| chain.policy)
        .map_or("ACCEPT", |policy| policy.name())
}

fn rule<'m>(step: &Step, machine: &'m Machine) -> &'m str {
    let Event::Rule(number) = step.event else {
        return "";
    };
    let chain = machine.rules.chain(step.table, &step.chain);
    let rule = chain.and_then(|chain| chain.rules.get(number.checked_sub(1)?));
    rule.map_or("", |rule| rule.text.as_str())
}

/// Says where a packet ended, by which rule, and by which line of the policy.
fn end(trace: &Trace, machine: &Machine) -> String {
    let by = decider(trace, machine).map_or_else(String::new, |by| format!(" by {by}"));
    match &trace.end {
        End::Out(interface) => {
            let (address, port) = trace.destination;
            format!("passes: out by {interface} to {}", socket(address, port))
        }
        End::Host => "passes: a process of the host gets it".to_owned(),
        End::Dropped => format!("dropped{by}"),
        End::Rejected(answer) => format!("rejected with {answer}{by}"),
        End::NoRoute => "no route leads there".to_owned(),
        End::Martian => "dropped: an address of loopback came from elsewhere".to_owned(),
        End::Unknown(target) => {
            format!("ends at the target {target}, which tidegate does not know{by}")
        }
        End::Endless => "rules lead in a circle".to_owned(),
    }
}

fn socket(address: IpAddr, port: u16) -> String {
    if port == 0 {
        address.to_string()
    } else {
        SocketAddr::new(address, port).to_string()
    }
}

/// Returns the step that decided, and the policy's line behind it: its own, or the last one on the
/// way there.
fn decider(trace: &Trace, machine: &Machine) -> Option<String> {
    let last = trace.steps.last()?;
    let place = match last.event {
        Event::Rule(number) => format!("{} {} {number}", last.table, last.chain),
        Event::Hook | Event::Policy => {
            return Some(format!("the policy of {} {}", last.table, last.chain));
        }
    };
    let here = trace
        .steps
        .iter()
        .rev()
        .take_while(|step| step.event != Event::Hook);
    let said = here
        .map(|step| comment(rule(step, machine)))
        .find(Option::is_some);
    let said = said
        .flatten()
        .map_or_else(String::new, |said| format!(", {said}"));
    Some(format!("{place}{said}"))
}

/// Returns what a rule's comment says; ours name the line of the policy.
pub(super) fn comment(rule: &str) -> Option<&str> {
    let (_, behind) = rule.split_once("--comment \"")?;
    behind.split_once('"').map(|(comment, _)| comment)
}

/// Returns all that [`as_text`] writes as JSON: a list of packets, each with its ways.
pub fn as_json(answers: &[Answer], machine: &Machine) -> Value {
    let step = |step: &Step| {
        json!({
            "table": step.table,
            "chain": step.chain,
            "rule": match step.event { Event::Rule(number) => Some(number), _ => None },
            "text": rule(step, machine),
            "to": step.translated.map(|(address, port)| SocketAddr::new(address, port).to_string()),
            "from": step.masked.map(|address| address.to_string()),
        })
    };
    let trace = |trace: &Trace| {
        let steps: Vec<Value> = trace.steps.iter().map(step).collect();
        let assumed = trace.assumptions.iter();
        let assumed: Vec<Value> = assumed
            .map(|it| json!({"match": it.what.text, "holds": it.holds}))
            .collect();
        json!({
            "arrives": trace.end.arrives(),
            "end": end(trace, machine),
            "assumptions": assumed,
            "steps": steps,
        })
    };
    let answer = |answer: &Answer| {
        let traces: Vec<Value> = answer.traces.iter().map(trace).collect();
        json!({"packet": packet(&answer.way), "arrives": answer.arrives(), "traces": traces})
    };
    Value::Array(answers.iter().map(answer).collect())
}
