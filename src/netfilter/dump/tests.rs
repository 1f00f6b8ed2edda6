use proptest::prelude::*;

use super::*;
use crate::net::Family;

fn table(rules: &str) -> Result<Dump, DumpError> {
    read(
        &format!("*filter\n:X - [0:0]\n:Y - [0:0]\n{rules}\nCOMMIT\n"),
        Family::V4,
    )
}

fn rule(text: &str) -> DumpRule {
    let dump = table(&format!("-A X {text}")).unwrap();
    dump.chain("filter", "X").unwrap().rules[0].clone()
}

fn tests(text: &str) -> Vec<Test> {
    rule(text)
        .conditions
        .into_iter()
        .map(|condition| condition.test)
        .collect()
}

fn action(text: &str) -> Action {
    rule(text).action
}

fn range(first: u16, last: u16) -> PortRange {
    PortRange { first, last }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn one_condition_has_many_spellings() {
    for (one, other) in [
        ("-s 10.0.0.0/8", "--source 10.0.0.0/255.0.0.0"),
        ("! -s 10.0.0.1/32", "-s ! 10.0.0.1"),
        ("-p tcp -m tcp --dport 80", "-p 6 --destination-port 80"),
        (
            "-p tcp -m tcp ! --dport 80:90",
            "-p tcp -m tcp --dport ! 80:90",
        ),
        (
            "-m conntrack --ctstate ESTABLISHED,RELATED",
            "-m state --state RELATED,ESTABLISHED",
        ),
        (
            "-m conntrack ! --ctdir ORIGINAL",
            "-m conntrack --ctdir REPLY",
        ),
        (
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
            "-p tcp --syn",
        ),
        (
            "-p icmp -m icmp --icmp-type 8",
            "-p icmp --icmp-type echo-request",
        ),
        ("-p all -i eth0", "-i eth0"),
        ("-s 0/0", "-s 0.0.0.0/0"),
        (
            "-m comment --comment \"a -j b\" -i lo",
            "-i lo -m comment --comment c",
        ),
        ("-m mark --mark 0x10/0x10", "-m mark --mark 16/0x10"),
    ] {
        assert_eq!(rule(one).conditions, rule(other).conditions, "{one}");
    }
}

#[test]
fn conditions_are_what_they_say() {
    assert_eq!(
        tests("-s 10.1.2.3/8 -d 192.0.2.1,192.0.2.2 -i br+ ! -o lo"),
        [
            Test::Source(vec![net("10.0.0.0/8")]),
            Test::Destination(vec![net("192.0.2.1/32"), net("192.0.2.2/32")]),
            Test::Input(Pattern {
                name: "br".to_owned(),
                prefix: true
            }),
            Test::Output(Pattern {
                name: "lo".to_owned(),
                prefix: false
            }),
        ]
    );
    assert_eq!(
        tests("-p udp -m multiport --dports 53,5000:5009 -m multiport --ports 1:"),
        [
            Test::Protocol(17),
            Test::DestinationPort(vec![range(53, 53), range(5000, 5009)]),
            Test::EitherPort(vec![range(1, 65535)]),
        ]
    );
    assert_eq!(
        tests("-m conntrack --ctstate NEW,DNAT --ctorigdst 192.0.2.1 --ctorigdstport 80:81"),
        [
            Test::Conntrack(States::NEW.with(States::DNAT)),
            Test::OriginalDestination(net("192.0.2.1/32")),
            Test::OriginalDestinationPort(range(80, 81)),
        ]
    );
    assert_eq!(
        tests("-m addrtype ! --src-type LOCAL --dst-type LOCAL,BROADCAST"),
        [
            Test::SourceType(vec![AddressType::Local]),
            Test::DestinationType(vec![AddressType::Local, AddressType::Broadcast]),
        ]
    );
    assert_eq!(
        tests("-p icmp -m icmp --icmp-type 3/4")[1],
        Test::Icmp(Some((3, Some(4))))
    );
    assert_eq!(tests("-p icmp --icmp-type any")[1], Test::Icmp(None));
}

#[test]
fn what_is_unknown_stays_as_its_text() {
    let opaque = |text: &str, stateful| {
        let text = text.to_owned();
        Test::Opaque(Opaque { text, stateful })
    };
    for (text, not, test) in [
        (
            "-m owner ! --uid-owner 0",
            true,
            opaque("-m owner --uid-owner 0", false),
        ),
        (
            "-m limit --limit 3/min -j LOG",
            false,
            opaque("-m limit --limit 3/min", true),
        ),
        (
            "-d 10.0.0.1/255.0.0.255",
            false,
            opaque("--destination 10.0.0.1/255.0.0.255", false),
        ),
        ("-f", false, opaque("--fragment", false)),
        (
            "-m conntrack --ctstatus ASSURED",
            false,
            opaque("-m conntrack --ctstatus ASSURED", false),
        ),
        (
            "-m addrtype --dst-type LOCAL --limit-iface-in",
            false,
            opaque("-m addrtype --dst-type LOCAL --limit-iface-in", true),
        ),
        (
            "-m recent --update --seconds 60 ! --name \"a b\"",
            false,
            opaque("-m recent --update --seconds 60 ! --name a b", true),
        ),
    ] {
        assert_eq!(rule(text).conditions, [Condition { not, test }], "{text}");
    }
    assert_eq!(
        tests("-p tcp --dport http")[1],
        opaque("-m tcp --dport http", false)
    );
}

#[test]
fn targets_are_what_they_do() {
    for (text, expected) in [
        ("", Action::Continue),
        ("-j LOG --log-prefix \"-j DROP\"", Action::Continue),
        (
            "-j REJECT",
            Action::Reject("icmp-port-unreachable".to_owned()),
        ),
        (
            "-j REJECT --reject-with tcp-reset",
            Action::Reject("tcp-reset".to_owned()),
        ),
        ("-j Y", Action::Jump("Y".to_owned())),
        ("-g Y", Action::Goto("Y".to_owned())),
        (
            "-j NFQUEUE --queue-num 3",
            Action::Opaque("NFQUEUE --queue-num 3".to_owned()),
        ),
        ("-j CT --notrack", Action::NoTrack),
        ("-j CT --helper ftp", Action::Continue),
        (
            "-j MARK --set-xmark 0x1/0xff",
            Action::Mark {
                flip: 1,
                clear: 0xff,
            },
        ),
        (
            "-j MARK --set-mark 0x1/0xf0",
            Action::Mark {
                flip: 1,
                clear: 0xf1,
            },
        ),
        (
            "-j MARK --and-mark 0xf",
            Action::Mark {
                flip: 0,
                clear: 0xffff_fff0,
            },
        ),
        (
            "-j CONNMARK --save-mark --nfmask 0x1 --ctmask 0x2",
            Action::SaveMark { from: 1, to: 2 },
        ),
        (
            "-j CONNMARK --restore-mark --mask 0xf",
            Action::RestoreMark { from: 15, to: 15 },
        ),
    ] {
        assert_eq!(action(text), expected, "{text}");
    }
}

#[test]
fn translations_are_what_they_do() {
    let v4 = |text: &str| -> IpAddr { text.parse().unwrap() };
    let one = v4("10.0.0.1");
    for (text, expected) in [
        (
            "-j REDIRECT --to-ports 80-81",
            Action::Redirect(Some(range(80, 81))),
        ),
        (
            "-p tcp -j DNAT --to-destination 10.0.0.1:80 --random",
            Action::Dnat(Translation {
                addresses: Some((one, one)),
                ports: Some(range(80, 80)),
            }),
        ),
        (
            "-p tcp -j SNAT --to-source 10.0.0.1-10.0.0.9",
            Action::Snat(Translation {
                addresses: Some((one, v4("10.0.0.9"))),
                ports: None,
            }),
        ),
        (
            "-p tcp -j DNAT --to-destination :80-90",
            Action::Dnat(Translation {
                addresses: None,
                ports: Some(range(80, 90)),
            }),
        ),
    ] {
        assert_eq!(action(text), expected, "{text}");
    }
}

#[test]
fn addresses_of_the_other_family_are_mistakes() {
    let text = "*nat\n:X - [0:0]\n-A X -p tcp -j DNAT --to-destination [fd00::1]:80\nCOMMIT\n";
    let dump = read(text, Family::V6).unwrap();
    let six: IpAddr = "fd00::1".parse().unwrap();
    assert_eq!(
        dump.chain("nat", "X").unwrap().rules[0].action,
        Action::Dnat(Translation {
            addresses: Some((six, six)),
            ports: Some(range(80, 80))
        })
    );
    assert_eq!(
        table("-A X -s fd00::1").unwrap_err().kind,
        DumpErrorKind::Address
    );
}

/// Returns the first rule of `X`.
fn first(line: &str) -> DumpRule {
    table(line).unwrap().chain("filter", "X").unwrap().rules[0].clone()
}

#[test]
fn what_is_not_understood_is_a_question_and_no_mistake() {
    for (rule, text) in [
        ("-s host.example", "--source host.example"),
        ("-p nobody", "--protocol nobody"),
        ("-m mark --mark z", "-m mark --mark z"),
        ("-p tcp --dport http", "-m tcp --dport http"),
        ("-p esp --espspi 5", "-m esp --espspi 5"),
    ] {
        let found = first(&format!("-A X {rule} -j DROP"));
        let last = found.conditions.last().unwrap();
        let Test::Opaque(opaque) = &last.test else {
            panic!("{rule}: {last:?}");
        };
        assert_eq!(
            (opaque.text.as_str(), &found.action),
            (text, &Action::Drop),
            "{rule}"
        );
    }
    for rule in ["!", "--comment \"a", "stray -j DROP", "--to 1 -j DROP"] {
        let found = first(&format!("-A X {rule}"));
        let Action::Opaque(said) = &found.action else {
            panic!("{rule}: {:?}", found.action);
        };
        assert_eq!(
            (found.conditions.len(), said.as_str()),
            (0, "of line 4, which is not understood")
        );
    }
    let bad = first("-A X -j DNAT --to-destination here");
    assert_eq!(
        bad.action,
        Action::Opaque("DNAT --to-destination here".to_owned())
    );
}

#[test]
fn rules_are_read_as_iptables_restore_takes_them() {
    let plain = first("-A X -s 10.0.0.0/8 -p tcp -m tcp --dport 80 -j DROP");
    for line in [
        "-A\tX\t-s 10/8  -p tcp --dport 80 -j DROP",
        "-AX -s10.0/8 -ptcp --dport=80 -jDROP",
        "--append X --sour 10/8 --proto tcp -m tcp --dpor 80 --jump DROP",
        "-s 10/8 -p tcp -A X --dport 80 -j DROP",
        "[1:2] -A X -4 -c 1 2 --src 10.0.0.0/255.0.0.0 -p 6 --destination-p 80 -j DROP",
    ] {
        let read = first(line);
        assert_eq!(
            (&read.conditions, &read.action),
            (&plain.conditions, &plain.action),
            "{line}"
        );
    }
    let to = |line: &str| first(line).action;
    assert_eq!(
        to("-A X -p tcp -j DNAT --to 10.0.0.1:80"),
        to("-A X -p tcp -j DNAT --to-destination 10.0.0.1:80")
    );
    assert_eq!(table("-A X -6 -j DROP").unwrap().rule_count(), 0);
    // A comment may look like an option.
    let comment = first("-A X -m comment --comment -6 -j DROP");
    assert_eq!(
        (comment.conditions.len(), comment.action),
        (0, Action::Drop)
    );
    let dump = table(
        "-A X -j DROP\n-N Z\n-A FORWARD -j Z\n-E Z W\n-F X\n-Z\n-A X -j RETURN\n-R X 1 -j ACCEPT",
    )
    .unwrap();
    assert_eq!(
        dump.chain("filter", "X").unwrap().rules[0].action,
        Action::Accept
    );
    assert_eq!(
        dump.chain("filter", "FORWARD").unwrap().rules[0].action,
        Action::Jump("W".to_owned())
    );
}

#[test]
fn chains_without_a_policy_have_their_counters_alone() {
    let text = "*filter\n:FORWARD [0:0]\n:X [0:0]\n-A X -j DROP\nCOMMIT\n";
    let dump = read(text, Family::V4).unwrap();
    assert_eq!(dump.chain("filter", "X").unwrap().policy, None);
    assert_eq!(dump.rule_count(), 1);
}

#[test]
fn protocols_have_the_systems_names() {
    for (name, number) in [
        ("ospf", 89),
        ("PIM", 103),
        ("l2tp", 115),
        ("rsvp", 46),
        ("eigrp", 88),
        ("isis", 124),
        ("hip", 139),
        ("shim6", 140),
        ("ethernet", 143),
        ("ipv6-frag", 44),
        ("mptcp", 6),
        ("254", 254),
    ] {
        let read = first(&format!("-A X -p {name} -j ACCEPT"));
        assert_eq!(read.conditions[0].test, Test::Protocol(number), "{name}");
    }
    for every in ["all", "ip", "0"] {
        assert_eq!(first(&format!("-A X -p {every}")).conditions, []);
    }
}

#[test]
fn a_table_that_is_not_shown_may_do_anything() {
    let hidden = "# Table `filter' is incompatible, use 'nft' tool.\n";
    let dump = read(hidden, Family::V4).unwrap();
    let rule = &dump.chain("filter", "FORWARD").unwrap().rules[0];
    assert!(matches!(&rule.action, Action::Opaque(said) if said.contains("filter")));
}

#[test]
fn chains_tell_the_table_that_a_list_is_of() {
    let of = |text: &str| -> Vec<String> {
        read(text, Family::V4).unwrap().tables.into_keys().collect()
    };
    assert_eq!(
        of("-P PREROUTING ACCEPT\n-P INPUT ACCEPT\n-P OUTPUT ACCEPT\n-P POSTROUTING ACCEPT\n"),
        ["nat"]
    );
    assert_eq!(of("-P PREROUTING ACCEPT\n-P OUTPUT ACCEPT\n"), ["raw"]);
    assert_eq!(of("-P PREROUTING ACCEPT\n-P FORWARD ACCEPT\n"), ["mangle"]);
    assert_eq!(of("-P INPUT DROP\n-A INPUT -j ACCEPT\n"), ["filter"]);
    assert_eq!(of("-A POSTROUTING -j MASQUERADE\n"), ["nat"]);
    let none = read("# a part\n-N X\n-A X -j DROP\n", Family::V4).unwrap_err();
    assert_eq!((none.line, none.kind), (2, DumpErrorKind::Bare));
}

#[test]
fn lines_say_what_is_wrong_with_them() {
    for (rules, line, kind) in [
        ("-A X -g NOWHERE", 4, DumpErrorKind::Missing),
        ("-Q X", 4, DumpErrorKind::Line),
        ("X -j DROP", 4, DumpErrorKind::Line),
        (":Z QUEUE", 4, DumpErrorKind::Declaration),
        ("*nat", 4, DumpErrorKind::Unfinished),
        ("COMMIT", 5, DumpErrorKind::Outside),
    ] {
        let error = table(rules).unwrap_err();
        assert_eq!((error.line, error.kind), (line, kind), "{rules}");
    }
    let kind = |text: &str| read(text, Family::V4).unwrap_err().kind;
    assert_eq!(kind("*broute\nCOMMIT\n"), DumpErrorKind::Table);
    assert_eq!(kind("*nat\n"), DumpErrorKind::Unfinished);
    for nft in [
        "table ip filter {\n",
        "{\"nftables\": []}\n",
        "add rule ip filter x drop\n",
    ] {
        assert_eq!(kind(nft), DumpErrorKind::Nft);
    }
}

#[test]
fn what_no_machine_prints_is_refused_by_its_line() {
    let long = format!("-A X -m comment --comment {}", "a".repeat(70_000));
    for (rules, kind) in [
        (long.as_str(), DumpErrorKind::Long),
        ("-A X -j \0DROP", DumpErrorKind::Nul),
        ("# \0", DumpErrorKind::Nul),
        ("-I X 18446744073709551615 -j DROP", DumpErrorKind::Number),
        ("-I X 0 -j DROP", DumpErrorKind::Number),
    ] {
        let error = table(&format!("-A X -j DROP\n{rules}")).unwrap_err();
        assert_eq!((error.line, error.kind), (5, kind));
        assert!(error.to_string().len() < 400, "{kind:?} prints it all");
    }
}

#[test]
fn the_number_of_rules_is_bounded() {
    use super::bounds::MAX_RULES;
    let kind = |rules: &str| table(rules).map(|_| ()).unwrap_err().kind;
    let chain = |id: usize| format!(":{id} -\n");
    let chains: String = (0..=MAX_RULES).map(chain).collect();
    assert_eq!(kind(&chains), DumpErrorKind::Many);
    let list = format!("-A X -s {}0\n", "0,".repeat(20_000));
    let error = table(&list.repeat(200)).unwrap_err();
    assert_eq!((error.line, error.kind), (103, DumpErrorKind::Many));
}

/// Where each rule goes in front of all others, or among them, the work stays bounded.
#[test]
fn many_rules_may_be_put_in_front() {
    let dump = table(&"-I X -j Y\n".repeat(100_000)).unwrap();
    assert_eq!(dump.rule_count(), 100_000);
    let middle = format!(
        "{}{}",
        "-A X -j Y\n".repeat(40_000),
        "-I X 20000 -j Y\n".repeat(9_000)
    );
    assert_eq!(table(&middle).unwrap_err().kind, DumpErrorKind::Many);
}

#[test]
fn a_million_jumps_and_deep_chains_are_read() {
    let jumps = table(&"-A X -j Y\n".repeat(1_000_000)).unwrap();
    assert_eq!(jumps.rule_count(), 1_000_000);
    let chain = |id: usize| format!(":C{id} - [0:0]\n");
    let next = |id: usize| format!("-A C{} -j C{id}\n", id - 1);
    let chains: String = (0..50_000).map(chain).collect();
    let deep: String = (1..50_000).map(next).collect();
    let circle = "-A C49999 -g C0\n-A C7 -j C7\n";
    let dump = table(&format!("{chains}{deep}{circle}")).unwrap();
    assert_eq!(dump.rule_count(), 50_001);
    let first = &dump.chain("filter", "C0").unwrap().rules[0];
    assert_eq!(first.action, Action::Jump("C1".to_owned()));
}

#[test]
fn other_ways_to_print_rules_are_read() {
    let listed = "-P INPUT DROP\n-N X\n-A INPUT -j X\n-A X -i lo -j ACCEPT\n";
    let saved = "*filter\r\n:INPUT DROP [7:9]\r\n:X - [0:0]\r\n[1:2] -A INPUT -j X\r\n\
                 -A X -i lo -j ACCEPT\r\nCOMMIT\r\n";
    let (listed, saved) = (
        read(listed, Family::V4).unwrap(),
        read(saved, Family::V4).unwrap(),
    );
    let texts = |dump: &Dump| {
        let chains = &dump.tables["filter"].chains;
        let text = |chain: &DumpChain| {
            let rules = chain.rules.iter();
            rules
                .map(|rule| (rule.text.clone(), rule.action.clone()))
                .collect::<Vec<_>>()
        };
        let each = |(name, chain): (&String, &DumpChain)| (name.clone(), chain.policy, text(chain));
        chains.iter().map(each).collect::<Vec<_>>()
    };
    assert_eq!(texts(&listed), texts(&saved));
    assert_eq!(listed.rule_count(), 2);
}

#[test]
fn a_text_loads_on_top_of_another() {
    let mut dump = table("-A X -j DROP\n-A Y -j ACCEPT\n-A FORWARD -j X").unwrap();
    let more = "*filter\n:FORWARD DROP [0:0]\n:Z - [0:0]\n:Y - [0:0]\n-I X 2 -j Z\n-A Z -j RETURN\n-I FORWARD -j Z\nCOMMIT\n";
    dump.load(more, Family::V4).unwrap();
    let actions = |chain: &str| {
        let rules = &dump.chain("filter", chain).unwrap().rules;
        rules
            .iter()
            .map(|rule| rule.action.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(actions("X"), [Action::Drop, Action::Jump("Z".to_owned())]);
    assert_eq!(actions("Y"), []);
    let jump = |to: &str| Action::Jump(to.to_owned());
    assert_eq!(actions("FORWARD"), [jump("Z"), jump("X")]);
    let missing = "*filter\n-A NOWHERE -j DROP\nCOMMIT\n";
    assert_eq!(
        dump.load(missing, Family::V4).unwrap_err().kind,
        DumpErrorKind::Missing
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_a_mistake(text in "\\PC*", v6: bool) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let _ = read(&text, family);
    }

    #[test]
    fn any_words_are_a_rule_or_a_mistake(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "-s", "-d", "!", "-p", "tcp", "udp", "-m", "mark", "--mark", "0x1/", "10.0.0.1", "1:2",
                "10.0.0.0/33", "--dport", "-j", "-g", "DNAT", "--to-destination", ":", "[", "\"", "\\",
                "--ctstate", "conntrack", "NEW,", "multiport", "--ports", ",", "-", "--", "X", "é",
            ]),
            0..12,
        )
    ) {
        let _ = table(&format!("-A X {}", words.join(" ")));
    }
}

#[test]
fn rules_and_chains_that_a_text_deletes_are_gone() {
    let before =
        "*filter\n:A - [0:0]\n-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -j RETURN\nCOMMIT\n";
    let mut dump = read(before, Family::V4).unwrap();
    let text = "*filter\n-D FORWARD -j A\n-X A\n-D FORWARD 1\nCOMMIT\n";
    dump.load(text, Family::V4).unwrap();
    assert!(dump.chain("filter", "A").is_none());
    assert_eq!(dump.rule_count(), 0);
    for text in ["-D FORWARD -j A", "-D FORWARD 1", "-X A"] {
        let text = format!("*filter\n{text}\nCOMMIT\n");
        assert!(dump.load(&text, Family::V4).is_err(), "{text}");
    }
}
