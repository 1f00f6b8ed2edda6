//! What a policy says for nothing, and what only looks like it.

use super::{Files, as_text, load, load_text};
use crate::policy::{Loaded, lint};

const SHOP: &str = "network shop {\n  bridge br-shop\n  subnet 172.18.0.0/24\n}\n\
    container web on shop at 172.18.0.10 {\n  expose 80/tcp as 80 from any\n}\n\
    container db on shop at 172.18.0.20 {\n  expose 5432/tcp\n}\n\
    link web -> db\n";

fn found(loaded: &Loaded) -> String {
    assert!(
        !loaded.diagnostics.has_errors(),
        "{:#?}",
        loaded.diagnostics
    );
    as_text(&lint(&loaded.policies), &loaded.sources)
}

/// Returns what is found in a shop without faults, with more text.
fn linted(more: &str) -> String {
    found(&load_text(&format!("{SHOP}{more}")))
}

#[track_caller]
fn fine(more: &str) {
    assert_eq!(linted(more), "", "{more}");
}

#[test]
fn a_set_that_nothing_uses() {
    insta::assert_snapshot!(linted("trust office { 203.0.113.0/24 }\n"), @r"
warning[T0601]: nothing uses the trust set `office`
  --> p.tide:12:7
   |
12 | trust office { 203.0.113.0/24 }
   |       ^^^^^^ no statement and no other set names it
   |
   = help: name it where it was meant, or take it out
");
}

#[test]
fn a_set_is_used_wherever_it_is_named() {
    let office = "trust office { 203.0.113.0/24 }\n";
    for more in [
        "allow office -> db : 22/tcp\n",
        "deny web -> office\n",
        "trust all { 198.51.100.7, office }\nallow all -> shop : icmp\n",
        "trust rest { 203.0.0.0/16, except office }\nallow rest -> shop : icmp\n",
        "container x on shop { expose 1/tcp as 1 from office }\n",
        "expect office -> db denied\n",
    ] {
        fine(&format!("{office}{more}"));
    }
}

/// Several policies may include one file, and use some of its sets each.
#[test]
fn sets_of_included_files_are_for_others_too() {
    let main = format!("include \"common.tide\"\n{SHOP}");
    let common = "trust office { 203.0.113.0/24 }\n";
    let files = Files::new(&[("p.tide", main.as_str()), ("common.tide", common)]);
    assert_eq!(found(&load(&files, "p.tide")), "");
}

const SPARE: &str = "network spare {\n  bridge br-spare\n  subnet 172.19.0.0/24\n";

#[test]
fn a_network_about_which_nothing_is_said() {
    insta::assert_snapshot!(linted(&format!("{SPARE}}}\n")), @r"
warning[T0602]: nothing is said about the network `spare`
  --> p.tide:12:9
   |
12 | network spare {
   |         ^^^^^ no container is on it, and nothing names it
   |
   = note: It is closed: who is on it may go out, and nobody may connect to them.
   = help: declare its containers, or leave it so with `--allow T0602`
");
}

#[test]
fn a_network_has_a_setting_a_container_or_a_statement() {
    for more in [
        "icc on\n}\n",
        "egress off\n}\n",
        "}\ncontainer x on spare\n",
        "}\nallow spare -> db : 5432/tcp\n",
        "}\ncontainer x on shop { expose 1/tcp as 1 from spare }\n",
        "}\nhost { others drop }\n",
    ] {
        fine(&format!("{SPARE}{more}"));
    }
}

#[test]
fn a_port_that_nobody_can_come_to() {
    insta::assert_snapshot!(linted("\
trust six { 2001:db8::/48 }
trust more { 2001:db8:1::/48 }
container a on shop { expose 1-2,4/tcp as 192.0.2.1:1-3 from six }
container b on shop at 172.18.0.40 { expose 3/tcp from six, more }
"), @r"
warning[T0603]: nobody in this `from` can reach the port
  --> p.tide:14:23
   |
14 | container a on shop { expose 1-2,4/tcp as 192.0.2.1:1-3 from six }
   |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `six` has no IPv4 address
   |
   = note: It is reached by IPv4 alone.
   = help: publish it on an address of their family, or name somebody else

warning[T0603]: nobody in this `from` can reach the port
  --> p.tide:15:38
   |
15 | container b on shop at 172.18.0.40 { expose 3/tcp from six, more }
   |                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^ nobody in `from` has an IPv4 address
   |
   = note: It is reached by IPv4 alone.
   = help: give the network a subnet of their family, or name somebody else
");
}

#[test]
fn a_port_is_open_to_one_who_can_come() {
    let sets = "trust six { 2001:db8::/48 }\ntrust both { 192.0.2.0/24, 2001:db8::/48 }\n\
        allow six, both -> web : icmp\n";
    for more in [
        "container a on shop { expose 1/tcp as 1 from six }\n",
        "container a on shop { expose 1/tcp as 192.0.2.1:1 from six, both }\n",
        "container a on shop { expose 1/tcp as 192.0.2.1:1 from six, outside }\n",
        "container a on shop { expose 1/tcp as [2001:db8::1]:1 from six }\n",
        "container a on shop { expose 1/tcp as 192.0.2.1:1 from six, web }\n",
    ] {
        fine(&format!("{sets}{more}"));
    }
}

#[test]
fn names_that_add_nothing() {
    insta::assert_snapshot!(linted("\
trust office { 203.0.113.0/24 }
container a on shop { expose 1,3/tcp as 1,3 from any, office }
allow office, office -> shop : icmp
deny any, host -> web, any : 22/tcp
link web, db, web -> db : 5432/tcp
"), @r"
warning[T0604]: `office` stands twice in one list
  --> p.tide:14:15
   |
14 | allow office, office -> shop : icmp
   |       ------  ^^^^^^ again here
   |       |
   |       first here
   |
   = help: take one of them out

warning[T0604]: `host` adds nothing to `any`
  --> p.tide:15:11
   |
15 | deny any, host -> web, any : 22/tcp
   |           ^^^^ `any` beside it is everybody
   |
   = help: take `any` out if only the others are meant, else the others

warning[T0604]: `web` adds nothing to `any`
  --> p.tide:15:19
   |
15 | deny any, host -> web, any : 22/tcp
   |                   ^^^ `any` beside it is everybody
   |
   = help: take `any` out if only the others are meant, else the others

warning[T0604]: `web` stands twice in one list
  --> p.tide:16:15
   |
16 | link web, db, web -> db : 5432/tcp
   |      ---      ^^^ again here
   |      |
   |      first here
   |
   = help: take one of them out

warning[T0604]: `office` adds nothing to `any`
  --> p.tide:13:55
   |
13 | container a on shop { expose 1,3/tcp as 1,3 from any, office }
   |                                                       ^^^^^^ `any` beside it is everybody
   |
   = help: take `any` out if only the others are meant, else the others

warning[T0607]: this `link` says nothing new
  --> p.tide:11:1
   |
11 | link web -> db
   | ^^^^^^^^^^^^^^ without it the policy means the same
...
16 | link web, db, web -> db : 5432/tcp
   | ---------------------------------- this says as much
   |
   = help: take it out, or correct what it was meant to say
");
}

#[test]
fn others_may_stand_beside_each_other() {
    fine(
        "trust office { 203.0.113.0/24 }\ntrust desk { 203.0.113.7 }\n\
         allow office, desk, shop, web -> db, shop : 22/tcp\ndeny any -> any : 23/tcp\n",
    );
}

#[test]
fn ports_to_which_nobody_is_linked() {
    insta::assert_snapshot!(linted("\
container cache on shop at 172.18.0.30 {
  expose 6379/tcp
  expose 9000-9001,9100/udp
  expose 22/tcp from host
}
link web -> cache : 22/tcp
container queue on shop at 172.18.0.40 { expose 5672/tcp }
allow web -> queue : 5671/tcp, icmp
"), @r"
warning[T0605]: nobody is linked to 6379/tcp and 2 more of `cache`
  --> p.tide:13:3
   |
13 |   expose 6379/tcp
   |   ^^^^^^^^^^^^^^^ for linked containers, and there is no link
14 |   expose 9000-9001,9100/udp
   |   -------------------------
   |   |
   |   nor 9000-9001/udp
   |   nor 9100/udp
   |
   = help: write `link NAME -> cache`, say `from` whom, or take it out

warning[T0605]: nobody is linked to 5672/tcp of `queue`
  --> p.tide:18:42
   |
18 | container queue on shop at 172.18.0.40 { expose 5672/tcp }
   |                                          ^^^^^^^^^^^^^^^ for linked containers, and there is no link
   |
   = help: write `link NAME -> queue`, say `from` whom, or take it out
");
}

#[test]
fn a_port_is_used_by_whoever_may_connect() {
    let cache = "container cache on shop at 172.18.0.30 { expose 6379/tcp }\n";
    for more in [
        "allow web -> cache\n",
        "allow web -> shop : tcp\n",
        "allow web -> any : 6000-7000/tcp\n",
        "trust caches { 172.18.0.30 }\nallow web -> caches : 6379/tcp\n",
    ] {
        fine(&format!("{cache}{more}"));
    }
    fine(
        "network open {\n  bridge br-open\n  subnet 172.19.0.0/24\n  icc on\n}\n\
        container x on open { expose 1/tcp }\n",
    );
}

#[test]
fn statements_that_another_contains() {
    insta::assert_snapshot!(linted("\
trust office { 203.0.113.0/24 }
link web -> db : 5432/tcp
allow office -> db : 22/tcp
allow web, office -> shop, db : 20-30/tcp, icmp
allow office -> db : icmp echo-request
deny web -> outside
deny web -> outside
"), @r"
warning[T0607]: this `link` says nothing new
  --> p.tide:13:1
   |
11 | link web -> db
   | -------------- this says as much
12 | trust office { 203.0.113.0/24 }
13 | link web -> db : 5432/tcp
   | ^^^^^^^^^^^^^^^^^^^^^^^^^ without it the policy means the same
   |
   = help: take it out, or correct what it was meant to say

warning[T0607]: this `allow` says nothing new
  --> p.tide:14:1
   |
14 | allow office -> db : 22/tcp
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^ without it the policy means the same
15 | allow web, office -> shop, db : 20-30/tcp, icmp
   | ----------------------------------------------- this says as much
   |
   = help: take it out, or correct what it was meant to say

warning[T0607]: this `allow` says nothing new
  --> p.tide:16:1
   |
15 | allow web, office -> shop, db : 20-30/tcp, icmp
   | ----------------------------------------------- this says as much
16 | allow office -> db : icmp echo-request
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ without it the policy means the same
   |
   = help: take it out, or correct what it was meant to say

warning[T0607]: this `deny` says nothing new
  --> p.tide:18:1
   |
17 | deny web -> outside
   | ------------------- this says as much
18 | deny web -> outside
   | ^^^^^^^^^^^^^^^^^^^ without it the policy means the same
   |
   = help: take it out, or correct what it was meant to say
");
}

#[test]
fn statements_that_only_look_alike() {
    fine(
        "\
trust office { 203.0.113.0/24 }
allow office -> db : 22/tcp
allow office -> db : 22/udp
allow office -> db : 21-23/sctp, icmp echo-request
allow office -> web : 22/tcp
allow web -> db : 22/tcp
deny  office -> db : 22/tcp
deny  db -> office : 22/tcp
",
    );
}

/// A link is as many statements as it has right sides, and is told only if each is elsewhere, too.
#[test]
fn a_link_is_one_statement() {
    let cache = "container cache on shop at 172.18.0.30 { expose 6379/tcp }\n";
    fine(&format!("{cache}link db -> db, cache\nlink web -> cache\n"));
    insta::assert_snapshot!(linted(&format!("{cache}link web -> db, cache\n")), @"");
}

#[test]
fn what_another_host_uses_is_used() {
    let text = "\
host alpha { route 172.19.0.0/24 via 192.0.2.2 }
host beta { route 172.18.0.0/24 via 192.0.2.1 }
trust office { 203.0.113.0/24 }
network shop on alpha {
  bridge br-shop
  subnet 172.18.0.0/24
}
network stock on beta {
  bridge br-stock
  subnet 172.19.0.0/24
}
container web on shop at 172.18.0.10
container db on stock at 172.19.0.20 {
  expose 5432/tcp
  expose 9187/tcp from office
}
link web -> db : 5432/tcp
";
    assert_eq!(found(&load_text(text)), "");
}

/// Each of these words means less, or more, than it may seem to; beside each what says that it is meant.
#[test]
fn words_about_the_host_that_may_mislead() {
    let front = "network front {\n  bridge br-front\n  subnet 172.20.0.0/24\n  host-access off\n}\n\
        container x on front\ntrust office { 203.0.113.0/24 }\n";
    for (code, more) in [
        ("T0613", "allow front -> shop : 22/tcp\n"),
        ("T0613", "deny shop -> front : 22/tcp\n"),
        ("T0614", "allow office -> host : 22/tcp\n"),
        ("T0614", "allow shop, outside -> host\n"),
        ("T0615", "deny any -> web : 22/tcp\n"),
        ("T0615", "deny office, any -> web, db\n"),
        ("", "allow front -> shop : 5432/tcp\n"),
        ("", "allow front -> shop\n"),
        ("", "allow shop -> front : 22/tcp\n"),
        ("", "deny front -> shop : 22/tcp\n"),
        ("", "allow office -> shop : 22/tcp\n"),
        ("", "allow front -> host : 22/tcp\n"),
        ("", "deny office -> host : 22/tcp\n"),
        ("", "deny any -> host\n"),
        ("", "deny any -> any : 23/tcp\n"),
        ("", "deny host, any -> web : 22/tcp\n"),
        (
            "",
            "deny any -> web : 22/tcp\nexpect host -> web : 22/tcp denied\n",
        ),
    ] {
        let all = linted(&format!("{front}{more}"));
        let told = ["T0613", "T0614", "T0615"].map(|it| all.contains(&format!("[{it}]")));
        let wanted = ["T0613", "T0614", "T0615"].map(|it| it == code);
        assert_eq!(told, wanted, "{more}{all}");
    }
}

#[test]
fn names_leave_by_the_resolver_of_later_engines() {
    for (engine, is_told) in [
        ("docker 20.10", false),
        ("docker 28.5", true),
        ("docker 29.0 nftables", true),
        ("docker", false),
    ] {
        let egress = format!("host {{ engine {engine} }}\n{SPARE}egress off\n}}\n");
        assert_eq!(linted(&egress).contains("[T0616]"), is_told, "{engine}");
    }
}
