//! Frames with tags between containers of one bridge: real frames on real bridges. What arrives is seen at
//! the other end's interface, whatever its stack would make of it.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use tidegate::artifact::{BRIDGE, Bundle};
use tidegate::compile::compile;
use tidegate::deploy::{self, Options};
use tidegate::host::Host;
use tidegate::netfilter::bridge::Closed;

use crate::support::env::{Env, on_both};
use crate::support::faulty::{Call, Faulty};
use crate::support::files::Files;
use crate::support::ns::Namespace;

const CLOSED: &str = "host { engine docker 28.5 }\n\
    network shop {\n bridge br-shop\n subnet 10.9.0.0/24, fd09::/64\n icc off\n}\n\
    container a on shop at 10.9.0.2, fd09::2\n\
    container b on shop at 10.9.0.3, fd09::3\n\
    allow a -> b : 53/udp\n";

fn bundle(policy: &str) -> Bundle {
    let compiled = compile(&Files::one(policy), "policy.tide");
    compiled.bundle().unwrap()
}

/// One end of a pair of interfaces, the other of which is a port of a bridge.
struct Machine {
    _namespace: Namespace,
    socket: OwnedFd,
    address: [u8; 6],
}

impl Machine {
    fn new(bridge: &str, port: &str) -> Self {
        let namespace = Namespace::new();
        let peer = format!("peer name eth0 netns {}", namespace.id);
        Env::ip(&format!("link add {port} type veth {peer}"));
        Env::ip(&format!("link set {port} master {bridge} up"));
        namespace.ok("ip link set eth0 up");
        let (socket, address) = namespace.run(|| {
            let mut links = getifaddrs()
                .unwrap()
                .filter(|it| it.interface_name == "eth0");
            let link = links
                .find_map(|it| it.address?.as_link_addr().copied())
                .unwrap();
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let every = SockProtocol::EthAll;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, every).unwrap();
            bind(socket.as_raw_fd(), &link).unwrap();
            (socket, link.addr().unwrap())
        });
        Machine {
            _namespace: namespace,
            socket,
            address,
        }
    }

    fn send(&self, frame: &[u8]) {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty());
        assert_eq!(sent, Ok(frame.len()));
    }

    /// Returns the numbers of the frames that arrive, until `last` does.
    fn arrived(&self, last: u32) -> BTreeSet<u32> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let (mut seen, mut buffer) = (BTreeSet::new(), [0; 2048]);
        while !seen.contains(&last) {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => seen.extend(number(&buffer[..length])),
                Err(Errno::EAGAIN) => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => panic!("{error}"),
            }
            assert!(
                Instant::now() < deadline,
                "frame {last} never came, but {seen:?}"
            );
        }
        seen
    }
}

/// In front of a frame's number.
const MAGIC: &[u8] = b"tidegate-frame:";

fn number(frame: &[u8]) -> Option<u32> {
    let at = frame.windows(MAGIC.len()).position(|part| part == MAGIC)?;
    let digits = frame.get(at + MAGIC.len()..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*digits))
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inner {
    Arp,
    /// A protocol and the port that it asks for.
    V4(u8, u16),
    V6(u8, u16),
    /// UDP from 0.0.0.0, to an address and port.
    Unnumbered4([u8; 4], u16),
    /// From `::` to an address: a protocol, and its port or type.
    Unnumbered6([u8; 16], u8, u16),
    /// An `EtherType` that two machines have made up.
    Private,
}

impl Inner {
    fn ether_type(self) -> u16 {
        match self {
            Inner::Arp => 0x0806,
            Inner::V4(..) | Inner::Unnumbered4(..) => 0x0800,
            Inner::V6(..) | Inner::Unnumbered6(..) => 0x86dd,
            Inner::Private => 0x9100,
        }
    }

    fn bytes(self, number: u32) -> Vec<u8> {
        let text = [MAGIC, &number.to_be_bytes()].concat();
        match self {
            Inner::Arp => {
                let mut request = vec![0, 1, 8, 0, 6, 4, 0, 1];
                request.extend([0; 20]);
                [request, text].concat()
            }
            Inner::Private => text,
            Inner::V4(protocol, port) => {
                let body = layer_four(protocol, port, &text);
                v4([[10, 9, 0, 2], [10, 9, 0, 3]], protocol, &body)
            }
            Inner::Unnumbered4(to, port) => v4([[0; 4], to], 17, &layer_four(17, port, &text)),
            Inner::Unnumbered6(to, protocol, what) => {
                v6([[0; 16], to], protocol, &layer_four(protocol, what, &text))
            }
            Inner::V6(protocol, port) => {
                let body = layer_four(protocol, port, &text);
                v6([global(2), global(3)], protocol, &body)
            }
        }
    }
}

fn global(last: u8) -> [u8; 16] {
    [0xfd, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

fn v6(ends: [[u8; 16]; 2], protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend([protocol, 255]);
    [packet, ends.concat(), body.to_vec()].concat()
}

fn layer_four(protocol: u8, port: u16, text: &[u8]) -> Vec<u8> {
    if protocol == 58 {
        return [&[port as u8, 0, 0, 0, 0, 0, 0, 0], text].concat();
    }
    let mut header = [40_000u16.to_be_bytes(), port.to_be_bytes()].concat();
    if protocol == 17 {
        header.extend((8 + text.len() as u16).to_be_bytes());
        header.extend([0, 0]);
    } else {
        header.extend([0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, 2, 16, 0, 0, 0, 0, 0]);
    }
    [header, text.to_vec()].concat()
}

/// The bridge looks at an IPv4 header's checksum before iptables does.
fn v4(ends: [[u8; 4]; 2], protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((20 + body.len() as u16).to_be_bytes());
    header.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
    header.extend(ends.concat());
    let words = header
        .chunks(2)
        .map(|it| u32::from(it[0]) << 8 | u32::from(it[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let check = !(folded as u16);
    header[10..12].copy_from_slice(&check.to_be_bytes());
    [header, body.to_vec()].concat()
}

/// A tag's `EtherType` and VLAN.
type Tag = (u16, u16);

#[derive(Debug, Clone)]
struct Frame {
    tags: Vec<Tag>,
    inner: Inner,
}

impl Frame {
    fn bytes(&self, from: &Machine, to: &Machine, number: u32) -> Vec<u8> {
        let mut frame = [to.address, from.address].concat();
        for (kind, vlan) in &self.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(vlan.to_be_bytes());
        }
        frame.extend(self.inner.ether_type().to_be_bytes());
        frame.extend(self.inner.bytes(number));
        frame.resize(frame.len().max(60), 0);
        frame
    }
}

const C: u16 = 0x8100;
const S: u16 = 0x88a8;

/// Every way to hide a packet from iptables.
fn hidden() -> Vec<Frame> {
    let tags: [&[Tag]; 8] = [
        &[(C, 0)],
        &[(C, 5)],
        &[(S, 0)],
        &[(C, 0), (C, 0)],
        &[(S, 0), (C, 0)],
        &[(S, 0), (S, 0)],
        &[(C, 0), (C, 0), (C, 0)],
        &[(0x9100, 0), (C, 0)],
    ];
    let inner = [6, 17]
        .map(|it| [Inner::V4(it, 22), Inner::V6(it, 22)])
        .concat();
    let each = |tags: &[Tag]| {
        let tags = tags.to_vec();
        inner
            .iter()
            .map(move |&inner| Frame {
                tags: tags.clone(),
                inner,
            })
            .collect::<Vec<_>>()
    };
    let mut all: Vec<Frame> = tags.into_iter().flat_map(each).collect();
    all.push(plain(Inner::Private));
    all
}

fn plain(inner: Inner) -> Frame {
    Frame {
        tags: Vec::new(),
        inner,
    }
}

/// Sends frames, and returns those that arrive. What is sent last always does.
fn through<'f>(from: &Machine, to: &Machine, frames: &'f [Frame]) -> Vec<&'f Frame> {
    // Numbers that no frame of another call has.
    let base = u32::from(frames.len() as u16) << 16 | std::process::id() & 0xffff;
    let numbers: Vec<u32> = (1..)
        .map(|it| base.wrapping_mul(31) ^ it)
        .take(frames.len())
        .collect();
    for (frame, number) in frames.iter().zip(&numbers) {
        from.send(&frame.bytes(from, to, *number));
    }
    // The second is behind what another processor may have held back.
    let last = [u32::MAX - 1, u32::MAX];
    let mut seen = BTreeSet::new();
    for number in last {
        from.send(&plain(Inner::Arp).bytes(from, to, number));
        seen.extend(to.arrived(number));
    }
    let all = frames.iter().zip(&numbers);
    all.filter(|(_, number)| seen.contains(number))
        .map(|(frame, _)| frame)
        .collect()
}

fn bridge(name: &str) {
    Env::ip(&format!("link add {name} type bridge"));
    Env::ip(&format!("link set {name} up"));
}

/// Where iptables sees what is bridged, as on a machine with containers of `icc off`.
fn filtered(env: &Env) {
    for tool in ["iptables", "ip6tables"] {
        let path = format!("net/bridge/bridge-nf-call-{tool}");
        env.host.set_sysctl(&path, "1").unwrap();
    }
}

#[test]
fn no_frame_that_hides_a_packet_passes_a_closed_bridge() {
    on_both(|env| {
        bridge("br-shop");
        filtered(env);
        let (a, b) = (
            Machine::new("br-shop", "vetha"),
            Machine::new("br-shop", "vethb"),
        );
        let all = hidden();
        assert_eq!(
            through(&a, &b, &all).len(),
            all.len(),
            "all pass without rules"
        );
        deploy::apply(&env.host, &bundle(CLOSED), Options::default()).unwrap();
        let left = through(&a, &b, &all);
        assert!(left.is_empty(), "{left:?}");
        let open = [Inner::Arp, Inner::V4(17, 53), Inner::V6(17, 53)].map(plain);
        assert_eq!(through(&a, &b, &open).len(), open.len());
        let closed = [Inner::V4(17, 54), Inner::V6(6, 53)].map(plain);
        assert!(through(&a, &b, &closed).is_empty());
        assert!(deploy::drift(&env.host).unwrap().is_clean());
    });
}

/// A bridge comes and goes with its network; it must not be open until somebody looks.
#[test]
fn a_bridge_that_comes_later_is_closed_from_its_first_frame() {
    on_both(|env| {
        filtered(env);
        deploy::apply(&env.host, &bundle(CLOSED), Options::default()).unwrap();
        bridge("br-shop");
        let (a, b) = (
            Machine::new("br-shop", "vetha"),
            Machine::new("br-shop", "vethb"),
        );
        let all = hidden();
        let left = through(&a, &b, &all);
        assert!(left.is_empty(), "{left:?}");
    });
}

#[test]
fn tags_between_ports_of_other_bridges_stay_alone() {
    on_both(|env| {
        bridge("br-trunk");
        deploy::apply(&env.host, &bundle(CLOSED), Options::default()).unwrap();
        let (a, b) = (
            Machine::new("br-trunk", "vnet0"),
            Machine::new("br-trunk", "vnet1"),
        );
        let all = hidden();
        assert_eq!(through(&a, &b, &all).len(), all.len());
    });
}

/// Without nftables the setting closes one tag, and the rest is said.
#[test]
fn without_nftables_one_tag_is_closed_and_the_rest_is_told() {
    on_both(|env| {
        bridge("br-shop");
        filtered(env);
        let (a, b) = (
            Machine::new("br-shop", "vetha"),
            Machine::new("br-shop", "vethb"),
        );
        let host = tidegate::host::LinuxHost::new(env.root.path(), env.variant);
        let host = Faulty::new(host, |call| matches!(call, Call::Nft));
        let outcome = deploy::apply(&host, &bundle(CLOSED), Options::default()).unwrap();
        let notes = outcome.notes.join("\n");
        assert!(notes.contains("two VLAN tags"), "{notes}");
        let one: Vec<Frame> = hidden()
            .into_iter()
            .filter(|it| it.tags == [(C, 0)])
            .collect();
        assert_eq!(one.len(), 4);
        let left = through(&a, &b, &one);
        assert!(left.is_empty(), "{left:?}");
        assert!(deploy::drift(&host).unwrap().is_clean());
        let tagged = "net/bridge/bridge-nf-filter-vlan-tagged";
        env.host.set_sysctl(tagged, "0").unwrap();
        let drift = deploy::drift(&host).unwrap();
        let told = |it: &deploy::report::Drift| {
            it.says.as_deref() == Some("net.bridge.bridge-nf-filter-vlan-tagged")
        };
        assert!(drift.drifts.iter().any(told), "{drift:?}");
        deploy::repair(&host).unwrap();
        assert_eq!(env.host.sysctl(tagged).unwrap().as_deref(), Some("1\n"));
    });
}

#[test]
fn what_becomes_of_the_table_is_told_and_mended() {
    on_both(|env| {
        let whole = bundle(CLOSED);
        assert!(Closed::of_text(whole.file(BRIDGE)).is_some());
        deploy::apply(&env.host, &whole, Options::default()).unwrap();
        let there = env.host.bridge_table().unwrap().unwrap();
        let before = Closed::of_listing(&there).unwrap();
        let accept = before.text().replace(" drop\n", " accept\n");
        for change in [
            "flush table bridge tidegate\n",
            "delete table bridge tidegate\n",
            &accept,
        ] {
            env.host.nft_load(change).unwrap();
            let (found, left) = deploy::repair(&env.host).unwrap();
            assert_eq!(found.drifts.len(), 1, "{change}: {found:?}");
            assert!(left.is_clean(), "{change}: {left:?}");
        }
        // A policy without closed bridges has no use for it.
        let open = bundle(
            &CLOSED
                .replace("icc off", "icc on")
                .replace("allow a -> b", "allow outside -> b"),
        );
        assert_eq!(open.file(BRIDGE), "");
        deploy::apply(&env.host, &open, Options::default()).unwrap();
        assert_eq!(env.host.bridge_table().unwrap(), None);
        deploy::apply(&env.host, &whole, Options::default()).unwrap();
        assert!(env.host.bridge_table().unwrap().is_some());
        deploy::uninstall(&env.host).unwrap();
        assert_eq!(env.host.bridge_table().unwrap(), None);
    });
}

/// What cannot be put in force takes its table along, and the one before comes back.
#[test]
fn an_apply_that_fails_leaves_the_table_as_it_was() {
    on_both(|env| {
        let open = CLOSED
            .replace("icc off", "icc on")
            .replace("allow a -> b", "allow outside -> b");
        let host = || tidegate::host::LinuxHost::new(env.root.path(), env.variant);
        let failing = || Faulty::new(host(), |call| matches!(call, Call::Rename(_)));
        deploy::apply(&failing(), &bundle(CLOSED), Options::default()).unwrap_err();
        assert_eq!(env.host.bridge_table().unwrap(), None);
        deploy::apply(&env.host, &bundle(CLOSED), Options::default()).unwrap();
        let before = env.host.bridge_table().unwrap();
        deploy::apply(&failing(), &bundle(&open), Options::default()).unwrap_err();
        let after = env.host.bridge_table().unwrap();
        let read = |it: Option<String>| Closed::of_listing(&it.unwrap());
        assert_eq!(read(after), read(before));
    });
}

/// A machine without an address looks for one, and says no more: its source would tell nobody.
#[test]
fn a_source_that_tells_nobody_gets_past_no_denial() {
    let policy = CLOSED.replace("icc off", "icc on");
    let policy = policy.replace("allow a -> b : 53/udp", "deny a -> b");
    on_both(|env| {
        bridge("br-shop");
        filtered(env);
        let (a, b) = (
            Machine::new("br-shop", "vetha"),
            Machine::new("br-shop", "vethb"),
        );
        let group = |rest: [u8; 5]| {
            let mut group = [0; 16];
            group[..2].copy_from_slice(&[0xff, 2]);
            group[11..].copy_from_slice(&rest);
            group
        };
        let open = [
            Inner::Unnumbered4([255; 4], 67),
            Inner::Unnumbered6(group([1, 0xff, 0, 0, 3]), 58, 135),
            Inner::Unnumbered6(group([0, 0, 0, 0, 0x16]), 58, 143),
        ]
        .map(plain);
        let closed = [
            Inner::V4(17, 9999),
            Inner::Unnumbered4([255; 4], 9999),
            Inner::Unnumbered4([10, 9, 0, 3], 9999),
            Inner::Unnumbered4([10, 9, 0, 3], 67),
            Inner::Unnumbered4([224, 0, 0, 1], 9999),
            Inner::V6(17, 9999),
            Inner::Unnumbered6(global(3), 17, 9999),
            Inner::Unnumbered6(global(3), 58, 128),
            Inner::Unnumbered6(global(3), 58, 135),
            Inner::Unnumbered6(group([0, 0, 0, 0, 1]), 17, 9999),
        ]
        .map(plain);
        assert_eq!(through(&a, &b, &closed).len(), closed.len());
        deploy::apply(&env.host, &bundle(&policy), Options::default()).unwrap();
        let left = through(&a, &b, &closed);
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(through(&a, &b, &open).len(), open.len());
    });
}
