//! Policies below a mebibyte that are made to cost much: each is compiled or refused within a gibibyte.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use super::{Desk, text};

/// Bytes of memory that the program may write to.
const MEMORY: u64 = 1 << 30;
/// Seconds of processor time that no budget lasts for, however slow the machine.
const HANGS: u64 = 600;

/// What a policy is told that is too much: for iptables, for a proof, or to be loaded.
const TOO_MUCH: [&str; 3] = ["error[T0401]", "error[T0403]", "error[T0407]"];

/// Writes lines until a text is as long as a policy's file may be.
fn until_full(head: &str, line: impl Fn(usize) -> Option<String>) -> String {
    let mut policy = head.to_owned();
    for next in (0..).map_while(line) {
        if policy.len() + next.len() > 1 << 20 {
            break;
        }
        policy.push_str(&next);
    }
    policy
}

fn network(id: usize, host: &str) -> String {
    let (high, low) = (id / 256, id % 256);
    format!("network n{id}{host} {{\n  bridge br-{id}\n  subnet 10.{high}.{low}.0/24\n}}\n")
}

/// `count` networks with allows between pairs of them, as many as there is room for.
fn joined_networks(count: usize) -> String {
    let networks: String = (0..count).map(|id| network(id, "")).collect();
    until_full(&networks, |at| {
        // Two numbers that have nothing to do with each other spread the pairs.
        let (from, to) = (at * 7_919 % count, at * 104_729 % count);
        let port = 1 + at * 31 % 65_535;
        Some(format!("allow n{from} -> n{to} : {port}/tcp\n"))
    })
}

fn empty_networks(count: usize) -> String {
    (0..count).map(|id| network(id, "")).collect()
}

/// Hosts with a network and a container each, which exposes what is asked for.
fn hosts(count: usize, exposes: impl Fn(usize) -> String) -> String {
    let mut policy = String::new();
    for id in 0..count {
        let _ = writeln!(policy, "host h{id} {{ }}");
        policy.push_str(&network(id, &format!(" on h{id}")));
        let (high, low, exposes) = (id / 256, id % 256, exposes(id));
        let _ = writeln!(
            policy,
            "container c{id} on n{id} at 10.{high}.{low}.9 {{ {exposes} }}"
        );
    }
    policy
}

/// All linked with all.
fn linked_hosts(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|id| format!("c{id}")).collect();
    let names = names.join(", ");
    hosts(count, |_| "expose 80/tcp".to_owned()) + &format!("link {names} -> {names}\n")
}

fn published_on_hosts(count: usize) -> String {
    hosts(count, |id| {
        format!("expose 80/tcp as {} from any", 8_000 + id)
    })
}

const SHOP: &str = "network shop {\n  bridge br-shop\n  subnet 172.16.0.0/12\n}\n";

/// Exposures whose ranges of ports and of sources overlap each other.
fn overlapping() -> String {
    until_full(SHOP, |at| {
        let (first, last) = (1 + at % 30_000, 30_001 + at * 17 % 30_000);
        let (low, high) = (at % 200, 50 + at * 13 % 200);
        let (one, two) = (low.min(high), low.max(high) + 1);
        (at < 60_000).then(|| {
            format!(
                "trust t{at} {{ 203.0.{one}.{low}-203.0.{two}.{high} }}\n\
                 allow t{at} -> shop : {first}-{last}/tcp\n"
            )
        })
    })
}

/// Exposures that have limits, each of its own.
fn limited() -> String {
    until_full(SHOP, |at| {
        let (high, low, port) = (at / 250, at % 250 + 2, 1_024 + at);
        (at < 60_000).then(|| {
            format!(
                "container c{at} on shop at 172.16.{high}.{low} {{\n  \
                 expose 80/tcp as {port} from outside limit {}/second per source\n}}\n",
                1 + at % 9_000
            )
        })
    })
}

/// Lists of single ports, one after the other and back.
fn port_lists() -> String {
    until_full(SHOP, |at| {
        let ports: Vec<String> = (0..400)
            .map(|it| (1 + (at * 3 + it * 2) % 65_535).to_string())
            .collect();
        let low = at % 250;
        Some(format!(
            "trust t{at} {{ 198.18.{}.{low} }}\nallow t{at} -> shop : {}/tcp\n",
            at / 250,
            ports.join(",")
        ))
    })
}

#[track_caller]
fn is_bounded(policy: &str) {
    assert!(policy.len() <= 1 << 20);
    let desk = Desk::new();
    desk.write("large.tide", policy);
    let output = Command::new("prlimit")
        .arg(format!("--data={MEMORY}"))
        .arg(format!("--cpu={HANGS}"))
        .arg(env!("CARGO_BIN_EXE_tidegate"))
        .args(["check", "large.tide"])
        .current_dir(desk.folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("util-linux is there");
    let said = text(&output.stderr) + &text(&output.stdout);
    let end: Vec<&str> = said.lines().rev().take(12).collect();
    let end = end.join("\n");
    match output.status.code() {
        Some(0) => {}
        Some(1) => assert!(TOO_MUCH.iter().any(|code| said.contains(code)), "{end}"),
        other => panic!("ended with {other:?}: {end}"),
    }
}

#[test]
fn joined_networks_are_bounded() {
    is_bounded(&joined_networks(500));
}

#[test]
fn many_joined_networks_are_bounded() {
    is_bounded(&joined_networks(1_500));
}

#[test]
fn hosts_are_bounded() {
    is_bounded(&published_on_hosts(500));
    is_bounded(&published_on_hosts(900));
}

#[test]
fn empty_networks_are_bounded() {
    is_bounded(&empty_networks(4_096));
}

#[test]
fn linked_hosts_are_bounded() {
    is_bounded(&linked_hosts(400));
}

#[test]
fn overlapping_ranges_are_bounded() {
    is_bounded(&overlapping());
}

#[test]
fn limits_are_bounded() {
    is_bounded(&limited());
}

#[test]
fn port_lists_are_bounded() {
    is_bounded(&port_lists());
}
