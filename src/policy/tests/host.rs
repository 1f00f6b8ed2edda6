//! The host block.

use super::{said, said_in_shop};

#[test]
fn a_mark_is_one_bit() {
    insta::assert_snapshot!(said_in_shop("
host { mark 0x3 }
"), @r#"
error[T0326]: the mark 0x3 is not one bit
 --> p.tide:8:13
  |
8 | host { mark 0x3 }
  |             ^^^ 2 bits are set
  |
  = note: The mark carries one answer, yes or no; other programs use the other bits.
  = help: write one bit, such as 0x10000000
"#);
}

#[test]
fn a_mark_has_32_bits() {
    insta::assert_snapshot!(said_in_shop("
host { mark 0x100000000 }
"), @r#"
error[T0326]: the mark 0x100000000 is not one bit
 --> p.tide:8:13
  |
8 | host { mark 0x100000000 }
  |             ^^^^^^^^^^^ a packet mark has 32 bits
  |
  = note: The mark carries one answer, yes or no; other programs use the other bits.
  = help: write one bit, such as 0x10000000
"#);
}

#[test]
fn a_mark_of_no_bits() {
    insta::assert_snapshot!(said_in_shop("
host { mark 0 }
"), @r#"
error[T0326]: the mark 0x0 is not one bit
 --> p.tide:8:13
  |
8 | host { mark 0 }
  |             ^ no bit is set
  |
  = note: The mark carries one answer, yes or no; other programs use the other bits.
  = help: write one bit, such as 0x10000000
"#);
}

#[test]
fn engines_that_are_too_old_or_too_new() {
    insta::assert_snapshot!(said_in_shop("
host { engine docker 1.11.2 }
"), @"
    error[T0328]: Docker 1.11.2 is too old
     --> p.tide:8:22
      |
    8 | host { engine docker 1.11.2 }
      |                      ^^^^^^ 1.12 is the oldest that works
      |
      = note: What older releases do to the rules of others is not known well enough.
    ");
    insta::assert_snapshot!(said_in_shop("
host { engine docker 31.0 }
"), @"
    warning[T0354]: Docker 31.0 is newer than this tidegate
     --> p.tide:8:22
      |
    8 | host { engine docker 31.0 }
      |                      ^^^^ rules are made as for 29
      |
      = note: What closes sits in chains that no release so far writes to; grants may fail.
    ");
}

#[test]
fn a_backend_needs_an_engine_that_has_it() {
    insta::assert_snapshot!(said_in_shop("
host {
  engine docker 28.5 nftables
  forwarding on
}
"), @"
    error[T0342]: Docker 28.5 has no nftables backend
     --> p.tide:9:3
      |
    9 |   engine docker 28.5 nftables
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^ 29.0 is the first release with `--firewall-backend`
      |
      = help: leave out `nftables`
    ");
}

#[test]
fn the_nftables_backend_and_forwarding() {
    insta::assert_snapshot!(said_in_shop("
host {
  forward drop
  engine docker nftables
}
"), @"
    error[T0343]: `forward drop` would cut published ports under Docker's nftables backend
      --> p.tide:9:3
       |
     9 |   forward drop
       |   ^^^^^^^^^^^^ the policy of iptables' FORWARD
    10 |   engine docker nftables
       |   ---------------------- Docker accepts in tables of its own
       |
       = note: A packet has to pass both. Docker accepts published ports in its table
               `docker-bridges`, and FORWARD would still drop them.
       = help: leave out `forward`: declared networks are closed without it

    warning[T0355]: Docker's nftables backend does not start without forwarding
      --> p.tide:10:3
       |
    10 |   engine docker nftables
       |   ^^^^^^^^^^^^^^^^^^^^^^ refuses to start while net.ipv4.ip_forward is 0
       |
    help: add `forwarding on` to the block
       |
    10 ~   engine docker nftables
    11 +   forwarding on
       |
    ");
}

#[test]
fn an_engine_version_is_a_major_or_major_and_minor() {
    for version in [
        "18",
        "28",
        "29",
        "28.5",
        "28.5.1",
        "17.06.2-ce",
        "29 nftables",
        "29.1 nftables",
    ] {
        let text =
            format!("\nhost {{\n  engine docker {version}\n  forwarding on\n  uplink eth0\n}}\n");
        let said = said_in_shop(&text);
        assert!(!said.contains("error"), "{version}: {said}");
    }
    for (version, code) in [
        ("1", "T0327"),
        ("17", "T0327"),
        ("28.x", "T0327"),
        ("28.5.1.2", "T0327"),
        ("1.11", "T0328"),
        ("30", "T0354"),
        ("28 nftables", "T0342"),
    ] {
        let said = said_in_shop(&format!("\nhost {{ engine docker {version} }}\n"));
        assert!(said.contains(code), "{version}: {said}");
    }
}

#[test]
fn a_second_block_for_one_host() {
    insta::assert_snapshot!(said_in_shop("
host { forward drop }
host { forwarding off
  mark 0 }
"), @"
    error[T0309]: the host is described twice
      --> p.tide:9:1
       |
     8 |   host { forward drop }
       |   -------------------- the first `host` block
     9 | / host { forwarding off
    10 | |   mark 0 }
       | |_________^ described again here
       |
       = help: put all settings into one `host` block, or give each host its name

    error[T0326]: the mark 0x0 is not one bit
      --> p.tide:10:8
       |
    10 |   mark 0 }
       |        ^ no bit is set
       |
       = note: The mark carries one answer, yes or no; other programs use the other bits.
       = help: write one bit, such as 0x10000000
    ");
}

#[test]
fn settings_are_written_once() {
    insta::assert_snapshot!(said_in_shop("
host {
  uplink eth0
  forward drop
  uplink eth1, eth1
  forward accept
}
"), @r#"
error[T0309]: `uplink` is written twice in this block
  --> p.tide:11:3
   |
 9 |   uplink eth0
   |   ----------- first written here
10 |   forward drop
11 |   uplink eth1, eth1
   |   ^^^^^^^^^^^^^^^^^ written again here
   |
   = help: name all in one `uplink`, separated by commas

error[T0309]: `forward` is written twice in this block
  --> p.tide:12:3
   |
10 |   forward drop
   |   ------------ first written here
11 |   uplink eth1, eth1
12 |   forward accept
   |   ^^^^^^^^^^^^^^ written again here
   |
   = help: keep one of them
"#);
}

#[test]
fn names_that_no_uplink_can_have() {
    insta::assert_snapshot!(said_in_shop("
host { uplink eth0, lo, a-very-long-name-of-one, eth0 }
"), @r#"
error[T0310]: `lo` cannot name an interface
 --> p.tide:8:21
  |
8 | host { uplink eth0, lo, a-very-long-name-of-one, eth0 }
  |                     ^^ it is the loopback interface

error[T0310]: `a-very-long-name-of-one` cannot name an interface
 --> p.tide:8:25
  |
8 | host { uplink eth0, lo, a-very-long-name-of-one, eth0 }
  |                         ^^^^^^^^^^^^^^^^^^^^^^^ it has 23 bytes, and the kernel takes 15

error[T0341]: the uplink `eth0` is written twice
 --> p.tide:8:50
  |
8 | host { uplink eth0, lo, a-very-long-name-of-one, eth0 }
  |               ---- first written here            ^^^^ written again here
"#);
}

#[test]
fn rates_that_the_kernel_cannot_keep() {
    insta::assert_snapshot!(said_in_shop("
host { log denied limit 0/minute }
"), @r#"
error[T0329]: the kernel cannot keep this rate
 --> p.tide:8:25
  |
8 | host { log denied limit 0/minute }
  |                         ^^^^^^^^ it must be at least 1
"#);
}

#[test]
fn rates_that_are_too_fast() {
    insta::assert_snapshot!(said_in_shop("
host { log denied limit 10001/second }
"), @r#"
error[T0329]: the kernel cannot keep this rate
 --> p.tide:8:25
  |
8 | host { log denied limit 10001/second }
  |                         ^^^^^^^^^^^^ the kernel keeps at most 10000/second
"#);
}

#[test]
fn kernel_settings_that_cannot_be() {
    insta::assert_snapshot!(said_in_shop(r#"
host {
  sysctl "net.ipv4.conf.*.rp_filter" = 1
  sysctl "-net.ipv4.tcp_syncookies" = 1
  sysctl "net..x" = 1
  sysctl "single" = 1
  sysctl "net.core.somaxconn" = ""
}
"#), @r#"
error[T0330]: `net.ipv4.conf.*.rp_filter` cannot name a kernel setting
 --> p.tide:9:10
  |
9 |   sysctl "net.ipv4.conf.*.rp_filter" = 1
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^ `*` cannot be in a key

error[T0330]: `-net.ipv4.tcp_syncookies` cannot name a kernel setting
  --> p.tide:10:10
   |
10 |   sysctl "-net.ipv4.tcp_syncookies" = 1
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^ a leading `-` would hide errors

error[T0330]: `net..x` cannot name a kernel setting
  --> p.tide:11:10
   |
11 |   sysctl "net..x" = 1
   |          ^^^^^^^^ a part of the key is empty

error[T0330]: `single` cannot name a kernel setting
  --> p.tide:12:10
   |
12 |   sysctl "single" = 1
   |          ^^^^^^^^ a key has several parts, as in `net.core.somaxconn`

error[T0331]: this cannot be a kernel setting's value
  --> p.tide:13:33
   |
13 |   sysctl "net.core.somaxconn" = ""
   |                                 ^^ it is empty
"#);
}

#[test]
fn kernel_settings_are_written_once() {
    insta::assert_snapshot!(said_in_shop(r#"
host {
  sysctl "net.core.somaxconn" = 4096
  sysctl "net/core/somaxconn" = 1024
}
"#), @r#"
error[T0332]: `net/core/somaxconn` is set twice
  --> p.tide:10:10
   |
 9 |   sysctl "net.core.somaxconn" = 4096
   |          -------------------- first set here
10 |   sysctl "net/core/somaxconn" = 1024
   |          ^^^^^^^^^^^^^^^^^^^^ set again here
   |
   = note: Of two values only one would be in force.
"#);
}

#[test]
fn kernel_settings_that_follow_from_the_policy() {
    insta::assert_snapshot!(said_in_shop(r#"
host {
  sysctl "net.ipv4.ip_forward" = 1
  sysctl "net/bridge/bridge-nf-call-iptables" = 0
}
"#), @r#"
error[T0333]: `net.ipv4.ip_forward` follows from the policy
 --> p.tide:9:10
  |
9 |   sysctl "net.ipv4.ip_forward" = 1
  |          ^^^^^^^^^^^^^^^^^^^^^ tidegate writes this key itself
  |
  = help: write `forwarding on` or `forwarding off` instead

error[T0333]: `net/bridge/bridge-nf-call-iptables` follows from the policy
  --> p.tide:10:10
   |
10 |   sysctl "net/bridge/bridge-nf-call-iptables" = 0
   |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ tidegate writes this key itself
   |
   = help: leave it out: it follows from the networks (`icc`, links and allows)
"#);
}

#[test]
fn forwarding_without_a_policy_of_forward() {
    insta::assert_snapshot!(said_in_shop("
host { forwarding on }
"), @r#"
warning[T0350]: `forwarding on` without `forward drop`
 --> p.tide:8:8
  |
8 | host { forwarding on }
  |        ^^^^^^^^^^^^^ FORWARD's policy is left as it is
  |
  = note: Docker sets the policy of FORWARD to DROP only when it turns forwarding on itself.
          Networks that are not the engine's stay reachable for neighbours.
help: add `forward drop` to the block
  |
8 ~ host { forwarding on
9 ~   forward drop }
  |
"#);
}

#[test]
fn ipv6_forwarding_without_an_uplink() {
    insta::assert_snapshot!(said("
host {
  forwarding on
  forward drop
}
network shop {
  bridge br-shop
  subnet 172.18.0.0/16, fd00:18::/64
}
"), @r#"
warning[T0351]: IPv6 forwarding is on, and no uplink is named
 --> p.tide:3:3
  |
3 |   forwarding on
  |   ^^^^^^^^^^^^^ turns IPv6 forwarding on
...
8 |   subnet 172.18.0.0/16, fd00:18::/64
  |                         ------------ because of this subnet
  |
  = note: A kernel that forwards IPv6 stops taking router advertisements, and the host may lose
          its IPv6 route. On a named uplink it goes on taking them.
  = help: add `uplink` with the interface that faces outside
"#);
}
