//! What users are told about mistakes within items.

use insta::assert_snapshot;

use super::messages::told;

#[test]
fn addresses_cannot_stand_for_names() {
    assert_snapshot!(told(
        "allow 203.0.113.0/24 -> b\nallow a -> 2001:db8::1\nallow 192.0.2.1 -> b"
    ), @r##"
allow 203.0.113.0/24 -> b
allow a -> 2001:db8::1
allow 192.0.2.1 -> b
────
error[T0118]: the address 203.0.113.0/24 cannot stand here
 --> test.tide:1:7
  |
1 | allow 203.0.113.0/24 -> b
  |       ^^^^^^^^^^^^^^ a name is needed here
  |
  = note: Statements name containers, networks and trust sets; addresses stand in `trust` sets.
  = help: declare `trust NAME { 203.0.113.0/24 }` and write that name here

error[T0118]: the address 2001:db8::1 cannot stand here
 --> test.tide:2:12
  |
2 | allow a -> 2001:db8::1
  |            ^^^^^^^^^^^ a name is needed here
  |
  = note: Statements name containers, networks and trust sets; addresses stand in `trust` sets.
  = help: declare `trust NAME { 2001:db8::1 }` and write that name here

error[T0118]: the address 192.0.2.1 cannot stand here
 --> test.tide:3:7
  |
3 | allow 192.0.2.1 -> b
  |       ^^^^^^^^^ a name is needed here
  |
  = note: Statements name containers, networks and trust sets; addresses stand in `trust` sets.
  = help: declare `trust NAME { 192.0.2.1 }` and write that name here
"##);
}

#[test]
fn exposures_explain_their_clauses() {
    assert_snapshot!(told(
        "container c on n {\n  expose 80\n  expose tcp/80\n  expose 80/tcp from any as 80\n  \
         expose 80/tcp as fd00::1:80 from any\n  expose 80/tcp as from any\n  expose\n}"
    ), @r##"
container c on n {
  expose 80
  expose tcp/80
  expose 80/tcp from any as 80
  expose 80/tcp as fd00::1:80 from any
  expose 80/tcp as from any
  expose
}
────
error[T0110]: expected `/`, found end of line
 --> test.tide:2:12
  |
2 |   expose 80
  |            ^ expected `/`
  |
  = note: The form is `expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]`.
  = help: a port needs its protocol, as in `80/tcp`

error[T0110]: expected `as`, `from`, `limit`, `log` or end of line, found `/`
 --> test.tide:3:13
  |
3 |   expose tcp/80
  |             ^ expected `as`, `from`, `limit`, `log` or end of line
  |
  = note: The form is `expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]`.
  = help: ports come first, as in `80/tcp`

error[T0110]: expected `limit`, `log` or end of line, found `as`
 --> test.tide:4:26
  |
4 |   expose 80/tcp from any as 80
  |                          ^^ expected `limit`, `log` or end of line
  |
  = note: The form is `expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]`.
  = help: the clauses come in this order: `as`, `from`, `limit`, `log`

error[T0110]: expected a port, found `:`
 --> test.tide:5:25
  |
5 |   expose 80/tcp as fd00::1:80 from any
  |                         ^ expected a port
  |
  = note: The form is `expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]`.
  = help: an IPv6 address stands in brackets, as in `as [fd00::1]:8080`

error[T0110]: expected an address or a port, found `from`
 --> test.tide:6:20
  |
6 |   expose 80/tcp as from any
  |                    ^^^^ expected an address or a port
  |
  = note: The form is `expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]`.

error[T0110]: expected ports with a protocol such as `80/tcp`, found end of line
 --> test.tide:7:9
  |
7 |   expose
  |         ^ expected ports with a protocol such as `80/tcp`
  |
  = note: The form is `expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]`.
"##);
}

#[test]
fn statements_end_with_their_line() {
    assert_snapshot!(told(
        "host { } host b { } x\nlink a -> b 80/tcp\n}\nallow a,\nlink a -> b"
    ), @r##"
host { } host b { } x
link a -> b 80/tcp
}
allow a,
link a -> b
────
error[T0110]: expected end of line, found `host`
 --> test.tide:1:10
  |
1 | host { } host b { } x
  |          ^^^^ an item ends on this line
  |
  = help: start it on a new line

error[T0110]: expected end of line, found `x`
 --> test.tide:1:21
  |
1 | host { } host b { } x
  |                     ^ an item ends on this line

error[T0110]: expected `:` or end of line, found `80`
 --> test.tide:2:13
  |
2 | link a -> b 80/tcp
  |             ^^ expected `:` or end of line
  |
  = note: The form is `link CONTAINER,… -> CONTAINER,… [: PORTS/PROTOCOL,…]`.
  = help: ports follow a colon, as in `link web -> db : 5432/tcp`

error[T0114]: this `}` closes no block
 --> test.tide:3:1
  |
3 | }
  | ^ no `{` belongs to it

error[T0110]: expected a name, found end of line
 --> test.tide:4:9
  |
4 | allow a,
  |         ^ expected a name
  |
  = note: The form is `allow WHO,… -> WHO,… [: PORTS/PROTOCOL,…]`.
"##);
}

#[test]
fn trust_members_are_separated() {
    assert_snapshot!(told("trust t { a b, , 10.0.0.0/8 10.1.1.1\n  file x\n}"), @r##"
trust t { a b, , 10.0.0.0/8 10.1.1.1
  file x
}
────
error[T0110]: expected `,` or end of line, found `b`
 --> test.tide:1:13
  |
1 | trust t { a b, , 10.0.0.0/8 10.1.1.1
  |             ^ expected `,` or end of line

error[T0110]: expected an address, a set or `file`, found `,`
 --> test.tide:1:16
  |
1 | trust t { a b, , 10.0.0.0/8 10.1.1.1
  |                ^ expected an address, a set or `file`

error[T0110]: expected `,` or end of line, found `10.1.1.1`
 --> test.tide:1:29
  |
1 | trust t { a b, , 10.0.0.0/8 10.1.1.1
  |                             ^^^^^^^^ expected `,` or end of line

error[T0110]: expected a text in quotes, `,` or end of line, found `x`
 --> test.tide:2:8
  |
2 |   file x
  |        ^ expected a text in quotes, `,` or end of line
  |
  = note: The form is `file "FILE"`.
help: write it in quotes
  |
2 -   file x
2 +   file "x"
  |
"##);
}

#[test]
fn numbers_and_names_have_bounds() {
    let name = "a".repeat(65);
    assert_snapshot!(told(&format!(
        "host {{\n  mark 99999999999999999999\n}}\nlink {name} -> b : 99999999999/tcp"
    )), @r##"
host {
  mark 99999999999999999999
}
link aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -> b : 99999999999/tcp
────
error[T0108]: this number is too large
 --> test.tide:2:8
  |
2 |   mark 99999999999999999999
  |        ^^^^^^^^^^^^^^^^^^^^ does not fit in 64 bits

error[T0106]: this name is too long
 --> test.tide:4:6
  |
4 | link aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -> b : 99999999999/tcp
  |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 65 characters
  |
  = note: A name has at most 64 characters.

error[T0108]: this number is too large
 --> test.tide:4:79
  |
4 | link aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -> b : 99999999999/tcp
  |                                                                               ^^^^^^^^^^^ does not fit in 32 bits
"##);
}

#[test]
fn hidden_characters_are_one_mistake_and_do_not_reach_the_terminal() {
    let told = told("# a\u{202e}b\n\u{1b}[31m\0\u{7f}\u{9b}");
    let (_, report) = told.split_once("────\n").unwrap();
    assert_snapshot!(report, @r##"
error[T0102]: this file holds characters that nobody can see
 --> test.tide:1:4
  |
1 | # a�b
  |    ^ U+202E, and 4 more
  |
  = note: Control characters and those that turn the direction of writing could make a policy
          look like another one.
"##);
}

#[test]
fn habits_of_other_tools_get_advice() {
    assert_snapshot!(told(
        "network n {\n  icc on, egress off\n}\ncontainer c on n {\n  expose 80/icmp\n  \
         expose 1/tcp as 1 from a limit 5 per sec\n}\nallow -> b"
    ), @"
    network n {
      icc on, egress off
    }
    container c on n {
      expose 80/icmp
      expose 1/tcp as 1 from a limit 5 per sec
    }
    allow -> b
    ────
    error[T0110]: expected end of line, found `,`
     --> test.tide:2:9
      |
    2 |   icc on, egress off
      |         ^ expected end of line
      |
      = note: The form is `icc on|off`.
      = help: only one statement stands on a line

    error[T0110]: expected `sctp`, `tcp` or `udp`, found `icmp`
     --> test.tide:5:13
      |
    5 |   expose 80/icmp
      |             ^^^^ expected `sctp`, `tcp` or `udp`
      |
      = note: The form is `expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]`.
      = help: ICMP has no ports: write `icmp`, or `icmp` and a type

    error[T0110]: expected `/` or `connections`, found `per`
     --> test.tide:6:36
      |
    6 |   expose 1/tcp as 1 from a limit 5 per sec
      |                                    ^^^ expected `/` or `connections`
      |
      = note: The form is `expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]`.
      = help: a rate has a unit, as in `50/second`

    error[T0110]: expected a name, found `->`
     --> test.tide:8:7
      |
    8 | allow -> b
      |       ^^ expected a name
      |
      = note: The form is `allow WHO,… -> WHO,… [: PORTS/PROTOCOL,…]`.
    ");
}

#[test]
fn an_item_that_is_wrong_as_a_whole_is_refused() {
    assert_snapshot!(told("container c on n at fd00:\n{\n}"), @r##"
container c on n at fd00:
{
}
────
error[T0110]: expected `{` or `on`, found end of line
 --> test.tide:1:26
  |
1 | container c on n at fd00:
  |                          ^ expected `{` or `on`
"##);
}
