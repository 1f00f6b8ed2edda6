//! Networks: bridges and subnets.

use super::said;

#[test]
fn a_network_needs_a_bridge_and_a_subnet() {
    insta::assert_snapshot!(said("
network shop { icc off }
"), @r#"
error[T0311]: the network `shop` has no bridge
 --> p.tide:2:9
  |
2 | network shop { icc off }
  |         ^^^^ `bridge` is missing
  |
  = note: Rules are bound to the bridge, the kernel's interface of the network.
  = help: add `bridge` with the name that `ip link` shows, such as `bridge docker0`

error[T0312]: the network `shop` has no subnet
 --> p.tide:2:9
  |
2 | network shop { icc off }
  |         ^^^^ `subnet` is missing
  |
  = help: add `subnet` with the prefixes that `docker network inspect` shows
"#);
}

#[test]
fn a_syntax_error_in_a_block_hides_what_is_missing() {
    insta::assert_snapshot!(said("
network shop {
  brigde br-shop
  subnet 10.0.0.0/24
}
container web on shop at 10.0.1.3
"), @r#"
error[T0111]: unknown setting `brigde`
 --> p.tide:3:3
  |
3 |   brigde br-shop
  |   ^^^^^^ not a keyword
  |
help: did you mean `bridge`?
  |
3 -   brigde br-shop
3 +   bridge br-shop
  |

error[T0317]: 10.0.1.3 is not in the network `shop`
 --> p.tide:6:26
  |
4 |   subnet 10.0.0.0/24
  |          ----------- the first subnet of the network
5 | }
6 | container web on shop at 10.0.1.3
  |                          ^^^^^^^^ `shop` has 10.0.0.0/24
"#);
}

#[test]
fn subnets_must_be_prefixes_that_containers_can_have() {
    insta::assert_snapshot!(said("
network a {
  bridge br-a
  subnet 10.0.0.1, 10.1.0.1/16, 0.0.0.0/0, ff02::/64, 10.0.0.0/x
}
"), @r#"
error[T0302]: `10.0.0.1` is not a prefix
 --> p.tide:4:10
  |
4 |   subnet 10.0.0.1, 10.1.0.1/16, 0.0.0.0/0, ff02::/64, 10.0.0.0/x
  |          ^^^^^^^^ a length is missing, as in /24 or /64
  |
  = note: One address alone is the prefix 10.0.0.1/32.

error[T0303]: `10.1.0.1/16` has bits set right of its length
 --> p.tide:4:20
  |
4 |   subnet 10.0.0.1, 10.1.0.1/16, 0.0.0.0/0, ff02::/64, 10.0.0.0/x
  |                    ^^^^^^^^^^^ a length of /16 covers all of 10.1.0.0/16
  |
help: write `10.1.0.0/16`
  |
4 -   subnet 10.0.0.1, 10.1.0.1/16, 0.0.0.0/0, ff02::/64, 10.0.0.0/x
4 +   subnet 10.0.0.1, 10.1.0.0/16, 0.0.0.0/0, ff02::/64, 10.0.0.0/x
  |

error[T0314]: containers cannot have the addresses of `0.0.0.0/0`
 --> p.tide:4:33
  |
4 |   subnet 10.0.0.1, 10.1.0.1/16, 0.0.0.0/0, ff02::/64, 10.0.0.0/x
  |                                 ^^^^^^^^^ 0.0.0.0/8 means this host

error[T0314]: containers cannot have the addresses of `ff02::/64`
 --> p.tide:4:44
  |
4 |   subnet 10.0.0.1, 10.1.0.1/16, 0.0.0.0/0, ff02::/64, 10.0.0.0/x
  |                                            ^^^^^^^^^ ff00::/8 is multicast

error[T0302]: `10.0.0.0/x` is not a prefix
 --> p.tide:4:55
  |
4 |   subnet 10.0.0.1, 10.1.0.1/16, 0.0.0.0/0, ff02::/64, 10.0.0.0/x
  |                                                       ^^^^^^^^^^ the length must be a plain number from 0 to 32
"#);
}

#[test]
fn subnets_that_overlap() {
    insta::assert_snapshot!(said("
network a {
  bridge br-a
  subnet 10.0.0.0/8, fd00:1::/64
}
network b {
  bridge br-b
  subnet 10.2.0.0/16, fd00:2::/64
}
network c {
  bridge br-c
  subnet 10.3.0.0/16, 10.3.0.0/24
}
"), @r#"
error[T0313]: the subnets 10.0.0.0/8 and 10.2.0.0/16 overlap
 --> p.tide:8:10
  |
4 |   subnet 10.0.0.0/8, fd00:1::/64
  |          ---------- a subnet of `a`
...
8 |   subnet 10.2.0.0/16, fd00:2::/64
  |          ^^^^^^^^^^^ a subnet of `b`
  |
  = note: An address in both would belong to two networks, and rules could not tell which.

error[T0313]: the subnets 10.0.0.0/8 and 10.3.0.0/16 overlap
  --> p.tide:12:10
   |
 4 |   subnet 10.0.0.0/8, fd00:1::/64
   |          ---------- a subnet of `a`
...
12 |   subnet 10.3.0.0/16, 10.3.0.0/24
   |          ^^^^^^^^^^^ a subnet of `c`
   |
   = note: An address in both would belong to two networks, and rules could not tell which.

error[T0313]: the subnets 10.0.0.0/8 and 10.3.0.0/24 overlap
  --> p.tide:12:23
   |
 4 |   subnet 10.0.0.0/8, fd00:1::/64
   |          ---------- a subnet of `a`
...
12 |   subnet 10.3.0.0/16, 10.3.0.0/24
   |                       ^^^^^^^^^^^ a subnet of `c`
   |
   = note: An address in both would belong to two networks, and rules could not tell which.
"#);
}

#[test]
fn a_bridge_belongs_to_one_network_and_is_no_uplink() {
    insta::assert_snapshot!(said("
host { uplink eth0 }
network a {
  bridge docker0
  subnet 10.1.0.0/16
}
network b {
  bridge docker0
  subnet 10.2.0.0/16
}
network c {
  bridge eth0
  subnet 10.3.0.0/16
}
"), @r#"
error[T0315]: `docker0` is the bridge of two networks
 --> p.tide:8:10
  |
4 |   bridge docker0
  |          ------- the bridge of `a`
...
8 |   bridge docker0
  |          ^^^^^^^ taken again here
  |
  = help: a network with IPv4 and IPv6 names both prefixes in one `subnet`

error[T0316]: `eth0` is a bridge and an uplink
  --> p.tide:12:10
   |
 2 | host { uplink eth0 }
   |               ---- an uplink, where the outside arrives
...
12 |   bridge eth0
   |          ^^^^ the bridge of this network
   |
   = note: A packet from it would be from the network and from outside at once.
"#);
}

#[test]
fn names_that_no_interface_can_have() {
    insta::assert_snapshot!(said("
network a {
  bridge br-with-a-long-name
  subnet 10.1.0.0/16
}
network b {
  bridge all
  subnet 10.2.0.0/16
}
"), @r#"
error[T0310]: `br-with-a-long-name` cannot name an interface
 --> p.tide:3:10
  |
3 |   bridge br-with-a-long-name
  |          ^^^^^^^^^^^^^^^^^^^ it has 19 bytes, and the kernel takes 15

error[T0310]: `all` cannot name an interface
 --> p.tide:7:10
  |
7 |   bridge all
  |          ^^^ the kernel's settings use it for every interface
"#);
}

#[test]
fn settings_of_a_block_are_written_once() {
    insta::assert_snapshot!(said("
network a {
  bridge br-a
  subnet 10.1.0.0/16
  icc on
  subnet fd00::/64
  icc off
}
"), @r#"
error[T0309]: `subnet` is written twice in this block
 --> p.tide:6:3
  |
4 |   subnet 10.1.0.0/16
  |   ------------------ first written here
5 |   icc on
6 |   subnet fd00::/64
  |   ^^^^^^^^^^^^^^^^ written again here
  |
  = help: name all in one `subnet`, separated by commas

error[T0309]: `icc` is written twice in this block
 --> p.tide:7:3
  |
5 |   icc on
  |   ------ first written here
6 |   subnet fd00::/64
7 |   icc off
  |   ^^^^^^^ written again here
  |
  = help: keep one of them
"#);
}

#[test]
fn a_policy_without_networks_is_refused() {
    insta::assert_snapshot!(said("
host { forward drop }
"), @r#"
error[T0340]: the policy declares no network
 --> p.tide:1:1
  |
1 |
  | ^ no `network` in this file, nor in one that it includes
  |
  = note: Only declared networks are closed, so this policy would protect nothing.
  = help: add a `network` block with its `bridge` and `subnet`
"#);
}

#[test]
fn an_empty_policy_is_refused() {
    insta::assert_snapshot!(said("
# nothing
"), @r#"
error[T0340]: the policy is empty
 --> p.tide:1:1
  |
1 |
  | ^ no `network` in this file, nor in one that it includes
  |
  = note: Only declared networks are closed, so this policy would protect nothing.
  = help: add a `network` block with its `bridge` and `subnet`
"#);
}
