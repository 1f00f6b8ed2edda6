//! When to act on events that come in bursts.

use std::time::Duration;

/// How long it must be quiet. An engine tells the parts of one start within milliseconds.
const QUIET: Duration = Duration::from_millis(15);
/// How long the first event of a burst waits at most.
const PATIENCE: Duration = Duration::from_millis(150);

/// Events that nobody has acted on yet; times are since any one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Burst {
    first_and_last: Option<(Duration, Duration)>,
}

impl Burst {
    pub fn add(&mut self, now: Duration) {
        let first = self.first_and_last.map_or(now, |(first, _)| first);
        self.first_and_last = Some((first, now));
    }

    /// Returns how long to wait before acting; nothing while there is no event to act on.
    pub fn wait(self, now: Duration) -> Option<Duration> {
        let (first, last) = self.first_and_last?;
        let due = (last + QUIET).min(first + PATIENCE);
        Some(due.saturating_sub(now))
    }

    pub fn clear(&mut self) {
        self.first_and_last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_burst_waits_for_quiet_and_not_for_ever() {
        let mut burst = Burst::default();
        assert_eq!(burst.wait(ms(0)), None);
        burst.add(ms(1000));
        assert_eq!(burst.wait(ms(1000)), Some(ms(15)));
        assert_eq!(burst.wait(ms(1100)), Some(ms(0)));
        for at in (1000..1145).step_by(10) {
            burst.add(ms(at));
            assert_eq!(burst.wait(ms(at)), Some(ms(15).min(ms(1150 - at))));
        }
        burst.clear();
        assert_eq!(burst.wait(ms(2000)), None);
    }
}
