//! Connections made from inside a network namespace.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

/// What is dropped never answers, and on these links an answer takes well under a millisecond.
const PATIENCE: Duration = Duration::from_millis(400);
/// The same for a storm, which has to be quick enough to meet a gap of a few milliseconds.
const IMPATIENCE: Duration = Duration::from_millis(30);
/// Connections that a storm keeps under way to each address.
const LANES: usize = 6;
/// What a datagram says, so that its receiver can tell who was let in.
const ASKED: &str = "asked";
pub(crate) const STORM: &str = "storm";

/// Somebody on the network, in the namespace that `net` stands for.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    net: PathBuf,
}

/// What came back from an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The name of the container that served it.
    From(String),
    /// A connection, but nothing over it.
    Silence,
    /// No connection.
    Closed,
}

impl Client {
    /// Returns the client in the network namespace of process `pid`.
    pub(crate) fn of_process(pid: u32) -> Self {
        Client::of_namespace(PathBuf::from(format!("/proc/{pid}/ns/net")))
    }

    /// Returns the client in the network namespace at `net`.
    pub(crate) fn of_namespace(net: PathBuf) -> Self {
        Client { net }
    }

    /// Returns what `address` answers to one request now; `udp ADDRESS` asks by a datagram.
    pub(crate) fn ask(&self, address: &str) -> Answer {
        let (net, target) = (self.open(), Target::of(address));
        thread::spawn(move || {
            enter(&net);
            target.request()
        })
        .join()
        .expect("the request does not panic")
    }

    /// Asks `address` until a container answers, and panics when it is not `name` or takes 20 s.
    #[track_caller]
    pub(crate) fn is_served(&self, address: &str, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.ask(address) {
                Answer::From(who) => return assert_eq!(who, name, "who serves {address}"),
                answer if Instant::now() > deadline => panic!("{address}: {answer:?}, not {name}"),
                _ => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Panics when a connection to `address` can be made.
    #[track_caller]
    pub(crate) fn is_refused(&self, address: &str) {
        assert_eq!(self.ask(address), Answer::Closed, "{address}");
    }

    /// Runs a shell script in this client's namespace; panics when it fails.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) {
        let net = format!("--net={}", self.net.display());
        let run = Command::new("nsenter")
            .args([&net, "sh", "-ec", script])
            .output();
        let output = run.expect("nsenter runs");
        assert!(output.status.success(), "{script}: {output:?}");
    }

    /// Listens on `port` of all of this client's addresses.
    pub(crate) fn listen(&self, port: u16) -> TcpListener {
        let net = self.open();
        let bound = thread::spawn(move || {
            enter(&net);
            TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        });
        let bound = bound.join().expect("it does not panic");
        bound.expect("nobody listens there yet")
    }

    /// Connects, or does not within the time that the tests wait.
    pub(crate) fn connect(&self, address: &str) -> Option<TcpStream> {
        let (net, address) = (self.open(), parse(address));
        let made = thread::spawn(move || {
            enter(&net);
            TcpStream::connect_timeout(&address, PATIENCE).ok()
        });
        made.join().expect("the thread ends")
    }

    /// Makes a socket whose datagrams go to `address`, all of them in one flow.
    pub(crate) fn flow(&self, address: &str) -> UdpSocket {
        let (net, address) = (self.open(), parse(address));
        let made = thread::spawn(move || {
            enter(&net);
            let socket = UdpSocket::bind((any(address), 0))?;
            socket.connect(address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok::<_, std::io::Error>(socket)
        });
        let made = made.join().expect("it does not panic");
        made.expect("there is a route")
    }

    /// Connects to `address`, where `listener` waits, and returns the address that the listener
    /// sees this client under.
    #[track_caller]
    pub(crate) fn seen_by(&self, listener: &TcpListener, address: &str) -> String {
        let (net, address) = (self.open(), parse(address));
        let made = thread::spawn(move || {
            enter(&net);
            TcpStream::connect_timeout(&address, PATIENCE)
        });
        let made = made.join().expect("it does not panic");
        let _stream = made.unwrap_or_else(|error| panic!("{address}: {error}"));
        let (_, peer) = listener.accept().expect("a connection is waiting");
        peer.ip().to_canonical().to_string()
    }

    /// Takes datagrams to `port` of all of this client's addresses.
    pub(crate) fn receive(&self, port: u16) -> UdpSocket {
        let net = self.open();
        let bound = thread::spawn(move || {
            enter(&net);
            UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))
        });
        let bound = bound.join().expect("it does not panic");
        let socket = bound.expect("nobody listens there yet");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket
    }

    /// Sends a datagram to `address`, where `socket` waits, and returns the address that it comes
    /// from, or nothing when it does not arrive.
    pub(crate) fn datagram_seen_by(&self, socket: &UdpSocket, address: &str) -> Option<String> {
        let (net, address) = (self.open(), parse(address));
        let sent = thread::spawn(move || {
            enter(&net);
            UdpSocket::bind((any(address), 0))?.send_to(b"?", address)
        });
        let sent = sent.join().expect("it does not panic");
        sent.expect("there is a route");
        let (_, peer) = socket.recv_from(&mut [0]).ok()?;
        Some(peer.ip().to_canonical().to_string())
    }

    /// Starts to connect to all `addresses`, over and over, until the storm is told to end;
    /// `udp ADDRESS` is sent datagrams, each from a socket of its own.
    pub(crate) fn storm(&self, addresses: &[&str]) -> Storm {
        let mut storm = Storm::default();
        for target in addresses.iter().map(|address| Target::of(address)) {
            for _ in 0..LANES {
                let (net, tally) = (self.open(), Arc::clone(&storm.tally));
                let target = target.clone();
                storm.lanes.push(thread::spawn(move || {
                    enter(&net);
                    tally.keep_connecting(&target);
                }));
            }
        }
        storm
    }

    fn open(&self) -> File {
        File::open(&self.net).expect("the client's namespace is there")
    }
}

/// Many threads that connect as fast as they can.
#[derive(Debug, Default)]
pub(crate) struct Storm {
    tally: Arc<Tally>,
    lanes: Vec<JoinHandle<()>>,
}

impl Storm {
    /// Returns how many connections were made so far.
    pub(crate) fn through(&self) -> usize {
        self.tally.through.load(Ordering::SeqCst)
    }

    /// Waits until `more` further attempts are over.
    pub(crate) fn goes_on_for(&self, more: usize) {
        let tries = || self.tally.tries.load(Ordering::SeqCst);
        let (goal, deadline) = (tries() + more, Instant::now() + Duration::from_secs(60));
        while tries() < goal {
            assert!(Instant::now() < deadline, "the storm makes no attempts");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns how many connections were tried so far.
    pub(crate) fn tries(&self) -> usize {
        self.tally.tries.load(Ordering::SeqCst)
    }

    /// Returns when the last connection was made, and to what.
    pub(crate) fn last(&self) -> Option<(Instant, String)> {
        self.tally.last.lock().expect("no lane panics").clone()
    }

    /// Panics when a single connection was made up to now, after one more try.
    #[track_caller]
    pub(crate) fn is_nowhere(&self) {
        self.goes_on_for(1);
        let (tries, last) = (self.tries(), self.last());
        assert_eq!(
            self.through(),
            0,
            "connections made, of {tries} tried: {last:?}"
        );
    }

    /// Ends the storm and panics when a single connection was made.
    #[track_caller]
    pub(crate) fn got_nowhere(self) {
        self.is_nowhere();
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.tally.over.store(true, Ordering::SeqCst);
        for lane in self.lanes.drain(..) {
            drop(lane.join());
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    tries: AtomicUsize,
    through: AtomicUsize,
    last: Mutex<Option<(Instant, String)>>,
    over: AtomicBool,
}

impl Tally {
    fn keep_connecting(&self, target: &Target) {
        while !self.over.load(Ordering::SeqCst) {
            if target.lets_in() {
                self.through.fetch_add(1, Ordering::SeqCst);
                let entry = (Instant::now(), target.to_string());
                *self.last.lock().expect("no lane panics") = Some(entry);
                // Ports of datagrams must not come around while their flows are remembered.
                thread::sleep(Duration::from_millis(50));
            } else {
                // A refusal comes at once and would keep a core busy.
                thread::sleep(Duration::from_millis(1));
            }
            self.tries.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// What a client asks: an address and a port, of TCP or of UDP.
#[derive(Debug, Clone)]
enum Target {
    Tcp(SocketAddr),
    Udp(SocketAddr),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp(address) => write!(f, "{address}"),
            Target::Udp(address) => write!(f, "udp {address}"),
        }
    }
}

impl Target {
    fn of(text: &str) -> Self {
        match text.strip_prefix("udp ") {
            Some(address) => Target::Udp(parse(address)),
            None => Target::Tcp(parse(text)),
        }
    }

    fn request(&self) -> Answer {
        match self {
            Target::Tcp(address) => request(*address),
            Target::Udp(address) => {
                datagram(*address, ASKED, PATIENCE).map_or(Answer::Closed, Answer::From)
            }
        }
    }

    /// Whether one try of a storm gets through: a handshake, or an answer to a datagram.
    fn lets_in(&self) -> bool {
        match self {
            Target::Tcp(address) => TcpStream::connect_timeout(address, IMPATIENCE).is_ok(),
            Target::Udp(address) => datagram(*address, STORM, IMPATIENCE).is_ok(),
        }
    }
}

/// Sends one datagram from a new socket and returns the answer.
fn datagram(address: SocketAddr, text: &str, patience: Duration) -> std::io::Result<String> {
    let socket = UdpSocket::bind((any(address), 0))?;
    socket.set_read_timeout(Some(patience))?;
    socket.connect(address)?;
    socket.send(text.as_bytes())?;
    let mut answer = [0; 100];
    let length = socket.recv(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// Returns the address of a socket that is bound to none, in the family of `address`.
fn any(address: SocketAddr) -> IpAddr {
    match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn parse(address: &str) -> SocketAddr {
    address.parse().expect("an address and a port")
}

/// Moves this thread, and nothing else, into the namespace.
fn enter(net: &File) {
    setns(net.as_fd(), CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
}

fn request(address: SocketAddr) -> Answer {
    let Ok(stream) = TcpStream::connect_timeout(&address, PATIENCE) else {
        return Answer::Closed;
    };
    let body = exchange(stream).unwrap_or_default();
    if body.is_empty() {
        Answer::Silence
    } else {
        Answer::From(body)
    }
}

/// Asks over a connection that is open; whether whoever is at its other end answers.
pub(crate) fn is_answered(stream: TcpStream) -> bool {
    exchange(stream).is_ok_and(|body| !body.is_empty())
}

/// Sends one request and returns the body of the answer, without the line end.
fn exchange(mut stream: TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(body.trim_end().to_owned())
}
