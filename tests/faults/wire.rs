//! A client and a server on both sides of the machine: what is closed by both policies must never
//! be open, what is open by both never be closed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

use crate::support::client::{Client, Storm};
use crate::support::env::Env;
use crate::support::ns::Namespace;

const OPEN: [&str; 2] = ["172.18.0.20:80", "[fd00:18::20]:80"];
/// Something listens there, too: what keeps it closed is the rules.
const CLOSED: [&str; 2] = ["172.18.0.20:81", "[fd00:18::20]:81"];
/// A first packet that is lost is sent again after a second, so this meets any gap.
const PATIENCE: Duration = Duration::from_millis(900);

pub(super) struct Wire {
    storm: Storm,
    over: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<()>>,
    spaces: [Namespace; 2],
}

impl Wire {
    /// Connects both to the machine of this thread, whose policy is in force by now.
    pub(super) fn lay(place: &super::place::Place<'_>) -> Self {
        let [office, shop] = [Namespace::new(), Namespace::new()];
        Env::ip(&format!(
            "link add eth0 type veth peer name eth0 netns {}",
            office.id
        ));
        Env::ip("link add br-shop type bridge");
        Env::ip(&format!(
            "link add port type veth peer name eth0 netns {}",
            shop.id
        ));
        Env::ip("link set port master br-shop");
        for (device, addresses) in [
            ("eth0", ["203.0.113.1/24", "2001:db8:10::1/64"]),
            ("br-shop", ["172.18.0.1/24", "fd00:18::1/64"]),
        ] {
            set_up(&addresses, device, |line| drop(Env::ip(line)));
        }
        Env::ip("link set port up");
        let ends = [
            (
                &office,
                ["203.0.113.5/24", "2001:db8:10::5/64"],
                ["203.0.113.1", "2001:db8:10::1"],
            ),
            (
                &shop,
                ["172.18.0.20/24", "fd00:18::20/64"],
                ["172.18.0.1", "fd00:18::1"],
            ),
        ];
        for (space, addresses, routers) in ends {
            set_up(&addresses, "eth0", |line| {
                drop(space.ok(&format!("ip {line}")));
            });
            for router in routers {
                space.ok(&format!("ip route add default via {router}"));
            }
        }
        place.settle(0);
        let server = client(&shop);
        let mut wire = Wire {
            storm: client(&office).storm(&CLOSED),
            over: Arc::default(),
            served: Arc::default(),
            refused: Arc::default(),
            threads: Vec::new(),
            spaces: [office, shop],
        };
        for port in [80, 81] {
            serve(server.listen(port));
        }
        for address in CLOSED {
            // Not forwarded, so no rule of ours is about it.
            let near = TcpStream::connect_timeout(&address.parse().unwrap(), PATIENCE);
            near.expect("somebody listens there");
        }
        for address in OPEN {
            wire.is_up(address);
            wire.ask(address.parse().unwrap());
        }
        wire.works();
        wire
    }

    /// Waits until the way is there: links and addresses take a moment.
    fn is_up(&self, address: &str) {
        let office = client(&self.spaces[0]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while office.connect(address).is_none() {
            assert!(Instant::now() < deadline, "{address} is never reached");
        }
    }

    fn ask(&mut self, address: SocketAddr) {
        let net = std::fs::File::open(path(&self.spaces[0])).unwrap();
        let (over, served) = (Arc::clone(&self.over), Arc::clone(&self.served));
        let refused = Arc::clone(&self.refused);
        self.threads.push(thread::spawn(move || {
            setns(net, CloneFlags::CLONE_NEWNET).unwrap();
            while !over.load(Ordering::SeqCst) {
                let tally = match TcpStream::connect_timeout(&address, PATIENCE) {
                    Ok(_) => &served,
                    Err(_) => &refused,
                };
                tally.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(5));
            }
        }));
    }

    /// Waits until both were tried a few times more.
    fn works(&self) {
        let goal = self.served.load(Ordering::SeqCst) + 20;
        while self.served.load(Ordering::SeqCst) < goal {
            assert_eq!(
                self.refused.load(Ordering::SeqCst),
                0,
                "allowed, and refused"
            );
            thread::sleep(Duration::from_millis(5));
        }
        self.storm.goes_on_for(20);
    }

    /// Panics unless every allowed connection was made so far, and no other.
    #[track_caller]
    pub(super) fn holds(self) -> String {
        self.works();
        self.over.store(true, Ordering::SeqCst);
        let [served, refused] = [&self.served, &self.refused].map(|n| n.load(Ordering::SeqCst));
        assert_eq!(refused, 0, "allowed connections refused, of {served}");
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.storm.got_nowhere();
        format!("0 forbidden connections, {served} of {served} allowed")
    }
}

fn serve(listener: TcpListener) {
    // It ends with the test's process.
    thread::spawn(move || listener.incoming().for_each(drop));
}

fn set_up(addresses: &[&str], device: &str, ip: impl Fn(&str)) {
    for address in addresses {
        let no_wait = if address.contains(':') { " nodad" } else { "" };
        ip(&format!("address add {address} dev {device}{no_wait}"));
    }
    ip(&format!("link set {device} up"));
}

fn path(space: &Namespace) -> std::path::PathBuf {
    format!("/proc/self/task/{}/ns/net", space.id).into()
}

fn client(space: &Namespace) -> Client {
    Client::of_namespace(path(space))
}
