//! Calls somebody who looks, at a given time, whether a bundle on trial was confirmed.
//!
//! Where systemd runs, a timer of its own: a process of ours would be killed with the session or the
//! unit that started it. Elsewhere a process that has left everything of the caller behind.
#![expect(clippy::disallowed_methods, reason = "this is where processes start")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{close, dup2_stdout, setsid};

use super::HostError;
use super::clock::Moment;
use super::command::{self, FOLDERS, Variant};
use super::error::io_error;

/// The verb, hidden from people, of those who are called.
const VERB: &str = "await-confirmation";
const UNIT: &str = "tidegate-return";
/// All timers that were ever set.
pub(super) const TIMERS: &str = "tidegate-return-*.timer";
/// The sandbox of tidegate's other units, as far as systemd 235 knows it and wherever the program lies:
/// in somebody's home, only whoever may search every folder finds it. An unknown property would be an
/// error here, where it is a warning in a file.
const SANDBOX: [&str; 17] = [
    "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_NET_ADMIN CAP_NET_RAW",
    "IPAddressDeny=any",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=read-only",
    "ProtectKernelModules=yes",
    "ProtectSystem=full",
    "ReadWritePaths=-/etc/modules-load.d",
    "ReadWritePaths=-/etc/sysctl.d",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "SystemCallArchitectures=native",
    "UMask=0077",
];
/// What the process says when nothing of the caller's can end it any more.
const READY: &str = "armed\n";

pub(super) struct Call<'a> {
    pub(super) root: &'a Path,
    pub(super) variant: Variant,
    pub(super) deadline: &'a Moment,
}

impl Call<'_> {
    fn arguments(&self) -> [String; 7] {
        [
            VERB.to_owned(),
            "--until".to_owned(),
            self.deadline.millis.to_string(),
            "--root".to_owned(),
            self.root.display().to_string(),
            "--iptables".to_owned(),
            self.variant.word().to_owned(),
        ]
    }

    /// Has systemd start it, systemd-run(1); whoever is started checks the time again.
    pub(super) fn by_systemd(&self) -> Result<(), HostError> {
        let program = program()?.display().to_string();
        let now = super::clock::moment(&self.root.join("run"))?;
        let left = now.until(self.deadline).unwrap_or_default().as_millis();
        let unit = format!("--unit={UNIT}-{}", self.deadline.millis);
        let time = format!("--on-active={left}ms");
        let options = [
            "--quiet",
            "--collect",
            "--no-ask-password",
            &unit,
            "--description=Return to the container policy before, unless the new one is confirmed",
            &time,
            "--timer-property=AccuracySec=100ms",
            "--property=Restart=on-failure",
            "--property=RestartSec=5s",
        ];
        let arguments = self.arguments();
        let sandbox = SANDBOX
            .iter()
            .flat_map(|property| ["--property", *property]);
        let called = ["--", program.as_str()].into_iter();
        let called = called.chain(arguments.iter().map(String::as_str));
        let all: Vec<&str> = options.into_iter().chain(sandbox).chain(called).collect();
        command::run("systemd-run", &all, "").map(drop)
    }

    /// Starts it, and waits until it has detached itself.
    pub(super) fn by_a_process(&self) -> Result<(), HostError> {
        let no = |why: String| HostError::NotArmed(why);
        // Whatever has become of the file since this process started, this is the program.
        let mut child = Command::new("/proc/self/exe")
            .arg0("tidegate")
            .args(self.arguments())
            .arg("--detach")
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", FOLDERS.join(":"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| no(error.to_string()))?;
        let mut said = String::new();
        let pipe = child.stdout.take();
        let read = pipe.map(|mut pipe| pipe.read_to_string(&mut said));
        match read {
            Some(Ok(_)) if said == READY => Ok(()),
            _ => {
                let ended = child
                    .wait()
                    .map_or_else(|e| e.to_string(), |s| s.to_string());
                Err(no(format!("the process that should ended with {ended}")))
            }
        }
    }
}

/// Returns where the running program can be started from later.
fn program() -> Result<PathBuf, HostError> {
    let path = std::env::current_exe().map_err(io_error("find", Path::new("/proc/self/exe")))?;
    if path.is_file() {
        return Ok(path);
    }
    Err(HostError::NotArmed(format!(
        "{} is not there any more",
        super::shown(&path)
    )))
}

/// Leaves the caller's session, terminal and files, and tells it so.
///
/// Errors: something of it is left, so that its end might be this process's, too.
pub fn detach() -> Result<(), HostError> {
    let no = |error: nix::Error| HostError::NotArmed(error.to_string());
    // The lock is among the files: kept open, it would be held until the end.
    let folder = Path::new("/proc/self/fd");
    let entries = fs::read_dir(folder).map_err(io_error("list", folder))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let numbers: Vec<i32> = names.filter(|number| *number > 2).collect();
    for number in numbers {
        // One of them was the list itself, which is closed by now.
        let _ = close(number);
    }
    setsid().map_err(no)?;
    let null = fs::OpenOptions::new().write(true).open("/dev/null");
    let null = null.map_err(io_error("open", Path::new("/dev/null")))?;
    let mut out = std::io::stdout();
    let told = out.write_all(READY.as_bytes()).and_then(|()| out.flush());
    told.map_err(io_error("write", Path::new("the pipe")))?;
    dup2_stdout(&null).map_err(no)
}
