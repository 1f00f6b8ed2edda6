//! What only the meaning of a policy tells, and what only looks like it.

use crate::diag::code;
use crate::diag::text::{Style, render};
use crate::diagram::Budget;
use crate::policy::{LoadError, Loaded, Loader, load};

use super::{lint, lint_within};

struct One<'t>(&'t str);

impl Loader for One<'_> {
    fn load(&self, _: &str) -> Result<String, LoadError> {
        Ok(self.0.to_owned())
    }
}

const SHOP: &str = "network shop {\n  bridge br-shop\n  subnet 172.18.0.0/24, fd00:18::/64\n}\n\
    container web on shop at 172.18.0.10, fd00:18::10 {\n  expose 80/tcp as 80 from outside\n}\n\
    container db on shop at 172.18.0.20, fd00:18::20 {\n  expose 5432/tcp\n}\n\
    link web -> db\n\
    trust office { 203.0.113.0/24 }\ntrust staff { 203.0.113.0/24, 10.8.0.0/16 }\n\
    allow staff, office -> web : 8000/tcp\n";

fn loaded(text: &str) -> Loaded {
    let loaded = load(&One(text), "p.tide");
    let found = &loaded.diagnostics;
    assert!(!found.has_errors(), "{found:#?}");
    loaded
}

/// Returns what is found in a shop that has two overlapping sets in one list, without that.
fn linted(more: &str) -> String {
    let shop = SHOP.replace("staff, office", "staff");
    found(&format!("{shop}allow office -> web : 8001/tcp\n{more}"))
}

fn found(text: &str) -> String {
    let loaded = loaded(text);
    let style = Style {
        colour: false,
        width: 100,
    };
    render(&lint(&loaded.policies), &loaded.sources, "", style)
}

#[track_caller]
fn fine(more: &str) {
    assert_eq!(linted(more), "", "{more}");
}

#[test]
fn a_shop_without_faults() {
    fine("");
}

#[test]
fn what_others_open_between_them() {
    insta::assert_snapshot!(linted(
        "\
allow office -> db : 4000-6000/tcp
allow outside -> db : 4000-4999/tcp
allow staff -> db : 5000-5999/tcp
allow any -> db : 6000/tcp
"
    ), @r"
warning[T0608]: this `allow` opens nothing new
  --> p.tide:16:1
   |
16 | allow office -> db : 4000-6000/tcp
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ without it the policy means the same
17 | allow outside -> db : 4000-4999/tcp
   | ----------------------------------- this opens a part of it
18 | allow staff -> db : 5000-5999/tcp
   | --------------------------------- this opens a part of it
19 | allow any -> db : 6000/tcp
   | -------------------------- this opens a part of it
   |
   = help: take it out, or correct what it was meant to say
");
}

#[test]
fn one_that_opens_it_all_is_named_alone() {
    insta::assert_snapshot!(linted(
        "\
allow outside -> db : 1000/tcp
allow staff -> db : 1000-2000/tcp
allow office -> db : 1000/tcp
"
    ), @r"
warning[T0608]: this `allow` opens nothing new
  --> p.tide:18:1
   |
16 | allow outside -> db : 1000/tcp
   | ------------------------------ this opens it
17 | allow staff -> db : 1000-2000/tcp
18 | allow office -> db : 1000/tcp
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ without it the policy means the same
   |
   = help: take it out, or correct what it was meant to say
");
}

#[test]
fn what_settings_open() {
    insta::assert_snapshot!(linted(
        "\
network open {
  bridge br-open
  subnet 172.19.0.0/24
  icc on
}
container a on open at 172.19.0.2 { expose 1/tcp as 1 from open }
container b on open at 172.19.0.3 { expose 2/tcp }
link a -> b
allow a -> outside, b, host : 53/udp
"
    ), @r"
warning[T0608]: this `link` opens nothing new
  --> p.tide:23:1
   |
16 | network open {
   |         ---- `icc on`: its containers may connect to each other
...
23 | link a -> b
   | ^^^^^^^^^^^ without it the policy means the same
   |
   = help: take it out, or correct what it was meant to say

warning[T0608]: this `allow` opens nothing new
  --> p.tide:24:1
   |
16 | network open {
   |         ----
   |         |
   |         `icc on`: its containers may connect to each other
   |         `host-access on`: its containers may connect to the host
...
24 | allow a -> outside, b, host : 53/udp
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ without it the policy means the same
   |
   = help: take it out, or correct what it was meant to say
");
}

#[test]
fn froms_that_let_in_nobody_new() {
    insta::assert_snapshot!(linted(
        "\
container a on shop at 172.18.0.30, fd00:18::30 {
  expose 1/tcp from office
  expose 2/tcp as 2 from office limit 5/second
  expose 3/tcp from office log
}
allow staff -> a
"
    ), @r"
warning[T0608]: this `from` opens nothing new
  --> p.tide:17:3
   |
17 |   expose 1/tcp from office
   |   ^^^^^^^^^^^^^^^^^^^^^^^^ whoever it lets in comes in without it
...
21 | allow staff -> a
   | ---------------- this opens it
   |
   = help: take the `from` out, or name somebody else
");
}

#[test]
fn sides_that_have_no_family_in_common() {
    insta::assert_snapshot!(linted(
        "\
network old {
  bridge br-old
  subnet 172.19.0.0/24
}
container a on old at 172.19.0.2
trust six { 2001:db8::/48 }
allow six -> a
"
    ), @r"
warning[T0608]: this `allow` opens nothing
  --> p.tide:22:1
   |
22 | allow six -> a
   | ^^^^^^^^^^^^^^ no packet is from one of its sides to the other
   |
   = help: take it out, or correct what it was meant to say
");
}

#[test]
fn what_denials_cancel() {
    insta::assert_snapshot!(linted(
        "\
allow office -> db : 22-23/tcp
deny staff -> db : 22/tcp
deny office -> shop : 23/tcp
container a on shop at 172.18.0.30, fd00:18::30 { expose 1/tcp as 1 from office }
deny staff -> a
"
    ), @r"
warning[T0609]: denials leave nothing of this `allow`
  --> p.tide:16:1
   |
16 | allow office -> db : 22-23/tcp
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ all that it opens is denied
17 | deny staff -> db : 22/tcp
   | ------------------------- this denies a part of it
18 | deny office -> shop : 23/tcp
   | ---------------------------- this denies a part of it
   |
   = help: take it out, or say in the denial what it is to leave

warning[T0609]: denials leave nothing of this `from`
  --> p.tide:19:51
   |
19 | container a on shop at 172.18.0.30, fd00:18::30 { expose 1/tcp as 1 from office }
   |                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ all that it opens is denied
20 | deny staff -> a
   | --------------- this denies it
   |
   = help: name somebody else, or say in the denial what it is to leave
");
}

#[test]
fn denials_of_nothing() {
    insta::assert_snapshot!(linted(
        "\
deny office -> db : 5432/tcp
deny db -> web : 80/tcp
allow any -> db : 9/tcp
deny office -> db : 9/tcp
deny staff -> db
deny any -> db : 9/udp
deny host -> db : 9/udp
"
    ), @r"
warning[T0615]: `any` is the host, too
  --> p.tide:21:1
   |
21 | deny any -> db : 9/udp
   | ^^^^^^^^^^^^^^^^^^^^^^ this denies it to the host's own processes
   |
   = help: name networks and `outside` instead; if it is meant: `expect host -> db denied`

warning[T0610]: this `deny` denies nothing
  --> p.tide:16:1
   |
16 | deny office -> db : 5432/tcp
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ all that it names is closed
   |
   = help: take it out, or correct what it was meant to say

warning[T0610]: this `deny` denies nothing
  --> p.tide:17:1
   |
17 | deny db -> web : 80/tcp
   | ^^^^^^^^^^^^^^^^^^^^^^^ all that it names is closed
   |
   = help: take it out, or correct what it was meant to say

warning[T0610]: this `deny` denies nothing
  --> p.tide:19:1
   |
19 | deny office -> db : 9/tcp
   | ^^^^^^^^^^^^^^^^^^^^^^^^^ what of it is open is denied without it
20 | deny staff -> db
   | ---------------- this denies it
   |
   = help: take it out, or correct what it was meant to say

warning[T0610]: this `deny` denies nothing
  --> p.tide:22:1
   |
21 | deny any -> db : 9/udp
   | ---------------------- this denies it
22 | deny host -> db : 9/udp
   | ^^^^^^^^^^^^^^^^^^^^^^^ what of it is open is denied without it
   |
   = help: take it out, or correct what it was meant to say
");
}

/// A denial of the host, of its addresses on a bridge, or of what goes out has something to deny.
#[test]
fn denials_of_what_is_open_by_itself() {
    for more in [
        "deny any -> db : 22/tcp\nexpect host -> db : 22/tcp denied\n",
        "deny host -> db : 22/tcp\n",
        "deny office -> host : 22/tcp\n",
        "deny db -> host\n",
        "deny db -> outside : 25/tcp\n",
        "deny web -> db : 22/tcp\nallow web -> db : 22-23/tcp\n",
    ] {
        fine(more);
    }
}

#[test]
fn who_is_held_by_others_in_a_list() {
    insta::assert_snapshot!(found(&format!(
        "{SHOP}\
trust more {{ 203.0.113.7-203.0.113.9, 10.8.1.0/24 }}
allow more, web, db, shop -> shop : icmp
trust low {{ 203.0.113.0/25 }}
trust high {{ 203.0.113.128/25 }}
container a on shop {{ expose 1,3/tcp as 1,3 from low, office, high }}
"
    )), @r"
warning[T0611]: `office` adds nothing to `staff`
  --> p.tide:14:14
   |
14 | allow staff, office -> web : 8000/tcp
   |              ^^^^^^ whoever is `office` is `staff`, too
   |
   = help: take it out if the others are meant, else them

warning[T0611]: `web` adds nothing to `shop`
  --> p.tide:16:13
   |
16 | allow more, web, db, shop -> shop : icmp
   |             ^^^ whoever is `web` is `shop`, too
   |
   = help: take it out if the others are meant, else them

warning[T0611]: `db` adds nothing to `shop`
  --> p.tide:16:18
   |
16 | allow more, web, db, shop -> shop : icmp
   |                  ^^ whoever is `db` is `shop`, too
   |
   = help: take it out if the others are meant, else them

warning[T0611]: `low` adds nothing to `office`
  --> p.tide:19:50
   |
19 | container a on shop { expose 1,3/tcp as 1,3 from low, office, high }
   |                                                  ^^^ whoever is `low` is `office`, too
   |
   = help: take it out if the others are meant, else them

warning[T0611]: `high` adds nothing to `office`
  --> p.tide:19:63
   |
19 | container a on shop { expose 1,3/tcp as 1,3 from low, office, high }
   |                                                               ^^^^ whoever is `high` is `office`, too
   |
   = help: take it out if the others are meant, else them
");
}

#[test]
fn who_only_looks_like_being_held() {
    fine(
        "trust wide { 203.0.0.0/16, except office }\nhost { uplink eth0 }\n\
          allow wide, office, outside -> db : 7/tcp\nallow host, shop -> db : 8/tcp\n",
    );
}

/// What a statement opens on any host is enough.
#[test]
fn a_statement_is_judged_on_every_host() {
    let text = "\
host alpha { route 172.19.0.0/24 via 192.0.2.2 }
host beta { route 172.18.0.0/24 via 192.0.2.1 }
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
  expose 9187/tcp from web
}
link web -> db : 5432/tcp
";
    assert_eq!(found(text), "");
    insta::assert_snapshot!(found(&format!("{text}allow web -> stock : tcp\n")), @r"
warning[T0608]: this `from` opens nothing new
  --> p.tide:14:3
   |
 3 | network shop on alpha {
   |         ---- `egress on`: its containers may connect to the outside
...
14 |   expose 9187/tcp from web
   |   ^^^^^^^^^^^^^^^^^^^^^^^^ whoever it lets in comes in without it
...
17 | allow web -> stock : tcp
   | ------------------------ this opens a part of it
   |
   = help: take the `from` out, or name somebody else

warning[T0608]: this `link` opens nothing new
  --> p.tide:16:1
   |
 3 | network shop on alpha {
   |         ---- `egress on`: its containers may connect to the outside
...
16 | link web -> db : 5432/tcp
   | ^^^^^^^^^^^^^^^^^^^^^^^^^ without it the policy means the same
17 | allow web -> stock : tcp
   | ------------------------ this opens a part of it
   |
   = help: take it out, or correct what it was meant to say
");
}

#[test]
fn what_takes_too_much_is_said() {
    let loaded = loaded(
        &SHOP
            .replace("trust office { 203.0.113.0/24 }\n", "")
            .replace(", office", ""),
    );
    let found = lint_within(&loaded.policies, &Budget::from(10));
    let [only] = &found[..] else {
        panic!("{found:#?}");
    };
    assert_eq!(only.code, code::NOT_COMPARED);
    let style = Style {
        colour: false,
        width: 100,
    };
    let text = render(&found, &loaded.sources, "", style);
    crate::diag::told(code::NOT_COMPARED, &text);
}
