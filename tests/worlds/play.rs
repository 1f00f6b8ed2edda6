//! One world on its way: its steps, one after the other.

use std::collections::BTreeMap;

use super::claims::{self, Said};
use super::judge::{self, AWAY, Before, Findings, HOST, OFFICE, Try};
use super::oracle::{Oracle, Sender, Verdict, What};
use super::policy::Policy;
use super::stage::Stage;
use super::truth::{Port, Truth};
use super::world::{MAIN, World};
use crate::support::client::Answer;

const FOLDER: &str = "/etc/tidegate";
const RUN: &str = "docker run -d --stop-timeout 1 --restart always";

pub(super) struct Play<'a> {
    stage: &'a Stage,
    world: &'a World,
    pub(super) failures: Vec<String>,
    /// Why policies were not taken.
    pub(super) refused: Vec<String>,
    /// What it is at.
    pub(super) step: String,
    networks: BTreeMap<String, String>,
    /// Name, network and line of what runs, in the order in which it was started.
    runs: Vec<(String, String, String)>,
    serves: BTreeMap<String, Vec<Port>>,
    before: Before,
    policies: BTreeMap<String, String>,
    /// The file of the policy that is in force.
    in_force: Option<String>,
    /// Nothing has changed since it was applied.
    is_fresh: bool,
    /// What `apply` said, until it was held against the machine.
    applied: Option<Said>,
}

impl<'a> Play<'a> {
    pub(super) fn new(stage: &'a Stage, world: &'a World) -> Self {
        Play {
            stage,
            world,
            failures: Vec::new(),
            refused: Vec::new(),
            step: String::new(),
            networks: BTreeMap::new(),
            runs: Vec::new(),
            serves: BTreeMap::new(),
            before: Before::default(),
            policies: BTreeMap::new(),
            in_force: None,
            is_fresh: false,
            applied: None,
        }
    }

    pub(super) fn all(&mut self) {
        for step in &self.world.steps {
            self.step.clone_from(step);
            let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
            self.one(verb, rest.trim());
        }
    }

    fn one(&mut self, verb: &str, rest: &str) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        self.is_fresh &= [
            "apply", "refused", "try", "judge", "serves", "closed", "leaves", "says",
        ]
        .contains(&verb);
        match (verb, words.as_slice()) {
            ("engine", _) => {}
            ("net", [name, ..]) => self.network(name, rest),
            ("run", [name, network, ..]) => self.run(name, network, rest),
            ("gone", [name]) => self.gone(name),
            ("down", [network]) => self.down(network),
            ("up", [network]) => self.up(network),
            ("join", [name, network]) => {
                self.stage
                    .host
                    .run(&format!("docker network connect {network} {name}"));
            }
            ("restart", []) => self.restart(),
            ("host", _) => drop(self.stage.host.run(rest)),
            ("apply", _) => self.apply(words.first().copied().unwrap_or(MAIN), Some(true)),
            ("refused", _) => self.apply(words.first().copied().unwrap_or(MAIN), Some(false)),
            ("try", []) => self.apply(MAIN, None),
            ("repair", []) => drop(self.stage.host.attempt("tidegate drift --repair")),
            ("judge", _) => self.judge(words == ["told"]),
            ("serves", [from, target, name]) => self.connect(from, target, Some(name)),
            ("closed", [from, target]) => self.connect(from, target, None),
            ("leaves", [name]) => self.leaves(name),
            ("says", [code, ..]) => self.says(code, rest),
            _ => panic!("no such step"),
        }
    }

    fn network(&mut self, name: &str, rest: &str) {
        let options = rest.strip_prefix(name).expect("its name");
        self.stage
            .host
            .run(&format!("docker network create {options} {name}"));
        self.networks.insert(name.to_owned(), rest.to_owned());
    }

    fn run(&mut self, name: &str, network: &str, rest: &str) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let ports: Vec<Port> = words[2].split(',').map(Port::read).collect();
        // Who answers datagrams needs the host's perl.
        let perl = if ports.iter().any(|port| port.is_udp) {
            "-v /usr:/usr:ro"
        } else {
            ""
        };
        let options = words[3..].join(" ");
        let served = words[2].replace("/tcp", "").replace(',', " ");
        self.stage.host.run(&format!(
            "{RUN} --name {name} -h {name} --network {network} {perl} {options} box {served}"
        ));
        self.stage.wait_for(name, &ports);
        self.serves.insert(name.to_owned(), ports);
        self.runs
            .push((name.to_owned(), network.to_owned(), rest.to_owned()));
    }

    fn gone(&mut self, name: &str) {
        self.stage.host.run(&format!("docker rm -f {name}"));
        self.runs.retain(|(other, ..)| other != name);
    }

    /// Removes a network and its containers; `up` knows the lines.
    fn down(&mut self, network: &str) {
        let of_it = self.runs.iter().filter(|(_, other, _)| other == network);
        let names: Vec<&str> = of_it.map(|(name, ..)| name.as_str()).collect();
        let names = names.join(" ");
        self.stage.host.run(&format!(
            "echo {names} | xargs -r docker rm -f; docker network rm {network}"
        ));
    }

    fn up(&mut self, network: &str) {
        let line = self.networks[network].clone();
        self.network(network, &line);
        let (again, rest) = std::mem::take(&mut self.runs)
            .into_iter()
            .partition(|(_, other, _)| other == network);
        self.runs = rest;
        let again: Vec<(String, String, String)> = again;
        for (name, network, line) in again {
            self.run(&name, &network, &line);
        }
    }

    fn restart(&mut self) {
        let engine = &self.stage.engine;
        self.stage.host.run(&format!("engine restart {engine}"));
        for (name, ..) in &self.runs {
            let running = format!("docker inspect -f '{{{{.State.Running}}}}' {name}");
            self.stage.host.run(&format!(
                "n=0; until [ \"$({running})\" = true ]; do
                     n=$((n+1)); [ $n -lt 500 ] || exit 1; sleep 0.02
                 done"
            ));
            self.stage.wait_for(name, &self.serves[name]);
        }
    }

    fn truth(&self) -> Truth {
        Truth::of(&self.stage.host, &self.serves)
    }

    /// Writes a policy, as it is written when it is first applied, and applies it.
    fn apply(&mut self, file: &str, is_taken: Option<bool>) {
        let truth = self.truth();
        if self.in_force.is_none() {
            let senders = self.stage.senders(&truth);
            self.before.add(&judge::everything(
                &senders,
                &truth,
                self.stage.publishing(),
            ));
        }
        if !self.policies.contains_key(file) {
            let text = self.world.policies.get(file).expect("the world has it");
            let text = filled_in(text, &truth);
            self.stage.host.put(&format!("{FOLDER}/{file}"), &text);
            self.policies.insert(file.to_owned(), text);
        }
        let said = self.applied_to(&format!("{FOLDER}/{file}"));
        if is_taken.is_some_and(|is_taken| (said.code == Some(0)) != is_taken) {
            self.fail(&format!("`apply` ends with {:?}\n{}", said.code, said.text));
        }
        if said.code != Some(0) {
            let codes = said.text.lines().filter(|line| line.starts_with("error["));
            self.refused.extend(codes.map(str::to_owned));
        }
        if said.code == Some(0) {
            self.in_force = Some(file.to_owned());
            self.is_fresh = true;
            self.applied = Some(said);
        }
    }

    /// Applies a policy; one that closes ports without a word of it is tried, and kept.
    fn applied_to(&self, path: &str) -> Said {
        let host = &self.stage.host;
        let said = Said::of("apply", &host.attempt(&format!("tidegate apply {path}")));
        if !said.text.contains("error[T0527]") {
            return said;
        }
        let tried = host.attempt(&format!("tidegate apply --confirm 10m {path}"));
        host.run("tidegate confirm");
        Said::of("apply --confirm", &tried)
    }

    /// Lets everybody connect to everything, asks every command, and holds both against the policy.
    fn judge(&mut self, is_told: bool) {
        let truth = self.truth();
        let Some(file) = self.in_force.clone() else {
            return self.nothing_is_said();
        };
        let policy = Policy::read(&self.policies[&file]);
        let oracle = Oracle {
            policy: &policy,
            truth: &truth,
        };
        let senders = self.stage.senders(&truth);
        let mut tries = judge::everything(&senders, &truth, self.stage.publishing());
        judge::insist(&senders, &mut tries, |attempt| {
            match oracle.verdict(&attempt.from, &attempt.to) {
                Verdict::Open => !attempt.is_hopeless,
                Verdict::Left => self.before.was_open(attempt),
                _ => false,
            }
        });
        let mut findings = judge::compare(&oracle, &tries, &self.before);
        if !self.is_fresh {
            // A declared network that is another than it was: told, as what a line opens.
            let cut = std::mem::take(&mut findings.cut).into_iter();
            let (told, cut) = cut.partition(|attempt| is_declared(&oracle, attempt));
            findings.dead.extend::<Vec<Try>>(told);
            findings.cut = cut;
        }
        let mut said = claims::all(&self.stage.host, &format!("{FOLDER}/{file}"));
        said.extend(self.applied.take().filter(|_| self.is_fresh));
        self.connections(&oracle, &findings, is_told);
        for untrue in claims::untrue(&said, &findings, &truth) {
            self.fail(&untrue);
        }
    }

    fn connections(&mut self, oracle: &Oracle<'_>, findings: &Findings, is_told: bool) {
        for attempt in &findings.open {
            if !is_told && !self.is_late(oracle, attempt) {
                self.fail(&format!("OPEN: {} -> {}", attempt.from, attempt.to));
            }
        }
        for attempt in &findings.cut {
            let what = "was open before, and the policy does not speak of it";
            self.fail(&format!("CUT: {} -> {} {what}", attempt.from, attempt.to));
        }
    }

    /// Whether only the next compile can know of it: what the userland proxy serves since, and what a
    /// declared network publishes or is given since. That every command tells of it, is asked.
    fn is_late(&self, oracle: &Oracle<'_>, attempt: &Try) -> bool {
        let Some(container) = attempt.to.container() else {
            return false;
        };
        let engine = self.stage.publishing();
        let is_published = matches!(attempt.to.what, What::Published(..));
        let is_proxied = is_published && attempt.to.at.is_ipv6() && engine.has_proxy;
        !self.is_fresh && (is_proxied || oracle.is_declared(container))
    }

    /// Without a policy in force nobody says that one is.
    fn nothing_is_said(&mut self) {
        for said in claims::all(&self.stage.host, &format!("{FOLDER}/{MAIN}")) {
            for claim in [": in force", "no drift", "already in force"] {
                if said.text.contains(claim) {
                    self.fail(&format!("`{}` says \"{claim}\"", said.command));
                }
            }
        }
    }

    fn connect(&mut self, from: &str, target: &str, name: Option<&str>) {
        let address = self.address(target);
        let client = self.stage.client(from);
        let answer = client.ask(&address);
        match name {
            Some("-") if matches!(answer, Answer::From(_)) => {}
            Some("-") => self.fail(&format!("{from} -> {address}: {answer:?}")),
            // It panics when it takes too long.
            Some(name) => client.is_served(&address, name),
            None if matches!(answer, Answer::From(_)) => {
                self.fail(&format!("OPEN: {from} -> {address}: {answer:?}"));
            }
            None => {}
        }
    }

    /// Somebody in the office is reached by a container.
    fn leaves(&mut self, name: &str) {
        let office = format!("{}:{AWAY}", OFFICE[0]);
        if self.stage.client(name).connect(&office).is_none() {
            self.fail("CUT: it does not get out");
        }
    }

    /// Returns the address of `8080`, `6:8080`, `udp:53`, or of `web:80` and
    /// `6:web:80`, a container's own or a network's gateway.
    fn address(&self, target: &str) -> String {
        let (udp, target) = match target.strip_prefix("udp:") {
            Some(rest) => ("udp ", rest),
            None => ("", target),
        };
        let (is_v6, target) = match target.strip_prefix("6:") {
            Some(rest) => (true, rest),
            None => (false, target),
        };
        let (at, port) = match target.split_once(':') {
            None => (HOST[usize::from(is_v6)].to_owned(), target),
            Some((name, port)) => (self.own(name, is_v6), port),
        };
        if is_v6 {
            format!("{udp}[{at}]:{port}")
        } else {
            format!("{udp}{at}:{port}")
        }
    }

    fn own(&self, name: &str, is_v6: bool) -> String {
        let truth = self.truth();
        let gateways = truth.networks.get(name).map(|network| &network.gateways);
        let container = truth.container(name).into_iter();
        let addresses = container.flat_map(|container| container.networks.values());
        let mut addresses = addresses.chain(gateways).flatten();
        let found = addresses.find(|address| address.is_ipv6() == is_v6);
        found.expect("an address of the family").to_string()
    }

    /// `CODE COMMAND…: TEXT`, with `-` for any code.
    fn says(&mut self, code: &str, rest: &str) {
        let rest = rest.strip_prefix(code).expect("it begins so");
        let (command, text) = rest.split_once(": ").unwrap_or((rest, ""));
        let line = command.replace("POLICY", &format!("{FOLDER}/{MAIN}"));
        let output = self.stage.host.attempt(&format!("tidegate {line} 2>&1"));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let ended = output
            .status
            .code()
            .map_or_else(|| "?".to_owned(), |code| code.to_string());
        if code != "-" && code != ended || !printed.contains(text.trim()) {
            self.fail(&format!("`{}` ({ended}) prints\n{printed}", command.trim()));
        }
    }

    fn fail(&mut self, text: &str) {
        self.failures.push(format!("at `{}`: {text}", self.step));
    }
}

/// Whether a declared network holds one of both ends.
fn is_declared(oracle: &Oracle<'_>, attempt: &Try) -> bool {
    let sender = match &attempt.from {
        Sender::Container(name) => Some(name.as_str()),
        Sender::Wire { .. } | Sender::Host => None,
    };
    let mut ends = [sender, attempt.to.container()].into_iter().flatten();
    ends.any(|name| oracle.is_declared(name))
}

/// Puts in what the engine has chosen.
fn filled_in(text: &str, truth: &Truth) -> String {
    let mut text = text.to_owned();
    for (name, network) in &truth.networks {
        let subnets: Vec<String> = network.subnets.iter().map(ToString::to_string).collect();
        text = text.replace(
            &format!("@bridge:{name}\n"),
            &format!("{}\n", network.bridge),
        );
        text = text.replace(
            &format!("@subnet:{name}\n"),
            &format!("{}\n", subnets.join(", ")),
        );
    }
    text
}
