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

use super::command::{self, Variant};
use super::engine::{self, EngineFacts};
use super::error::io_error;
use super::{Access, ContainerPowers, Host, HostError, Lock, Trust, files, powers, scratch};
use crate::netfilter::Family;

const LOCK: &str = "run/tidegate/lock";
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
}

impl LinuxHost {
    pub fn new(root: impl Into<PathBuf>, variant: Variant) -> Self {
        LinuxHost {
            root: root.into(),
            variant,
            lock_wait: LOCK_WAIT,
        }
    }

    /// Sets how long to wait for another tidegate to end.
    #[must_use]
    pub fn waiting(mut self, lock_wait: Duration) -> Self {
        self.lock_wait = lock_wait;
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns whether systemd is the init process of more than files; `sd_booted(3)`.
    fn has_systemd(&self) -> bool {
        self.is_live() && Path::new("/run/systemd/system").exists()
    }
}

impl Host for LinuxHost {
    fn lock(&self) -> Result<Lock, HostError> {
        let path = self.path(LOCK);
        files::make_folder(path.parent().unwrap_or(&self.root))?;
        Lock::take(&path, self.lock_wait)
    }

    fn has_ipv6(&self) -> bool {
        // Not /proc/net, which shows the namespace of the process and not of the thread.
        ["/proc/sys/net/ipv6", "/proc/thread-self/net/if_inet6"]
            .iter()
            .all(|path| Path::new(path).exists())
    }

    fn save(&self, family: Family) -> Result<String, HostError> {
        command::run(&self.variant.command(family, "save"), &[], "")
    }

    fn restore(&self, family: Family, text: &str) -> Result<(), HostError> {
        let name = self.variant.command(family, "restore");
        command::run(&name, &["-w", "10", "--noflush"], text).map(drop)
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
        command::run("ip", &["-json", "address", "show"], "")
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

    fn has_module(&self, name: &str) -> bool {
        // Built into the kernel, br_netfilter has no folder among the modules.
        let built_in = name == "br_netfilter" && Path::new("/proc/sys/net/bridge").exists();
        built_in
            || Path::new("/sys/module")
                .join(name.replace('-', "_"))
                .exists()
    }

    fn load_module(&self, name: &str) -> Result<(), HostError> {
        command::run("modprobe", &["--", name], "").map(drop)
    }

    fn read(&self, path: &str) -> Result<Option<String>, HostError> {
        files::read(&self.path(path), files::BUNDLE_FILE, Trust::Anybody)
    }

    fn read_linked(&self, path: &str) -> Result<Option<String>, HostError> {
        files::read_linked(&self.path(path), files::BUNDLE_FILE)
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

    fn unit_states(&self, units: &[&str]) -> Result<Option<String>, HostError> {
        if !self.has_systemd() {
            return Ok(None);
        }
        let show = ["show", "--property=Id,ActiveState,Result", "--"];
        command::run("systemctl", &[&show, units].concat(), "").map(Some)
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<(), HostError> {
        if !self.has_systemd() {
            return Ok(());
        }
        command::run("systemctl", arguments, "").map(drop)
    }
}
