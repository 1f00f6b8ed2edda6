//! Long work shows on a terminal that it goes on, and nowhere else.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::pty::{OpenptyResult, openpty};

use super::Desk;

/// Far above what anything here takes.
const SOON: Duration = Duration::from_secs(60);

/// An engine that takes a question and says nothing until it is dropped.
struct Silent {
    socket: UnixListener,
    asked: Vec<UnixStream>,
}

impl Silent {
    fn on(desk: &Desk) -> Self {
        Silent {
            socket: UnixListener::bind(desk.path("engine.sock")).unwrap(),
            asked: Vec::new(),
        }
    }

    fn is_asked(&mut self) {
        self.asked.push(self.socket.accept().unwrap().0);
    }
}

/// Runs `inventory` as the job in front of a terminal of its own, and returns what that shows.
fn on_a_terminal(desk: &Desk, term: &str) -> (Child, File) {
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let slave = || Stdio::from(OwnedFd::try_clone(&slave).unwrap());
    let child = Command::new("setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_tidegate")])
        .args(["inventory", "--socket", "engine.sock"])
        .current_dir(desk.folder.path())
        .env_clear()
        .envs([("TERM", term), ("PATH", "/usr/bin:/bin")])
        .stdin(slave())
        .stdout(Stdio::null())
        .stderr(slave())
        .spawn()
        .unwrap();
    (child, File::from(master))
}

/// Reads on until the terminal has shown some words.
fn shown_until(terminal: &mut File, words: &str) -> String {
    let (begin, mut seen) = (Instant::now(), String::new());
    while !seen.contains(words) {
        assert!(begin.elapsed() < SOON, "{seen:?}");
        let mut bytes = [0; 4096];
        match terminal.read(&mut bytes) {
            Ok(count) => seen.push_str(&String::from_utf8_lossy(&bytes[..count])),
            // Nobody has the other end any more, pty(7).
            Err(error) if error.raw_os_error() == Some(5) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
        }
    }
    seen
}

#[test]
fn waiting_is_shown_on_a_terminal_and_vanishes() {
    let desk = Desk::new();
    let mut engine = Silent::on(&desk);
    let (mut child, mut terminal) = on_a_terminal(&desk, "xterm");
    engine.is_asked();
    let seen = shown_until(&mut terminal, "asking the engine");
    assert!(seen.contains('s'), "{seen:?}");
    // A pipe and a terminal without a cursor were given as long as the line took to come.
    let pipe = desk.command(&["inventory", "--socket", "engine.sock"]);
    let mut pipe = { pipe }
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    engine.is_asked();
    let (mut dumb, mut simple) = on_a_terminal(&desk, "dumb");
    engine.is_asked();
    let (mut third, mut later) = on_a_terminal(&desk, "xterm");
    engine.is_asked();
    shown_until(&mut later, "asking the engine");
    drop(engine);

    let rest = shown_until(&mut terminal, "help: ");
    let last = rest.split("error[").next().unwrap();
    let cleared = last.ends_with("\r\u{1b}[2K") || last.ends_with("\u{1b}[2K\r");
    assert!(cleared, "{rest:?}");
    let mut said = String::new();
    pipe.stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.starts_with("error[T0503]: ") && !said.contains(['\r', '\u{1b}']),
        "{said:?}"
    );
    let simple = shown_until(&mut simple, "help: ");
    assert!(
        !simple.contains("asking") && !simple.contains("\u{1b}[2K"),
        "{simple:?}"
    );
    for child in [&mut child, &mut pipe, &mut dumb, &mut third] {
        assert_eq!(child.wait().unwrap().code(), Some(3));
    }
}
