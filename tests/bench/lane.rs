//! A machine with one container behind it and a sender before it: three namespaces in a row.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use nix::time::{ClockId, clock_gettime};
use socket2::{Domain, Protocol, Socket, Type};

use super::ns::Namespace;

/// The machine as the sender reaches it, with the port that it publishes.
const TO: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 8080);
/// The container.
const SINK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 128, 0, 2), 7);
const FIRST_PORT: u16 = 10_000;
/// How long what was sent may take to arrive.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an engine writes for that container.
const ENGINE: &str = "\
*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i br-shop -p udp -m udp --dport 8080 -j DNAT --to-destination 10.128.0.2:7
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o br-shop -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br-shop -j DOCKER
-A DOCKER -d 10.128.0.2/32 ! -i br-shop -o br-shop -p udp -m udp --dport 7 -j ACCEPT
COMMIT
";

pub struct Lane {
    sender: Namespace,
    gate: Namespace,
    sink: Namespace,
    /// Nobody reads it: what has arrived is counted before.
    _listener: Socket,
}

impl Lane {
    /// Makes the machine, with its engine's rules and those of a policy.
    pub fn new(variant: &str, rules: &str) -> Self {
        let (sender, gate, sink) = (Namespace::new(), Namespace::new(), Namespace::new());
        let pair = |own: &str, other: &Namespace| {
            let peer = format!("peer name eth0 netns {}", other.id);
            gate.ok(&format!("ip link add {own} type veth {peer}"));
            other.ok("ip link set eth0 up");
        };
        pair("eth0", &sender);
        pair("port", &sink);
        for line in [
            "ip link add br-shop type bridge",
            "ip link set port master br-shop up",
            "ip link set br-shop up",
            "ip link set eth0 up",
            "ip address add 10.128.0.1/16 dev br-shop",
            "ip address add 192.0.2.1/24 dev eth0",
            "ip route add default via 192.0.2.2",
        ] {
            gate.ok(line);
        }
        gate.sysctl("net/ipv4/ip_forward", "1");
        sender.ok("ip address add 192.0.2.2/24 dev eth0");
        sink.ok("ip address add 10.128.0.2/16 dev eth0");
        sink.ok("ip route add default via 10.128.0.1");
        let restore = format!("iptables-{variant}-restore --noflush -w 10");
        gate.feed(&restore, ENGINE);
        gate.feed(&restore, rules);
        let listener = sink.run(listen);
        Lane {
            sender,
            gate,
            sink,
            _listener: listener,
        }
    }

    /// Sends that many packets, each with a source port of its own, and returns the sender's
    /// processor time for each, in seconds: its system calls carry them to the container.
    ///
    /// Panics unless every packet arrives.
    pub fn carries(&self, source: Ipv4Addr, count: u16) -> f64 {
        self.gate.run(forget_connections);
        let before = self.arrived();
        let took = self.sender.run(move || send_from(source, count));
        let arrived = self.wait_for(before + u64::from(count)) - before;
        assert_eq!(
            arrived,
            u64::from(count),
            "of {count} packets from {source}"
        );
        took / f64::from(count)
    }

    /// Panics if a packet of `stranger` arrives before one of `friend` that is sent later.
    pub fn parts(&self, friend: Ipv4Addr, stranger: Ipv4Addr) {
        self.gate.run(forget_connections);
        let before = self.arrived();
        self.sender.run(move || send_from(stranger, 10));
        self.sender.run(move || send_from(friend, 1));
        let arrived = self.wait_for(before + 1) - before;
        assert_eq!(arrived, 1, "one of {friend}, none of ten of {stranger}");
    }

    /// Waits until a packet arrives: neighbours have to find each other, and what waits for that
    /// is dropped at some point. What was sent before is over then, too.
    pub fn warm_up(&self, source: Ipv4Addr) {
        let start = Instant::now();
        let before = self.arrived();
        while self.arrived() == before {
            assert!(start.elapsed() < PATIENCE, "nothing of {source} arrives");
            self.sender.run(move || send_from(source, 1));
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut now = self.arrived();
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let later = self.arrived();
            if later == now {
                return;
            }
            now = later;
        }
    }

    /// Returns how many IPv4 packets have come to the container so far.
    fn arrived(&self) -> u64 {
        self.sink.run(|| {
            let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
            let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
            let mut fields = names.split(' ').zip(values.split(' '));
            let field = fields.find(|(name, _)| *name == "InReceives").unwrap();
            field.1.parse().unwrap()
        })
    }

    /// Waits until so many have come in all, and returns how many have.
    fn wait_for(&self, count: u64) -> u64 {
        let start = Instant::now();
        loop {
            let arrived = self.arrived();
            if arrived >= count || start.elapsed() > PATIENCE {
                return arrived;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Binds the container's socket, with room for a few packets: the others are dropped there.
fn listen() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.bind(&SINK.into()).unwrap();
    socket
}

/// Sends packets of any source from a raw socket, raw(7), and returns the thread's processor time.
fn send_from(source: Ipv4Addr, count: u16) -> f64 {
    // IPPROTO_RAW: the header is in the packet, but for its checksum and length.
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).unwrap();
    let mut packet = udp(source);
    let to = TO.into();
    let before = thread_time();
    for at in 0..count {
        packet[20..22].copy_from_slice(&(FIRST_PORT + at).to_be_bytes());
        socket.send_to(&packet, &to).unwrap();
    }
    thread_time() - before
}

/// Returns an IPv4 packet, RFC 791, with an UDP datagram of 18 bytes in it and no checksum, RFC 768.
fn udp(source: Ipv4Addr) -> [u8; 46] {
    let mut packet = [0; 46];
    packet[0] = 0x45;
    packet[8] = 64;
    packet[9] = 17;
    packet[12..16].copy_from_slice(&source.octets());
    packet[16..20].copy_from_slice(&TO.ip().octets());
    packet[22..24].copy_from_slice(&TO.port().to_be_bytes());
    packet[24..26].copy_from_slice(&26_u16.to_be_bytes());
    packet
}

fn thread_time() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    Duration::from(time).as_secs_f64()
}

/// Empties the table of connections, which has room for some rounds only: `nfnetlink_conntrack.h` of
/// the kernel.
fn forget_connections() {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )
    .unwrap();
    // IPCTNL_MSG_CT_DELETE with NLM_F_REQUEST and NLM_F_ACK, of every family.
    let mut message = [0; 20];
    message[0..4].copy_from_slice(&20_u32.to_ne_bytes());
    message[4..6].copy_from_slice(&0x0102_u16.to_ne_bytes());
    message[6..8].copy_from_slice(&5_u16.to_ne_bytes());
    send(netlink.as_raw_fd(), &message, MsgFlags::empty()).unwrap();
    let mut answer = [0; 64];
    recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
    assert_eq!(answer[16..20], [0; 4], "an error of the kernel");
}
