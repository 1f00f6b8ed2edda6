//! Names: unknown, of another kind, declared twice.

use super::{said, said_in_shop};

#[test]
fn an_unknown_network_suggests_the_nearest() {
    insta::assert_snapshot!(said("
network shop { bridge br-shop
  subnet 172.18.0.0/16 }
container web on shpo at 172.18.0.10 { expose 80/tcp }
allow any -> web : 80/tcp
link web -> web
"), @r#"
error[T0201]: there is no network `shpo`
 --> p.tide:4:18
  |
4 | container web on shpo at 172.18.0.10 { expose 80/tcp }
  |                  ^^^^ nothing of this name is declared
  |
help: did you mean `shop`?
  |
4 - container web on shpo at 172.18.0.10 { expose 80/tcp }
4 + container web on shop at 172.18.0.10 { expose 80/tcp }
  |
"#);
}

#[test]
fn an_unknown_name_is_told_once_with_all_its_uses() {
    insta::assert_snapshot!(said_in_shop("
allow ofice -> web : 80/tcp
allow ofice -> db : 80/tcp
trust office { 203.0.113.0/24 }
"), @r#"
error[T0201]: there is no container, network or trust set `ofice`
 --> p.tide:8:7
  |
8 | allow ofice -> web : 80/tcp
  |       ^^^^^ nothing of this name is declared
9 | allow ofice -> db : 80/tcp
  |       ----- here too
  |
help: did you mean `office`?
  |
8 | allow office -> web : 80/tcp
  |         +
"#);
}

#[test]
fn an_unknown_name_without_anything_near() {
    insta::assert_snapshot!(said_in_shop("
allow quux -> web
"), @r#"
error[T0201]: there is no container, network or trust set `quux`
 --> p.tide:8:7
  |
8 | allow quux -> web
  |       ^^^^ nothing of this name is declared
"#);
}

#[test]
fn a_name_of_another_kind_is_told_as_such() {
    insta::assert_snapshot!(said_in_shop("
trust office { 203.0.113.0/24, shop }
container a on office { }
"), @r#"
error[T0202]: `shop` is a network, not a trust set
 --> p.tide:8:32
  |
1 | network shop {
  |         ---- the network `shop`
...
8 | trust office { 203.0.113.0/24, shop }
  |                                ^^^^ a trust set is needed here

error[T0202]: `office` is a trust set, not a network
 --> p.tide:9:16
  |
8 | trust office { 203.0.113.0/24, shop }
  |       ------ the trust set `office`
9 | container a on office { }
  |                ^^^^^^ a network is needed here
"#);
}

#[test]
fn a_near_name_of_another_kind_is_told_with_its_kind() {
    insta::assert_snapshot!(said_in_shop("
trust office { 203.0.113.0/24 }
container a on ofice { }
"), @r#"
error[T0201]: there is no network `ofice`
 --> p.tide:9:16
  |
9 | container a on ofice { }
  |                ^^^^^ nothing of this name is declared
  |
  = help: `office` is a trust set, and a network is needed here
"#);
}

#[test]
fn names_are_one_space_for_all_kinds() {
    insta::assert_snapshot!(said_in_shop("
trust shop { 203.0.113.0/24 }
container web on shop at 172.18.0.99
network db {
  bridge br-db
  subnet 10.9.0.0/24
}
"), @r#"
error[T0203]: the name `shop` is declared twice
 --> p.tide:8:7
  |
1 | network shop {
  |         ---- first declared here, as a network
...
8 | trust shop { 203.0.113.0/24 }
  |       ^^^^ declared again here
  |
  = note: Containers, networks and trust sets share one name space, as `allow` takes them all.

error[T0203]: the name `web` is declared twice
 --> p.tide:9:11
  |
5 | container web on shop at 172.18.0.10 { expose 80/tcp }
  |           --- first declared here, as a container
...
9 | container web on shop at 172.18.0.99
  |           ^^^ declared again here
  |
  = note: Containers, networks and trust sets share one name space, as `allow` takes them all.

error[T0203]: the name `db` is declared twice
  --> p.tide:10:9
   |
 6 | container db on shop at 172.18.0.20 { expose 5432/tcp }
   |           -- first declared here, as a container
...
10 | network db {
   |         ^^ declared again here
   |
   = note: Containers, networks and trust sets share one name space, as `allow` takes them all.
"#);
}

#[test]
fn words_with_a_meaning_cannot_be_declared() {
    insta::assert_snapshot!(said("
network any {
  bridge br-any
  subnet 10.9.0.0/24
}
trust outside { 203.0.113.0/24 }
container host on any
"), @r#"
error[T0117]: `any` cannot be declared
 --> p.tide:2:9
  |
2 | network any {
  |         ^^^ this name has a meaning of its own
  |
  = note: `any` is everybody, `outside` is what arrives by an uplink, `host` is the machine
          itself.
  = help: choose another name

error[T0117]: `outside` cannot be declared
 --> p.tide:6:7
  |
6 | trust outside { 203.0.113.0/24 }
  |       ^^^^^^^ this name has a meaning of its own
  |
  = note: `any` is everybody, `outside` is what arrives by an uplink, `host` is the machine
          itself.
  = help: choose another name

error[T0117]: `host` cannot be declared
 --> p.tide:7:11
  |
7 | container host on any
  |           ^^^^ this name has a meaning of its own
  |
  = note: `any` is everybody, `outside` is what arrives by an uplink, `host` is the machine
          itself.
  = help: choose another name
"#);
}

#[test]
fn unknown_names_of_both_sides_and_of_the_exposure() {
    insta::assert_snapshot!(said_in_shop("
container x on shop at 172.18.0.30 { expose 22/tcp from offce, stff }
trust office { 203.0.113.0/24 }
trust staff { 203.0.113.0/24 }
deny wbe -> dbb
"), @r#"
error[T0201]: there is no container, network or trust set `offce`
 --> p.tide:8:57
  |
8 | container x on shop at 172.18.0.30 { expose 22/tcp from offce, stff }
  |                                                         ^^^^^ nothing of this name is declared
  |
help: did you mean `office`?
  |
8 | container x on shop at 172.18.0.30 { expose 22/tcp from office, stff }
  |                                                            +

error[T0201]: there is no container, network or trust set `stff`
 --> p.tide:8:64
  |
8 | container x on shop at 172.18.0.30 { expose 22/tcp from offce, stff }
  |                                                                ^^^^ nothing of this name is declared
  |
help: did you mean `staff`?
  |
8 | container x on shop at 172.18.0.30 { expose 22/tcp from offce, staff }
  |                                                                  +

error[T0201]: there is no container, network or trust set `wbe`
  --> p.tide:11:6
   |
11 | deny wbe -> dbb
   |      ^^^ nothing of this name is declared
   |
help: did you mean `web`?
   |
11 - deny wbe -> dbb
11 + deny web -> dbb
   |

error[T0201]: there is no container, network or trust set `dbb`
  --> p.tide:11:13
   |
11 | deny wbe -> dbb
   |             ^^^ nothing of this name is declared
   |
help: did you mean `db`?
   |
11 - deny wbe -> dbb
11 + deny wbe -> db
   |
"#);
}

#[test]
fn unknown_names_of_an_expectation() {
    insta::assert_snapshot!(said_in_shop("
expect wep -> db allowed
"), @r#"
error[T0201]: there is no container, network or trust set `wep`
 --> p.tide:8:8
  |
8 | expect wep -> db allowed
  |        ^^^ nothing of this name is declared
  |
help: did you mean `web`?
  |
8 - expect wep -> db allowed
8 + expect web -> db allowed
  |
"#);
}

#[test]
fn an_unknown_icmp_type_suggests_the_nearest() {
    insta::assert_snapshot!(said_in_shop("
allow any -> web : icmp echo-requst
allow any -> web : icmp zzz
"), @r#"
error[T0210]: there is no ICMP type `echo-requst`
 --> p.tide:8:25
  |
8 | allow any -> web : icmp echo-requst
  |                         ^^^^^^^^^^^ not a type's name
  |
help: did you mean `echo-request`?
  |
8 | allow any -> web : icmp echo-request
  |                                  +

error[T0210]: there is no ICMP type `zzz`
 --> p.tide:9:25
  |
9 | allow any -> web : icmp zzz
  |                         ^^^ not a type's name
  |
  = help: the names are address-mask-reply, address-mask-request, destination-unreachable,
          echo-reply, echo-request, neighbour-advertisement, neighbour-solicitation,
          packet-too-big, parameter-problem, redirect, router-advertisement,
          router-solicitation, time-exceeded, timestamp-reply, timestamp-request
"#);
}
