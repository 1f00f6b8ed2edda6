//! `matrix`, as a user runs it.

use super::{Desk, POLICY, text};

fn matrix(desk: &Desk, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<&str> = ["matrix"].iter().chain(arguments).copied().collect();
    let output = desk.run(&arguments);
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn shop() -> Desk {
    let desk = Desk::with_policy();
    let policy = POLICY.replace("from office", "from office limit 5/second per source");
    let db = "container db on shop at 172.18.0.20 {\n  expose 5432/tcp\n}\nlink web -> db\n";
    desk.write("shop.tide", format!("{policy}{db}"));
    desk
}

#[test]
fn who_reaches_whom_is_a_list_of_names() {
    let (status, text, _) = matrix(&shop(), &["shop.tide"]);
    assert_eq!(status, Some(0));
    insta::assert_snapshot!(text, @"
    outside -> web by the host  8080/tcp (some) (IPv4)
    outside -> host             any except 8080/tcp
    office  -> web by the host  8080/tcp (limited) (IPv4)
    office  -> host             any except 8080/tcp (IPv4)
    shop    -> db               5432/tcp (some) (IPv4)
    shop    -> host             any except 8080/tcp (IPv4)
    web     -> db               5432/tcp (IPv4)
    web     -> host             any except 8080/tcp (IPv4)
    db      -> host             any except 8080/tcp (IPv4)
    host    -> web by the host  8080/tcp (IPv4)
    host    -> web              any (IPv4)
    host    -> db               any (IPv4)
    ");
}

#[test]
fn a_table_has_a_column_for_each_way_in() {
    let desk = shop();
    let (_, text, _) = matrix(&desk, &["shop.tide", "--format", "markdown"]);
    insta::assert_snapshot!(text, @"
    | from | web by the host | db | web | host |
    | --- | --- | --- | --- | --- |
    | outside | 8080/tcp (some) (IPv4) |  |  | any except 8080/tcp |
    | office | 8080/tcp (limited) (IPv4) |  |  | any except 8080/tcp (IPv4) |
    | shop |  | 5432/tcp (some) (IPv4) |  | any except 8080/tcp (IPv4) |
    | web |  | 5432/tcp (IPv4) |  | any except 8080/tcp (IPv4) |
    | db |  |  |  | any except 8080/tcp (IPv4) |
    | host | 8080/tcp (IPv4) | any (IPv4) | any (IPv4) |  |
    ");
    let (_, text, _) = matrix(&desk, &["shop.tide", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cells = json.as_array().unwrap();
    let cell = cells
        .iter()
        .find(|cell| cell["from"] == "web" && cell["to"] == "db")
        .unwrap();
    assert_eq!(cell["all"]["these"][0], "5432/tcp", "{json:#}");
    assert_eq!(cell["by_host"], false, "{json:#}");
}

#[test]
fn saved_rules_are_asked_by_the_names_of_a_policy() {
    let desk = shop();
    desk.write(
        "saved.v4",
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n\
         -A FORWARD -s 203.0.113.0/25 -d 172.18.0.10/32 -p tcp -j ACCEPT\nCOMMIT\n",
    );
    let (_, text, _) = matrix(&desk, &["shop.tide", "--rules", "saved.v4"]);
    insta::assert_snapshot!(text, @"
    outside -> web  tcp (some) (IPv4)
    office  -> web  tcp (some) (IPv4)
    host    -> web  any (IPv4)
    host    -> db   any (IPv4)
    ");
    let (status, _, error) = matrix(&desk, &["saved.v4"]);
    assert_eq!(status, Some(2));
    assert!(error.contains("a matrix needs a policy"), "{error}");
}
