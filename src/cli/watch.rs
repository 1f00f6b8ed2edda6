//! `tidegate watch`.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::args::WatchArgs;
use super::failure::Failure;
use super::policy;
use super::{Done, apply, target};
use crate::artifact::Bundle;
use crate::compare::{Asks, World, compare};
use crate::compile::{How, Subject, compile_with};
use crate::deploy::against::in_force;
use crate::deploy::{self, Burst, store};

use crate::facts::Facts;
use crate::host::{self, FolderLoader, KeptLoader, LinuxHost, News, Notice, Trust, Urgency};
use crate::policy::ir::Policy;

const CONSEQUENCE: &str = "it is not followed";
/// How long to wait before what failed is tried again, when nothing happens meanwhile.
const RETRY: Duration = Duration::from_secs(1);

pub(super) fn run(args: &WatchArgs) -> Result<Done, Failure> {
    let host = target::machine(&args.host)?;
    let policy = Kept::read(args)?;
    let closed = policy.compile(&Facts::nothing_runs())?.0.bundle;
    let mut watch = Watch {
        args,
        policy,
        closed,
        host,
        last: None,
        told: String::new(),
        is_ready: false,
        is_held: false,
        live_restore: false,
    };
    let news = host::follow(&args.socket)?;
    watch.stay(&news);
    host::notify(Notice::Stopping);
    // Nobody follows the addresses any more.
    watch.close()?;
    Ok(Done::yes(
        "closed what rests on addresses of the engine's choice\n".to_owned(),
    ))
}

/// The policy as it was when the watch began. A later edit takes effect with the next one: a mistake
/// in it must not keep addresses from being followed.
struct Kept<'a> {
    args: &'a WatchArgs,
    loader: KeptLoader,
    main: String,
}

impl<'a> Kept<'a> {
    fn read(args: &'a WatchArgs) -> Result<Self, Failure> {
        let (folder, main) = FolderLoader::of_policy(&args.policy, Trust::Root)?;
        Ok(Kept {
            args,
            loader: KeptLoader::new(folder),
            main,
        })
    }

    /// Compiles it with the addresses of a moment. What the inventory does not have, has none.
    fn compile(&self, inventory: &Facts) -> Result<(Subject, String), Failure> {
        let compiled = compile_with(&self.loader, &self.main, Some(inventory), How::default());
        let (path, host) = (&self.args.policy, self.args.host_name.as_deref());
        policy::of_host(path, compiled, host, CONSEQUENCE)
    }
}

struct Watch<'a> {
    args: &'a WatchArgs,
    policy: Kept<'a>,
    host: LinuxHost,
    /// The policy without any address of the engine's choice.
    closed: Bundle,
    /// What this process put in force last.
    last: Option<Bundle>,
    /// What it said last of how what runs differs from the policy.
    told: String,
    is_ready: bool,
    /// It leaves a bundle on trial alone.
    is_held: bool,
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

    /// Follows, or else closes: old rules may be about addresses that are another's by now.
    fn try_once(&mut self) -> bool {
        if self.holds() {
            return false;
        }
        let Err(failure) = self.refresh() else {
            self.ready();
            return true;
        };
        complain(&failure);
        if let Err(failure) = self.close() {
            complain(&failure);
        }
        false
    }

    /// Tells whether somebody tries out another bundle: its end, either way, is theirs to choose.
    fn holds(&mut self) -> bool {
        let held = deploy::on_trial(&self.host).is_ok_and(|trial| trial.is_some());
        if held && !self.is_held {
            say("a bundle waits for its confirmation, and is left alone until then\n");
            host::notify(Notice::Ready);
        }
        self.is_held = held;
        held
    }

    fn ready(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            say(&format!("{} is followed\n", self.policy.main));
            host::notify(Notice::Ready);
        }
    }

    /// Puts in force what the policy is with the addresses of this moment.
    fn refresh(&mut self) -> Result<(), Failure> {
        let now = self.host.facts_of(&self.args.socket)?.as_complete();
        let (Subject { bundle, policy }, warnings) = self.policy.compile(&now)?;
        // Somebody may have applied something else meanwhile, which the next boot would begin with.
        if self.last.as_ref() != Some(&bundle) || !store::is_followed(&self.host) {
            if self.last.is_none() {
                let _ = host::print_coloured(anstream::stderr().lock(), &warnings);
            }
            self.put(bundle)?;
        }
        self.tell(&policy, &now);
        Ok(())
    }

    /// Says how what runs differs from the policy, whenever that is not what was said last.
    fn tell(&mut self, policy: &Policy, facts: &Facts) {
        let world = World {
            policy,
            facts,
            asks: Asks::Look,
        };
        let openings = self.last.as_ref().and_then(|it| it.parties().ok());
        let openings = openings.map_or(&[][..], |it| &it.openings);
        let found = compare(world).into_iter();
        let found = found.chain(in_force(&self.host, world, openings));
        let text: String = found.map(|finding| finding.text()).collect();
        if text != self.told {
            let said = host::for_journal(io::stderr(), &text, Urgency::Warning, &[]);
            let _ = host::print_coloured(anstream::stderr().lock(), &said);
            self.told = text;
        }
    }

    fn close(&mut self) -> Result<(), Failure> {
        if self.holds() {
            return Ok(());
        }
        self.put(self.closed.clone())
    }

    fn put(&mut self, bundle: Bundle) -> Result<(), Failure> {
        let begun = Instant::now();
        let outcome = deploy::follow(&self.host, &bundle, &self.closed)?;
        let _ = host::print(anstream::stderr().lock(), &apply::unsure(&outcome));
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
    let text = host::for_journal(io::stderr(), &failure.text, Urgency::Error, &[]);
    let _ = host::print_coloured(anstream::stderr().lock(), &text);
}
