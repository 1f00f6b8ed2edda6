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
fn a_set_is_never_the_host_itself() {
    let desk = Desk::new();
    // The machine of a policy is 192.0.2.1.
    desk.write(
        "shop.tide",
        super::POLICY.replace("203.0.113.0/24", "192.0.2.0/24"),
    );
    let (status, text) = ask(&desk, "office", &[]);
    assert_eq!(status, Some(0), "{text}");
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
    desk.write(
        "saved.v4",
        "*filter\n-A FORWARD -s fd00::1 -j ACCEPT\nCOMMIT\n",
    );
    let (status, text) = saved("office", "web");
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("line 2: not an address of this family"),
        "{text}"
    );
}

#[test]
fn a_bundle_answers_as_its_policy_does() {
    let desk = Desk::with_policy();
    desk.run(&["compile", "shop.tide", "-o", "bundle"]);
    for (from, to, port) in [
        ("outside", "web", "80/tcp"),
        ("203.0.113.9", "web", "80/tcp"),
        ("web", "outside", "443/tcp"),
        ("shop", "host", "22/tcp"),
        ("host", "web", "81/tcp"),
    ] {
        let asked = |what: &str| {
            let output = desk.run(&["trace", what, "--from", from, "--to", to, "--port", port]);
            (output.status.code(), output.stdout, output.stderr)
        };
        let policy = asked("shop.tide");
        assert!(policy.0 < Some(2), "{policy:?}");
        assert_eq!(policy, asked("bundle"), "{from} {to}");
    }
}

#[test]
fn what_a_bundle_cannot_tell_is_said() {
    let desk = Desk::with_policy();
    desk.run(&["compile", "shop.tide", "-o", "bundle"]);
    desk.run(&["compile", "shop.tide", "-o", "damaged"]);
    desk.write("damaged/rules.v4", "*filter\nCOMMIT\n");
    desk.write("none/notes", "mine");
    let asked = |more: &[&str]| {
        let arguments = ["trace", "--to", "web", "--port", "80/tcp", "--why"];
        let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
        let output = desk.run(&arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text)
    };
    let (status, text) = asked(&["bundle", "--from", "office"]);
    assert_eq!(status, Some(2), "{text}");
    let said = "error: `office` is a set, and a bundle holds no addresses of sets\n\
                help: give one of its addresses, or the policy instead of its bundle\n";
    assert_eq!(text, said);
    let (status, text) = asked(&["bundle", "--from", "nobody"]);
    assert_eq!(status, Some(2), "{text}");
    for folder in ["damaged", "none"] {
        let (status, text) = asked(&[folder, "--from", "outside"]);
        assert_eq!(status, Some(3), "{text}");
    }
    let (status, text) = asked(&["bundle", "--from", "outside", "--host", "alpha"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("not a bundle for `alpha`"), "{text}");
}

/// The words are a policy's, whichever way the rules came.
#[test]
fn saved_rules_are_told_in_the_words_of_a_bundle() {
    let desk = Desk::with_policy();
    desk.run(&["compile", "shop.tide", "-o", "bundle"]);
    let asked = |rules: &str| {
        desk.write("saved.v4", rules);
        let output = desk.run(&[
            "trace", "bundle", "--rules", "saved.v4", "--why", "--from", "10.9.9.9", "--to", "web",
            "--port", "80/tcp",
        ]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let rules = std::fs::read_to_string(desk.path("bundle/rules.v4")).unwrap();
    // The hook of DOCKER-USER needs an engine.
    let end = rules.rfind("*filter").unwrap();
    let text = asked(&rules[..end]);
    let says = "shop.tide:5: outside reaches this network only as the policy says";
    assert!(text.contains(says), "{text}");
    let other = rules[..end].replace("203.0.113.0/24", "203.0.112.0/24");
    let text = asked(&other);
    assert!(text.contains(", shop.tide:5\n"), "{text}");
}
