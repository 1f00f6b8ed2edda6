//! Time: the machine's own, which nobody sets, and the day's, which people read.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where the clock is looked at"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use serde::{Deserialize, Serialize};

use super::HostError;
use super::error::io_error;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A moment of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// What tells one boot from another, see [`name`].
    pub boot: String,
    /// Milliseconds of `CLOCK_BOOTTIME`, which goes on while the machine sleeps; `clock_gettime(2)`.
    pub millis: u64,
}

impl Moment {
    /// Returns the moment that is `wait` later.
    #[must_use]
    pub fn after(&self, wait: Duration) -> Moment {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Moment {
            boot: self.boot.clone(),
            millis: self.millis.saturating_add(wait),
        }
    }

    /// Returns how long it is until `later`; nothing where that is over, or of another boot.
    pub fn until(&self, later: &Moment) -> Option<Duration> {
        let left = later.millis.saturating_sub(self.millis);
        (self.boot == later.boot && left > 0).then(|| Duration::from_millis(left))
    }
}

/// Returns what tells this boot from others, for records below the folder `run`.
///
/// What lies on a tmpfs ends with its boot, so there nothing has to be told apart. Elsewhere it is the
/// kernel's `boot_id`, random(4). That alone would not do: systemd-nspawn puts another one in its
/// place, and a unit with a /proc of its own (`ProtectKernelTunables=`) sees the kernel's again.
fn name(run: &Path) -> Result<String, HostError> {
    if statfs(run).is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC) {
        return Ok("this one".to_owned());
    }
    let path = Path::new(BOOT_ID);
    let name = fs::read_to_string(path).map_err(io_error("read", path))?;
    Ok(name.trim().to_owned())
}

/// Returns the moment that it is, for records below the folder `run`.
pub(super) fn moment(run: &Path) -> Result<Moment, HostError> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_err(|error| io_error("read the clock for", run)(error.into()))?;
    let millis = Duration::from(now).as_millis();
    Ok(Moment {
        boot: name(run)?,
        millis: u64::try_from(millis).unwrap_or(u64::MAX),
    })
}

pub(super) fn time_of_day() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Sleeps until so many milliseconds of `CLOCK_BOOTTIME`; at once where they are over.
pub fn sleep_until(millis: u64) {
    let wanted = TimeSpec::from(Duration::from_millis(millis));
    let flags = ClockNanosleepFlags::TIMER_ABSTIME;
    while clock_nanosleep(ClockId::CLOCK_BOOTTIME, flags, &wanted) == Err(Errno::EINTR) {}
}
