//! Measuring a process with all that it starts.

use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// What a piece of work took, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub wall: f64,
    /// User and system time, of the children too: what the neighbours do hardly shows in it.
    pub cpu: f64,
}

/// Runs a command line in the shell, which must succeed.
#[track_caller]
pub fn run(line: &str) -> Cost {
    let (before, start) = (children(), Instant::now());
    let output = Command::new("sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .expect("sh is there");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    Cost {
        wall: start.elapsed().as_secs_f64(),
        cpu: children() - before,
    }
}

/// Returns the time that ended children of this process took.
fn children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it has children");
    seconds(usage.user_time()) + seconds(usage.system_time())
}

#[allow(clippy::cast_precision_loss, reason = "some seconds")]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns the median of the processor times, and of the ratios to the floor of the same round.
pub fn compare(rounds: &[(Cost, Cost)]) -> (f64, f64, f64) {
    let all = |value: fn(&(Cost, Cost)) -> f64| median(rounds.iter().map(value).collect());
    (
        all(|(work, _)| work.cpu),
        all(|(_, floor)| floor.cpu),
        all(|(work, floor)| work.cpu / floor.cpu),
    )
}
