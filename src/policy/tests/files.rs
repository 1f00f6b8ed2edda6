//! Files: includes and address lists.

use super::{Files, load, said_of, shown};

#[test]
fn files_that_cannot_be_read() {
    insta::assert_snapshot!(said_of(&[("p.tide", r#"
network shop {
  bridge br-shop
  subnet 172.18.0.0/16
}
include "gone.tide"
trust a { file "gone.txt" }
allow a -> unknown
"#)]), @r#"
error[T0204]: the file `gone.tide` cannot be read
 --> p.tide:6:9
  |
6 | include "gone.tide"
  |         ^^^^^^^^^^^ there is no such file

error[T0204]: the file `gone.txt` cannot be read
 --> p.tide:7:11
  |
7 | trust a { file "gone.txt" }
  |           ^^^^^^^^^^^^^^^ there is no such file
"#);
}

#[test]
fn the_main_policy_cannot_be_read_is_told_without_a_place() {
    insta::assert_snapshot!(shown(load(&Files::new(&[]), "p.tide")), @r#"
error[T0204]: the policy `p.tide` cannot be read
 |
 = note: There is no such file.
"#);
}

#[test]
fn includes_in_a_circle_show_the_way() {
    insta::assert_snapshot!(said_of(&[("p.tide", r#"
network shop {
  bridge br-shop
  subnet 172.18.0.0/16
}
include "sub/a.tide"
"#), ("sub/a.tide", r#"
include "b.tide"
"#), ("sub/b.tide", r#"
include "../p.tide"
include "b.tide"
"#)]), @r#"
error[T0205]: `p.tide` includes itself
 --> sub/b.tide:2:9
  |
2 | include "../p.tide"
  |         ^^^^^^^^^^^ this closes the circle
  |
 ::: p.tide:6:9
  |
6 | include "sub/a.tide"
  |         ------------ included here
  |
 ::: sub/a.tide:2:9
  |
2 | include "b.tide"
  |         -------- included here
  |
  = note: The circle is p.tide -> sub/a.tide -> sub/b.tide -> p.tide.

error[T0205]: `sub/b.tide` includes itself
 --> sub/b.tide:3:9
  |
3 | include "b.tide"
  |         ^^^^^^^^ this closes the circle
  |
  = note: The circle is sub/b.tide -> sub/b.tide.
"#);
}

#[test]
fn files_outside_the_folder() {
    insta::assert_snapshot!(said_of(&[("p.tide", r#"
network shop {
  bridge br-shop
  subnet 172.18.0.0/16
}
include "/etc/passwd"
include "sub/a.tide"
include ""
"#), ("sub/a.tide", r#"
include "../../b.tide"
trust x { file "../../../etc/shadow" }
"#)]), @r#"
error[T0206]: this file is outside the policy's folder
 --> p.tide:6:9
  |
6 | include "/etc/passwd"
  |         ^^^^^^^^^^^^^ an absolute path
  |
  = note: A policy is read as one folder, so that it can be reviewed and moved as a whole.
  = help: put the file into the folder of the main policy, or into one below it

error[T0206]: this file is outside the policy's folder
 --> p.tide:8:9
  |
8 | include ""
  |         ^^ no file is named
  |
  = note: A policy is read as one folder, so that it can be reviewed and moved as a whole.
  = help: put the file into the folder of the main policy, or into one below it

error[T0206]: this file is outside the policy's folder
 --> sub/a.tide:2:9
  |
2 | include "../../b.tide"
  |         ^^^^^^^^^^^^^^ `..` leads out of the folder
  |
  = note: A policy is read as one folder, so that it can be reviewed and moved as a whole.
  = help: put the file into the folder of the main policy, or into one below it

error[T0206]: this file is outside the policy's folder
 --> sub/a.tide:3:11
  |
3 | trust x { file "../../../etc/shadow" }
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^ `..` leads out of the folder
  |
  = note: A policy is read as one folder, so that it can be reviewed and moved as a whole.
  = help: put the file into the folder of the main policy, or into one below it
"#);
}

#[test]
fn mistakes_of_several_files_are_told_at_once() {
    insta::assert_snapshot!(said_of(&[("p.tide", r#"
network shop {
  bridge br-shop
  subnet 172.18.0.0/16
}
include "a.tide"
allow any -> nobody
"#), ("a.tide", "
container x on shop at 10.0.0.1
allow x >- shop
")]), @r#"
error[T0201]: there is no container, network or trust set `nobody`
 --> p.tide:7:14
  |
7 | allow any -> nobody
  |              ^^^^^^ nothing of this name is declared

error[T0317]: 10.0.0.1 is not in the network `shop`
 --> a.tide:2:24
  |
2 | container x on shop at 10.0.0.1
  |                        ^^^^^^^^ `shop` has 172.18.0.0/16
  |
 ::: p.tide:4:10
  |
4 |   subnet 172.18.0.0/16
  |          ------------- the first subnet of the network

error[T0110]: expected `->`, found `>`
 --> a.tide:3:9
  |
3 | allow x >- shop
  |         ^ expected `->`
  |
  = note: The form is `allow WHO,… -> WHO,… [: PORTS/PROTOCOL,…]`.
help: did you mean `->`?
  |
3 | allow x ->- shop
  |         +
"#);
}

#[test]
fn bad_lines_of_a_list() {
    insta::assert_snapshot!(said_of(&[("p.tide", r#"
network shop {
  bridge br-shop
  subnet 172.18.0.0/16
}
trust crawlers { file "crawlers.txt" }
"#), ("crawlers.txt", "
# good
192.0.2.0/24

  192.0.2.1/24 # bits
example.org
")]), @r#"
error[T0303]: `192.0.2.1/24` has bits set right of its length
 --> crawlers.txt:5:3
  |
5 |   192.0.2.1/24 # bits
  |   ^^^^^^^^^^^^ a length of /24 covers all of 192.0.2.0/24
  |
help: write `192.0.2.0/24` for all of it, or leave out the length for one address
  |
5 -   192.0.2.1/24 # bits
5 +   192.0.2.0/24 # bits
  |

error[T0301]: `example.org` is not an address
 --> crawlers.txt:6:1
  |
6 | example.org
  | ^^^^^^^^^^^ neither IPv4, as in 192.0.2.1, nor IPv6, as in 2001:db8::1
"#);
}

#[test]
fn many_bad_lines_of_a_list_are_counted() {
    let list = (0..13).map(|number| format!("\nline{number}"));
    let list = list.collect::<Vec<_>>().concat();
    let said = said_of(&[
        (
            "p.tide",
            r#"
network shop {
  bridge br-shop
  subnet 172.18.0.0/16
}
trust crawlers { file "crawlers.txt" }
"#,
        ),
        ("crawlers.txt", &list),
    ]);
    assert_eq!(said.matches(" is not an address").count(), 10);
    let (_, counted) = said.split_once("crawlers.txt:11:1").unwrap();
    let (_, counted) = counted.split_once("\n\n").unwrap();
    insta::assert_snapshot!(counted, @r#"
error[T0301]: 3 more lines are neither address nor prefix, crawlers.txt:12
"#);
}
