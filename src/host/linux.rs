//! The machine this process runs on.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where the kernel's files are touched"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use super::clock::{self, Moment};
use super::command::{self, Variant};
use super::engine::{self, EngineFacts};
use super::error::io_error;
use super::folder::Folder;
use super::machine;
use super::{Access, ContainerPowers, Flow, Host, HostError, Lock, Progress, Trust};
use super::{arm, conntrack, files, powers, scratch};
use crate::facts::Facts;
use crate::netfilter::Family;

const LOCK: &str = "run/tidegate/lock";
/// The folders that are written to, and those above them, from the root folder on.
const WRITTEN: [&str; 15] = [
    "",
    "etc",
    "etc/modules-load.d",
    "etc/sysctl.d",
    "etc/systemd",
    "etc/systemd/system",
    "etc/tidegate",
    "run",
    "run/tidegate",
    "usr",
    "usr/sbin",
    "var",
    "var/lib",
    "var/lib/tidegate",
    "var/lib/tidegate/current",
];
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// Returns whether this process may change the machine.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// This machine, with its files looked for under a root folder.
#[derive(Debug, Clone)]
pub struct LinuxHost {
    root: PathBuf,
    variant: Variant,
    lock_wait: Duration,
    patience: Duration,
    progress: Progress,
}

impl LinuxHost {
    pub fn new(root: impl Into<PathBuf>, variant: Variant) -> Self {
        LinuxHost {
            root: root.into(),
            variant,
            lock_wait: LOCK_WAIT,
            patience: command::PATIENCE,
            progress: Progress::default(),
        }
    }

    /// Sets how long to wait for another tidegate to end.
    #[must_use]
    pub fn waiting(mut self, lock_wait: Duration) -> Self {
        self.lock_wait = lock_wait;
        self
    }

    /// Sets how long iptables may take.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Has somebody told what is done at the moment.
    #[must_use]
    pub fn telling(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Runs a command, and tells what it does.
    fn run(
        &self,
        what: &str,
        name: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, HostError> {
        self.progress.now(what);
        let beat = || self.progress.beat();
        command::run_within(self.patience, &beat, name, arguments, input)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Refuses a machine some of whose folders others than root may change: they could lead what is
    /// written there to another place.
    fn check_folders(&self) -> Result<(), HostError> {
        let io = |error| io_error("find", &self.root)(error);
        let root = self.root.canonicalize().map_err(io)?;
        for name in WRITTEN {
            let path = root.join(name);
            let Ok(folder) = path.canonicalize() else {
                continue; // to be made, in one that is checked as well
            };
            if !folder.starts_with(&root) {
                return Err(HostError::Outside(path));
            }
            Folder::open(&folder, Trust::Root)?;
        }
        Ok(())
    }

    fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns what the engine behind a socket knows, and the machine of itself.
    pub fn facts_of(&self, socket: &Path) -> Result<Facts, HostError> {
        let daemon = self.read_linked(engine::DAEMON_JSON)?;
        let machine = machine::facts(self)?;
        let facts = engine::inventory(socket)?;
        Ok(Facts {
            settings: facts.settings.map(|it| engine::told(it, daemon.as_deref())),
            machine: Some(machine),
            live: true,
            ..facts
        })
    }

    /// Returns whether systemd is the init process of more than files; `sd_booted(3)`.
    fn has_systemd(&self) -> bool {
        self.is_live() && Path::new("/run/systemd/system").exists()
    }
}

impl Host for LinuxHost {
    fn lock(&self) -> Result<Lock, HostError> {
        self.check_folders()?;
        let path = self.path(LOCK);
        files::make_folder(path.parent().unwrap_or(&self.root))?;
        Lock::take(&path, self.lock_wait, &self.progress)
    }

    fn has_ipv6(&self) -> bool {
        // Not /proc/net, which shows the namespace of the process and not of the thread.
        ["/proc/sys/net/ipv6", "/proc/thread-self/net/if_inet6"]
            .iter()
            .all(|path| Path::new(path).exists())
    }

    fn save(&self, family: Family) -> Result<String, HostError> {
        let name = self.variant.command(family, "save");
        self.run(&format!("reading the {family} rules"), &name, &[], "")
    }

    fn restore(&self, family: Family, text: &str) -> Result<(), HostError> {
        let name = self.variant.command(family, "restore");
        let arguments = ["-w", "10", "--noflush"];
        let what = format!("loading the {family} rules");
        self.run(&what, &name, &arguments, text).map(drop)
    }

    fn rehearse(&self, family: Family, texts: &[&str]) -> Result<String, HostError> {
        scratch::in_namespace(|| {
            for text in texts {
                self.restore(family, text)?;
            }
            self.save(family)
        })
    }

    fn sysctl(&self, path: &str) -> Result<Option<String>, HostError> {
        let path = Path::new("/proc/sys").join(path);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(io_error("read", &path)),
        }
    }

    fn set_sysctl(&self, path: &str, value: &str) -> Result<(), HostError> {
        let path = Path::new("/proc/sys").join(path);
        fs::write(&path, value).map_err(io_error("set", &path))
    }

    fn routes(&self, family: Family) -> Result<String, HostError> {
        let family = match family {
            Family::V4 => "-4",
            Family::V6 => "-6",
        };
        command::run(
            "ip",
            &[family, "-json", "route", "show", "table", "main"],
            "",
        )
    }

    fn addresses(&self) -> Result<String, HostError> {
        command::run("ip", &["-details", "-json", "address", "show"], "")
    }

    fn flows(&self) -> Result<Vec<Flow>, HostError> {
        self.progress.now("looking at connections");
        conntrack::flows()
    }

    fn cut(&self, flows: &[&Flow]) -> Result<usize, HostError> {
        self.progress.now("cutting connections");
        conntrack::cut(flows)
    }

    fn routes_batch(&self, text: &str) -> Result<(), HostError> {
        command::run("ip", &["-batch", "-"], text).map(drop)
    }

    fn engine(&self) -> Result<Option<EngineFacts>, HostError> {
        let socket = self.path(engine::SOCKET);
        if engine::is_running(&socket) {
            engine::facts(&socket).map(Some)
        } else {
            Ok(None)
        }
    }

    fn facts(&self) -> Result<Option<Facts>, HostError> {
        let socket = self.path(engine::SOCKET);
        let runs = engine::is_running(&socket);
        runs.then(|| self.facts_of(&socket)).transpose()
    }

    fn has_module(&self, name: &str) -> bool {
        // Built into the kernel, br_netfilter has no folder among the modules.
        let built_in = name == "br_netfilter" && Path::new("/proc/sys/net/bridge").exists();
        built_in
            || Path::new("/sys/module")
                .join(name.replace('-', "_"))
                .exists()
    }

    fn load_module(&self, name: &str) -> Result<(), HostError> {
        let ended = command::run("modprobe", &["--", name], "").map(drop);
        // Our units may not load modules; systemd has a unit for it, which tells no failure.
        let unit = format!("modprobe@{name}.service");
        if ended.is_err() && self.systemctl(&["start", &unit]).is_ok() && self.has_module(name) {
            return Ok(());
        }
        ended
    }

    fn read(&self, path: &str) -> Result<Option<String>, HostError> {
        files::read(&self.path(path), files::BUNDLE_FILE, Trust::Anybody)
    }

    fn read_linked(&self, path: &str) -> Result<Option<String>, HostError> {
        files::read_linked(&self.path(path), files::BUNDLE_FILE)
    }

    fn modified(&self, path: &str) -> Result<Option<u64>, HostError> {
        files::modified(&self.path(path))
    }

    fn names(&self, path: &str) -> Result<Vec<String>, HostError> {
        files::names(&self.path(path))
    }

    fn write(&self, path: &str, text: &str) -> Result<(), HostError> {
        let path = self.path(path);
        files::make_folder(path.parent().unwrap_or(&self.root))?;
        files::write(&path, text)
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        files::remove(&self.path(path))
    }

    fn read_folder(&self, path: &str) -> Result<Option<BTreeMap<String, String>>, HostError> {
        files::read_folder(&self.path(path), Trust::Root)
    }

    fn holds(&self, path: &str, files: &BTreeMap<String, String>) -> Result<bool, HostError> {
        files::holds(&self.path(path), files, Trust::Root)
    }

    fn write_folder(&self, path: &str, files: &BTreeMap<String, String>) -> Result<(), HostError> {
        files::write_folder(&self.path(path), files)
    }

    fn make_folder(&self, path: &str) -> Result<(), HostError> {
        files::make_folder(&self.path(path))
    }

    fn remove_folder(&self, path: &str) -> Result<(), HostError> {
        files::remove_folder(&self.path(path))
    }

    fn remove_empty_folder(&self, path: &str) -> Result<(), HostError> {
        files::remove_empty_folder(&self.path(path))
    }

    fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), HostError> {
        files::rename(&self.path(from), &self.path(to))
    }

    fn link(&self, path: &str, target: &str) -> Result<(), HostError> {
        let path = self.path(path);
        files::make_folder(path.parent().unwrap_or(&self.root))?;
        files::link(&path, target)
    }

    fn copy_program(&self, path: &str) -> Result<(), HostError> {
        let path = self.path(path);
        let program = std::env::current_exe().map_err(io_error("find the program for", &path))?;
        files::make_folder(path.parent().unwrap_or(&self.root))?;
        files::copy_program(&program, &path)
    }

    fn iptables_version(&self) -> Result<String, HostError> {
        command::run(&self.variant.program(Family::V4), &["--version"], "")
    }

    fn save_variant(&self, variant: Variant, family: Family) -> Result<String, HostError> {
        command::run(&variant.command(family, "save"), &[], "")
    }

    fn nftables(&self) -> Result<String, HostError> {
        command::run("nft", &["-j", "list", "ruleset"], "")
    }

    fn queues(&self) -> Result<String, HostError> {
        command::run("tc", &["-json", "qdisc", "show"], "")
    }

    fn powers(&self) -> Result<Option<Vec<ContainerPowers>>, HostError> {
        let socket = self.path(engine::SOCKET);
        if engine::is_running(&socket) {
            powers::powers(&socket).map(Some)
        } else {
            Ok(None)
        }
    }

    fn access(&self, path: &str) -> Result<Option<Access>, HostError> {
        Access::of(&self.path(path))
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<(), HostError> {
        if !self.has_systemd() {
            return Ok(());
        }
        command::run("systemctl", arguments, "").map(drop)
    }

    fn units(&self, names: &[&str]) -> Result<Option<String>, HostError> {
        if !self.has_systemd() {
            return Ok(None);
        }
        let what = "--property=Id,LoadState,UnitFileState,ActiveState,Result";
        let arguments = [&["show", what, "--"], names].concat();
        command::run("systemctl", &arguments, "").map(Some)
    }

    fn moment(&self) -> Result<Moment, HostError> {
        clock::moment(&self.path("/run"))
    }

    fn time_of_day(&self) -> u64 {
        clock::time_of_day()
    }

    fn arm(&self, deadline: &Moment) -> Result<(), HostError> {
        let call = arm::Call {
            root: &self.root,
            variant: self.variant,
            deadline,
        };
        if self.has_systemd() {
            return call.by_systemd();
        }
        call.by_a_process()
    }

    fn disarm(&self) {
        // A process of ours finds nothing to do at its time. So would the timer; but people would
        // see it in their lists.
        let _ = self.systemctl(&["stop", arm::TIMERS]);
    }
}
