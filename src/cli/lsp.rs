//! `tidegate lsp`: the pipe of the language server.

use std::path::Path;
use std::time::Duration;

use lsp_server::{Connection, Message, ProtocolError};

use super::Done;
use super::failure::{Failure, FailureKind};
use crate::host::{self, FolderLoader, Trust};
use crate::lsp::{Disk, Session};
use crate::policy::{LoadError, Loader};

/// How long nothing must be typed before the policy is checked.
const QUIET: Duration = Duration::from_millis(150);

/// The files of this machine.
struct Files;

impl Disk for Files {
    fn load(&self, folder: &str, name: &str) -> Result<String, LoadError> {
        let any = Path::new(folder).join("policy.tide");
        let loader = FolderLoader::of_policy(&any, Trust::Anybody);
        let (loader, _) = loader.map_err(|_| LoadError::Missing)?;
        loader.load(name)
    }

    fn policies(&self, folder: &str) -> Vec<String> {
        host::policies_in(Path::new(folder)).unwrap_or_default()
    }
}

pub(super) fn run() -> Result<Done, Failure> {
    let (connection, threads) = Connection::stdio();
    serve(&connection).map_err(|error| {
        if error.channel_is_disconnected() {
            broken("it left before a session began")
        } else {
            broken(&error.to_string())
        }
    })?;
    // The threads end when nothing more can be sent.
    drop(connection);
    threads.join().map_err(|error| broken(&error.to_string()))?;
    Ok(Done::yes(String::new()))
}

fn broken(why: &str) -> Failure {
    let message = format!("the editor does not speak as it should: {why}");
    let help = "this command is for editors: see editors/README.md";
    Failure::new(FailureKind::Usage, &message, help)
}

fn serve(connection: &Connection) -> Result<(), ProtocolError> {
    let mut session = Session::new(Files);
    let (id, params) = connection.initialize_start()?;
    let able = session.initialize(params);
    connection.initialize_finish(id, able)?;
    let mut changed = false;
    while let Some(heard) = hear(connection, changed) {
        match heard {
            Heard::Message(Message::Request(request)) => {
                if connection.handle_shutdown(&request)? {
                    break;
                }
                send(connection, session.answer(request).into());
            }
            Heard::Message(Message::Notification(notice)) => changed |= session.notice(notice),
            Heard::Message(Message::Response(_)) => {}
            Heard::Quiet => {
                changed = false;
                for notice in session.check() {
                    send(connection, notice.into());
                }
            }
        }
    }
    Ok(())
}

enum Heard {
    Message(Message),
    Quiet,
}

/// Waits for the editor: for ever, or where something changed until it is quiet. Nothing where the
/// editor is gone.
fn hear(connection: &Connection, changed: bool) -> Option<Heard> {
    if !changed {
        return connection.receiver.recv().ok().map(Heard::Message);
    }
    match connection.receiver.recv_timeout(QUIET) {
        Ok(message) => Some(Heard::Message(message)),
        Err(error) => error.is_timeout().then_some(Heard::Quiet),
    }
}

/// An editor that is gone hears nothing.
fn send(connection: &Connection, message: Message) {
    let _ = connection.sender.send(message);
}
