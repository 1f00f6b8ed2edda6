use super::*;
use crate::netfilter::dump::read;

const RULES: &str = "\
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -s 203.0.113.66/32 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.20.0.0/16 ! -o br-front -j MASQUERADE
-A DOCKER ! -i br-front -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.20.0.10:80
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DEEP - [0:0]
:END - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -m owner --uid-owner 7 -j ACCEPT
-A FORWARD -p udp -g END
-A FORWARD -j DEEP
-A FORWARD -i br-front -o br-front -j REJECT --reject-with tcp-reset
-A FORWARD -i br-front -j ACCEPT
-A DEEP -m conntrack --ctstate DNAT --ctorigdstport 8080 --ctdir ORIGINAL -j ACCEPT
-A DEEP -d 172.20.0.10/32 -j RETURN
-A DEEP -p udp -j ACCEPT
-A END -p udp -m limit --limit 1/sec -j ACCEPT
COMMIT
";

fn machine() -> Machine {
    let link = |name: &str, address: &str| Link {
        name: name.to_owned(),
        addresses: vec![address.parse().unwrap()],
    };
    Machine {
        family: Family::V4,
        rules: read(RULES, Family::V4).unwrap(),
        interfaces: vec![
            link("eth0", "192.0.2.1/24"),
            link("br-front", "172.20.0.1/16"),
        ],
        routes: vec![("0.0.0.0/0".parse().unwrap(), "eth0".to_owned())],
    }
}

/// Reads `INPUT FROM TO PORT/tcp`; the input `-` is the host itself.
fn probe(text: &str) -> Probe {
    let words: Vec<&str> = text.split(' ').collect();
    let (port, protocol) = words[3].split_once('/').unwrap();
    Probe {
        input: (words[0] != "-").then(|| words[0].to_owned()),
        source: words[1].parse().unwrap(),
        destination: words[2].parse().unwrap(),
        protocol: if protocol == "tcp" { 6 } else { 17 },
        source_port: 40_000,
        port: port.parse().unwrap(),
        icmp: (0, 0),
        tcp_flags: 2,
        state: States::NEW,
        mark: 0,
        connmark: 0,
    }
}

fn ends(text: &str) -> Vec<End> {
    let traces = traces(&machine(), &probe(text));
    traces.into_iter().map(|trace| trace.end).collect()
}

#[test]
fn packets_end_where_the_kernel_would_bring_them() {
    let out = |name: &str| End::Out(name.to_owned());
    for (text, end) in [
        ("eth0 203.0.113.1 192.0.2.1 8080/tcp", out("br-front")),
        ("eth0 203.0.113.66 192.0.2.1 8080/tcp", End::Dropped),
        ("eth0 203.0.113.1 172.20.0.10 80/tcp", End::Dropped),
        ("br-front 172.20.0.10 203.0.113.1 443/tcp", out("eth0")),
        (
            "br-front 172.20.0.10 172.20.0.11 80/tcp",
            End::Rejected("tcp-reset".to_owned()),
        ),
        // The bridge's own clients are left to the proxy, which INPUT does not let them reach.
        ("br-front 172.20.0.11 192.0.2.1 8080/tcp", End::Dropped),
        ("- 192.0.2.1 192.0.2.1 8080/tcp", out("br-front")),
        ("- 127.0.0.1 127.0.0.1 8080/tcp", End::Host),
        ("- 192.0.2.1 198.51.100.1 53/udp", out("eth0")),
        ("eth0 127.0.0.1 192.0.2.1 8080/tcp", End::Martian),
        ("eth0 203.0.113.1 192.0.2.255 8080/tcp", End::Dropped),
    ] {
        assert_eq!(ends(text), [end], "{text}");
    }
}

#[test]
fn what_only_the_kernel_knows_is_answered_both_ways() {
    assert_eq!(
        ends("eth0 203.0.113.1 192.0.2.1 22/tcp"),
        [End::Dropped, End::Host]
    );
    // A chain that was gone to returns past its caller.
    let found = ends("br-front 172.20.0.10 203.0.113.1 53/udp");
    assert_eq!(found, [End::Dropped, End::Out("eth0".to_owned())]);
}

#[test]
fn a_trace_names_every_rule_and_change() {
    let found = traces(&machine(), &probe("eth0 203.0.113.1 192.0.2.1 8080/tcp")).remove(0);
    let steps: Vec<String> = found
        .steps
        .iter()
        .map(|step| {
            let what = match &step.event {
                Event::Hook => "in".to_owned(),
                Event::Policy => "policy".to_owned(),
                Event::Rule(number) => number.to_string(),
            };
            let to = step.translated.map(|(to, port)| format!(" > {to}:{port}"));
            format!(
                "{} {} {what}{}",
                step.table,
                step.chain,
                to.unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            "raw PREROUTING in",
            "raw PREROUTING policy",
            "nat PREROUTING in",
            "nat PREROUTING 1",
            "nat DOCKER 1 > 172.20.0.10:80",
            "filter FORWARD in",
            "filter FORWARD 2",
            "filter DEEP 1",
            "nat POSTROUTING in",
            "nat POSTROUTING policy",
        ]
    );
    let out = traces(
        &machine(),
        &probe("br-front 172.20.0.10 203.0.113.1 443/tcp"),
    )
    .remove(0);
    assert_eq!(out.source.to_string(), "192.0.2.1");
}

#[test]
fn what_has_no_connection_matches_no_test_of_one() {
    let rules = "*raw\n:PREROUTING ACCEPT\n-A PREROUTING -m conntrack ! --ctdir ORIGINAL -j DROP\n\
                 -A PREROUTING -m connmark ! --mark 0x1 -j DROP\nCOMMIT\n\
                 *filter\n:INPUT ACCEPT\n-A INPUT -m connmark ! --mark 0x1 -j DROP\nCOMMIT\n";
    let machine = Machine {
        rules: read(rules, Family::V4).unwrap(),
        ..machine()
    };
    let mut probe = probe("eth0 203.0.113.1 192.0.2.1 22/tcp");
    assert_eq!(traces(&machine, &probe)[0].end, End::Dropped);
    assert_eq!(
        traces(&machine, &probe)[0].steps.last().unwrap().table,
        "filter"
    );
    probe.state = States::INVALID;
    assert_eq!(traces(&machine, &probe)[0].end, End::Host);
}

#[test]
fn rules_that_lead_on_and_on_come_to_an_end() {
    let probe = probe("eth0 203.0.113.9 172.20.0.10 80/tcp");
    let chains = |rule: &dyn Fn(usize) -> String| {
        let name = |id: usize| format!(":C{id} - [0:0]\n");
        let names: String = (0..40).map(name).collect();
        let rules: String = (0..39).map(rule).collect();
        format!("*filter\n:FORWARD ACCEPT [0:0]\n{names}-A FORWARD -j C0\n{rules}COMMIT\n")
    };
    let twice = |id: usize| format!("-A C{id} -j C{0}\n-A C{id} -j C{0}\n", id + 1);
    let circle = |id: usize| format!("-A C{id} -j C{}\n", (id + 1) % 39);
    let asked =
        |id: usize| twice(id).replace("-j", "-m owner --uid-owner 7 -m limit --limit 1/s -j");
    for (text, ends) in [
        (chains(&twice), true),
        (chains(&circle), true),
        (chains(&asked), false),
    ] {
        let rules = read(&text, Family::V4).unwrap();
        let found = traces(&Machine { rules, ..machine() }, &probe);
        assert_eq!(found.iter().all(|trace| trace.end == End::Endless), ends);
    }
}

/// Returns the end of a packet on the machine with other rules.
fn end_under(rules: &str, packet: &str) -> End {
    let rules = read(rules, Family::V4).unwrap();
    let found = traces(&Machine { rules, ..machine() }, &probe(packet));
    found.into_iter().next().unwrap().end
}

#[test]
fn what_is_translated_on_its_way_out_still_counts_as_leaving_by_loopback() {
    let rules = "*nat\n:OUTPUT ACCEPT\n-A OUTPUT -p tcp -j DNAT --to-destination 172.20.0.10:80\nCOMMIT\n\
                 *filter\n:OUTPUT ACCEPT\n-A OUTPUT -o br-front -j DROP\n\
                 -A OUTPUT -o lo -d 172.20.0.10/32 -j REJECT --reject-with tcp-reset\nCOMMIT\n";
    let end = end_under(rules, "- 192.0.2.1 192.0.2.1 8080/tcp");
    assert_eq!(end, End::Rejected("tcp-reset".to_owned()));
    let away = end_under(rules, "- 192.0.2.1 198.51.100.1 8080/udp");
    assert_eq!(away, End::Out("eth0".to_owned()));
}

#[test]
fn what_is_not_tracked_is_neither_translated_nor_marked() {
    let rules = "*raw\n:PREROUTING ACCEPT\n-A PREROUTING -p tcp -j NOTRACK\n\
                 -A PREROUTING -p tcp -m conntrack ! --ctstate UNTRACKED -j DROP\nCOMMIT\n\
                 *mangle\n:PREROUTING ACCEPT\n-A PREROUTING -j CONNMARK --set-xmark 0x1/0x1\n\
                 -A PREROUTING -m connmark --mark 0x1/0x1 -j DROP\nCOMMIT\n\
                 *nat\n:PREROUTING ACCEPT\n-A PREROUTING -j DNAT --to-destination 172.20.0.10\nCOMMIT\n";
    let end = |packet| end_under(rules, packet);
    assert_eq!(end("eth0 203.0.113.1 192.0.2.1 80/tcp"), End::Host);
    assert_eq!(end("eth0 203.0.113.1 192.0.2.1 80/udp"), End::Dropped);
}

#[test]
fn a_source_of_the_hosts_own_comes_from_nowhere_else() {
    let foreign = end_under("", "eth0 192.0.2.1 172.20.0.10 80/tcp");
    assert_eq!(foreign, End::Martian);
    assert_eq!(
        end_under("", "- 192.0.2.1 172.20.0.10 80/tcp"),
        End::Out("br-front".to_owned())
    );
}
