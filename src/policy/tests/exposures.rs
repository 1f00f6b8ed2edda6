//! Exposures: ports, host ports and who may connect.

use super::said_in_shop;

#[test]
fn ports_that_cannot_be() {
    insta::assert_snapshot!(said_in_shop("
container a on shop {
  expose 0/tcp
  expose 70000/tcp
  expose 90-80/tcp
  expose 80/tcp as 0 from any
}
"), @r#"
error[T0307]: 0 is not a port
 --> p.tide:9:10
  |
9 |   expose 0/tcp
  |          ^ ports go from 1 to 65535

error[T0307]: 70000 is not a port
  --> p.tide:10:10
   |
10 |   expose 70000/tcp
   |          ^^^^^ ports go from 1 to 65535

error[T0307]: the range of ports ends before it starts
  --> p.tide:11:10
   |
11 |   expose 90-80/tcp
   |          ^^^^^ 80 comes before 90
   |
help: did you mean `80-90`?
   |
11 -   expose 90-80/tcp
11 +   expose 80-90/tcp
   |

error[T0307]: 0 is not a port
  --> p.tide:12:20
   |
12 |   expose 80/tcp as 0 from any
   |                    ^ ports go from 1 to 65535
"#);
}

#[test]
fn a_published_port_says_from_whom() {
    insta::assert_snapshot!(said_in_shop("
container a on shop {
  expose 80/tcp as 8080
}
"), @r#"
error[T0322]: a published port must say `from` whom
 --> p.tide:9:17
  |
9 |   expose 80/tcp as 8080
  |          ------ ^^^^^^^ published on the host, for nobody named
  |          |
  |          the container's side
  |
  = note: Docker alone opens a published port to everybody who reaches the host.
  = help: add `from any` if that is meant, or `from` with trust sets, networks or containers;
          without `as` the port is for linked containers only
"#);
}

#[test]
fn as_many_host_ports_as_container_ports() {
    insta::assert_snapshot!(said_in_shop("
container a on shop {
  expose 80,443/tcp as 8080 from any
  expose 8000-8010/udp as 8000-8009 from any
}
"), @r#"
error[T0308]: there must be as many host ports as container ports
 --> p.tide:9:21
  |
9 |   expose 80,443/tcp as 8080 from any
  |          ---------- ^^^^^^^ 1 port of the host
  |          |
  |          2 ports of the container

error[T0308]: there must be as many host ports as container ports
  --> p.tide:10:24
   |
10 |   expose 8000-8010/udp as 8000-8009 from any
   |          ------------- ^^^^^^^^^^^^ 10 ports of the host
   |          |
   |          11 ports of the container
"#);
}

#[test]
fn icmp_and_all_ports_cannot_be_published() {
    insta::assert_snapshot!(said_in_shop("
container a on shop {
  expose icmp
  expose tcp as 80 from any
}
"), @r#"
error[T0323]: icmp cannot be exposed
 --> p.tide:9:10
  |
9 |   expose icmp
  |          ^^^^ it has no ports
  |
  = help: write an `allow` outside the block, such as `allow any -> NAME : icmp`

error[T0323]: a published exposure needs the container's ports
  --> p.tide:10:10
   |
10 |   expose tcp as 80 from any
   |          ^^^ the ports are missing
   |
   = help: write them before the protocol, as in `80/tcp`
"#);
}

#[test]
fn one_host_port_for_two() {
    insta::assert_snapshot!(said_in_shop("
container a on shop { expose 80/tcp as 8080 from any }
container b on shop { expose 80/tcp as 8000-8100 from any
  expose 80/udp as 8080 from any }
container c on shop { expose 80/tcp as 192.0.2.1:8080 from any }
container d on shop { expose 80/tcp as 192.0.2.1:9000 from any }
container e on shop { expose 80/tcp as 192.0.2.2:9000 from any }
container f on shop { expose 80/tcp as 192.0.2.2:9000 from any }
"), @r#"
error[T0308]: there must be as many host ports as container ports
 --> p.tide:9:37
  |
9 | container b on shop { expose 80/tcp as 8000-8100 from any
  |                              ------ ^^^^^^^^^^^^ 101 ports of the host
  |                              |
  |                              1 port of the container

error[T0321]: the host's port 8080/tcp is published twice
  --> p.tide:11:50
   |
 8 | container a on shop { expose 80/tcp as 8080 from any }
   |                                        ---- for `a` here
...
11 | container c on shop { expose 80/tcp as 192.0.2.1:8080 from any }
   |                                                  ^^^^ for `c` here
   |
   = note: Without an address a port is on every address of the host.

error[T0321]: the host's port 9000/tcp is published twice
  --> p.tide:14:50
   |
13 | container e on shop { expose 80/tcp as 192.0.2.2:9000 from any }
   |                                                  ---- for `e` here
14 | container f on shop { expose 80/tcp as 192.0.2.2:9000 from any }
   |                                                  ^^^^ for `f` here
   |
   = help: take another host port, or put all who may connect into one `from`
"#);
}

#[test]
fn loopback_is_for_the_host_only() {
    insta::assert_snapshot!(said_in_shop("
trust office { 203.0.113.0/24 }
container a on shop {
  expose 80/tcp as 127.0.0.1:8080 from office
  expose 81/tcp as 127.0.0.1:8081 from host
  expose 82/tcp as [::1]:8082 from any, web
}
"), @r#"
error[T0324]: `office` cannot reach 127.0.0.1
  --> p.tide:10:40
   |
10 |   expose 80/tcp as 127.0.0.1:8080 from office
   |                    ---------           ^^^^^^ not the host itself
   |                    |
   |                    a loopback address
   |
   = note: Only the host itself reaches its loopback addresses.
   = help: write `from host`, or publish the port on another address

error[T0324]: `web` cannot reach ::1
  --> p.tide:12:41
   |
12 |   expose 82/tcp as [::1]:8082 from any, web
   |                     ---                 ^^^ not the host itself
   |                     |
   |                     a loopback address
   |
   = note: Only the host itself reaches its loopback addresses.
   = help: write `from host`, or publish the port on another address
"#);
}

#[test]
fn addresses_that_nothing_is_published_on() {
    insta::assert_snapshot!(said_in_shop("
container a on shop {
  expose 80/tcp as 0.0.0.0:8080 from any
  expose 81/tcp as 224.0.0.1:8081 from any
  expose 82/tcp as [fd00::zz]:8082 from any
}
"), @r#"
error[T0325]: a port cannot be published on 0.0.0.0
 --> p.tide:9:20
  |
9 |   expose 80/tcp as 0.0.0.0:8080 from any
  |                    ^^^^^^^ no connection goes to this address
  |
  = help: leave it out: without an address the port is on every address, IPv4 and IPv6

error[T0325]: a port cannot be published on 224.0.0.1
  --> p.tide:10:20
   |
10 |   expose 81/tcp as 224.0.0.1:8081 from any
   |                    ^^^^^^^^^ this address is multicast

error[T0301]: `fd00::zz` is not an address
  --> p.tide:11:21
   |
11 |   expose 82/tcp as [fd00::zz]:8082 from any
   |                     ^^^^^^^^ neither IPv4, as in 192.0.2.1, nor IPv6, as in 2001:db8::1
"#);
}

#[test]
fn limits_that_cannot_be() {
    insta::assert_snapshot!(said_in_shop("
container a on shop at 172.18.0.30 {
  expose 80/tcp as 80 from any limit 50/second burst 0 per source
  expose 81/tcp as 81 from any limit 50/second limit 3/day
  expose 82/tcp as 82 from any limit 0 connections
  expose 83/tcp as 83 from any limit 20000/second burst 99999
  expose 84/tcp limit 5/second
}
"), @"
    error[T0329]: the kernel cannot keep this limit
     --> p.tide:9:32
      |
    9 |   expose 80/tcp as 80 from any limit 50/second burst 0 per source
      |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ a burst of 0 lets nobody in

    error[T0309]: two limits of one kind for one exposure
      --> p.tide:10:48
       |
    10 |   expose 81/tcp as 81 from any limit 50/second limit 3/day
       |                                --------------- ^^^^^^^^^^^ limited again here
       |                                |
       |                                first limited here
       |
       = help: an exposure has one rate and one number of connections

    error[T0329]: the kernel cannot keep this limit
      --> p.tide:11:32
       |
    11 |   expose 82/tcp as 82 from any limit 0 connections
       |                                ^^^^^^^^^^^^^^^^^^^ 0 connections let nobody in

    error[T0329]: the kernel cannot keep this limit
      --> p.tide:12:32
       |
    12 |   expose 83/tcp as 83 from any limit 20000/second burst 99999
       |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the kernel keeps at most 10000/second

    error[T0348]: a limit for nobody
      --> p.tide:13:17
       |
    13 |   expose 84/tcp limit 5/second
       |                 ^^^^^^^^^^^^^^ this exposure has no `from`
       |
       = note: A limit is for those in `from`; links and allows are not limited.
       = help: say `from` whom, or leave out the limit
    ");
}

#[test]
fn direct_access_needs_an_address() {
    insta::assert_snapshot!(said_in_shop("
container a on shop {
  expose 80/tcp from any
  expose 81/tcp from any
}
container b on shop {
  expose 80/tcp as 80 from a
}
container c on shop { expose 80/tcp from host }
"), @"
    error[T0339]: the address of the container `a` is not known
     --> p.tide:9:22
      |
    8 | container a on shop {
      |           - declared here without `at`
    9 |   expose 80/tcp from any
      |                      ^^^ a rule for this needs an address of `a`
      |
      = help: give it a fixed address of 172.18.0.0/16, as in `on shop at ADDRESS`, or compile with
              an `--inventory` that knows it
    ");
}
