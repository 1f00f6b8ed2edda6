//! What a trace says, for people and for programs.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::meaning::{Meaning, Told, is_ours};
use super::who::Way;
use crate::netfilter::dump::States;
use crate::netfilter::trace::{End, Event, Probe, Step, Trace};

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
pub fn as_text(answers: &[Answer], told: &Told<'_>) -> String {
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
                text.push_str(&self::step(step, told));
            }
            let _ = writeln!(text, "=> {}\n", end(trace, told));
        }
    }
    text
}

/// Writes one line for each packet: what became of it, and the rule that decided.
pub fn shortest(answers: &[Answer], told: &Told<'_>) -> String {
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
                end(trace, told),
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

fn step(step: &Step, told: &Told<'_>) -> String {
    let (table, chain) = (step.table, &step.chain);
    match step.event {
        Event::Hook => format!("{table} {chain}\n"),
        Event::Policy => format!("    policy {}\n", policy(step, told)),
        Event::Rule(number) => {
            let text = rule(step, told);
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

fn policy(step: &Step, told: &Told<'_>) -> &'static str {
    let chain = told.machine.rules.chain(step.table, &step.chain);
    chain
        .and_then(|chain| chain.policy)
        .map_or("ACCEPT", |policy| policy.name())
}

fn rule<'m>(step: &Step, told: &Told<'m>) -> &'m str {
    told.rule(step).map_or("", |rule| rule.text.as_str())
}

/// Says where a packet ended, by which rule, and by which line of the policy.
fn end(trace: &Trace, told: &Told<'_>) -> String {
    let by = decider(trace, told).map_or_else(String::new, |by| format!(" by {by}"));
    match &trace.end {
        End::Out(interface) => {
            let (address, port) = trace.destination;
            let to = socket(address, port);
            format!("passes: out by {interface} to {to}{}", granted(trace, told))
        }
        End::Host => format!(
            "passes: a process of the host gets it{}",
            granted(trace, told)
        ),
        End::Dropped => format!("dropped{by}"),
        End::Rejected(answer) => format!("rejected with {answer}{by}"),
        End::NoRoute => "no route leads there".to_owned(),
        End::Martian => "dropped: an address of loopback came from elsewhere".to_owned(),
        End::Unknown(target) => {
            format!("ends at the target {target}, which tidegate does not know{by}")
        }
        End::Endless => "rules lead in a circle, or on and on".to_owned(),
    }
}

/// Names the policy's line that let a packet pass, where one did.
fn granted(trace: &Trace, told: &Told<'_>) -> String {
    told.grant(trace)
        .map_or_else(String::new, |it| match it.says {
            None => format!("; {}", it.source),
            Some(says) => format!("; {}: {says}", it.source),
        })
}

fn socket(address: IpAddr, port: u16) -> String {
    if port == 0 {
        address.to_string()
    } else {
        SocketAddr::new(address, port).to_string()
    }
}

/// Returns the step that decided, and the policy's line behind it: its own, or that of the rule which
/// led there.
fn decider(trace: &Trace, told: &Told<'_>) -> Option<String> {
    let last = trace.steps.last()?;
    let (table, chain) = (last.table, &last.chain);
    let Event::Rule(number) = last.event else {
        return Some(format!("the policy of {table} {chain}"));
    };
    let said = match told.reason(trace) {
        None => String::new(),
        Some(Meaning { source, says: None }) => format!(", {source}"),
        Some(Meaning {
            source,
            says: Some(says),
        }) => format!(", {source}: {says}"),
    };
    Some(format!("{table} {chain} {number}{said}"))
}

/// Returns all that [`as_text`] writes as JSON: a list of packets, each with its ways.
pub fn as_json(answers: &[Answer], told: &Told<'_>) -> Value {
    let step = |step: &Step| {
        let meaning = told.meaning(step).filter(|_| is_ours(step));
        json!({
            "table": step.table,
            "chain": step.chain,
            "rule": match step.event { Event::Rule(number) => Some(number), _ => None },
            "text": rule(step, told),
            "source": meaning.as_ref().map(|it| &it.source),
            "says": meaning.as_ref().map(|it| &it.says),
            "to": step.translated.map(|(address, port)| SocketAddr::new(address, port).to_string()),
            "from": step.masked.map(|address| address.to_string()),
        })
    };
    let trace = |trace: &Trace| {
        let reason = match trace.end {
            End::Out(_) | End::Host => told.grant(trace),
            _ => told.reason(trace).filter(|_| is_by_us(trace)),
        };
        let steps: Vec<Value> = trace.steps.iter().map(step).collect();
        let assumed = trace.assumptions.iter();
        let assumed: Vec<Value> = assumed
            .map(|it| json!({"match": it.what.text, "holds": it.holds}))
            .collect();
        json!({
            "arrives": trace.end.arrives(),
            "end": end(trace, told),
            "source": reason.as_ref().map(|it| &it.source),
            "says": reason.as_ref().map(|it| &it.says),
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

fn is_by_us(trace: &Trace) -> bool {
    let ended = matches!(trace.end, End::Dropped | End::Rejected(_));
    ended && trace.steps.last().is_some_and(is_ours)
}
