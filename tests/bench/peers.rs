//! The same policy put in force by other tools, as far as they are installed.
//!
//! Each exposure is what tidegate makes of it: the source may reach the container and the published
//! port, nobody else may. Nothing outside of a network and a mount namespace is touched.

use std::fs;
use std::path::Path;

use super::inputs::exposures;
use super::ns::Namespace;
use super::peer_inputs::{Exposure, ferm, firewalld, foomuuri, list, shorewall, ufw};
use super::rows::{Case, Row, fresh};
use super::work::{Cost, run};

const COUNT: usize = 1_000;
const ROUNDS: usize = 3;

struct Peer {
    program: &'static str,
    /// Of iptables, as the tool chooses it on Debian; tidegate then uses the same.
    variant: &'static str,
    /// Writes the tool's own files, relative to a folder.
    inputs: fn(&[Exposure]) -> Vec<(&'static str, String)>,
    /// What else that folder needs, said once.
    prepare: &'static str,
    /// Makes rules and loads none, in that folder.
    compile: Option<&'static str>,
    /// What the tool wants to find on its machine, in a mount namespace of its own.
    mounts: &'static str,
    apply: &'static str,
    /// Prints the rules in force.
    show: &'static str,
}

const PEERS: [Peer; 5] = [
    Peer {
        program: "ferm",
        variant: "legacy",
        inputs: ferm,
        prepare: "true",
        compile: Some("ferm --noexec --lines ferm.conf"),
        mounts: "true",
        apply: "ferm ferm.conf",
        show: "iptables-legacy-save",
    },
    Peer {
        program: "shorewall",
        variant: "nft",
        inputs: shorewall,
        prepare: "cp /etc/shorewall/shorewall.conf shorewall",
        compile: Some("shorewall compile shorewall start"),
        mounts: "mount -t tmpfs none /run; mount -t tmpfs none /var/lib/shorewall; \
                 ip link add eth0 type veth peer name br-shop; ip link set eth0 up; \
                 ip link set br-shop up",
        apply: "sh ./start start",
        show: "iptables-nft-save",
    },
    Peer {
        program: "ufw",
        variant: "nft",
        inputs: ufw,
        prepare: "cp -an /etc/ufw/. ufw",
        compile: None,
        mounts: "mount -t tmpfs none /run; mount --bind ufw /etc/ufw",
        apply: "ufw --force enable",
        show: "iptables-nft-save",
    },
    Peer {
        program: "firewalld",
        variant: "nft",
        inputs: firewalld,
        prepare: "cp -an /etc/firewalld/. firewalld; \
                  sed -i s/^CleanupOnExit=yes/CleanupOnExit=no/ firewalld/firewalld.conf",
        compile: Some("mount --bind firewalld /etc/firewalld; firewall-offline-cmd --check-config"),
        mounts: "mount -t tmpfs none /run; mount -t tmpfs none /var/log; mkdir /run/dbus; \
                 mount --bind firewalld /etc/firewalld; \
                 ip link add eth0 type veth peer name br-shop",
        // It is ready when its rules are there, and says so to nobody but systemd.
        apply: "dbus-daemon --system --nofork --nopidfile & bus=$!; \
                until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done; \
                firewalld --nofork --nopid & own=$!; \
                for step in $(seq 100); do \
                nft list chain inet firewalld filter_FWD_policy_shop-in_allow 2>/dev/null | \
                grep -q 10.128. && break; sleep 0.2; done; \
                kill $own $bus; wait",
        show: "nft list ruleset",
    },
    Peer {
        program: "foomuuri",
        variant: "nft",
        inputs: foomuuri,
        prepare: "true",
        compile: Some(
            "mount -t tmpfs none /run; mount -t tmpfs none /var/lib; \
             mkdir /run/foomuuri /var/lib/foomuuri; foomuuri --set=etc_dir=foomuuri check",
        ),
        mounts: "mount -t tmpfs none /run; mount -t tmpfs none /var/lib; \
                 mkdir /run/foomuuri /var/lib/foomuuri",
        apply: "foomuuri --set=etc_dir=foomuuri start",
        show: "nft list ruleset",
    },
];

/// Returns two rows for each: making the rules and putting them in force.
pub fn peers() -> Vec<Row> {
    let case = Case::compiled(&exposures(COUNT));
    let exposures = list(COUNT);
    let rows = PEERS.iter().flat_map(|peer| {
        if is_installed(peer.program) {
            measured(&case, peer, &exposures)
        } else {
            vec![Row::absent(peer.program)]
        }
    });
    let rows: Vec<Row> = rows.collect();
    rows
}

fn is_installed(program: &str) -> bool {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter();
    folders.map(Path::new).any(|it| it.join(program).exists())
}

fn measured(case: &Case, peer: &Peer, exposures: &[Exposure]) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in (peer.inputs)(exposures) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let folder = folder.path().display();
    run(&format!("cd {folder}; {}", peer.prepare));
    let within = |line: &str| format!("cd {folder}; unshare --mount sh -ec '{line}'");
    let (mut compiled, mut applied) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        if let Some(line) = peer.compile {
            let own = run(&case.compile());
            compiled.push((own, fresh(&[within(line)])));
        }
        let own = case.first_apply(peer.variant);
        let line = within(&format!("{}; {}", peer.mounts, peer.apply));
        applied.push((own, put(&line, peer.show, exposures)));
    }
    let beside = |verb: &str| format!("`{}`, {verb}", peer.program);
    let mut rows = Vec::new();
    if !compiled.is_empty() {
        let work = format!("compile {COUNT} exposures, proven");
        rows.push(Row::of(work, &beside("its rules alone"), &compiled, "< 1"));
    }
    let work = format!("first apply of {COUNT} exposures, {}", peer.variant);
    rows.push(Row::of(work, &beside("in force"), &applied, "< 1"));
    rows
}

/// Runs the peer in a namespace of its own, where every container must be in its rules afterwards.
fn put(line: &str, show: &str, exposures: &[Exposure]) -> Cost {
    let (line, show) = (line.to_owned(), show.to_owned());
    let namespace = Namespace::new();
    let shown = show.clone();
    let cost = namespace.run(move || run(&line));
    let rules = namespace.ok(&show);
    for exposure in exposures {
        let address = exposure.container.to_string();
        assert!(rules.contains(&address), "{shown} has no {address}");
    }
    cost
}
