//! What changes at the engine, told as it happens.
#![expect(
    clippy::disallowed_methods,
    reason = "the engine is asked for what happens from now on"
)]

use std::collections::HashMap;
use std::path::Path;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::query_parameters::EventsOptions;
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::HostError;
use super::engine::{PATIENCE, is_running};
use super::error::io_error;

/// What whoever follows an engine has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// An engine is there: everything may be otherwise than it was.
    Connected {
        /// Its containers go on without it.
        live_restore: bool,
    },
    /// A container or a network came, went or changed.
    Changed,
    /// The engine is gone; why, where it said so.
    Lost(String),
    /// Somebody asked this process to end.
    Stop,
}

/// Shortest and longest time between two attempts to reach an engine.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Events after which other addresses may be in use; Docker's "Monitor events" lists all.
const ACTIONS: [(&str, &[&str]); 2] = [
    (
        "container",
        &[
            "destroy", "die", "pause", "rename", "start", "stop", "unpause",
        ],
    ),
    ("network", &["connect", "create", "destroy", "disconnect"]),
];

/// Follows the engine behind a socket until the receiver is dropped, on a thread of its own.
///
/// From here on SIGTERM and SIGINT end this process by [`News::Stop`] alone.
pub fn follow(socket: &Path) -> Result<Receiver<News>, HostError> {
    let (sender, receiver) = channel();
    let socket = socket.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build();
    let runtime = runtime.map_err(io_error("start a thread for", &socket))?;
    // Signals must be ours before this returns, or an early one would kill the process.
    let stops = runtime.block_on(async { Stops::new() });
    let stops = stops.map_err(io_error("listen to signals beside", &socket))?;
    std::thread::spawn(move || runtime.block_on(stay(&socket, &sender, stops)));
    Ok(receiver)
}

struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

impl Stops {
    fn new() -> std::io::Result<Self> {
        Ok(Stops {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn come(&mut self) {
        let (interrupt, terminate) = (self.interrupt.recv(), self.terminate.recv());
        select(pin!(interrupt), pin!(terminate)).await;
    }
}

async fn stay(socket: &Path, sender: &Sender<News>, mut stops: Stops) {
    let (stop, follow) = (pin!(stops.come()), pin!(again_and_again(socket, sender)));
    let stopped = matches!(select(stop, follow).await, Either::Left(_));
    if stopped {
        // Nobody is left to be told where the receiver is gone.
        let _ = sender.send(News::Stop);
    }
}

async fn again_and_again(socket: &Path, sender: &Sender<News>) {
    let mut pause = BACKOFF.0;
    loop {
        // systemd would start a stopped engine for a question.
        let ended = if is_running(socket) {
            let ended = listen(socket, sender).await;
            pause = BACKOFF.0;
            ended
        } else {
            Err("no engine runs".to_owned())
        };
        let why = ended.err().unwrap_or_else(|| "the engine ended".to_owned());
        if sender.send(News::Lost(why)).is_err() {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}

/// Passes on events until the engine ends or the receiver is gone.
async fn listen(socket: &Path, sender: &Sender<News>) -> Result<(), String> {
    let path = socket.to_string_lossy();
    let failed = |error: bollard::errors::Error| error.to_string();
    let engine = Docker::connect_with_unix(&path, PATIENCE, API_DEFAULT_VERSION).map_err(failed)?;
    let engine = engine.negotiate_version().await.map_err(failed)?;
    // What happens between the first look and the first event is told with the first events.
    let mut events = pin!(engine.events(Some(options())));
    let info = engine.info().await.map_err(failed)?;
    let live_restore = info.live_restore_enabled.unwrap_or(false);
    let mut gone = sender.send(News::Connected { live_restore }).is_err();
    while let Some(event) = events.next().await {
        event.map_err(failed)?;
        gone |= sender.send(News::Changed).is_err();
        if gone {
            break;
        }
    }
    Ok(())
}

fn options() -> EventsOptions {
    let all = |pick: fn(&(&str, &[&str])) -> Vec<String>| ACTIONS.iter().flat_map(pick).collect();
    let filters = HashMap::from([
        ("type".to_owned(), all(|(kind, _)| vec![(*kind).to_owned()])),
        (
            "event".to_owned(),
            all(|(_, events)| events.iter().map(|&event| event.to_owned()).collect()),
        ),
    ]);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    EventsOptions {
        since: Some(now.as_secs().saturating_sub(1).to_string()),
        filters: Some(filters),
        ..EventsOptions::default()
    }
}
