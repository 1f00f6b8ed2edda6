//! Network namespaces without names: each is held by a thread that lives in it.

use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::sched::{CloneFlags, unshare};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace; gone when this is dropped and nothing runs in it any more.
pub struct Namespace {
    jobs: Sender<Job>,
    /// The thread's number, by which `ip link set … netns` finds the namespace.
    pub id: String,
}

impl Namespace {
    /// Makes a namespace whose settings are a fresh machine's, with `lo` up.
    pub fn new() -> Self {
        let (jobs, queue) = channel::<Job>();
        let (tell, told) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make namespaces");
            let own = std::fs::read_link("/proc/thread-self").expect("proc is mounted");
            let id = own
                .file_name()
                .expect("PID/task/TID")
                .to_string_lossy()
                .into_owned();
            tell.send(id).expect("somebody waits");
            for job in queue {
                job();
            }
        });
        let namespace = Namespace {
            jobs,
            id: told.recv().expect("the thread started"),
        };
        namespace.ok("ip link set lo up");
        // No waiting for duplicate address detection: tests connect at once.
        for key in ["all", "default"] {
            namespace.sysctl(&format!("net/ipv6/conf/{key}/accept_dad"), "0");
        }
        namespace
    }

    /// Runs a function in the namespace and waits for it.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        let job = move || drop(tell.send(job()));
        self.jobs
            .send(Box::new(job))
            .expect("the thread waits for work");
        told.recv().expect("the job does not panic")
    }

    /// Runs a command line, split at blanks, with `input` on its standard input.
    pub fn command(&self, line: &str, input: &str) -> Output {
        let (words, input) = (line.to_owned(), input.to_owned());
        self.run(move || {
            let mut words = words.split_whitespace();
            let mut child = Command::new(words.next().expect("a command"))
                .args(words)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the command is installed");
            let mut stdin = child.stdin.take().expect("piped");
            // In a thread of its own: the child may fill its output before it has read all.
            let feed = thread::spawn(move || {
                use std::io::Write;
                let _ = stdin.write_all(input.as_bytes());
            });
            let output = child.wait_with_output().expect("the command ends");
            feed.join().expect("writing ends");
            output
        })
    }

    /// Runs a command that must succeed and returns what it prints.
    #[track_caller]
    pub fn feed(&self, line: &str, input: &str) -> String {
        let output = self.command(line, input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}\n{input}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        self.feed(line, "")
    }

    pub fn sysctl(&self, key: &str, value: &str) {
        let (path, value) = (format!("/proc/sys/{key}"), value.to_owned());
        self.run(move || std::fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}")));
    }
}

/// Returns true for root; else prints once why tests are left out.
pub fn is_root() -> bool {
    use std::sync::Once;
    static ONCE: Once = Once::new();
    let root = nix::unistd::geteuid().is_root();
    if !root {
        ONCE.call_once(|| eprintln!("skipped: tests in network namespaces need root"));
    }
    root
}
