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
  --> p.tide:4 `shpo`: nothing of this name is declared
  help: did you mean `shop`?
  fix: `shpo` becomes `shop`
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
  --> p.tide:8 `ofice`: nothing of this name is declared
  ::: p.tide:9 `ofice`: here too
  help: did you mean `office`?
  fix: `ofice` becomes `office`
"#);
}

#[test]
fn an_unknown_name_without_anything_near() {
    insta::assert_snapshot!(said_in_shop("
allow quux -> web
"), @r#"
error[T0201]: there is no container, network or trust set `quux`
  --> p.tide:8 `quux`: nothing of this name is declared
"#);
}

#[test]
fn a_name_of_another_kind_is_told_as_such() {
    insta::assert_snapshot!(said_in_shop("
trust office { 203.0.113.0/24, shop }
container a on office { }
"), @r#"
error[T0202]: `shop` is a network, not a trust set
  --> p.tide:8 `shop`: a trust set is needed here
  ::: p.tide:1 `shop`: the network `shop`
error[T0202]: `office` is a trust set, not a network
  --> p.tide:9 `office`: a network is needed here
  ::: p.tide:8 `office`: the trust set `office`
"#);
}

#[test]
fn a_near_name_of_another_kind_is_told_with_its_kind() {
    insta::assert_snapshot!(said_in_shop("
trust office { 203.0.113.0/24 }
container a on ofice { }
"), @r#"
error[T0201]: there is no network `ofice`
  --> p.tide:9 `ofice`: nothing of this name is declared
  help: `office` is a trust set, and a network is needed here
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
  --> p.tide:8 `shop`: declared again here
  ::: p.tide:1 `shop`: first declared here, as a network
  note: Containers, networks and trust sets share one name space, as `allow` takes them all.
error[T0203]: the name `web` is declared twice
  --> p.tide:9 `web`: declared again here
  ::: p.tide:5 `web`: first declared here, as a container
  note: Containers, networks and trust sets share one name space, as `allow` takes them all.
error[T0203]: the name `db` is declared twice
  --> p.tide:10 `db`: declared again here
  ::: p.tide:6 `db`: first declared here, as a container
  note: Containers, networks and trust sets share one name space, as `allow` takes them all.
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
  --> p.tide:2 `any`: this name has a meaning of its own
  note: `any` is everybody, `outside` is what arrives by an uplink, `host` is the machine itself.
  help: choose another name
error[T0117]: `outside` cannot be declared
  --> p.tide:6 `outside`: this name has a meaning of its own
  note: `any` is everybody, `outside` is what arrives by an uplink, `host` is the machine itself.
  help: choose another name
error[T0117]: `host` cannot be declared
  --> p.tide:7 `host`: this name has a meaning of its own
  note: `any` is everybody, `outside` is what arrives by an uplink, `host` is the machine itself.
  help: choose another name
"#);
}

#[test]
fn unknown_names_of_both_sides_and_of_the_exposure() {
    insta::assert_snapshot!(said_in_shop("
container x on shop at 172.18.0.30 { expose 22/tcp from offce, stff }
trust office { 203.0.113.0/24 }
trust staff { 203.0.113.0/24 }
deny wbe -> dbb
expect wep -> db allowed
"), @r#"
error[T0201]: there is no container, network or trust set `offce`
  --> p.tide:8 `offce`: nothing of this name is declared
  help: did you mean `office`?
  fix: `offce` becomes `office`
error[T0201]: there is no container, network or trust set `stff`
  --> p.tide:8 `stff`: nothing of this name is declared
  help: did you mean `staff`?
  fix: `stff` becomes `staff`
error[T0201]: there is no container, network or trust set `wbe`
  --> p.tide:11 `wbe`: nothing of this name is declared
  help: did you mean `web`?
  fix: `wbe` becomes `web`
error[T0201]: there is no container, network or trust set `dbb`
  --> p.tide:11 `dbb`: nothing of this name is declared
  help: did you mean `db`?
  fix: `dbb` becomes `db`
error[T0201]: there is no container, network or trust set `wep`
  --> p.tide:12 `wep`: nothing of this name is declared
  help: did you mean `web`?
  fix: `wep` becomes `web`
"#);
}

#[test]
fn an_unknown_icmp_type_suggests_the_nearest() {
    insta::assert_snapshot!(said_in_shop("
allow any -> web : icmp echo-requst
allow any -> web : icmp zzz
"), @r#"
error[T0210]: there is no ICMP type `echo-requst`
  --> p.tide:8 `echo-requst`: not a type's name
  help: did you mean `echo-request`?
  fix: `echo-requst` becomes `echo-request`
error[T0210]: there is no ICMP type `zzz`
  --> p.tide:9 `zzz`: not a type's name
  help: the names are address-mask-reply, address-mask-request, destination-unreachable, echo-reply, echo-request, neighbour-advertisement, neighbour-solicitation, packet-too-big, parameter-problem, redirect, router-advertisement, router-solicitation, time-exceeded, timestamp-reply, timestamp-request
"#);
}
