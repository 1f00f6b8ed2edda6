//! What is left of a file with mistakes, so that later stages report no consequences of them.

use super::parsed;
use crate::syntax::ast::{File, Item};

/// Returns what is read of a text with this many mistakes.
#[track_caller]
fn rest(text: &str, mistakes: usize) -> File {
    let (file, diagnostics, _) = parsed(text);
    assert_eq!(diagnostics.len(), mistakes, "{diagnostics:#?}");
    file
}

/// Returns kind, name and number of parts of each item.
fn outline(file: &File) -> Vec<String> {
    let line = |item: &Item| match item {
        Item::Access(_) => "access".to_owned(),
        Item::Container(one) => format!("container {} {}", one.name.node, one.exposures.len()),
        Item::Expect(_) => "expect".to_owned(),
        Item::Host(one) => format!("host {}", one.settings.len()),
        Item::Include(_) => "include".to_owned(),
        Item::Network(one) => format!("network {} {}", one.name.node, one.settings.len()),
        Item::Trust(one) => format!("trust {} {}", one.name.node, one.members.len()),
    };
    file.items.iter().map(line).collect()
}

#[test]
fn good_lines_of_a_block_are_kept() {
    let file = rest(
        "host {\n forwarding yes\n forward drop\n}\n\
         network n {\n bridge\n icc on\n}\n\
         container c on n {\n expose 80\n expose 81/tcp\n}\n\
         trust t { a b, c, file x, d }",
        5,
    );
    let expected = ["host 1", "network n 1", "container c 1", "trust t 2"];
    assert_eq!(outline(&file), expected);
}

#[test]
fn misspelt_items_and_statements_are_kept_with_their_places() {
    let text = "contaner web on n {\n expsoe 80/tcp\n}";
    let file = rest(text, 2);
    assert_eq!(outline(&file), ["container web 1"]);
    let Item::Container(container) = &file.items[0] else {
        panic!("{:?}", file.items[0])
    };
    let place = |span: crate::source::Span| &text[span.start as usize..span.end as usize];
    assert_eq!(place(container.name.span), "web");
    assert_eq!(place(container.attachments[0].network.span), "n");
    assert_eq!(place(container.exposures[0].service.span), "80/tcp");
    assert_eq!(place(container.exposures[0].span), "expsoe 80/tcp");
    assert_eq!(place(container.span), text);
}

#[test]
fn names_of_items_that_cannot_be_read_are_known() {
    let text = "container web no shop {\n expose 80\n}\nnetwork n {}\ntrust t x {}";
    let file = rest(text, 3);
    assert_eq!(outline(&file), ["network n 0"]);
    let lost: Vec<&str> = file.lost.iter().map(|name| name.node.as_str()).collect();
    assert_eq!(lost, ["web", "t"]);
    let span = file.lost[0].span;
    assert_eq!(&text[span.start as usize..span.end as usize], "web");
}

#[test]
fn items_after_an_open_block_are_read() {
    let file = rest(
        "container a on n {\n expose 1/tcp\ncontainer b on n {\n expose 2/tcp\n}\nlink a -> b",
        1,
    );
    assert_eq!(outline(&file), ["container a 1", "container b 1", "access"]);
}

#[test]
fn blocks_without_their_first_brace_are_read() {
    let file = rest(
        "container a on n\n{\n expose 1/tcp\n}\nnetwork n\n bridge b\n}\ntrust t",
        3,
    );
    assert_eq!(
        outline(&file),
        ["container a 1", "network n 1", "trust t 0"]
    );
}

#[test]
fn an_open_list_does_not_swallow_the_next_item() {
    let file = rest("allow a,\nlink b -> c\nallow host ->\n\nhost { }", 2);
    assert_eq!(outline(&file), ["access", "host 0"]);
}

#[test]
fn lines_that_go_on_are_one_statement_also_beside_mistakes() {
    let file = rest(
        "container c on n {\n expose 80\n expose 1/tcp as 1 from any,\n  host log\n \
         expose 2/tcp as [\nfd00::\n]:2 from any\n}\ntrust t {\n fd00::\n beef::\n a b\n}",
        2,
    );
    assert_eq!(outline(&file), ["container c 2", "trust t 2"]);
}

/// The parts of these items are fine, or look so, but the whole is not.
#[test]
fn what_the_grammar_refuses_never_passes() {
    for text in [
        "container c on n at fd00:18:\n{\n}",
        "container c on n at fd00:\n{\n}",
        "trust t\n{ a }",
        "link 10.0.0.0/8[container",
    ] {
        rest(text, 1);
    }
}
