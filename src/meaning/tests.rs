use proptest::prelude::*;

use super::*;
use crate::diagram::Node;
use crate::net::Family;
use crate::netfilter::dump::{Dump, read};

const EDGES: usize = 1 << 20;

fn filter(rules: &str) -> Dump {
    let text = format!("*filter\n:FORWARD DROP\n:A -\n:B -\n:C -\n{rules}COMMIT\n");
    read(&text, Family::V4).unwrap()
}

/// Returns the outcomes of FORWARD.
fn forward(dump: &Dump) -> Result<(Space, Node), TooDeep> {
    let mut space = Space::new(Family::V4, [dump], &[], EDGES);
    let mut chains = Chains::new("filter", &dump.tables["filter"]);
    let node = chains.hook(&mut space, "FORWARD")?;
    Ok((space, node))
}

fn same(one: &str, two: &str) -> bool {
    let (one, two) = (filter(one), filter(two));
    let mut space = Space::new(Family::V4, [&one, &two], &[], EDGES);
    let mut node = |dump: &Dump| {
        let mut chains = Chains::new("filter", &dump.tables["filter"]);
        chains.hook(&mut space, "FORWARD").unwrap()
    };
    let (one, two) = (node(&one), node(&two));
    space.difference(one, two) == Node::NO
}

#[test]
fn rules_written_otherwise_mean_the_same() {
    for (one, two) in [
        (
            "-A FORWARD -s 10.0.0.0/9 -j ACCEPT\n-A FORWARD -s 10.128.0.0/9 -j ACCEPT\n",
            "-A FORWARD -s 10.0.0.0/8 -j ACCEPT\n",
        ),
        (
            "-A FORWARD -p tcp -m multiport --dports 80,81,82 -j ACCEPT\n",
            "-A FORWARD -p tcp -m tcp --dport 80:82 -j ACCEPT\n",
        ),
        // A chain that is gone to returns past its caller.
        (
            "-A FORWARD -i a+ -g A\n-A FORWARD -j ACCEPT\n-A A -p tcp -j ACCEPT\n",
            "-A FORWARD -i a+ -p tcp -j ACCEPT\n-A FORWARD ! -i a+ -j ACCEPT\n",
        ),
        // Marks that a rule sets are seen by those behind it.
        (
            "-A FORWARD -p udp -j MARK --set-xmark 0x1/0x1\n\
             -A FORWARD -m mark --mark 0x1/0x1 -j ACCEPT\n-A FORWARD -j MARK --set-xmark 0x0/0x1\n",
            "-A FORWARD -m mark --mark 0x1/0x1 -j A\n-A FORWARD -p udp -j MARK --set-xmark 0x1/0x1\n\
             -A FORWARD -p udp -j ACCEPT\n-A FORWARD -j MARK --set-xmark 0x0/0x1\n-A A -j ACCEPT\n",
        ),
    ] {
        assert!(same(one, two), "{one}\n{two}");
    }
    let seen = "-A FORWARD -p udp -j MARK --set-xmark 0x1/0x1\n-A FORWARD -m mark --mark 0x1/0x1 -j ACCEPT\n";
    assert!(!same(seen, "-A FORWARD -m mark --mark 0x1/0x1 -j ACCEPT\n"));
}

#[test]
fn what_only_the_kernel_knows_is_taken_both_ways() {
    let limited = "-A FORWARD -m limit --limit 1/sec -j ACCEPT\n";
    assert!(same(limited, limited));
    assert!(!same(limited, "-A FORWARD -j ACCEPT\n"));
    assert!(!same(limited, ""));
    // Each asks again; a question about the packet alone has one answer.
    let (_, node) = forward(&filter(&format!("{limited}{limited}"))).unwrap();
    assert!(!same(limited, &format!("{limited}{limited}")) && node != Node::NO);
    let owner = "-A FORWARD -m owner --uid-owner 0 -j ACCEPT\n";
    assert!(same(owner, &format!("{owner}{owner}")));
    let not = "-A FORWARD -m owner ! --uid-owner 0 -j ACCEPT\n";
    assert!(same("-A FORWARD -j ACCEPT\n", &format!("{owner}{not}")));
}

#[test]
fn circles_are_refused_with_their_line() {
    let circle = "-A FORWARD -j A\n-A A -j B\n-A B -p tcp -j C\n-A C -g A\n";
    let error = forward(&filter(circle)).unwrap_err();
    assert_eq!(error.chain, "A");
    assert_eq!(error.line, 9);
    // The same chain at the end of two ways is none.
    assert!(
        forward(&filter(
            "-A FORWARD -j A\n-A FORWARD -j B\n-A A -j C\n-A B -j C\n"
        ))
        .is_ok()
    );
    let lines = |line: &dyn Fn(usize) -> String| (1..5000).map(line).collect::<Vec<_>>().concat();
    let names = lines(&|it| format!(":N{it} -\n"));
    let jumps = lines(&|it| format!("-A N{it} -j N{}\n", (it + 1).min(4999)));
    let deep = format!("*filter\n:FORWARD ACCEPT\n{names}-A FORWARD -j N1\n{jumps}COMMIT\n");
    assert!(forward(&read(&deep, Family::V4).unwrap()).is_err());
}

const ADDRESSES: [&str; 7] = [
    "-s 10.0.0.0/8",
    "-s 10.0.0.0/9",
    "-s 10.128.0.0/9",
    "-s 10.1.0.0/16",
    "-s 192.0.2.1/32",
    "-s 192.0.2.0/24",
    "-d 10.0.0.0/8",
];
const TARGETS: [&str; 7] = [
    "-g B",
    "-g C",
    "-j ACCEPT",
    "-j DROP",
    "-j RETURN",
    "-j MARK --set-xmark 0x1/0x1",
    "-j B",
];

proptest! {
    // Chains that ask one address are put together in another way than all others.
    #[test]
    fn what_asks_addresses_alone_means_the_same(
        rules in proptest::collection::vec((0..7usize, 0..7usize, 0..3usize), 1..14),
    ) {
        let mut texts = [String::new(), String::new()];
        for (address, target, chain) in rules {
            let name = ["A", "B", "C"][chain];
            // Only A leads on to B, and B to C.
            let target = match (name, TARGETS[target]) {
                ("B", "-g B" | "-j B") => "-g C",
                ("C", "-g B" | "-g C" | "-j B") => "-j ACCEPT",
                (_, target) => target,
            };
            let rule = format!("-A {name} {} {target}\n", ADDRESSES[address]);
            for text in &mut texts {
                text.push_str(&rule);
            }
        }
        texts[1].push_str("-A A -p tcp -j RETURN\n-A B -p tcp -j RETURN\n-A C -p tcp -j RETURN\n");
        let behind = "-A FORWARD -j A\n-A FORWARD -m mark --mark 0x1/0x1 -j ACCEPT\n";
        let [one, two] = texts.map(|text| text + behind);
        prop_assert!(same(&one, &two), "{one}");
    }
}
