//! A machine with a kernel of its own on the lab's segment: `tests/lab/kernel.sh`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::lab::{Lab, Script, equip, rootfs};

/// Emulated, a boot takes half a minute, and several times that beside other work.
const PATIENCE: Duration = Duration::from_secs(400);

#[derive(Debug)]
pub(crate) struct Emulated {
    script: Script,
    agent: Option<BufReader<UnixStream>>,
}

/// A lab with such a machine in it that is switched off.
pub(crate) fn emulated() -> Option<(Lab, Emulated)> {
    let rootfs = rootfs("kernel")?;
    let lab = Lab::open(None);
    let wire = lab.wire();
    let script = Script::start("kernel.sh", &[wire.as_ref(), rootfs.as_os_str()]);
    let machine = Emulated {
        script,
        agent: None,
    };
    equip(&machine.script.disk());
    Some((lab, machine))
}

impl Emulated {
    /// Switches it on, with more words on its kernel's command line.
    pub(crate) fn switch_on(&mut self, words: &str) {
        self.script.tell(words);
        let answer = self.script.line();
        assert!(answer.starts_with("machine "), "{answer}");
        let deadline = Instant::now() + Duration::from_secs(20);
        let stream = loop {
            match UnixStream::connect(self.script.said("agent")) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            thread::sleep(Duration::from_millis(50));
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        self.agent = Some(BufReader::new(stream));
    }

    /// Waits until a boot has come to the agent, and returns the boot's number.
    pub(crate) fn greets(&mut self) -> String {
        loop {
            if let Some(boot) = self.line().strip_prefix("hello ") {
                return boot.to_owned();
            }
        }
    }

    /// Shuts it down in the orderly way.
    pub(crate) fn shut_down(&mut self) {
        self.begin("systemctl --no-block poweroff");
        assert_eq!(self.script.line(), "off");
        self.agent = None;
    }

    /// Sends a shell script, whose end nobody waits for.
    pub(crate) fn begin(&mut self, script: &str) {
        let mut line = String::new();
        for byte in script.bytes() {
            write!(line, "{byte:02x}").expect("memory");
        }
        line.push('\n');
        let agent = self.agent.as_mut().expect("it is on").get_mut();
        agent.write_all(line.as_bytes()).expect("the agent reads");
    }

    /// Runs a shell script and returns its status and what it printed.
    pub(crate) fn attempt(&mut self, script: &str) -> (String, String) {
        self.begin(script);
        let mut printed = String::new();
        loop {
            let line = self.line();
            if let Some(status) = line.strip_prefix("--done ") {
                return (status.to_owned(), printed.trim().to_owned());
            }
            printed += &line;
            printed.push('\n');
        }
    }

    /// Runs a shell script and returns what it printed; panics when it fails.
    #[track_caller]
    pub(crate) fn run(&mut self, script: &str) -> String {
        let (status, printed) = self.attempt(script);
        assert_eq!(status, "0", "{script}: {printed}");
        printed
    }

    /// Waits until a shell script succeeds.
    #[track_caller]
    pub(crate) fn until(&mut self, script: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, printed) = self.attempt(script);
            if status == "0" {
                return;
            }
            assert!(Instant::now() < deadline, "{script}: {printed}");
            thread::sleep(Duration::from_millis(300));
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let agent = self.agent.as_mut().expect("it is on");
        let length = agent.read_line(&mut line).expect("text, in time");
        assert!(length > 0, "the emulated machine is gone");
        line.trim_end().to_owned()
    }
}
