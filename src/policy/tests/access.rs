//! Links, allows, denies and expectations.

use super::{said, said_in_shop};

#[test]
fn links_are_between_containers() {
    insta::assert_snapshot!(said_in_shop("
trust office { 203.0.113.0/24 }
link any -> db
link web -> shop
link office, host -> outside
"), @r#"
error[T0334]: `any` cannot be linked
 --> p.tide:9:6
  |
9 | link any -> db
  |      ^^^ everybody, not a container
  |
  = help: a link is between containers; write `allow` with the ports instead

error[T0334]: `shop` cannot be linked
  --> p.tide:10:13
   |
10 | link web -> shop
   |             ^^^^ a network, not a container
   |
   = help: a link is between containers; write `allow` with the ports instead

error[T0334]: `office` cannot be linked
  --> p.tide:11:6
   |
11 | link office, host -> outside
   |      ^^^^^^ a trust set, not a container
   |
   = help: a link is between containers; write `allow` with the ports instead

error[T0334]: `host` cannot be linked
  --> p.tide:11:14
   |
11 | link office, host -> outside
   |              ^^^^ the machine itself, not a container
   |
   = help: a link is between containers; write `allow` with the ports instead

error[T0334]: `outside` cannot be linked
  --> p.tide:11:22
   |
11 | link office, host -> outside
   |                      ^^^^^^^ whoever arrives by an uplink, not a container
   |
   = help: a link is between containers; write `allow` with the ports instead
"#);
}

#[test]
fn a_link_to_a_container_that_exposes_nothing() {
    insta::assert_snapshot!(said_in_shop("
container a on shop at 172.18.0.30
link web, db -> a
link db -> a
"), @r#"
error[T0335]: `a` exposes nothing to link to
 --> p.tide:9:17
  |
8 | container a on shop at 172.18.0.30
  |           - declared here without `expose`
9 | link web, db -> a
  |                 ^ this link would let nothing through
  |
  = help: add the port to its block, as in `expose 5432/tcp`
"#);
}

#[test]
fn a_link_to_ports_that_are_not_exposed() {
    insta::assert_snapshot!(said_in_shop("
container a on shop at 172.18.0.30 {
  expose 80-89/tcp
  expose 90/tcp as 9000 from any
}
link web -> a : 80-90/tcp
link web -> a : 9000/tcp, 80/udp
link web -> a : icmp
link web -> a : tcp
"), @r#"
error[T0336]: `a` does not expose this
  --> p.tide:13:17
   |
 8 | container a on shop at 172.18.0.30 {
   |           - declared here
...
13 | link web -> a : 9000/tcp, 80/udp
   |                 ^^^^^^^^ `a` exposes 80-89/tcp, 90/tcp
   |
   = note: A link names the container's own ports, not those of the host.
   = help: link to a port that is exposed, or add an `expose`

error[T0336]: `a` does not expose this
  --> p.tide:13:27
   |
 8 | container a on shop at 172.18.0.30 {
   |           - declared here
...
13 | link web -> a : 9000/tcp, 80/udp
   |                           ^^^^^^ `a` exposes 80-89/tcp, 90/tcp
   |
   = note: A link names the container's own ports, not those of the host.
   = help: link to a port that is exposed, or add an `expose`

error[T0336]: `a` does not expose this
  --> p.tide:14:17
   |
 8 | container a on shop at 172.18.0.30 {
   |           - declared here
...
14 | link web -> a : icmp
   |                 ^^^^ `a` exposes 80-89/tcp, 90/tcp
   |
   = note: A link names the container's own ports, not those of the host.
   = help: link to a port that is exposed, or add an `expose`

error[T0336]: `a` does not expose this
  --> p.tide:15:17
   |
 8 | container a on shop at 172.18.0.30 {
   |           - declared here
...
15 | link web -> a : tcp
   |                 ^^^ `a` exposes 80-89/tcp, 90/tcp
   |
   = note: A link names the container's own ports, not those of the host.
   = help: link to a port that is exposed, or add an `expose`
"#);
}

#[test]
fn no_declared_network_on_either_side() {
    insta::assert_snapshot!(said_in_shop("
trust office { 203.0.113.0/24 }
allow outside -> outside
deny office -> outside
expect office -> outside denied
allow office -> host : 22/tcp
"), @r#"
error[T0338]: no declared network is on either side
 --> p.tide:9:1
  |
9 | allow outside -> outside
  | ^^^^^^^^^^^^^^^^^^^^^^^^ neither side is in a network of this policy
  |
  = note: A policy decides about connections from or to its networks and the host.
  = help: name a container, a network or `host` on one side

error[T0338]: no declared network is on either side
  --> p.tide:10:1
   |
10 | deny office -> outside
   | ^^^^^^^^^^^^^^^^^^^^^^ neither side is in a network of this policy
   |
   = note: A policy decides about connections from or to its networks and the host.
   = help: name a container, a network or `host` on one side

error[T0338]: no declared network is on either side
  --> p.tide:11:1
   |
11 | expect office -> outside denied
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ neither side is in a network of this policy
   |
   = note: A policy decides about connections from or to its networks and the host.
   = help: name a container, a network or `host` on one side
"#);
}

#[test]
fn an_allow_needs_one_address() {
    insta::assert_snapshot!(said_in_shop("
container a on shop
link a -> db
allow any -> a : 80/tcp
"), @"
    error[T0339]: the address of the container `a` is not known
     --> p.tide:9:6
      |
    8 | container a on shop
      |           - declared here without `at`
    9 | link a -> db
      |      ^ a rule for this needs an address of `a`
      |
      = help: give it a fixed address of 172.18.0.0/16, as in `on shop at ADDRESS`, or compile with
              an `--inventory` that knows it
    ");
}

#[test]
fn a_deny_needs_every_address() {
    insta::assert_snapshot!(said("
network shop {
  bridge br-shop
  subnet 172.18.0.0/16, fd00:18::/64
}
network back {
  bridge br-back
  subnet 172.19.0.0/16
}
container a on shop at 172.18.0.3 on back at 172.19.0.3
container b on shop at 172.18.0.4, fd00:18::4 on back
container c on shop at 172.18.0.5, fd00:18::5 on back at 172.19.0.5
deny a -> outside
deny outside -> b
deny c -> outside
allow a -> outside
"), @"
    error[T0339]: this deny has a hole: the IPv6 address of `a` on `shop` is not known
      --> p.tide:13:6
       |
    10 | container a on shop at 172.18.0.3 on back at 172.19.0.3
       |           - has no IPv6 address on `shop`
    ...
    13 | deny a -> outside
       |      ^ a deny needs every address of `a`
       |
       = help: give it a fixed address of fd00:18::/64, as in `on shop at ADDRESS`, or compile with
               an `--inventory` that knows it

    error[T0339]: this deny has a hole: the IPv4 address of `b` on `back` is not known
      --> p.tide:14:17
       |
    11 | container b on shop at 172.18.0.4, fd00:18::4 on back
       |           - has no IPv4 address on `back`
    ...
    14 | deny outside -> b
       |                 ^ a deny needs every address of `b`
       |
       = help: give it a fixed address of 172.19.0.0/16, as in `on back at ADDRESS`, or compile with
               an `--inventory` that knows it
    ");
}

#[test]
fn services_that_cannot_be() {
    insta::assert_snapshot!(said_in_shop("
allow any -> web : 0/tcp, 5-1/udp
deny any -> web : 70000/tcp
expect any -> web : 99999/tcp denied
"), @r#"
error[T0307]: 0 is not a port
 --> p.tide:8:20
  |
8 | allow any -> web : 0/tcp, 5-1/udp
  |                    ^ ports go from 1 to 65535

error[T0307]: the range of ports ends before it starts
 --> p.tide:8:27
  |
8 | allow any -> web : 0/tcp, 5-1/udp
  |                           ^^^ 1 comes before 5
  |
help: did you mean `1-5`?
  |
8 - allow any -> web : 0/tcp, 5-1/udp
8 + allow any -> web : 0/tcp, 1-5/udp
  |

error[T0307]: 70000 is not a port
 --> p.tide:9:19
  |
9 | deny any -> web : 70000/tcp
  |                   ^^^^^ ports go from 1 to 65535

error[T0307]: 99999 is not a port
  --> p.tide:10:21
   |
10 | expect any -> web : 99999/tcp denied
   |                     ^^^^^ ports go from 1 to 65535
"#);
}
