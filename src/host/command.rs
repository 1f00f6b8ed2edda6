//! Runs the commands of other packages: by a fixed search path, without a shell, with an
//! environment of our own.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::error::io_error;
use super::folder::Folder;
use super::linux::is_root;
use super::{HostError, Trust, files, pipes};
use crate::netfilter::Family;

/// Where commands are looked for; never where the caller's PATH says.
pub(super) const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Which iptables to call. The kernel keeps the rules of both apart, so it must be Docker's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Variant {
    /// What `iptables` resolves to, as it does for Docker.
    #[default]
    Auto,
    Legacy,
    Nft,
}

impl Variant {
    /// Returns the variant of an iptables by what it prints with `--version`.
    pub fn of_version(text: &str) -> Self {
        if text.contains("nf_tables") {
            Variant::Nft
        } else {
            Variant::Legacy
        }
    }

    /// Returns the one that shows nothing of this one's rules; `iptables` is nft on most machines.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Variant::Legacy => Variant::Nft,
            Variant::Auto | Variant::Nft => Variant::Legacy,
        }
    }

    /// Returns a command's name, as in `ip6tables-nft-restore`.
    pub(super) fn command(self, family: Family, verb: &str) -> String {
        format!("{}-{verb}", self.program(family))
    }

    /// Returns the program's name, as in `ip6tables-nft`.
    pub(super) fn program(self, family: Family) -> String {
        let tool = match family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let infix = match self {
            Variant::Auto => "",
            Variant::Legacy => "-legacy",
            Variant::Nft => "-nft",
        };
        format!("{tool}{infix}")
    }

    /// Returns the word of `--iptables` for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Variant::Auto => "auto",
            Variant::Legacy => "legacy",
            Variant::Nft => "nft",
        }
    }
}

fn find(name: &str) -> Result<PathBuf, HostError> {
    let paths = FOLDERS
        .iter()
        .map(|folder| PathBuf::from(folder).join(name));
    let path = paths.into_iter().find(|path| path.is_file());
    let path = path.ok_or_else(|| HostError::NoCommand(name.to_owned()))?;
    if is_root() {
        check(&path)?;
    }
    Ok(path)
}

/// Refuses a program that others than root may change or replace. The path may be a link, as
/// Debian's alternatives are: where it is and where it leads are looked at.
fn check(path: &Path) -> Result<(), HostError> {
    let real = path.canonicalize().map_err(io_error("find", path))?;
    for path in [path, &real] {
        let folder = files::parent(path);
        let folder = folder.canonicalize().map_err(io_error("find", path))?;
        Folder::open(&folder, Trust::Root)?;
    }
    let metadata = real.metadata().map_err(io_error("look at", &real))?;
    Trust::Root.check(&real, &metadata)
}

/// How long a command may take: what hangs must not keep a boot for ever. Loading 100,000 rules
/// takes some seconds, and iptables waits ten for its own lock.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a command to its end and returns what it printed.
///
/// Whether it exists, starts and ends well are errors, the last with all it said.
pub(super) fn run(name: &str, arguments: &[&str], input: &str) -> Result<String, HostError> {
    run_within(PATIENCE, &|| (), name, arguments, input)
}

/// Like [`run`], with a time of its own, after which the command is killed; while it runs, `beat` is
/// called now and then.
pub(super) fn run_within(
    patience: Duration,
    beat: &dyn Fn(),
    name: &str,
    arguments: &[&str],
    input: &str,
) -> Result<String, HostError> {
    let said = talk_to(patience, beat, name, arguments, input.as_bytes())?;
    let stdout = said.stdout_of(name, arguments)?;
    String::from_utf8(stdout).map_err(|_| HostError::Garbled(line(name, arguments)))
}

/// What a command that came to its end has said.
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Said {
    /// Returns what it printed, if it ended well.
    pub(super) fn stdout_of(self, name: &str, arguments: &[&str]) -> Result<Vec<u8>, HostError> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        Err(HostError::Command {
            command: line(name, arguments),
            status: self.status.to_string(),
            stderr: String::from_utf8_lossy(&self.stderr).trim_end().to_owned(),
        })
    }
}

fn line(name: &str, arguments: &[&str]) -> String {
    [&[name], arguments].concat().join(" ")
}

/// Runs a command to its end, however that is, and returns what it said.
pub(super) fn talk_to(
    patience: Duration,
    beat: &dyn Fn(),
    name: &str,
    arguments: &[&str],
    input: &[u8],
) -> Result<Said, HostError> {
    let path = find(name)?;
    let mut child = start(&path, arguments).map_err(io_error("start", &path))?;
    let said = pipes::talk(&mut child, input, Instant::now() + patience, beat);
    if !matches!(said, Ok(Some(_))) {
        end(&mut child);
    }
    let status = child.wait().map_err(io_error("run", &path))?;
    let Some([stdout, stderr]) = said.map_err(io_error("run", &path))? else {
        return Err(HostError::Hangs {
            command: line(name, arguments),
            seconds: patience.as_secs_f32(),
        });
    };
    Ok(Said {
        status,
        stdout,
        stderr,
    })
}

/// Starts a command in a process group of its own: what a terminal sends to ours at Ctrl-C must not
/// end it half way.
#[expect(clippy::disallowed_methods, reason = "this is where processes start")]
fn start(path: &PathBuf, arguments: &[&str]) -> std::io::Result<Child> {
    Command::new(path)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", FOLDERS.join(":"))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Kills a command with all that it has started.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    // That it has ended by itself meanwhile is fine.
    let _ = group.map(|group| killpg(group, Signal::SIGKILL));
}
