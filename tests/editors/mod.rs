//! The language server in sessions with the real program, and what editors colour by.

mod client;
mod grammar;
mod robust;

use serde_json::{Value, json};

use client::Client;

const SHOP: &str = "\
host {
  uplink     eth0
  forwarding on
  forward    drop
}

trust office { 203.0.113.0/24, 2001:db8:10::/48 }

network shop {
  bridge br-shop
  subnet 172.18.0.0/24
}

container web on shop at 172.18.0.10 {
  expose 80/tcp as 8080 from office
}

container db on shop at 172.18.0.20 {
  expose 5432/tcp
}

link web -> db : 5432/tcp
";

fn labels(items: &Value) -> Vec<&str> {
    let items = items.as_array().expect("a list").iter();
    items.map(|item| item["label"].as_str().unwrap()).collect()
}

#[test]
fn a_session_begins_and_ends() {
    let (client, able) = Client::start(&[], &["utf-16"]);
    assert_eq!(able["capabilities"]["positionEncoding"], "utf-16");
    assert_eq!(able["serverInfo"]["name"], "tidegate");
    let (status, said) = client.end();
    assert!(status.success() && said.is_empty(), "{status} {said}");
    let (client, able) = Client::start(&[], &["utf-8", "utf-16"]);
    assert_eq!(able["capabilities"]["positionEncoding"], "utf-8");
    assert!(client.vanish().success());
}

#[test]
fn without_an_editor_it_says_so() {
    let desk = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg("lsp")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(desk.status.code(), Some(2));
    let said = String::from_utf8(desk.stderr).unwrap();
    assert!(
        said.contains("it left before a session began\nhelp: "),
        "{said}"
    );
}

#[test]
fn mistakes_come_and_go_while_typing() {
    let (mut client, said) = Client::with(SHOP);
    assert_eq!(said, Vec::<Value>::new());
    let said = client.types("shop.tide", &SHOP.replace("from office", "from ofice"));
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(said[0]["code"], "T0201");
    assert_eq!(said[0]["severity"], 1);
    assert_eq!(said[0]["source"], "tidegate");
    let range =
        json!({"start": {"line": 14, "character": 29}, "end": {"line": 14, "character": 34}});
    assert_eq!(said[0]["range"], range);
    assert_eq!(client.types("shop.tide", SHOP), Vec::<Value>::new());
    // What is typed fast is checked once.
    for length in 0..SHOP.len() {
        client.change("shop.tide", &SHOP[..length]);
    }
    assert_eq!(client.types("shop.tide", SHOP), Vec::<Value>::new());
    client.end();
}

#[test]
fn includes_are_read_as_they_are_typed() {
    let (sets, rest) = SHOP.split_once("\nnetwork").unwrap();
    let main = format!("include \"sets.tide\"\n\nnetwork{rest}");
    let files = [("shop.tide", main.as_str()), ("sets.tide", sets)];
    let (mut client, _) = Client::start(&files, &[]);
    // The included file belongs to the policy that includes it.
    client.open("sets.tide", sets);
    assert_eq!(client.said_of("sets.tide"), Vec::<Value>::new());
    assert_eq!(client.said_of("shop.tide"), Vec::<Value>::new());
    client.change("sets.tide", &sets.replace("office", "bureau"));
    let said = client.said_of("shop.tide");
    assert_eq!(said[0]["code"], "T0201", "{said:#?}");
    // Nothing of it was saved.
    client.tell(
        "textDocument/didClose",
        json!({"textDocument": {"uri": client.uri("sets.tide")}}),
    );
    client.open("shop.tide", &main);
    assert_eq!(client.said_of("shop.tide"), Vec::<Value>::new());
    let place = client.place("shop.tide", &main, "office", 2);
    let found = client.ask("textDocument/definition", place);
    assert_eq!(found[0]["uri"], client.uri("sets.tide"));
    assert_eq!(
        found[0]["range"]["start"],
        json!({"line": 6, "character": 6})
    );
    client.end();
}

#[test]
fn names_and_keywords_are_completed_by_context() {
    let (mut client, _) = Client::with(SHOP);
    let mut complete = |typed: &str| {
        let text = format!("{SHOP}{typed}");
        client.change("shop.tide", &text);
        let place = client.place("shop.tide", &text, &text, text.len());
        let items = client.ask("textDocument/completion", place);
        labels(&items)
            .iter()
            .map(|it| (*it).to_owned())
            .collect::<Vec<_>>()
    };
    assert!(complete("li").contains(&"link".to_owned()));
    assert_eq!(complete("container x on "), ["shop"]);
    assert_eq!(complete("link we"), ["web", "db"]);
    assert_eq!(
        complete("allow "),
        ["office", "shop", "web", "db", "any", "host", "outside"]
    );
    assert_eq!(complete("allow office -> db : ")[0], "5432/tcp");
    assert_eq!(
        complete("expect office -> db : 5432/tcp "),
        ["allowed", "denied"]
    );
    assert_eq!(complete("host {\n  forward "), ["accept", "drop"]);
    assert_eq!(complete("network x {\n  icc "), ["off", "on"]);
    assert_eq!(complete("trust x {\n  of"), ["except", "file", "office"]);
    assert!(complete("container x on shop {\n  expose 1/tcp from ").contains(&"office".to_owned()));
    assert_eq!(
        complete("container x on shop {\n  expose 1/tcp "),
        ["as", "from"]
    );
    assert_eq!(complete("# allow "), Vec::<String>::new());
    client.end();
}

#[test]
fn hovering_tells_what_a_set_holds_and_who_reaches_a_port() {
    let (mut client, _) = Client::with(SHOP);
    let mut hover = |text: &str, mark: &str, after: usize| {
        let place = client.place("shop.tide", text, mark, after);
        let said = client.ask("textDocument/hover", place);
        said["contents"]["value"].as_str().unwrap_or("").to_owned()
    };
    let set = hover(SHOP, "office", 1);
    assert!(set.contains("203.0.113.0/24\n2001:db8:10::/48\n"), "{set}");
    let network = hover(SHOP, "network shop", 9);
    assert!(
        network.contains("`br-shop`, 172.18.0.0/24") && network.contains("web, db"),
        "{network}"
    );
    let port = hover(SHOP, "expose 5432", 2);
    assert_eq!(
        port,
        "Who reaches this port of `db`:\n```text\nshop -> db  5432/tcp (some) (IPv4)\nweb  -> db  5432/tcp (IPv4)\nhost -> db  any (IPv4)\n```"
    );
    let published = hover(SHOP, "80/tcp", 1);
    assert!(
        published.contains("office  -> web by the host  8080/tcp"),
        "{published}"
    );
    let container = hover(SHOP, "container db", 11);
    assert!(container.contains("`shop` at 172.18.0.20"), "{container}");
    let word = hover(SHOP, "forwarding", 3);
    assert_eq!(word, "```tide\nforwarding on|off\n```");
    client.end();
}

#[test]
fn hovering_tells_of_the_last_state_without_mistakes() {
    let (mut client, _) = Client::with(SHOP);
    let broken = SHOP.replace("link web -> db", "link web ->");
    assert!(!client.types("shop.tide", &broken).is_empty());
    let place = client.place("shop.tide", &broken, "office", 1);
    let said = client.ask("textDocument/hover", place);
    assert!(
        said["contents"]["value"]
            .as_str()
            .unwrap()
            .contains("203.0.113.0/24"),
        "{said}"
    );
    client.end();
}

#[test]
fn definitions_and_references_are_found() {
    let (mut client, _) = Client::with(SHOP);
    let place = client.place("shop.tide", SHOP, "link web", 6);
    let found = client.ask("textDocument/definition", place.clone());
    let range =
        json!({"start": {"line": 13, "character": 10}, "end": {"line": 13, "character": 13}});
    assert_eq!(
        found,
        json!([{"uri": client.uri("shop.tide"), "range": range}])
    );
    let mut params = place;
    params["context"] = json!({"includeDeclaration": true});
    let found = client.ask("textDocument/references", params.clone());
    let lines: Vec<&Value> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["range"]["start"]["line"])
        .collect();
    assert_eq!(lines, [13, 21]);
    params["context"] = json!({"includeDeclaration": false});
    assert_eq!(
        client
            .ask("textDocument/references", params)
            .as_array()
            .unwrap()
            .len(),
        1
    );
    client.end();
}

#[test]
fn a_name_is_changed_everywhere_or_not_at_all() {
    let (mut client, _) = Client::with(SHOP);
    let mut params = client.place("shop.tide", SHOP, "web on", 1);
    let range = client.ask("textDocument/prepareRename", params.clone());
    assert_eq!(range["start"], json!({"line": 13, "character": 10}));
    params["newName"] = json!("site");
    let edit = client.ask("textDocument/rename", params.clone());
    let edits = edit["changes"][client.uri("shop.tide")].as_array().unwrap();
    assert_eq!(edits.len(), 2, "{edit}");
    assert!(edits.iter().all(|it| it["newText"] == "site"));
    for (name, why) in [
        ("db", "something else is called `db` already"),
        ("a b", "`a b` cannot be a name"),
        ("any", "`any` cannot be a name"),
    ] {
        params["newName"] = json!(name);
        assert_eq!(client.refused("textDocument/rename", params.clone()), why);
    }
    client.end();
}

#[test]
fn an_outline_has_what_is_declared() {
    let (mut client, _) = Client::with(SHOP);
    let params = json!({"textDocument": {"uri": client.uri("shop.tide")}});
    let symbols = client.ask("textDocument/documentSymbol", params.clone());
    let names: Vec<_> = symbols
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].clone())
        .collect();
    assert_eq!(names, ["host", "office", "shop", "web", "db"]);
    assert_eq!(symbols[3]["children"][0]["name"], "80/tcp");
    // Half of it is there while the rest is typed.
    client.change(
        "shop.tide",
        &SHOP.replace("trust office {", "trust office { ! {"),
    );
    let symbols = client.ask("textDocument/documentSymbol", params);
    assert!(symbols.as_array().unwrap().len() >= 4, "{symbols:#}");
    client.end();
}

#[test]
fn a_text_is_laid_out() {
    let (mut client, _) = Client::with(SHOP);
    let options = json!({"tabSize": 8, "insertSpaces": false});
    let params = json!({"textDocument": {"uri": client.uri("shop.tide")}, "options": options});
    assert_eq!(
        client.ask("textDocument/formatting", params.clone()),
        json!([])
    );
    client.change("shop.tide", &SHOP.replace("  subnet 172", "subnet   172"));
    let edits = client.ask("textDocument/formatting", params.clone());
    let range = json!({"start": {"line": 10, "character": 0}, "end": {"line": 11, "character": 0}});
    assert_eq!(
        edits,
        json!([{"range": range, "newText": "  subnet 172.18.0.0/24\n"}])
    );
    client.change("shop.tide", "host {");
    assert_eq!(client.ask("textDocument/formatting", params), Value::Null);
    client.end();
}

#[test]
fn mistakes_are_mended_by_their_suggestion() {
    let text = SHOP.replace("from office", "from ofice");
    let (mut client, said) = Client::with(&text);
    let params = json!({
        "textDocument": {"uri": client.uri("shop.tide")},
        "range": said[0]["range"],
        "context": {"diagnostics": said},
    });
    let actions = client.ask("textDocument/codeAction", params);
    assert_eq!(actions.as_array().unwrap().len(), 1, "{actions:#}");
    assert_eq!(actions[0]["title"], "Write `office`");
    let edits = &actions[0]["edit"]["changes"][client.uri("shop.tide")];
    assert_eq!(edits[0]["newText"], "office");
    assert_eq!(edits[0]["range"], said[0]["range"]);
    assert_eq!(actions[0]["diagnostics"][0], said[0]);
    client.end();
}

#[test]
fn what_nobody_knows_is_refused_and_the_session_goes_on() {
    let (mut client, _) = Client::with(SHOP);
    assert_eq!(
        client.refused("textDocument/unheardOf", json!({})),
        "no method textDocument/unheardOf"
    );
    let why = client.refused("textDocument/hover", json!({"textDocument": 3}));
    assert!(!why.is_empty());
    let elsewhere =
        json!({"textDocument": {"uri": "untitled:one"}, "position": {"line": 0, "character": 0}});
    assert_eq!(client.ask("textDocument/hover", elsewhere), Value::Null);
    let far = json!({"textDocument": {"uri": client.uri("shop.tide")}, "position": {"line": 4_000_000, "character": 9}});
    assert_eq!(client.ask("textDocument/hover", far), Value::Null);
    assert!(client.folder().exists());
    client.end();
}
