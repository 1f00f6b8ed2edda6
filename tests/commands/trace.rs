//! `trace`, as a user runs it.

use super::Desk;

const ASK: [&str; 8] = [
    "trace",
    "shop.tide",
    "--to",
    "web",
    "--port",
    "80/tcp",
    "--why",
    "--from",
];

fn ask(desk: &Desk, who: &str, more: &[&str]) -> (Option<i32>, String) {
    let arguments: Vec<&str> = ASK.iter().chain([&who]).chain(more).copied().collect();
    let output = desk.run(&arguments);
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn the_exit_status_is_the_answer() {
    let desk = Desk::with_policy();
    let (status, text) = ask(&desk, "office", &[]);
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.contains("by the host's port 8080: passes: out by br-shop to 172.18.0.10:80"),
        "{text}"
    );
    let (status, text) = ask(&desk, "outside", &[]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("dropped by mangle TIDE-shop-in")
            && text.contains("shop.tide:5: outside reaches this network only as the policy says"),
        "{text}"
    );
    let (status, text) = ask(&desk, "nobody", &[]);
    assert_eq!(status, Some(2), "{text}");
    let (_, text) = ask(&desk, "office", &["--format", "json"]);
    assert!(text.contains("\"arrives\": true"), "{text}");
}

#[test]
fn saved_rules_are_followed_by_the_names_of_a_policy() {
    let desk = Desk::with_policy();
    desk.write(
        "saved.v4",
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -s 203.0.113.0/24 -j ACCEPT\nCOMMIT\n",
    );
    let saved = |who: &str, to: &str| {
        let asked = [
            "trace",
            "shop.tide",
            "--rules",
            "saved.v4",
            "--why",
            "--port",
            "80/tcp",
        ];
        let arguments: Vec<&str> = asked
            .into_iter()
            .chain(["--from", who, "--to", to])
            .collect();
        let output = desk.run(&arguments);
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let (status, text) = saved("office", "172.18.0.10");
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("passes: out by br-shop"), "{text}");
    let (status, text) = saved("outside", "172.18.0.10");
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("dropped by the policy of filter FORWARD"),
        "{text}"
    );
    desk.write("saved.v4", "*filter\n-A FORWARD -s x -j ACCEPT\nCOMMIT\n");
    let (status, text) = saved("office", "web");
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("line 2: not an address of this family"),
        "{text}"
    );
}
