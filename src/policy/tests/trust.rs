//! Trust sets: addresses, prefixes, ranges, sets in sets and lists.

use super::said_in_shop;

#[test]
fn texts_that_are_no_addresses() {
    insta::assert_snapshot!(said_in_shop("
trust a { 10.0.0.256 }
trust b { 10.0.0.0/33 }
trust c { 2001:db8::/129 }
trust d { 010.0.0.1 }
trust e { fe80::1%eth0 }
trust f { 10.0.0.0/08 }
"), @r#"
error[T0301]: `10.0.0.256` is not an address
 --> p.tide:8:11
  |
8 | trust a { 10.0.0.256 }
  |           ^^^^^^^^^^ neither IPv4, as in 192.0.2.1, nor IPv6, as in 2001:db8::1

error[T0302]: `10.0.0.0/33` is not a prefix
 --> p.tide:9:11
  |
9 | trust b { 10.0.0.0/33 }
  |           ^^^^^^^^^^^ the length must be a plain number from 0 to 32

error[T0302]: `2001:db8::/129` is not a prefix
  --> p.tide:10:11
   |
10 | trust c { 2001:db8::/129 }
   |           ^^^^^^^^^^^^^^ the length must be a plain number from 0 to 128

error[T0301]: `010.0.0.1` is not an address
  --> p.tide:11:11
   |
11 | trust d { 010.0.0.1 }
   |           ^^^^^^^^^ a number here starts with 0
   |
   = note: Some programs read such a number as octal, so it could mean two addresses.

error[T0301]: `fe80::1%eth0` is not an address
  --> p.tide:12:11
   |
12 | trust e { fe80::1%eth0 }
   |           ^^^^^^^^^^^^ an interface follows the address
   |
   = help: leave out `%` and what follows it

error[T0302]: `10.0.0.0/08` is not a prefix
  --> p.tide:13:11
   |
13 | trust f { 10.0.0.0/08 }
   |           ^^^^^^^^^^^ the length must be a plain number from 0 to 32
"#);
}

#[test]
fn a_prefix_with_host_bits_is_fixed() {
    insta::assert_snapshot!(said_in_shop("
trust office { 10.0.0.5/8, 2001:db8::1/32 }
"), @r#"
error[T0303]: `10.0.0.5/8` has bits set right of its length
 --> p.tide:8:16
  |
8 | trust office { 10.0.0.5/8, 2001:db8::1/32 }
  |                ^^^^^^^^^^ a length of /8 covers all of 10.0.0.0/8
  |
help: write `10.0.0.0/8` for all of it, or leave out the length for one address
  |
8 - trust office { 10.0.0.5/8, 2001:db8::1/32 }
8 + trust office { 10.0.0.0/8, 2001:db8::1/32 }
  |

error[T0303]: `2001:db8::1/32` has bits set right of its length
 --> p.tide:8:28
  |
8 | trust office { 10.0.0.5/8, 2001:db8::1/32 }
  |                            ^^^^^^^^^^^^^^ a length of /32 covers all of 2001:db8::/32
  |
help: write `2001:db8::/32` for all of it, or leave out the length for one address
  |
8 - trust office { 10.0.0.5/8, 2001:db8::1/32 }
8 + trust office { 10.0.0.5/8, 2001:db8::/32 }
  |
"#);
}

#[test]
fn ipv4_written_as_ipv6_is_refused() {
    insta::assert_snapshot!(said_in_shop("
trust office { ::ffff:10.0.0.1, ::ffff:10.0.0.0/104 }
"), @r#"
error[T0304]: `::ffff:10.0.0.1` is IPv4 written as IPv6
 --> p.tide:8:16
  |
8 | trust office { ::ffff:10.0.0.1, ::ffff:10.0.0.0/104 }
  |                ^^^^^^^^^^^^^^^ no packet carries such an address
  |
help: write `10.0.0.1`
  |
8 - trust office { ::ffff:10.0.0.1, ::ffff:10.0.0.0/104 }
8 + trust office { 10.0.0.1, ::ffff:10.0.0.0/104 }
  |

error[T0304]: `::ffff:10.0.0.0/104` is IPv4 written as IPv6
 --> p.tide:8:33
  |
8 | trust office { ::ffff:10.0.0.1, ::ffff:10.0.0.0/104 }
  |                                 ^^^^^^^^^^^^^^^^^^^ no packet carries such an address
  |
help: write `10.0.0.0/8`
  |
8 - trust office { ::ffff:10.0.0.1, ::ffff:10.0.0.0/104 }
8 + trust office { ::ffff:10.0.0.1, 10.0.0.0/8 }
  |
"#);
}

#[test]
fn ranges_with_swapped_ends_or_of_two_families() {
    insta::assert_snapshot!(said_in_shop("
trust office { 10.0.0.9-10.0.0.1, 10.0.0.1-2001:db8::1, 10.0.0.1-10.0.0.300 }
"), @r#"
error[T0305]: the range ends before it starts
 --> p.tide:8:16
  |
8 | trust office { 10.0.0.9-10.0.0.1, 10.0.0.1-2001:db8::1, 10.0.0.1-10.0.0.300 }
  |                ^^^^^^^^^^^^^^^^^ 10.0.0.1 comes before 10.0.0.9
  |
help: did you mean `10.0.0.1-10.0.0.9`?
  |
8 - trust office { 10.0.0.9-10.0.0.1, 10.0.0.1-2001:db8::1, 10.0.0.1-10.0.0.300 }
8 + trust office { 10.0.0.1-10.0.0.9, 10.0.0.1-2001:db8::1, 10.0.0.1-10.0.0.300 }
  |

error[T0305]: a range cannot go from IPv4 to IPv6
 --> p.tide:8:35
  |
8 | trust office { 10.0.0.9-10.0.0.1, 10.0.0.1-2001:db8::1, 10.0.0.1-10.0.0.300 }
  |                                   ^^^^^^^^^^^^^^^^^^^^ its ends are of two families
  |
  = help: write two ranges, one for each family

error[T0301]: `10.0.0.300` is not an address
 --> p.tide:8:66
  |
8 | trust office { 10.0.0.9-10.0.0.1, 10.0.0.1-2001:db8::1, 10.0.0.1-10.0.0.300 }
  |                                                                  ^^^^^^^^^^ neither IPv4, as in 192.0.2.1, nor IPv6, as in 2001:db8::1
"#);
}

#[test]
fn sets_in_a_circle_show_the_way() {
    insta::assert_snapshot!(said_in_shop("
trust a { b }
trust b { 10.0.0.0/8, c }
trust c { except a, 10.1.0.0/16 }
trust d { d }
trust e { a }
"), @r#"
error[T0209]: the trust set `a` contains itself
  --> p.tide:10:18
   |
 9 | trust b { 10.0.0.0/8, c }
   |       - on the way
10 | trust c { except a, 10.1.0.0/16 }
   |       -          ^ this closes the circle
   |       |
   |       on the way
   |
   = note: The circle is a -> b -> c -> a.
   = help: take one of these members out of its set

error[T0209]: the trust set `d` contains itself
  --> p.tide:11:11
   |
11 | trust d { d }
   |           ^ this closes the circle
   |
   = note: The circle is d -> d.
   = help: take one of these members out of its set
"#);
}

#[test]
fn empty_sets_are_nobody() {
    insta::assert_snapshot!(said_in_shop("
trust a { }
trust b { 10.0.0.0/8, except 10.0.0.0/8 }
trust c { except 10.0.0.1 }
"), @r#"
warning[T0306]: the trust set `a` is empty
 --> p.tide:8:7
  |
8 | trust a { }
  |       ^ nothing is in it
  |
  = note: It means nobody: what is open to it is closed, and what is denied to it is not denied.
  = note: What is expected of it is not asked.
  = help: leave it so, if nobody is meant; else give it a member

warning[T0306]: the trust set `b` is empty
 --> p.tide:9:7
  |
9 | trust b { 10.0.0.0/8, except 10.0.0.0/8 }
  |       ^ its exceptions take everything out
  |
  = note: It means nobody: what is open to it is closed, and what is denied to it is not denied.
  = note: What is expected of it is not asked.
  = help: leave it so, if nobody is meant; else give it a member

warning[T0306]: the trust set `c` is empty
  --> p.tide:10:7
   |
10 | trust c { except 10.0.0.1 }
   |       ^ nothing is in it
   |
   = note: It means nobody: what is open to it is closed, and what is denied to it is not denied.
   = note: What is expected of it is not asked.
   = help: leave it so, if nobody is meant; else give it a member
"#);
}

#[test]
fn an_exception_of_nothing_is_doubtful() {
    insta::assert_snapshot!(said_in_shop("
trust staff { 10.8.0.0/16, except 10.9.0.1 }
"), @r#"
warning[T0353]: this exception takes nothing out
 --> p.tide:8:35
  |
8 | trust staff { 10.8.0.0/16, except 10.9.0.1 }
  |                                   ^^^^^^^^ nothing of it is in `staff`
  |
  = note: If it is misspelt, those that it was meant for are still trusted.
"#);
}

#[test]
fn one_bad_member_gives_one_error() {
    insta::assert_snapshot!(said_in_shop("
trust a { 10.0.0.0/33 }
trust b { a }
trust c { b, except nobody }
allow c -> web
"), @r#"
error[T0302]: `10.0.0.0/33` is not a prefix
 --> p.tide:8:11
  |
8 | trust a { 10.0.0.0/33 }
  |           ^^^^^^^^^^^ the length must be a plain number from 0 to 32

error[T0201]: there is no trust set `nobody`
  --> p.tide:10:21
   |
10 | trust c { b, except nobody }
   |                     ^^^^^^ nothing of this name is declared
"#);
}
