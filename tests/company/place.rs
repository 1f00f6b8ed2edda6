//! A Docker host in namespaces, with another tool's files over its disk: its own network, mounts and
//! `/run`, so that nothing of the tool touches this machine.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tidegate::artifact::Bundle;
use tidegate::compile::compile;
use tidegate::deploy::report::DriftKind;
use tidegate::deploy::{self, Options};
use tidegate::doctor::{Facts, examine};
use tidegate::host::{LinuxHost, Variant};
use tidegate::netfilter::docker::{DockerSetup, guard};
use tidegate::netfilter::save::{self, ChainPolicy};
use tidegate::netfilter::{Family, Table};

use crate::support::files::{Files, repository};
use crate::support::ns::{Namespace, is_root};

pub const HOST: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub const OFFICE: [&str; 2] = ["192.0.2.40", "2001:db8::40"];
pub const STRANGER: [&str; 2] = ["192.0.2.50", "2001:db8::50"];
pub const WEB: [&str; 2] = ["172.18.0.10", "fd00:18::10"];
const PATIENCE: Duration = Duration::from_millis(300);

const POLICY: &str = "\
host {
  uplink     eth0
  forwarding on
  forward    drop
}
trust office { 192.0.2.40, 2001:db8::40 }
network shop {
  bridge br-shop
  subnet 172.18.0.0/24, fd00:18::/64
}
container web on shop at 172.18.0.10, fd00:18::10 {
  expose 80/tcp as 8080 from office
  expose 81/tcp as 8081 from office
}
";

pub struct Place {
    pub host: Namespace,
    outside: Namespace,
    _container: Namespace,
    _servers: Vec<TcpListener>,
    bundle: Bundle,
    variant: Variant,
    disk: TempDir,
}

/// Runs a test on a machine with each variant of iptables.
pub fn on_both(name: &str, test: impl Fn(&Place)) {
    for variant in [Variant::Nft, Variant::Legacy] {
        on(name, variant, &test);
    }
}

pub fn on(name: &str, variant: Variant, test: impl Fn(&Place)) {
    if let Some(rootfs) = rootfs() {
        eprintln!("{name}, {variant:?}");
        test(&Place::new(&rootfs, variant));
    }
}

/// Returns the file system with the tools; nothing, with the reason printed, where it cannot be made.
fn rootfs() -> Option<PathBuf> {
    if !is_root() {
        return None;
    }
    let made = Command::new(repository().join("tests/lab/company.sh")).output();
    match made {
        Ok(output) if output.status.success() => {
            let path = String::from_utf8(output.stdout).unwrap();
            Some(PathBuf::from(path.trim_end()))
        }
        failed => {
            assert!(
                std::env::var_os("TIDEGATE_LAB_REQUIRED").is_none(),
                "{failed:?}"
            );
            eprintln!("skipped: no file system with other tools: {failed:?}");
            None
        }
    }
}

impl Place {
    fn new(rootfs: &std::path::Path, variant: Variant) -> Self {
        let (host, outside, container) = (Namespace::new(), Namespace::new(), Namespace::new());
        let subject = compile(&Files::one(POLICY), "policy.tide")
            .subjects()
            .remove(0);
        wire(&host, &outside, &container);
        let servers =
            [80, 81].map(|port| container.run(move || TcpListener::bind(("::", port)).unwrap()));
        let place = Place {
            host,
            outside,
            _container: container,
            _servers: servers.into(),
            bundle: subject.bundle,
            variant,
            disk: tempfile::tempdir_in("/var/tmp").unwrap(),
        };
        place.mount(rootfs);
        for family in Family::BOTH {
            let rules =
                DockerSetup::of(&subject.policy).rules(&subject.policy, family == Family::V6);
            let rules = format!("{rules}{}", guard(&subject.policy, &rules));
            place.load(family, &rules);
            place.load(family, "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n");
        }
        place
    }

    /// The tools' disk, for this namespace alone; iptables in it is the variant of the test.
    fn mount(&self, rootfs: &std::path::Path) {
        self.host.run(|| unshare(CloneFlags::CLONE_NEWNS).unwrap());
        self.host.ok("mount --make-rprivate /");
        let disk = self.disk.path();
        for folder in ["upper", "work", "root"] {
            std::fs::create_dir(disk.join(folder)).unwrap();
        }
        let (rootfs, disk) = (rootfs.display(), disk.display());
        let layers = format!("lowerdir={rootfs},upperdir={disk}/upper,workdir={disk}/work");
        self.host
            .ok(&format!("mount -t overlay overlay -o {layers} {disk}/root"));
        self.host
            .ok(&format!("mount -t proc proc {disk}/root/proc"));
        self.host
            .ok(&format!("mount -t sysfs sysfs {disk}/root/sys"));
        self.host.ok(&format!("mount --rbind /dev {disk}/root/dev"));
        self.host
            .ok(&format!("mount -t tmpfs -o mode=755 tmpfs {disk}/root/run"));
        let name = self.variant_name();
        for tool in ["iptables", "ip6tables"] {
            for verb in ["", "-save", "-restore"] {
                self.sh(&format!(
                    "ln -sf /usr/sbin/{tool}-{name}{verb} /etc/alternatives/{tool}{verb}"
                ));
            }
        }
    }

    fn variant_name(&self) -> &'static str {
        match self.variant {
            Variant::Legacy => "legacy",
            Variant::Auto | Variant::Nft => "nft",
        }
    }

    /// Runs a shell script on the machine; it must succeed. Returns what it prints.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let root = self.disk.path().join("root");
        let shell = format!(
            "env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot {} sh -e",
            root.display()
        );
        self.host.feed(&shell, script)
    }

    /// Writes a file of the machine.
    pub fn write(&self, path: &str, text: &str) {
        self.sh(&format!(
            "mkdir -p $(dirname {path})\ncat > {path} <<'END'\n{text}\nEND"
        ));
    }

    #[track_caller]
    pub fn load(&self, family: Family, text: &str) {
        let tool = if family == Family::V4 {
            "iptables"
        } else {
            "ip6tables"
        };
        let command = format!("{tool}-{}-restore -w 10 --noflush", self.variant_name());
        self.host.feed(&command, text);
    }

    fn on_host<T: Send + 'static>(&self, job: impl FnOnce(&LinuxHost) -> T + Send + 'static) -> T {
        let (root, variant) = (self.disk.path().join("root"), self.variant);
        self.host.run(move || job(&LinuxHost::new(root, variant)))
    }

    pub fn apply(&self) {
        let bundle = self.bundle.clone();
        let outcome = self.on_host(move |host| deploy::apply(host, &bundle, Options::default()));
        assert!(outcome.unwrap().changed);
    }

    pub fn drift(&self) -> Vec<DriftKind> {
        let report = self.on_host(|host| deploy::drift(host)).unwrap();
        report.drifts.iter().map(|drift| drift.kind).collect()
    }

    #[track_caller]
    pub fn repair(&self) {
        let (_, after) = self.on_host(|host| deploy::repair(host)).unwrap();
        assert!(after.is_clean(), "{}", after.text());
    }

    pub fn uninstall(&self) {
        self.on_host(|host| deploy::uninstall(host)).unwrap();
    }

    pub fn doctor(&self) -> String {
        self.on_host(|host| examine(&Facts::of(host)).text())
    }

    pub fn save(&self) -> String {
        let save = |tool| {
            self.host
                .ok(&format!("{tool}-{}-save", self.variant_name()))
        };
        ["iptables", "ip6tables"].map(save).concat()
    }

    /// Returns all that is not tidegate's, in its order: chains, policies that drop, and rules.
    pub fn theirs(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for tool in ["iptables", "ip6tables"] {
            let text = self
                .host
                .ok(&format!("{tool}-{}-save", self.variant_name()));
            let tables = save::parse(&text).unwrap();
            for table in Table::ALL {
                for (name, chain) in tables.table(table).iter().flat_map(|table| &table.chains) {
                    if name.starts_with("TIDE-") {
                        continue;
                    }
                    match chain.policy {
                        // That of FORWARD is the policy's, which says `forward drop`.
                        Some(ChainPolicy::Drop) if name == "FORWARD" => {}
                        Some(ChainPolicy::Accept) => {}
                        Some(ChainPolicy::Drop) => {
                            lines.push(format!("{tool} {table} :{name} DROP"));
                        }
                        None => lines.push(format!("{tool} {table} :{name}")),
                    }
                    let others = chain.rules.iter().filter(|rule| !deploy::is_ours(rule));
                    lines.extend(others.map(|rule| format!("{tool} {table} {name} {rule}")));
                }
            }
        }
        lines
    }

    /// Returns whether a connection comes about.
    pub fn connects(&self, from: &str, to: &str, port: u16) -> bool {
        let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
        self.outside.run(move || {
            let socket =
                Socket::new(Domain::for_address((to, port).into()), Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
            socket
                .connect_timeout(&SocketAddr::from((to, port)).into(), PATIENCE)
                .is_ok()
        })
    }
}

fn wire(host: &Namespace, outside: &Namespace, container: &Namespace) {
    for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        host.sysctl(key, "1");
    }
    for tool in ["iptables", "ip6tables"] {
        host.sysctl(&format!("net/bridge/bridge-nf-call-{tool}"), "0");
    }
    host.ok(&format!(
        "ip link add eth0 type veth peer name eth0 netns {}",
        outside.id
    ));
    host.ok("ip link add br-shop type bridge");
    host.ok(&format!(
        "ip link add veth1 master br-shop type veth peer name eth0 netns {}",
        container.id
    ));
    for device in ["eth0", "br-shop", "veth1"] {
        host.ok(&format!("ip link set {device} up"));
    }
    for (address, device) in [
        ("192.0.2.1/24", "eth0"),
        ("2001:db8::1/64", "eth0"),
        ("172.18.0.1/24", "br-shop"),
        ("fd00:18::1/64", "br-shop"),
    ] {
        host.ok(&format!("ip addr add {address} dev {device}"));
    }
    for (space, addresses) in [
        (
            outside,
            &[
                "192.0.2.40/24",
                "192.0.2.50/24",
                "2001:db8::40/64",
                "2001:db8::50/64",
            ][..],
        ),
        (container, &["172.18.0.10/24", "fd00:18::10/64"]),
    ] {
        space.ok("ip link set eth0 up");
        for address in addresses {
            space.ok(&format!("ip addr add {address} dev eth0"));
        }
    }
    outside.ok("ip route add 172.18.0.0/24 via 192.0.2.1");
    outside.ok("ip route add fd00:18::/64 via 2001:db8::1");
    container.ok("ip route add default via 172.18.0.1");
    container.ok("ip route add default via fd00:18::1");
}
