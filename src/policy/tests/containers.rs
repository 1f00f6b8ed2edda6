//! Containers: their networks and addresses.

use super::said_in_shop;

#[test]
fn addresses_must_be_in_the_network() {
    insta::assert_snapshot!(said_in_shop("
container a on shop at 172.19.0.3
container b on shop at fd00::3
container c on shop at 172.18.0.300
"), @r#"
error[T0317]: 172.19.0.3 is not in the network `shop`
 --> p.tide:8:24
  |
3 |   subnet 172.18.0.0/16
  |          ------------- the first subnet of the network
...
8 | container a on shop at 172.19.0.3
  |                        ^^^^^^^^^^ `shop` has 172.18.0.0/16

error[T0317]: fd00::3 is not in the network `shop`
 --> p.tide:9:24
  |
3 |   subnet 172.18.0.0/16
  |          ------------- the first subnet of the network
...
9 | container b on shop at fd00::3
  |                        ^^^^^^^ `shop` has 172.18.0.0/16

error[T0301]: `172.18.0.300` is not an address
  --> p.tide:10:24
   |
10 | container c on shop at 172.18.0.300
   |                        ^^^^^^^^^^^^ neither IPv4, as in 192.0.2.1, nor IPv6, as in 2001:db8::1
"#);
}

#[test]
fn addresses_that_a_subnet_keeps_for_itself() {
    insta::assert_snapshot!(said_in_shop("
container a on shop at 172.18.0.0
container b on shop at 172.18.255.255
container c on shop at 172.18.0.1
"), @r#"
error[T0318]: 172.18.0.0 cannot be a container's address
 --> p.tide:8:24
  |
8 | container a on shop at 172.18.0.0
  |                        ^^^^^^^^^^ it is the address of 172.18.0.0/16 itself

error[T0318]: 172.18.255.255 cannot be a container's address
 --> p.tide:9:24
  |
9 | container b on shop at 172.18.255.255
  |                        ^^^^^^^^^^^^^^ it is the broadcast address of 172.18.0.0/16

warning[T0352]: 172.18.0.1 is usually the bridge's own address
  --> p.tide:10:24
   |
10 | container c on shop at 172.18.0.1
   |                        ^^^^^^^^^^ the first address of 172.18.0.0/16
   |
   = note: Docker gives it to the bridge unless the network was created with another gateway; no
           container can then have it.
"#);
}

#[test]
fn two_containers_with_one_address() {
    insta::assert_snapshot!(said_in_shop("
container a on shop at 172.18.0.10
container b on shop at 172.18.0.44, 172.18.0.44
"), @r#"
error[T0319]: 172.18.0.10 is given twice
 --> p.tide:8:24
  |
5 | container web on shop at 172.18.0.10 { expose 80/tcp }
  |                          ----------- the address of `web`
...
8 | container a on shop at 172.18.0.10
  |                        ^^^^^^^^^^^ given again here

error[T0319]: 172.18.0.44 is given twice
 --> p.tide:9:37
  |
9 | container b on shop at 172.18.0.44, 172.18.0.44
  |                        -----------  ^^^^^^^^^^^ given again here
  |                        |
  |                        the address of `b`
"#);
}

#[test]
fn twice_on_one_network() {
    insta::assert_snapshot!(said_in_shop("
container a on shop at 172.18.0.40 on shop at 172.18.0.41
"), @r#"
error[T0320]: the container is on `shop` twice
 --> p.tide:8:39
  |
8 | container a on shop at 172.18.0.40 on shop at 172.18.0.41
  |                ---- first named here  ^^^^ named again here
  |
  = help: write all its addresses there after one `at`, separated by commas
"#);
}

#[test]
fn a_container_that_is_declared_twice_is_told_once() {
    insta::assert_snapshot!(said_in_shop("
container web on shop at 172.18.0.10 { expose 80/tcp as 80 from any }
"), @r#"
error[T0203]: the name `web` is declared twice
 --> p.tide:8:11
  |
5 | container web on shop at 172.18.0.10 { expose 80/tcp }
  |           --- first declared here, as a container
...
8 | container web on shop at 172.18.0.10 { expose 80/tcp as 80 from any }
  |           ^^^ declared again here
  |
  = note: Containers, networks and trust sets share one name space, as `allow` takes them all.
"#);
}
