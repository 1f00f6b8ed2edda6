//! `tidegate doctor` on a machine with systemd, a live engine and containers that may do too much.

use std::time::Instant;

use super::booted::{Shop, say};
use crate::support::lab::Host;

/// Returns the exit status and what it says.
fn doctor(host: &Host) -> (Option<i32>, String) {
    let output = host.attempt("tidegate doctor");
    let text = [&output.stdout[..], &output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// What was found that counts, without the notes; a line that was broken is whole again.
fn findings(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let inner = line.trim_start();
        if ["error[", "warning["]
            .iter()
            .any(|start| line.starts_with(start))
        {
            found.push(line.to_owned());
            is_open = true;
        } else if is_open
            && inner != line
            && !["at: ", "why: ", "do: "]
                .iter()
                .any(|it| inner.starts_with(it))
        {
            let last = found.last_mut().unwrap();
            *last = format!("{last} {inner}");
        } else {
            is_open = false;
        }
    }
    found
}

#[test]
fn it_sees_what_containers_may_do_and_nothing_else() {
    let Some(shop) = Shop::open("", &[]) else {
        return;
    };
    let host = &shop.host;
    let begin = Instant::now();
    let (code, text) = doctor(host);
    let took = begin.elapsed();
    say(&text);
    assert_eq!(findings(&text), [""; 0], "{text}");
    assert_eq!(code, Some(0), "{text}");

    let run = "docker run -d --stop-timeout 1";
    // A lab that has not all capabilities itself cannot give them away.
    let boss = host.attempt(&format!("{run} --name boss --privileged box"));
    host.run(&format!("{run} --name backup -v /:/machine:ro box"));
    host.run(&format!(
        "{run} --name agent -v /run/docker.sock:/run/docker.sock box"
    ));
    host.run(&format!("{run} --name probe --network host box 9999"));
    let (code, text) = doctor(host);
    say(&text);
    assert_eq!(code, Some(1), "{text}");
    let mut wanted = vec![
        "warning[T0714]: container agent can change the rules: it has Docker's socket",
        "warning[T0714]: container backup can change the rules: it has the machine's files",
    ];
    if boss.status.success() {
        wanted.push("warning[T0714]: container boss can change the rules: it has --privileged");
    } else {
        say("no privileged container here: the lab has not all capabilities");
    }
    assert_eq!(findings(&text), wanted, "{text}");
    let note = "note[T0714]: container probe is on the machine's own network";
    assert!(text.contains(note), "{text}");
    host.run("docker rm -f boss backup agent probe");

    // What the policy does not mention, and the proxy serves all the same.
    let at = "--network shop --ip 172.28.0.60";
    host.run(&format!(
        "{run} --name admin {at} -p 9000:9000 -p 127.0.0.1:9001:9001 box 9000"
    ));
    let (code, text) = doctor(host);
    say(&text);
    assert_eq!(code, Some(1), "{text}");
    let wanted = "warning[T0727]: container admin publishes what the policy does not mention: 9000->9000/tcp";
    assert!(findings(&text).iter().any(|it| it == wanted), "{text}");
    // An engine that has ip6tables leads IPv6 past its proxy, to the gate.
    let told = if host.run("ip6tables-save -t nat").contains("-A DOCKER ") {
        "note[T0808]: container `admin` publishes what no line opens: 9000/tcp; it is closed"
    } else {
        "error[T0809]: container `admin` publishes what no line opens: 9000/tcp; it is open"
    };
    let said = text.replace("\n    ", " ");
    assert!(said.contains(told), "{text}");
    host.run("docker rm -f admin");

    // What systemd says of the units.
    host.run(
        "systemctl stop tidegate-drift.timer
         ln -sf /dev/null /etc/systemd/system/tidegate-guard.service && systemctl daemon-reload",
    );
    let (_, text) = doctor(host);
    say(&text);
    let found = findings(&text).join("\n");
    for line in [
        "error[T0720]: tidegate-guard.service is masked",
        "warning[T0720]: tidegate-drift.timer does not run",
    ] {
        assert!(found.contains(line), "{text}");
    }
    say(&format!(
        "doctor took {} ms on a clean machine",
        took.as_millis()
    ));
}
