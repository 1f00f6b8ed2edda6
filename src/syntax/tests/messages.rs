//! What users are told, with the text that they wrote above it.

use insta::assert_snapshot;

use super::parsed;
use crate::diag::text::{Style, render};

/// Returns a text and what is said about it.
pub(super) fn told(text: &str) -> String {
    let (_, diagnostics, sources) = parsed(text);
    let style = Style {
        colour: false,
        width: 100,
    };
    let report = render(&diagnostics, &sources, "", style);
    format!("{text}\n────\n{report}")
}

#[test]
fn a_missing_arrow_is_named() {
    assert_snapshot!(told("link web\nlink web db\nlink web => db"), @r##"
link web
link web db
link web => db
────
error[T0110]: expected `->`, found end of line
 --> test.tide:1:9
  |
1 | link web
  |         ^ expected `->`
  |
  = note: The form is `link CONTAINER,… -> CONTAINER,… [: PORTS/PROTOCOL,…]`.

error[T0110]: expected `->`, found `db`
 --> test.tide:2:10
  |
2 | link web db
  |          ^^ expected `->`
  |
  = note: The form is `link CONTAINER,… -> CONTAINER,… [: PORTS/PROTOCOL,…]`.

error[T0110]: expected `->`, found `=>`
 --> test.tide:3:10
  |
3 | link web => db
  |          ^^ expected `->`
  |
  = note: The form is `link CONTAINER,… -> CONTAINER,… [: PORTS/PROTOCOL,…]`.
help: did you mean `->`?
  |
3 - link web => db
3 + link web -> db
  |
"##);
}

#[test]
fn misspelt_keywords_are_put_right_and_the_rest_is_read() {
    assert_snapshot!(told("contaner web on shop {\n  expsoe 80/tpc\n}"), @r##"
contaner web on shop {
  expsoe 80/tpc
}
────
error[T0111]: unknown item `contaner`
 --> test.tide:1:1
  |
1 | contaner web on shop {
  | ^^^^^^^^ not a keyword
  |
help: did you mean `container`?
  |
1 | container web on shop {
  |      +

error[T0111]: unknown statement `expsoe`
 --> test.tide:2:3
  |
2 |   expsoe 80/tpc
  |   ^^^^^^ not a keyword
  |
help: did you mean `expose`?
  |
2 -   expsoe 80/tpc
2 +   expose 80/tpc
  |

error[T0110]: expected `sctp`, `tcp` or `udp`, found `tpc`
 --> test.tide:2:13
  |
2 |   expsoe 80/tpc
  |             ^^^ expected `sctp`, `tcp` or `udp`
  |
  = note: The form is `expose PORTS/PROTOCOL [as [ADDRESS:]PORTS] [from WHO,…] [limit …] [log]`.
help: did you mean `tcp`?
  |
2 -   expsoe 80/tpc
2 +   expsoe 80/tcp
  |
"##);
}

#[test]
fn misspelt_keywords_are_found_in_capitals_and_among_members() {
    assert_snapshot!(told("Link a -> b\ntrust t { exept 10.0.0.1 }"), @r##"
Link a -> b
trust t { exept 10.0.0.1 }
────
error[T0111]: unknown item `Link`
 --> test.tide:1:1
  |
1 | Link a -> b
  | ^^^^ keywords are lower case
  |
help: did you mean `link`?
  |
1 - Link a -> b
1 + link a -> b
  |

error[T0111]: unknown keyword `exept`
 --> test.tide:2:11
  |
2 | trust t { exept 10.0.0.1 }
  |           ^^^^^ not a keyword
  |
help: did you mean `except`?
  |
2 | trust t { except 10.0.0.1 }
  |             +
"##);
}

#[test]
fn unknown_words_get_the_list_of_known_ones() {
    assert_snapshot!(told("firewall { x }\nnetwork n {\n  vlan 7\n}\n; x"), @r##"
firewall { x }
network n {
  vlan 7
}
; x
────
error[T0111]: unknown item `firewall`
 --> test.tide:1:1
  |
1 | firewall { x }
  | ^^^^^^^^ not a keyword
  |
  = note: An item starts with one of `allow`, `container`, `deny`, `expect`, `host`, `include`,
          `link`, `network`, `trust`.

error[T0111]: unknown setting `vlan`
 --> test.tide:3:3
  |
3 |   vlan 7
  |   ^^^^ not a keyword
  |
  = note: In a `network` block stand `antispoof`, `bridge`, `egress`, `host-access`, `icc`,
          `subnet`.

error[T0110]: expected an item, found `;`
 --> test.tide:5:1
  |
5 | ; x
  | ^ not expected here
  |
  = note: An item starts with one of `allow`, `container`, `deny`, `expect`, `host`, `include`,
          `link`, `network`, `trust`.
"##);
}

#[test]
fn misplaced_statements_are_told_where_they_belong() {
    assert_snapshot!(told(
        "expose 80/tcp\ncontainer c on n {\n  bridge br0\n  link a -> b\n}"
    ), @r##"
expose 80/tcp
container c on n {
  bridge br0
  link a -> b
}
────
error[T0112]: `expose` stands only in a `container` block
 --> test.tide:1:1
  |
1 | expose 80/tcp
  | ^^^^^^ no `container` block is open here
  |
  = help: move it into the `container` block that it is about

error[T0112]: `bridge` stands only in a `network` block
 --> test.tide:3:3
  |
3 |   bridge br0
  |   ^^^^^^ no `network` block is open here
  |
  = help: move it into the `network` block that it is about

error[T0112]: `link` stands only outside of blocks
 --> test.tide:4:3
  |
4 |   link a -> b
  |   ^^^^ a block is open here
  |
  = help: close the block before it, or move the line behind it
"##);
}

#[test]
fn an_open_block_shows_its_brace() {
    assert_snapshot!(told(
        "container web on shop {\n  expose 80/tcp # web\n\nnetwork shop {\n  bridge br0"
    ), @r##"
container web on shop {
  expose 80/tcp # web

network shop {
  bridge br0
────
error[T0113]: this `container` block is not closed
 --> test.tide:1:23
  |
1 | container web on shop {
  |                       ^ this `{` has no `}`
2 |   expose 80/tcp # web
  |                      - expected `}` after this
  |
help: write this
  |
2 ~   expose 80/tcp # web
3 + }
  |

error[T0113]: this `network` block is not closed
 --> test.tide:4:14
  |
4 | network shop {
  |              ^ this `{` has no `}`
5 |   bridge br0
  |             - expected `}` after this
  |
help: write this
  |
5 ~   bridge br0
6 + }
  |
"##);
}

#[test]
fn a_missing_or_misplaced_opening_brace_is_shown() {
    assert_snapshot!(told(
        "container web on shop\n{\n  expose 80/tcp\n}\nnetwork shop\n  bridge br0\n}\ntrust t\n}"
    ), @r##"
container web on shop
{
  expose 80/tcp
}
network shop
  bridge br0
}
trust t
}
────
error[T0114]: the `{` of this `container` block is missing
 --> test.tide:1:22
  |
1 | container web on shop
  |                      ^ expected `{` at the end of this line
2 | {
  | - not on a line of its own

error[T0114]: the `{` of this `network` block is missing
 --> test.tide:5:13
  |
5 | network shop
  |             ^ expected `{` at the end of this line
  |
help: write this
  |
5 | network shop {
  |              +

error[T0114]: the `{` of this `trust` block is missing
 --> test.tide:8:8
  |
8 | trust t
  |        ^ expected `{` at the end of this line
  |
help: write this
  |
8 | trust t { }
  |         +++

error[T0114]: this `}` closes no block
 --> test.tide:9:1
  |
9 | }
  | ^ no `{` belongs to it
"##);
}

#[test]
fn texts_in_quotes_end_on_their_line() {
    assert_snapshot!(told(
        "include \"common.tide\nhost {\n  sysctl \"net = 1\n  sysctl net.x = 1\n}\ninclude x/y.tide"
    ), @r##"
include "common.tide
host {
  sysctl "net = 1
  sysctl net.x = 1
}
include x/y.tide
────
error[T0115]: this text in quotes does not end
 --> test.tide:1:9
  |
1 | include "common.tide
  |         ^^^^^^^^^^^^ no closing `"` on this line

error[T0115]: this text in quotes does not end
 --> test.tide:3:10
  |
3 |   sysctl "net = 1
  |          ^^^^^^^^ no closing `"` on this line

error[T0110]: expected a text in quotes, found `net.x`
 --> test.tide:4:10
  |
4 |   sysctl net.x = 1
  |          ^^^^^ expected a text in quotes
  |
  = note: The form is `sysctl "KEY" = VALUE`.
help: write it in quotes
  |
4 -   sysctl net.x = 1
4 +   sysctl "net.x" = 1
  |

error[T0110]: expected a text in quotes, found `x`
 --> test.tide:6:9
  |
6 | include x/y.tide
  |         ^ expected a text in quotes
  |
  = note: The form is `include "FILE"`.
help: write it in quotes
  |
6 - include x/y.tide
6 + include "x/y.tide"
  |
"##);
}

#[test]
fn one_line_hides_no_mistake_in_the_others() {
    assert_snapshot!(told(
        "host {\n  forwarding yes\n  engine crio\n  log denied limit 6/min\n  uplink eth0;\n}"
    ), @r##"
host {
  forwarding yes
  engine crio
  log denied limit 6/min
  uplink eth0;
}
────
error[T0110]: expected `off` or `on`, found `yes`
 --> test.tide:2:14
  |
2 |   forwarding yes
  |              ^^^ expected `off` or `on`
  |
  = note: The form is `forwarding on|off`.

error[T0110]: expected `docker`, `none` or `podman`, found `crio`
 --> test.tide:3:10
  |
3 |   engine crio
  |          ^^^^ expected `docker`, `none` or `podman`
  |
  = note: The form is `engine docker [VERSION] [nftables]|podman|none`.

error[T0110]: expected `day`, `hour`, `minute` or `second`, found `min`
 --> test.tide:4:22
  |
4 |   log denied limit 6/min
  |                      ^^^ expected `day`, `hour`, `minute` or `second`
  |
  = note: The form is `log denied [limit N/UNIT]`.

error[T0110]: expected a name or end of line, found `;`
 --> test.tide:5:14
  |
5 |   uplink eth0;
  |              ^ expected a name or end of line
  |
  = note: The form is `uplink INTERFACE,…`.
  = help: a statement ends with its line, without `;`
"##);
}

#[test]
fn reserved_words_and_built_in_names_are_refused() {
    assert_snapshot!(told(
        "group g { a }\ntrust tag { service }\ncontainer any on n"
    ), @r##"
group g { a }
trust tag { service }
container any on n
────
error[T0116]: `group` is a reserved word
 --> test.tide:1:1
  |
1 | group g { a }
  | ^^^^^ reserved for a later version of the language
  |
  = note: These words are reserved: `group`, `let`, `port`, `service`, `tag`, `when`.
  = help: choose another name

error[T0116]: `tag` is a reserved word
 --> test.tide:2:7
  |
2 | trust tag { service }
  |       ^^^ reserved for a later version of the language
  |
  = note: These words are reserved: `group`, `let`, `port`, `service`, `tag`, `when`.
  = help: choose another name

error[T0116]: `service` is a reserved word
 --> test.tide:2:13
  |
2 | trust tag { service }
  |             ^^^^^^^ reserved for a later version of the language
  |
  = note: These words are reserved: `group`, `let`, `port`, `service`, `tag`, `when`.
  = help: choose another name

error[T0117]: `any` cannot be declared
 --> test.tide:3:11
  |
3 | container any on n
  |           ^^^ this name has a meaning of its own
  |
  = note: `any` is everybody, `outside` is what arrives by an uplink, `host` is the machine
          itself.
  = help: choose another name
"##);
}
