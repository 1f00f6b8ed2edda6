//! `tidegate watch`.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::args::WatchArgs;
use super::failure::Failure;
use super::policy::{self, Checked};
use super::{Done, target};
use crate::artifact::Bundle;
use crate::deploy::{self, Burst, store};
use crate::host::{self, LinuxHost, News, Notice, Trust};
use crate::inventory::Inventory;

const CONSEQUENCE: &str = "this machine stays as it is";
/// How long to wait before what failed is tried again, when nothing happens meanwhile.
const RETRY: Duration = Duration::from_secs(1);

pub(super) fn run(args: &WatchArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let news = host::follow(&args.socket)?;
    let mut watch = Watch {
        args,
        closed: compiled(args, Inventory::nothing_runs())?.bundle,
        host,
        last: None,
        is_ready: false,
        live_restore: false,
    };
    watch.stay(&news);
    host::notify(Notice::Stopping);
    // Nobody follows the addresses any more.
    watch.close()?;
    Ok(Done::yes(
        "closed what rests on addresses of the engine's choice\n".to_owned(),
    ))
}

/// Compiles the policy as it is now. What the inventory does not have, has no address.
fn compiled(args: &WatchArgs, inventory: Inventory) -> Result<Checked, Failure> {
    let with = policy::With {
        host: args.host_name.as_deref(),
        inventory: None,
        engine: Some(inventory),
    };
    policy::checked(&args.policy, &with, Trust::Root, CONSEQUENCE)
}

struct Watch<'a> {
    args: &'a WatchArgs,
    host: LinuxHost,
    /// The policy without any address of the engine's choice.
    closed: Bundle,
    /// What this process put in force last.
    last: Option<Bundle>,
    is_ready: bool,
    live_restore: bool,
}

impl Watch<'_> {
    /// Acts on news until somebody asks to end.
    fn stay(&mut self, news: &Receiver<News>) {
        let start = Instant::now();
        let mut burst = Burst::default();
        let mut is_connected = None;
        loop {
            match wait(news, burst.wait(start.elapsed())) {
                Some(News::Connected { live_restore }) => {
                    is_connected = Some(true);
                    self.live_restore = live_restore;
                    // Others may have changed the rules for the engine's start.
                    self.last = None;
                    burst.add(start.elapsed());
                }
                Some(News::Changed) => burst.add(start.elapsed()),
                Some(News::Lost(why)) => {
                    if is_connected != Some(false) {
                        say(&format!("the engine is gone: {why}\n"));
                        self.leave();
                    }
                    is_connected = Some(false);
                    burst.clear();
                }
                Some(News::Stop) => return,
                None => {
                    burst.clear();
                    if !self.try_once() && is_connected == Some(true) {
                        burst.add(start.elapsed() + RETRY);
                    }
                }
            }
        }
    }

    /// Without its engine nobody tells when a container ends. A starting engine gives out addresses
    /// before it answers anybody.
    fn leave(&mut self) {
        if !self.live_restore {
            match self.close() {
                Ok(()) => self.ready(),
                Err(failure) => complain(&failure),
            }
        }
    }

    fn try_once(&mut self) -> bool {
        match self.refresh() {
            Ok(()) => {
                self.ready();
                true
            }
            Err(failure) => {
                complain(&failure);
                false
            }
        }
    }

    fn ready(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            host::notify(Notice::Ready);
        }
    }

    /// Puts in force what the policy is with the addresses of this moment.
    fn refresh(&mut self) -> Result<(), Failure> {
        let now = Inventory {
            complete: true,
            ..host::engine_inventory(&self.args.socket)?
        };
        let closed = compiled(self.args, Inventory::nothing_runs())?.bundle;
        let Checked { bundle, warnings } = compiled(self.args, now)?;
        let same = self.last.as_ref() == Some(&bundle) && self.closed == closed;
        // Somebody may have applied something else meanwhile, which the next boot would begin with.
        if same && store::is_followed(&self.host) {
            return Ok(());
        }
        if self.last.is_none() || self.closed != closed {
            let _ = host::print(anstream::stderr().lock(), &warnings);
        }
        self.closed = closed;
        self.put(bundle)
    }

    fn close(&mut self) -> Result<(), Failure> {
        self.put(self.closed.clone())
    }

    fn put(&mut self, bundle: Bundle) -> Result<(), Failure> {
        let begun = Instant::now();
        let outcome = deploy::follow(&self.host, &bundle, &self.closed)?;
        if outcome.changed {
            let (policy, version) = (&bundle.manifest().policy, bundle.short_version());
            let took = begun.elapsed().as_millis();
            say(&format!(
                "{policy}, version {version}: in force after {took} ms\n"
            ));
        }
        self.last = Some(bundle);
        Ok(())
    }
}

/// Returns the next news; nothing when the time is over. A follower that is gone is asked to end.
fn wait(news: &Receiver<News>, time: Option<Duration>) -> Option<News> {
    match time {
        None => Some(news.recv().unwrap_or(News::Stop)),
        Some(time) => match news.recv_timeout(time) {
            Ok(news) => Some(news),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(News::Stop),
        },
    }
}

fn say(text: &str) {
    // Losing a line of the journal is no reason to leave the rules to themselves.
    let _ = host::print(io::stdout().lock(), text);
}

fn complain(failure: &Failure) {
    let _ = host::print(anstream::stderr().lock(), &failure.text);
}
