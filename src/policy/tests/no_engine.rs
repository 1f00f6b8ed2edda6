//! `engine none`, and what it asks of the rest.

use super::{said, said_in_shop};

const NETWORK: &str = "network shop {\n  bridge br-shop\n  subnet 172.18.0.0/16, fd00:18::/64\n}\n";

fn published(container: &str) -> String {
    let host = "host {\n  engine none\n  uplink eth0\n  forwarding on\n  forward drop\n}\n";
    said(&format!("{host}{NETWORK}{container}"))
}

#[test]
fn nobody_else_turns_forwarding_on() {
    insta::assert_snapshot!(said_in_shop("host { engine none }\n"), @r#"
error[T0370]: `engine none` without `forwarding on`
 --> p.tide:7:8
  |
7 | host { engine none }
  |        ^^^^^^^^^^^ nobody else turns forwarding on
  |
  = note: A kernel that does not forward carries no packet to a container or from it.
help: add `forwarding on` to the block
  |
7 ~ host { engine none
8 ~   forwarding on }
  |
"#);
    insta::assert_snapshot!(said_in_shop("
host {
  engine none
  forwarding off
}
"), @r#"
error[T0370]: `engine none` without `forwarding on`
  --> p.tide:9:3
   |
 9 |   engine none
   |   ^^^^^^^^^^^ nobody else turns forwarding on
10 |   forwarding off
   |   -------------- off here
   |
   = note: A kernel that does not forward carries no packet to a container or from it.
help: write `forwarding on`
   |
10 -   forwarding off
10 +   forwarding on
   |
"#);
}

#[test]
fn forwarding_leaves_forward_open_without_an_engine_too() {
    insta::assert_snapshot!(said_in_shop("
host {
  engine none
  forwarding on
}
"), @r#"
warning[T0350]: `forwarding on` without `forward drop`
  --> p.tide:10:3
   |
10 |   forwarding on
   |   ^^^^^^^^^^^^^ FORWARD's policy is left as it is
   |
   = note: Without an engine nobody else sets the policy of FORWARD to DROP. Networks that are
           not the engine's stay reachable for neighbours.
help: add `forward drop` to the block
   |
10 ~   forwarding on
11 +   forward drop
   |
"#);
}

#[test]
fn published_ports_need_to_know_where_they_lead() {
    insta::assert_snapshot!(published("container web on shop { expose 80/tcp as 8080 from any }\n"), @"
    error[T0339]: the address of the container `web` is not known
      --> p.tide:11:25
       |
     2 |   engine none
       |   ----------- no engine translates published ports
    ...
    11 | container web on shop { expose 80/tcp as 8080 from any }
       |           ---           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this port has to lead to `web`
       |           |
       |           has no fixed address
       |
       = help: give it a fixed address of 172.18.0.0/16, as in `on shop at ADDRESS`, or compile with
               an `--inventory` that knows it
    ");
}

#[test]
fn a_port_on_an_address_leads_to_one_of_the_same_family() {
    insta::assert_snapshot!(published(
        "container web on shop at 172.18.0.10 { expose 80/tcp as [2001:db8::1]:8080 from any }\n"
    ), @"
    error[T0339]: the IPv6 address of the container `web` is not known
      --> p.tide:11:40
       |
     2 |   engine none
       |   ----------- no engine translates published ports
    ...
    11 | container web on shop at 172.18.0.10 { expose 80/tcp as [2001:db8::1]:8080 from any }
       |           ---                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this port has to lead to `web`
       |           |
       |           has no fixed IPv6 address
       |
       = help: give it a fixed address of fd00:18::/64, as in `on shop at ADDRESS`, or compile with
               an `--inventory` that knows it
    ");
}

#[test]
fn a_family_without_a_subnet() {
    insta::assert_snapshot!(said("
host {
  engine none
  forwarding on
  forward drop
}
network shop {
  bridge br-shop
  subnet 172.18.0.0/16
}
container web on shop at 172.18.0.10 { expose 80/tcp as [2001:db8::1]:8080 from any }
"), @r#"
error[T0339]: the IPv6 address of the container `web` is not known
  --> p.tide:11:40
   |
 3 |   engine none
   |   ----------- no engine translates published ports
...
11 | container web on shop at 172.18.0.10 { expose 80/tcp as [2001:db8::1]:8080 from any }
   |           ---                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this port has to lead to `web`
   |           |
   |           has no fixed IPv6 address
   |
   = help: give its network a subnet of that family and the container an address there
"#);
}

#[test]
fn loopback_ports_are_ipv4() {
    insta::assert_snapshot!(published(
        "container web on shop at fd00:18::10 { expose 80/tcp as [::1]:8080 from host }\n"
    ), @r#"
error[T0371]: a port on ::1 cannot be translated
  --> p.tide:11:40
   |
 2 |   engine none
   |   ----------- tidegate translates published ports
...
11 | container web on shop at fd00:18::10 { expose 80/tcp as [::1]:8080 from host }
   |                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ published on the IPv6 loopback address
   |
   = note: The kernel lets loopback addresses leave for another interface in IPv4 only
           (route_localnet).
   = help: publish it on 127.0.0.1, or on another address of the host
"#);
}

#[test]
fn loopback_settings_follow_from_published_ports() {
    insta::assert_snapshot!(said_in_shop("
host {
  engine none
  forwarding on
  forward drop
  sysctl \"net.ipv4.conf.br-shop.route_localnet\" = 0
  sysctl \"net.ipv4.conf.eth0.route_localnet\" = 0
}
"), @r#"
error[T0333]: `net.ipv4.conf.br-shop.route_localnet` follows from the policy
  --> p.tide:12:3
   |
12 |   sysctl "net.ipv4.conf.br-shop.route_localnet" = 0
   |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ tidegate writes this key itself
   |
   = help: leave it out: with `engine none` it follows from the published ports
"#);
}

#[test]
fn a_policy_with_all_that_is_needed() {
    let container = "container web on shop at 172.18.0.10 {\n  expose 80/tcp as 8080 from any\n  \
                     expose 81/tcp as 127.0.0.1:81 from host\n}\n";
    assert_eq!(published(container), "");
}
