//! Containers whose addresses the engine picks, while somebody follows it.

use std::io::Write;
use std::time::{Duration, Instant};

use super::reboot::is_up;
use super::{POLICY, RUN, SHOP, make_network, start};
use crate::support::lab::{Host, Lab, docker_host, machine};

/// Starts `tidegate watch` on the host, and returns when its first rules are in force.
fn watch(host: &Host) {
    host.run(&format!(
        "setsid tidegate watch {POLICY} >>/var/log/watch.log 2>&1 </dev/null & echo $! >/run/watch.pid"
    ));
    until(
        host,
        "a first state",
        "grep -q 'is followed' /var/log/watch.log",
    );
}

fn watch_again(host: &Host) {
    host.run("kill $(cat /run/watch.pid)");
    until(host, "the end", "! kill -0 $(cat /run/watch.pid)");
    host.run(": >/var/log/watch.log");
    watch(host);
}

#[track_caller]
fn until(host: &Host, what: &str, condition: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !host.attempt(condition).status.success() {
        assert!(
            Instant::now() < deadline,
            "{what}: {}",
            host.run("cat /var/log/watch.log")
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn address(host: &Host, name: &str) -> String {
    let format = "{{.NetworkSettings.Networks.shop.IPAddress}}";
    host.run(&format!("docker inspect -f '{format}' {name}"))
        .trim()
        .to_owned()
}

/// The shop without any fixed address.
fn loose() -> String {
    let web = SHOP.replace(" at 172.28.0.10, fd00:28::10", "");
    web.replace(" at 172.28.0.20, fd00:28::20", "")
}

/// A shop whose containers have no fixed address, followed.
fn world() -> Option<(Lab, Host)> {
    let (lab, host) = docker_host()?;
    host.run("engine start");
    make_network(&host);
    start(&host, "web", None, "-p 8080:80 box");
    start(&host, "db", None, "box 5432 5433");
    host.put(POLICY, &loose());
    watch(&host);
    Some((lab, host))
}

fn db_serves_web_alone(host: &Host, lab: &Lab) {
    let (db, web) = (address(host, "db"), host.container("web"));
    web.is_served(&format!("{db}:5432"), "db");
    web.is_refused(&format!("{db}:5433"));
    lab.outside.is_refused(&format!("{db}:5432"));
}

/// Starts a container at an address as soon as the one that had it has stopped, and returns what it
/// could connect to from its first moment on.
fn impostor(host: &Host, of: &str, target: &str) -> String {
    let at = address(host, of);
    let knock = "i=0; while [ $i -lt 4 ]; do \
         echo | busybox nc -w 1 $TARGET >/dev/null && echo through; \
         i=$((i+1)); busybox usleep 20000; done";
    host.run(&format!(
        "docker update --restart no {of} >/dev/null && docker stop {of} >/dev/null
         docker run --rm --network shop --ip {at} -e TARGET='{target}' --entrypoint busybox box sh -c '{knock}'"
    ))
}

/// Starts db anew, and returns after how many milliseconds web was served by it.
fn restarted(host: &Host) -> u128 {
    let web = host.container("web");
    host.run("docker restart db");
    let started = Instant::now();
    let new = address(host, "db");
    web.is_served(&format!("{new}:5432"), "db");
    started.elapsed().as_millis()
}

#[test]
fn a_container_that_comes_back_elsewhere_is_covered_within_a_second() {
    let Some((lab, host)) = world() else { return };
    db_serves_web_alone(&host, &lab);
    let old = address(&host, "db");
    host.run("docker update --restart no db >/dev/null && docker stop db >/dev/null");
    // Somebody else is first at the address, and listens on the same port.
    host.run(&format!(
        "{RUN} --name squatter -h squatter --network shop --ip {old} box 5432"
    ));
    let storm = host.container("web").storm(&[&format!("{old}:5432")]);
    let took = [(); 3].map(|()| restarted(&host));
    let said = format!("covered {took:?} ms after its start\n");
    std::io::stderr()
        .write_all(said.as_bytes())
        .expect("a place to say it");
    // On a busy machine one try may wait for others.
    assert!(took.into_iter().min() < Some(1000), "{took:?}");
    assert_ne!(old, address(&host, "db"));
    storm.got_nowhere();
    db_serves_web_alone(&host, &lab);
    host.run("tidegate drift");
}

#[test]
fn whoever_gets_the_address_gets_nothing_else() {
    let Some((lab, host)) = world() else { return };
    let db = address(&host, "db");
    start(&host, "other", None, "box");
    let knock = format!("echo | docker exec -i other busybox nc -w 1 {db} 5432");
    // An impostor is served where the policy says so, or this test could not fail.
    let policy = host.run(&format!("cat {POLICY}"));
    host.put(POLICY, &format!("{policy}allow shop -> db : 5432/tcp\n"));
    watch_again(&host);
    let through = impostor(&host, "web", &format!("{db} 5432"));
    assert!(through.contains("through"), "{through}");
    until(&host, "the other policy", &knock);
    host.put(POLICY, &policy);
    watch_again(&host);
    host.run("docker start web");
    until(&host, "the policy", &format!("! {knock}"));
    for _ in 0..3 {
        let through = impostor(&host, "web", &format!("{db} 5432"));
        assert_eq!(through, "", "an impostor reached db");
        host.run("docker start web");
        db_serves_web_alone(&host, &lab);
    }
}

#[test]
fn an_engine_that_starts_again_is_followed_again() {
    let Some((lab, host)) = world() else { return };
    host.run("engine restart");
    until(
        &host,
        "the engine's end",
        "grep -q 'the engine is gone' /var/log/watch.log",
    );
    db_serves_web_alone(&host, &lab);
    lab.office.is_served("192.0.2.1:8080", "web");
    lab.outside.is_refused("192.0.2.1:8080");

    let lines = |host: &Host| {
        host.run("grep -c 'in force' /var/log/watch.log")
            .trim()
            .parse::<u32>()
    };
    let before = lines(&host).expect("a number");
    let many = format!("for n in 1 2 3 4 5 6 7 8; do {RUN} --name n$n --network shop box & done");
    host.run(&format!("{many}; wait"));
    let after = lines(&host).expect("a number");
    // They are none of the policy's: nothing changes for them.
    assert_eq!(before, after, "{}", host.run("cat /var/log/watch.log"));

    // What somebody writes into the policy meanwhile is for the next watch.
    host.put(POLICY, "network {");
    host.run("docker restart db >/dev/null");
    db_serves_web_alone(&host, &lab);

    // A subnet that the policy does not have would hold addresses that no rule knows.
    host.run(
        "docker rm -f $(docker ps -aq) >/dev/null
         while ! docker network rm shop >/dev/null 2>&1; do sleep 0.1; done
         docker network create --subnet 172.31.0.0/16 -o com.docker.network.bridge.name=br-shop shop",
    );
    until(&host, "a contradiction", "grep -q T0803 /var/log/watch.log");
    lab.outside.is_refused("192.0.2.1:8080");
}

#[test]
fn what_nobody_follows_any_more_is_closed_at_the_end_and_at_boot() {
    let Some((lab, host)) = world() else { return };
    let db = address(&host, "db");
    host.run("kill -9 $(cat /run/watch.pid)");
    // Another boot: what is kept in /run is gone, and so are the rules.
    host.run("rm /run/tidegate/followed && tidegate apply --boot");
    host.container("web").is_refused(&format!("{db}:5432"));
    lab.office.is_served("192.0.2.1:8080", "web");
    host.run("tidegate drift");

    host.run(": >/var/log/watch.log");
    watch(&host);
    db_serves_web_alone(&host, &lab);
    host.run("kill $(cat /run/watch.pid)");
    until(&host, "the end", "! kill -0 $(cat /run/watch.pid)");
    host.container("web").is_refused(&format!("{db}:5432"));
    lab.office.is_served("192.0.2.1:8080", "web");
    host.run("tidegate drift");
}

#[test]
fn a_machine_follows_its_engine_from_boot_to_boot() {
    let Some((lab, mut machine)) = machine() else {
        return;
    };
    let host = machine.boot();
    is_up(&host);
    host.run("engine image");
    make_network(&host);
    start(&host, "web", None, "-p 8080:80 box");
    start(&host, "db", None, "box 5432 5433");
    machine.shut_down(&host);

    machine.install(&loose(), &["--watch"]);
    let storm = lab.outside.storm(&["192.0.2.1:8080"]);
    for _ in 0..2 {
        let host = machine.boot();
        is_up(&host);
        db_serves_web_alone(&host, &lab);
        lab.office.is_served("192.0.2.1:8080", "web");
        host.run("systemctl restart docker");
        db_serves_web_alone(&host, &lab);
        host.run("tidegate drift");
        machine.shut_down(&host);
    }
    storm.got_nowhere();
}
