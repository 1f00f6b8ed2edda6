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
use super::command::{self, Said, Variant};
use super::engine::{self, EngineFacts};
use super::error::io_error;
use super::folder::Folder;
use super::machine;
use super::{Access, ContainerPowers, Flow, Host, HostError, Lock, Progress, Trust};
use super::{arm, conntrack, files, nft, powers, scratch};
use crate::facts::Facts;
use crate::netfilter::hidden::{self, Hidden};
use crate::netfilter::{Family, verbatim};

const LOCK: &str = "run/tidegate/lock";
/// The folders that are written to, and those above them, from the root folder on.
const WRITTEN: [&str; 17] = [
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
    "usr/lib",
    "usr/lib/tidegate",
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

    /// Returns this machine by another iptables.
    #[must_use]
    pub fn by(mut self, variant: Variant) -> Self {
        self.variant = variant;
        self
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
    fn talk_to(
        &self,
        what: &str,
        name: &str,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Said, HostError> {
        self.progress.now(what);
        let beat = || self.progress.beat();
        command::talk_to(self.patience, &beat, name, arguments, input)
    }

    /// Returns the rules of a variant, with the tables that iptables-save leaves out where there is a way
    /// to know them.
    fn saved(&self, variant: Variant, family: Family) -> Result<String, HostError> {
        let name = variant.command(family, "save");
        let what = format!("reading the {family} rules");
        let said = self.talk_to(&what, &name, &[], b"")?;
        let text = verbatim::text(&said.stdout_of(&name, &[])?);
        let is_shown = |line: &&str| hidden::table(line).is_none();
        if text.lines().all(|line| is_shown(&line)) {
            return Ok(text);
        }
        let line = |line| match hidden::table(line) {
            // Whoever reads the line knows what it says.
            Some(table) => self
                .hidden_table(variant, family, table)
                .unwrap_or_else(|_| format!("{line}\n")),
            None => format!("{line}\n"),
        };
        Ok(text.lines().map(line).collect())
    }

    /// Returns a table that iptables-nft-save leaves out; see [`hidden`].
    fn hidden_table(
        &self,
        variant: Variant,
        family: Family,
        table: &str,
    ) -> Result<String, HostError> {
        let json = self.nft_table(hidden::family_word(family), table)?;
        let hidden = Hidden::read(&json, table);
        let mut hidden = hidden.map_err(|_| HostError::Garbled("nft -j".to_owned()))?;
        let name = variant.command(family, "restore");
        while let Some(question) = hidden.question() {
            let arguments = ["-w", "10", "--noflush"];
            let what = format!("reading the {family} rules");
            let said = self.talk_to(&what, &name, &arguments, question.as_bytes())?;
            hidden.hear(&verbatim::text(&said.stdout));
        }
        Ok(hidden.text())
    }

    /// Returns the chains of all tables of nftables without their rules, as `nft -j list chains` prints
    /// them: quick, however many rules there are.
    pub fn nft_chains(&self) -> Result<String, HostError> {
        command::run("nft", &["-j", "list", "chains"], "")
    }

    /// Returns one table of nftables, as `nft -j list table` prints it.
    pub fn nft_table(&self, family: &str, name: &str) -> Result<String, HostError> {
        command::run("nft", &["-j", "list", "table", family, name], "")
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
        self.saved(self.variant, family)
    }

    fn restore(&self, family: Family, text: &str) -> Result<(), HostError> {
        let name = self.variant.command(family, "restore");
        let arguments = ["-w", "10", "--noflush"];
        let what = format!("loading the {family} rules");
        let said = self.talk_to(&what, &name, &arguments, &verbatim::bytes(text))?;
        said.stdout_of(&name, &arguments).map(drop)
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
        self.saved(variant, family)
    }

    fn nftables(&self) -> Result<String, HostError> {
        command::run("nft", &["-j", "list", "ruleset"], "")
    }

    fn bridge_table(&self) -> Result<Option<String>, HostError> {
        nft::bridge_table()
    }

    fn nft_check(&self, text: &str) -> Result<(), HostError> {
        command::run("nft", &["-c", "-f", "-"], text).map(drop)
    }

    fn nft_load(&self, text: &str) -> Result<(), HostError> {
        command::run("nft", &["-f", "-"], text).map(drop)
    }

    fn remove_nft_table(&self, name: &str) -> Result<(), HostError> {
        let text = format!("add table inet {name}\ndelete table inet {name}\n");
        command::run("nft", &["-f", "-"], &text).map(drop)
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
