//! A Docker host and two clients on one segment, each in namespaces of its own: `tests/lab/`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::{env, io};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Uid;

use super::client::Client;

/// When set, a machine that cannot run these tests fails them.
pub(crate) const REQUIRED: &str = "TIDEGATE_LAB_REQUIRED";

/// The variant of iptables on the hosts, `nft` or `legacy`; unset, it is Debian's choice, `nft`.
const IPTABLES: &str = "TIDEGATE_LAB_IPTABLES";

/// The program that the hosts get, where it is not the one under test: a release, or another build.
const PROGRAM: &str = "TIDEGATE_LAB_PROGRAM";

/// The segment, with its host where it has one. All of it ends when this is dropped, and also when
/// the process ends in any other way: the script behind it waits for the end of a pipe.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) office: Client,
    pub(crate) outside: Client,
    script: Script,
    /// Two cores are too few for several engines at once.
    _turn: Flock<File>,
}

/// Two Docker hosts and a router between them: `tests/lab/pair.sh`.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) alpha: Host,
    pub(crate) beta: Host,
    pub(crate) router: Client,
    _script: Script,
    _turn: Flock<File>,
}

/// A machine that commands can be run on.
#[derive(Debug)]
pub(crate) struct Host {
    pid: u32,
}

/// A machine with systemd and Docker, and its disk; see `tests/lab/boot.sh`.
#[derive(Debug)]
pub(crate) struct Machine {
    script: Script,
}

/// A lab with a Docker host in it; the engine is not started yet.
pub(crate) fn docker_host() -> Option<(Lab, Host)> {
    let rootfs = rootfs("")?;
    let lab = Lab::open(Some(&rootfs));
    let host = Host {
        pid: lab.script.pid("host"),
    };
    equip(&host.path("/"));
    Some((lab, host))
}

/// A lab with a host in it that has podman in the place of Docker, with a driver of netavark's.
pub(crate) fn podman_host(driver: &str) -> Option<(Lab, Host)> {
    let rootfs = rootfs("podman")?;
    let lab = Lab::open(Some(&rootfs));
    let host = Host {
        pid: lab.script.pid("host"),
    };
    let disk = host.path("/");
    equip(&disk);
    fs::copy(script("podman.sh"), disk.join("usr/local/sbin/pod")).expect("the disk is writable");
    host.run(&format!("pod image {driver}"));
    Some((lab, host))
}

/// Two Docker hosts; their engines are not started yet.
pub(crate) fn docker_hosts() -> Option<Pair> {
    let rootfs = rootfs("")?;
    let turn = take_turn();
    let script = Script::start("pair.sh", &[rootfs.as_os_str()]);
    let host = |name| {
        let pid = script.pid(name);
        let host = Host { pid };
        equip(&host.path("/"));
        host
    };
    Some(Pair {
        alpha: host("alpha"),
        beta: host("beta"),
        router: Client::of_process(script.pid("router")),
        _script: script,
        _turn: turn,
    })
}

/// A lab with a machine in it that is switched off.
pub(crate) fn machine() -> Option<(Lab, Machine)> {
    machine_with("")
}

/// The same over a variant of the root file system, see `tests/lab/rootfs.sh`.
pub(crate) fn machine_with(variant: &str) -> Option<(Lab, Machine)> {
    let rootfs = rootfs(variant)?;
    let lab = Lab::open(None);
    let wire = lab.script.said("wire").to_owned();
    let script = Script::start("boot.sh", &[wire.as_ref(), rootfs.as_os_str()]);
    let machine = Machine { script };
    equip(&machine.disk());
    Some((lab, machine))
}

impl Machine {
    fn disk(&self) -> PathBuf {
        self.script.disk()
    }

    /// Installs tidegate and a policy on its disk, from where that is mounted: nobody else can say
    /// the disk's path.
    #[track_caller]
    pub(crate) fn install(&self, policy: &str, options: &[&str]) {
        let (pid, root) = (self.script.said("script"), self.script.said("root"));
        let folder = self.disk().join("etc/tidegate");
        fs::create_dir_all(&folder).expect("the disk is writable");
        fs::write(folder.join("shop.tide"), policy).expect("the disk is writable");
        let output = Command::new("nsenter")
            .args(["-t", pid, "-m", "--", env!("CARGO_BIN_EXE_tidegate")])
            .args([
                "install",
                "--root",
                root,
                &format!("{root}/etc/tidegate/shop.tide"),
            ])
            .args(options)
            .output()
            .expect("nsenter runs");
        assert!(output.status.success(), "{output:?}");
    }

    /// Keeps it from starting a unit.
    pub(crate) fn mask(&self, unit: &str) {
        let link = self.disk().join("etc/systemd/system").join(unit);
        fs::remove_file(&link).ok();
        symlink("/dev/null", link).expect("the disk is writable");
    }

    /// Switches it on and returns it as a host when its process 1 runs.
    pub(crate) fn boot(&mut self) -> Host {
        self.script.tell("boot");
        self.comes_up()
    }

    /// Lets it go down and come up again by itself.
    pub(crate) fn reboot(&mut self, host: &Host) -> Host {
        host.run("systemctl --no-block reboot");
        self.comes_up()
    }

    fn comes_up(&mut self) -> Host {
        let answer = self.script.line();
        let pid = answer.strip_prefix("machine ");
        let pid = pid.unwrap_or_else(|| panic!("it does not boot: {answer}"));
        Host {
            pid: pid.parse().expect("a process number"),
        }
    }

    /// Shuts it down in the orderly way.
    pub(crate) fn shut_down(&mut self, host: &Host) {
        host.run("systemctl --no-block poweroff");
        assert_eq!(self.script.line(), "off");
    }
}

/// Returns the root file system of the lab's hosts, or nothing, with the reason printed, where this
/// machine cannot make one.
pub(super) fn rootfs(variant: &str) -> Option<PathBuf> {
    let made = if Uid::effective().is_root() {
        let mut command = Command::new(script("rootfs.sh"));
        if variant == "podman" {
            // Debian's older ones have no netavark, or one that is no longer looked after.
            command.env("TIDEGATE_LAB_SUITE", "trixie");
        }
        command
            .arg(variant)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())
            .and_then(|output| succeeded(&output))
    } else {
        Err("it needs root".to_owned())
    };
    match made {
        Ok(path) => Some(PathBuf::from(path.trim_end())),
        Err(reason) => {
            assert!(env::var_os(REQUIRED).is_none(), "{REQUIRED}: {reason}");
            // Not a macro: the test runner would keep it back.
            writeln!(io::stderr(), "skipped, no Docker host here: {reason}").ok();
            None
        }
    }
}

impl Lab {
    /// Sets up the segment, and a host over `rootfs` if there is one, when it is this test's turn.
    pub(super) fn open(rootfs: Option<&Path>) -> Self {
        let turn = take_turn();
        let rootfs = rootfs.map(Path::as_os_str);
        let script = Script::start("world.sh", rootfs.as_slice());
        Lab {
            office: Client::of_process(script.pid("office")),
            outside: Client::of_process(script.pid("outside")),
            script,
            _turn: turn,
        }
    }
}

impl Lab {
    /// Returns the process whose namespace holds the switch.
    pub(super) fn wire(&self) -> &str {
        self.script.said("wire")
    }
}

impl Host {
    /// Returns where this machine sees the host's file `path`.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// Writes a file on the host.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("an absolute path")).expect("a folder");
        fs::write(path, text).expect("the host's disk is writable");
    }

    /// Returns the first number of the running engine's version.
    #[track_caller]
    pub(crate) fn engine(&self) -> u32 {
        major(&self.run("docker version -f '{{.Server.Version}}'"))
    }

    /// Returns the option with which the engine lets in whoever has a route to a container. Those
    /// before 28 know no such option and always do.
    #[track_caller]
    pub(crate) fn direct_routing(&self) -> &'static str {
        let version = self.run("dockerd --version");
        let version = version.strip_prefix("Docker version ").unwrap_or("");
        if major(version) < 28 {
            ""
        } else {
            "--allow-direct-routing"
        }
    }

    /// Returns a client in the network of a running container.
    #[track_caller]
    pub(crate) fn container(&self, name: &str) -> Client {
        self.process(&self.run(&format!("docker inspect -f '{{{{.State.Pid}}}}' {name}")))
    }

    /// Returns a client in the network of a process of the host's.
    pub(crate) fn process(&self, pid: &str) -> Client {
        let net = format!("/proc/{}/ns/net", pid.trim_end());
        Client::of_namespace(self.path(&net))
    }

    /// Runs a shell script on the host and returns what it did.
    pub(crate) fn attempt(&self, script: &str) -> Output {
        Command::new("nsenter")
            .args(["-t", &self.pid.to_string()])
            .args(["-m", "-p", "-u", "-i", "-n", "-r", "-w", "--"])
            .args(["sh", "-ec", script])
            .stdin(Stdio::null())
            .output()
            .expect("nsenter runs")
    }

    /// Runs a shell script on the host and returns what it printed; panics when it fails.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> String {
        match succeeded(&self.attempt(script)) {
            Ok(printed) => printed,
            Err(reason) => panic!("{script}: {reason}"),
        }
    }
}

/// A script that prints `NAME VALUE` lines up to `ready` and lives until its input ends.
#[derive(Debug)]
pub(super) struct Script {
    child: Child,
    output: BufReader<ChildStdout>,
    facts: Vec<(String, String)>,
}

impl Script {
    pub(super) fn start(name: &str, arguments: &[&OsStr]) -> Self {
        let mut child = Command::new(script(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // An interrupt from the terminal ends the tests, and that ends the script, tidily.
            .process_group(0)
            .spawn()
            .expect("the script runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut script = Script {
            child,
            output,
            facts: Vec::new(),
        };
        script.listen();
        script
    }

    /// Takes down what it says up to `ready`.
    fn listen(&mut self) {
        loop {
            let line = self.line();
            if line == "ready" {
                return;
            }
            let (name, value) = line.split_once(' ').expect("NAME VALUE");
            self.facts.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).expect("text");
        assert!(length > 0, "the lab's script ended early: see above");
        line.trim_end().to_owned()
    }

    pub(super) fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("open until it is dropped");
        writeln!(input, "{line}").expect("the script reads");
    }

    /// Returns where this machine sees the disk of the one that the script keeps.
    pub(super) fn disk(&self) -> PathBuf {
        let (pid, root) = (self.pid("script"), self.said("root"));
        PathBuf::from(format!("/proc/{pid}/root{root}"))
    }

    pub(super) fn said(&self, name: &str) -> &str {
        let fact = self.facts.iter().find(|(key, _)| key == name);
        fact.map_or_else(|| panic!("no {name} in the lab"), |(_, value)| value)
    }

    fn pid(&self, name: &str) -> u32 {
        self.said(name).parse().expect("a process number")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

fn major(version: &str) -> u32 {
    let (major, _) = version.split_once('.').expect("MAJOR.MINOR");
    major.parse().expect("a number")
}

/// Puts the engine's script and the program under test on a host's disk, and chooses its iptables.
pub(super) fn equip(disk: &Path) {
    if let Some(variant) = env::var_os(IPTABLES) {
        choose_iptables(disk, &variant.to_string_lossy());
    }
    let sbin = disk.join("usr/local/sbin");
    fs::copy(script("engine.sh"), sbin.join("engine")).expect("the disk is writable");
    let program = env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_tidegate").into());
    fs::copy(program, sbin.join("tidegate")).expect("it is built");
}

/// Does what update-alternatives(1) does, which cannot run on a machine that is off.
fn choose_iptables(disk: &Path, variant: &str) {
    for family in ["iptables", "ip6tables"] {
        for part in ["", "-save", "-restore"] {
            let link = disk.join(format!("etc/alternatives/{family}{part}"));
            let program = format!("/usr/sbin/{family}-{variant}{part}");
            fs::remove_file(&link).expect("Debian's iptables is there");
            symlink(program, link).expect("the disk is writable");
        }
    }
}

/// Waits until no other test, of this process or another, has a lab.
fn take_turn() -> Flock<File> {
    let folder = env::var_os("TIDEGATE_LAB").map_or("/var/tmp/tidegate-lab".into(), PathBuf::from);
    fs::create_dir_all(&folder).expect("the lab's folder");
    let lock = File::create(folder.join("turn")).expect("the lab's folder is writable");
    Flock::lock(lock, FlockArg::LockExclusive).expect("a lock")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/lab")
        .join(name)
}

/// Returns what a command printed, or its errors when it failed.
fn succeeded(output: &Output) -> Result<String, String> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!(
            "{}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        ))
    }
}
