//! Runs the commands of other packages: by a fixed search path, without a shell, with an
//! environment of our own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use super::HostError;
use super::error::io_error;
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
}

fn find(name: &str) -> Result<PathBuf, HostError> {
    let paths = FOLDERS
        .iter()
        .map(|folder| PathBuf::from(folder).join(name));
    paths
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| HostError::NoCommand(name.to_owned()))
}

/// Runs a command to its end and returns what it printed.
///
/// Whether it exists, starts and ends well are errors, the last with all it said.
pub(super) fn run(name: &str, arguments: &[&str], input: &str) -> Result<String, HostError> {
    let path = find(name)?;
    let child = start(&path, arguments).map_err(io_error("start", &path))?;
    let output = talk(child, input).map_err(io_error("run", &path))?;
    if !output.status.success() {
        return Err(HostError::Command {
            command: [&[name], arguments].concat().join(" "),
            status: output.status.to_string(),
            stderr: String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned(),
        });
    }
    String::from_utf8(output.stdout).map_err(|_| HostError::NotText(path))
}

#[expect(clippy::disallowed_methods, reason = "this is where processes start")]
fn start(path: &PathBuf, arguments: &[&str]) -> std::io::Result<Child> {
    Command::new(path)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", FOLDERS.join(":"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Gives the child its input while reading its output: either alone can fill a pipe and hang.
fn talk(mut child: Child, input: &str) -> std::io::Result<Output> {
    let pipe = child.stdin.take();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A child that stops reading early says why in its status.
            pipe.map(|mut pipe| pipe.write_all(input.as_bytes()))
        });
        child.wait_with_output()
    })
}
