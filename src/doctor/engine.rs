//! Checks on Docker: who may tell it what to do, and what containers may do to the machine.

use serde_json::Value;

use super::facts::Facts;
use crate::diag::code;
use crate::diag::finding::{Finding, Weight};
use crate::host::{ContainerPowers, SOCKET};

const DAEMON_JSON: &str = "/etc/docker/daemon.json";

pub(super) fn daemon(facts: &Facts) -> Value {
    let text = facts.file(DAEMON_JSON).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

pub(super) fn network_socket(facts: &Facts) -> Vec<Finding> {
    let options = facts
        .engine
        .as_ref()
        .map_or(&[][..], |engine| &engine.options);
    let file = daemon(facts);
    let is_on = |key: &str| {
        let flag = format!("--{key}");
        let given = options
            .iter()
            .any(|it| *it == flag || *it == format!("{flag}=true"));
        given || file.get(key).and_then(Value::as_bool) == Some(true)
    };
    if is_on("tlsverify") {
        return Vec::new();
    }
    let listed = file.get("hosts").and_then(Value::as_array);
    let listed = listed.into_iter().flatten().filter_map(Value::as_str);
    let given = options.iter().flat_map(|word| word.split('='));
    let hosts = listed
        .map(|host| (host, DAEMON_JSON))
        .chain(given.map(|host| (host, "dockerd's command line")));
    let open = hosts.filter(|(host, _)| host.starts_with("tcp://"));
    let found = open.map(|(host, place)| {
        let local = ["tcp://127.", "tcp://localhost", "tcp://[::1]"];
        let weight = if local.iter().any(|start| host.starts_with(start)) {
            Weight::Warning
        } else {
            Weight::Error
        };
        Finding::new(
            code::ENGINE_ON_NETWORK,
            weight,
            format!(
                "Docker listens on {host} without \
            asking who connects"
            ),
        )
        .at(place)
        .why(
            "whoever connects is root here: a container with the host's network can change \
                every rule",
        )
        .remedy(
            "take the address out and use ssh (docker context create NAME --docker \
                host=ssh://...), or set tlsverify",
        )
    });
    found.collect()
}

pub(super) fn socket(facts: &Facts) -> Vec<Finding> {
    let Some(access) = facts.socket else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if access.mode & 0o002 != 0 {
        let seen = format!(
            "everybody may write to Docker's socket, mode {:o}",
            access.mode & 0o7777
        );
        found.push(
            Finding::new(code::ENGINE_SOCKET, Weight::Error, seen)
                .at(SOCKET)
                .why("whoever may write there is root here, and can change every rule")
                .remedy(format!(
                    "chmod 660 {SOCKET}, and SocketMode=0660 in docker.socket"
                )),
        );
    }
    let members = members(facts, access.gid);
    if access.mode & 0o020 != 0 && !members.is_empty() {
        found.push(
            Finding::new(
                code::ENGINE_SOCKET,
                Weight::Note,
                format!("root here by way of Docker: {}", members.join(", ")),
            )
            .at("/etc/group")
            .why("whoever may write to Docker's socket can change every rule")
            .remedy("nothing, if they are meant to be; else gpasswd -d USER docker"),
        );
    }
    found
}

/// Returns who is in a group, group(5), but for root.
fn members(facts: &Facts, gid: u32) -> Vec<&str> {
    let lines = facts.file("/etc/group").unwrap_or_default().lines();
    let members = lines.filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next()?.parse::<u32>().ok()? == gid).then(|| fields.next())?
    });
    let names = members.flat_map(|members| members.split(','));
    names
        .filter(|name| !name.is_empty() && *name != "root")
        .collect()
}

pub(super) fn powers(facts: &Facts) -> Vec<Finding> {
    facts.powers.iter().filter_map(power).collect()
}

fn power(container: &ContainerPowers) -> Option<Finding> {
    let has = |name: &str| {
        container
            .capabilities
            .iter()
            .any(|it| it == name || it == "ALL")
    };
    let mounts = |path: &str| container.mounts.iter().any(|it| it == path);
    let mut ways = Vec::new();
    if container.privileged {
        ways.push("--privileged");
    }
    if mounts("/var/run/docker.sock") || mounts("/run/docker.sock") {
        ways.push("Docker's socket");
    }
    if mounts("/") {
        ways.push("the machine's files");
    }
    if container.host_network && has("NET_ADMIN") {
        ways.push("the machine's network with NET_ADMIN");
    }
    if container.host_pid && (has("SYS_PTRACE") || has("SYS_ADMIN")) {
        ways.push("the machine's processes with SYS_PTRACE or SYS_ADMIN");
    }
    if !ways.is_empty() {
        let seen = format!(
            "container {} can change the rules: it has {}",
            container.name,
            ways.join(", ")
        );
        return Some(
            Finding::new(code::CONTAINER_POWERS, Weight::Warning, seen)
                .why("whoever takes it over is root on the machine")
                .remedy(
                    "run it without, or with the one capability that it needs and a network \
                    of its own",
                ),
        );
    }
    container.host_network.then(|| {
        Finding::new(
            code::CONTAINER_POWERS,
            Weight::Note,
            format!(
                "container {} is on the machine's own network",
                container.name
            ),
        )
        .why("its ports are the machine's: what the policy says of networks is not about them")
        .remedy("open or close them as ports of the host (`NAME -> host`), or give it a network")
    })
}

pub(super) fn settings(facts: &Facts) -> Vec<Finding> {
    let of = |weight, seen: &str, remedy: &str| {
        Finding::new(code::ENGINE_SETTINGS, weight, seen)
            .why("the policy was compiled for an engine of another kind")
            .remedy(remedy)
    };
    let found = &facts.mismatches;
    let errors = found
        .errors
        .iter()
        .map(|it| of(Weight::Error, &it.seen, &it.remedy));
    let notes = found.notes.iter().map(|text| {
        of(
            Weight::Note,
            text,
            "change the policy or the engine as it says",
        )
    });
    errors.chain(notes).collect()
}
