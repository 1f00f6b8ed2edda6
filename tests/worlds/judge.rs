//! Everybody connects to everything, and what comes of it is held against what the lines say.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use super::oracle::{Oracle, Sender, Target, Verdict, What};
use super::truth::{Container, Published, Truth};
use crate::support::client::{Answer, Client};

/// How long something that a line opens may take to answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(4);
/// Connections under way at the same time.
const LANES: usize = 256;

pub(super) const HOST: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(super) const OFFICE: [&str; 2] = ["192.0.2.10", "2001:db8::10"];
/// A socket of the host's own, and one in the office, for those inside.
pub(super) const SSH: u16 = 22;
pub(super) const AWAY: u16 = 7001;

/// Who can connect, and by which network namespace.
pub(super) type Senders = Vec<(Sender, Client)>;

/// How the engine serves published ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publishing {
    pub(super) has_proxy: bool,
    pub(super) has_ip6tables: bool,
}

/// One connection that was tried.
#[derive(Debug, Clone)]
pub(super) struct Try {
    pub(super) from: Sender,
    pub(super) to: Target,
    pub(super) is_open: bool,
    /// The engine itself cannot serve it, or not from there.
    pub(super) is_hopeless: bool,
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sender::Wire { name, .. } => f.write_str(name),
            Sender::Host => f.write_str("host"),
            Sender::Container(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = SocketAddr::new(self.at, self.port);
        let udp = if self.is_udp { "udp " } else { "" };
        match &self.what {
            What::Published(name, _) => write!(f, "{udp}{at} (published by {name})"),
            What::Own(name) => write!(f, "{udp}{at} ({name} itself)"),
            What::Host => write!(f, "{udp}{at} (the host's own)"),
            What::Elsewhere(name) => write!(f, "{udp}{at} ({name})"),
        }
    }
}

impl Target {
    /// What `Client::ask` takes.
    pub(super) fn address(&self) -> String {
        let at = SocketAddr::new(self.at, self.port);
        if self.is_udp {
            format!("udp {at}")
        } else {
            at.to_string()
        }
    }

    /// Whether it is reached where an answer says so: who takes a connection and then closes it is
    /// the userland proxy, which did not get through.
    fn is_reached(&self, answer: &Answer) -> bool {
        match (&self.what, answer) {
            (_, Answer::Closed) => false,
            (What::Host | What::Elsewhere(_), _) | (_, Answer::From(_)) => true,
            (_, Answer::Silence) => false,
        }
    }

    /// The container that it leads to, if any.
    pub(super) fn container(&self) -> Option<&str> {
        match &self.what {
            What::Published(name, _) | What::Own(name) => Some(name),
            What::Host | What::Elsewhere(_) => None,
        }
    }
}

/// Lets everybody connect to everything that is there.
pub(super) fn everything(senders: &Senders, truth: &Truth, engine: Publishing) -> Vec<Try> {
    let mut tries = Vec::new();
    for (from, client) in senders {
        for to in targets(truth)
            .into_iter()
            .filter(|to| is_asked(from, to, truth))
        {
            let is_hopeless = is_hopeless(from, &to, truth, engine);
            let attempt = Try {
                from: from.clone(),
                to,
                is_open: false,
                is_hopeless,
            };
            tries.push((attempt, client));
        }
    }
    for lane in tries.chunks_mut(LANES) {
        thread::scope(|scope| {
            for (attempt, client) in lane {
                scope.spawn(|| {
                    let answer = client.ask(&attempt.to.address());
                    attempt.is_open = attempt.to.is_reached(&answer);
                });
            }
        });
    }
    tries.into_iter().map(|(attempt, _)| attempt).collect()
}

/// Asks those again that should answer and did not, until they do or it takes too long.
pub(super) fn insist(senders: &Senders, tries: &mut [Try], should: impl Fn(&Try) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let client = |from: &Sender| {
        let mut senders = senders.iter();
        senders
            .find(|(sender, _)| sender == from)
            .expect("it was asked")
            .1
            .clone()
    };
    loop {
        let late = tries
            .iter_mut()
            .filter(|attempt| !attempt.is_open && should(attempt));
        let late: Vec<&mut Try> = late.collect();
        if late.is_empty() || Instant::now() > deadline {
            return;
        }
        thread::scope(|scope| {
            for attempt in late {
                let client = client(&attempt.from);
                scope.spawn(move || {
                    let answer = client.ask(&attempt.to.address());
                    attempt.is_open = attempt.to.is_reached(&answer);
                });
            }
        });
    }
}

/// What is wrong with a machine.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Open, and no line opens it.
    pub(super) open: Vec<Try>,
    /// A line opens it, and it is dead.
    pub(super) dead: Vec<Try>,
    /// It was alive before, and the policy does not speak of it.
    pub(super) cut: Vec<Try>,
}

/// Holds all tries against the policy, and against those before it was in force.
pub(super) fn compare(oracle: &Oracle<'_>, tries: &[Try], before: &Before) -> Findings {
    let mut findings = Findings::default();
    for attempt in tries {
        let verdict = oracle.verdict(&attempt.from, &attempt.to);
        match (verdict, attempt.is_open) {
            (Verdict::Closed, true) => findings.open.push(attempt.clone()),
            (Verdict::Open, false) if !attempt.is_hopeless => findings.dead.push(attempt.clone()),
            (Verdict::Left, false) if before.was_open(attempt) => {
                findings.cut.push(attempt.clone());
            }
            _ => {}
        }
    }
    findings
}

/// What was open when no policy was in force. Addresses may be others by now.
#[derive(Debug, Default)]
pub(super) struct Before(BTreeMap<String, bool>);

impl Before {
    pub(super) fn add(&mut self, tries: &[Try]) {
        for attempt in tries {
            self.0.insert(Self::key(attempt), attempt.is_open);
        }
    }

    pub(super) fn was_open(&self, attempt: &Try) -> bool {
        self.0.get(&Self::key(attempt)) == Some(&true)
    }

    fn key(attempt: &Try) -> String {
        let Try { from, to, .. } = attempt;
        format!(
            "{from} {:?} {} {} {}",
            to.what,
            to.port,
            to.is_udp,
            to.at.is_ipv4()
        )
    }
}

/// Returns all that somebody could connect to.
fn targets(truth: &Truth) -> Vec<Target> {
    let tcp = |at: &str, port, what| Target {
        at: at.parse().expect("an address"),
        port,
        is_udp: false,
        what,
    };
    let mut targets = Vec::new();
    for (host, office) in HOST.iter().zip(OFFICE) {
        targets.push(tcp(host, SSH, What::Host));
        targets.push(tcp(office, AWAY, What::Elsewhere("office")));
    }
    for container in &truth.containers {
        targets.extend(
            container
                .published
                .iter()
                .map(|it| published(container, it)),
        );
        for at in container.networks.values().flatten() {
            targets.extend(container.serves.iter().map(|port| Target {
                at: *at,
                port: port.number,
                is_udp: port.is_udp,
                what: What::Own(container.name.clone()),
            }));
        }
    }
    targets
}

/// A port that is published at all addresses is asked for at the one that the segment knows.
fn published(container: &Container, it: &Published) -> Target {
    let everywhere = HOST[usize::from(it.at.is_ipv6())]
        .parse()
        .expect("an address");
    Target {
        at: if it.at.is_unspecified() {
            everywhere
        } else {
            it.at
        },
        port: it.host,
        is_udp: it.port.is_udp,
        what: What::Published(container.name.clone(), it.port),
    }
}

fn addresses<'a>(truth: &'a Truth, name: &str) -> impl Iterator<Item = &'a IpAddr> {
    let container = truth.container(name).expect("it runs");
    container.networks.values().flatten()
}

/// Whether it means something to ask.
fn is_asked(from: &Sender, to: &Target, truth: &Truth) -> bool {
    let is_inside = !matches!(from, Sender::Wire { .. });
    if to.at.is_loopback() {
        return *from == Sender::Host;
    }
    if let Sender::Container(name) = from {
        let is_own = to.container() == Some(name);
        return !is_own && addresses(truth, name).any(|own| own.is_ipv4() == to.at.is_ipv4());
    }
    is_inside || !matches!(to.what, What::Elsewhere(_))
}

/// Whether the engine itself has no way for it.
fn is_hopeless(from: &Sender, to: &Target, truth: &Truth, engine: Publishing) -> bool {
    let is_internal = |name: &str| {
        let container = truth.container(name).expect("it runs");
        let network = |name| truth.networks.get(name).is_some_and(|it| it.is_internal);
        container.networks.keys().any(network)
    };
    let is_shut = matches!(from, Sender::Container(name) if is_internal(name));
    let Some(target) = to.container() else {
        return is_shut;
    };
    let is_served = match to.what {
        What::Published(..) if to.at.is_ipv6() => {
            let has_own = addresses(truth, target).any(IpAddr::is_ipv6);
            engine.has_proxy || engine.has_ip6tables && has_own
        }
        _ => true,
    };
    is_shut || is_internal(target) || !is_served
}
