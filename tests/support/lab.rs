//! A Docker host and two clients on one segment, each in namespaces of its own: `tests/lab/`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::{env, io};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Uid;

use super::client::Client;

/// When set, a machine that cannot run these tests fails them.
const REQUIRED: &str = "TIDEGATE_LAB_REQUIRED";

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

/// A machine that commands can be run on.
#[derive(Debug)]
pub(crate) struct Host {
    pid: u32,
}

/// A lab with a Docker host in it; the engine is not started yet.
pub(crate) fn docker_host() -> Option<(Lab, Host)> {
    let rootfs = rootfs()?;
    let lab = Lab::open(Some(&rootfs));
    let host = Host {
        pid: lab.script.pid("host"),
    };
    host.equip();
    Some((lab, host))
}

/// Returns the root file system of the lab's hosts, or nothing, with the reason printed, where this
/// machine cannot make one.
pub(crate) fn rootfs() -> Option<PathBuf> {
    let made = if Uid::effective().is_root() {
        Command::new(script("rootfs.sh"))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())
            .and_then(succeeded)
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
    pub(crate) fn open(rootfs: Option<&Path>) -> Self {
        let turn = take_turn();
        let script = Script::start("world.sh", rootfs);
        Lab {
            office: Client::of_process(script.pid("office")),
            outside: Client::of_process(script.pid("outside")),
            script,
            _turn: turn,
        }
    }
}

impl Host {
    /// Puts the engine's script and the program under test on the host.
    fn equip(&self) {
        let sbin = self.path("/usr/local/sbin");
        fs::copy(script("engine.sh"), sbin.join("engine")).expect("the host's disk is writable");
        fs::copy(env!("CARGO_BIN_EXE_tidegate"), sbin.join("tidegate")).expect("it is built");
    }

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
        match succeeded(self.attempt(script)) {
            Ok(printed) => printed,
            Err(reason) => panic!("{script}: {reason}"),
        }
    }
}

/// A script that prints `NAME VALUE` lines up to `ready` and lives until its input ends.
#[derive(Debug)]
pub(crate) struct Script {
    child: Child,
    said: Vec<(String, String)>,
}

impl Script {
    fn start(name: &str, argument: Option<&Path>) -> Self {
        let mut child = Command::new(script(name))
            .args(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // An interrupt from the terminal ends the tests, and that ends the script, tidily.
            .process_group(0)
            .spawn()
            .expect("the script runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let lines = output.lines().map(|line| line.expect("text"));
        let said: Vec<_> = lines
            .take_while(|line| line != "ready")
            .filter_map(|line| {
                let (name, value) = line.split_once(' ')?;
                Some((name.to_owned(), value.to_owned()))
            })
            .collect();
        Script { child, said }
    }

    fn pid(&self, name: &str) -> u32 {
        let value = self.said.iter().find(|(key, _)| key == name);
        let (_, value) = value.unwrap_or_else(|| panic!("no {name} in the lab: see above"));
        value.parse().expect("a process number")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab").join(name)
}

/// Returns what a command printed, or its errors when it failed.
pub(crate) fn succeeded(output: Output) -> Result<String, String> {
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
