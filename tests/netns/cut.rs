//! Open connections while rules change: what lost its permission ends, and nothing else.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use tidegate::artifact::Bundle;
use tidegate::deploy::{self, Options, Outcome};
use tidegate::host::Host;
use tidegate::netfilter::Family;

use crate::support::bundle::{Sample, write};
use crate::support::env::{Env, on_both};
use crate::support::faulty::{Call, Faulty};
use crate::support::ns::Namespace;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing may come before it is taken for silence. Too short, it hides a mistake; it makes none.
const SILENCE: Duration = Duration::from_millis(500);
const SERVER: [&str; 2] = ["172.18.0.20", "[fd00:18::20]"];
/// What an engine lets pass: answers, and what containers begin.
const ENGINE: &str = "*filter
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i br-shop -j ACCEPT
COMMIT
";

struct Net {
    client: Namespace,
    server: Namespace,
}

impl Net {
    /// Makes client, machine and container: the machine is the namespace that the test runs in.
    fn new(env: &Env) -> Net {
        let (client, server) = (Namespace::new(), Namespace::new());
        for line in [
            "link set lo up".to_owned(),
            "link add br-shop type bridge".to_owned(),
            format!("link add eth0 type veth peer name c0 netns {}", client.id),
            format!("link add s0 type veth peer name c0 netns {}", server.id),
            "link set s0 master br-shop".to_owned(),
            "address add 203.0.113.1/24 dev eth0".to_owned(),
            "address add 2001:db8:10::1/64 dev eth0 nodad".to_owned(),
            "address add 172.18.0.1/16 dev br-shop".to_owned(),
            "address add fd00:18::1/64 dev br-shop nodad".to_owned(),
            "link set eth0 up".to_owned(),
            "link set s0 up".to_owned(),
            "link set br-shop up".to_owned(),
        ] {
            Env::ip(&line);
        }
        let sides = [
            (
                &client,
                ["203.0.113.5/24", "2001:db8:10::5/64"],
                ["203.0.113.1", "2001:db8:10::1"],
            ),
            (
                &server,
                ["172.18.0.20/16", "fd00:18::20/64"],
                ["172.18.0.1", "fd00:18::1"],
            ),
        ];
        for (side, [four, six], [gate4, gate6]) in sides {
            side.ok("ip link set c0 up");
            side.ok(&format!("ip address add {four} dev c0"));
            side.ok(&format!("ip address add {six} dev c0 nodad"));
            side.ok(&format!("ip route add default via {gate4}"));
            side.ok(&format!("ip -6 route add default via {gate6}"));
        }
        for family in Family::BOTH {
            env.load(family, ENGINE);
        }
        env.host
            .set_sysctl("net/ipv6/conf/all/forwarding", "1")
            .unwrap();
        env.host
            .set_sysctl("net/netfilter/nf_conntrack_tcp_loose", "1")
            .unwrap();
        Net { client, server }
    }

    /// Sends back whatever comes to a port; with `pushes`, TCP streams also talk without being asked.
    fn serve(&self, port: u16, pushes: bool) {
        let any = (Ipv6Addr::UNSPECIFIED, port);
        let listener = self.server.run(move || TcpListener::bind(any).unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || if pushes { push(stream) } else { echo(stream) });
            }
        });
        let socket = self.server.run(move || UdpSocket::bind(any).unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 64];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let _ = socket.send_to(&bytes[..length], from);
            }
        });
    }

    fn tcp(&self, server: &str, port: u16) -> TcpStream {
        let to: SocketAddr = format!("{server}:{port}").parse().unwrap();
        let begin = Instant::now();
        loop {
            // Neighbours are looked for first, which may take a try.
            match self
                .client
                .run(move || TcpStream::connect_timeout(&to, SILENCE))
            {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    return stream;
                }
                Err(error) => assert!(begin.elapsed() < PATIENCE, "{to}: {error}"),
            }
        }
    }

    fn udp(&self, server: &str, port: u16) -> UdpSocket {
        let to: SocketAddr = format!("{server}:{port}").parse().unwrap();
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = self.client.run(move || UdpSocket::bind(any).unwrap());
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }
}

fn echo(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

fn push(mut stream: TcpStream) {
    while stream.write_all(&[7; 512]).is_ok() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a text over TCP and returns whether exactly that comes back.
fn talks(mut stream: &TcpStream, text: &str) -> bool {
    let mut back = vec![0; text.len()];
    let sent = stream.write_all(text.as_bytes());
    let ended = sent.and_then(|()| stream.read_exact(&mut back));
    ended.is_ok() && back == text.as_bytes()
}

fn answers(socket: &UdpSocket, text: &str) -> bool {
    let mut back = [0; 64];
    let sent = socket.send(text.as_bytes());
    let ended = sent.and_then(|_| socket.recv(&mut back));
    ended.is_ok_and(|length| &back[..length] == text.as_bytes())
}

/// Tells whether nothing comes back over TCP.
fn is_silent(stream: &TcpStream, text: &str) -> bool {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    !talks(stream, text)
}

/// Everything to the server is allowed.
fn open() -> Bundle {
    Sample::shop()
        .with_both("-p tcp -m tcp --dport 5432 ", "")
        .bundle()
}

/// Only port 9187 is.
fn narrow() -> Bundle {
    let more = "-A TIDE-shop-in -p udp -m udp --dport 9187 -m comment --comment \"shop.tide:24\" \
                -j MARK --set-xmark 0x800000/0x800000\n-A TIDE-shop-in -m mark --mark";
    Sample::shop()
        .with_both("5432", "9187")
        .with_both("-A TIDE-shop-in -m mark --mark", more)
        .bundle()
}

/// Returns what `tidegate plan` says, which changes nothing.
fn plan(env: &Env, bundle: &Bundle) -> String {
    let folder = env.root.path().join("planned");
    write(bundle, &folder);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg("plan")
        .arg(folder)
        .args(["--iptables", env.variant_name(), "--root"])
        .arg(env.root.path())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

fn apply(host: &dyn Host, bundle: &Bundle) -> Outcome {
    deploy::apply(host, bundle, Options::default()).unwrap()
}

#[test]
fn what_lost_its_permission_ends_and_nothing_else() {
    on_both(|env| {
        let net = Net::new(env);
        net.serve(5432, false);
        net.serve(9187, false);
        apply(&env.host, &open());
        for server in SERVER {
            let (lost, kept) = (net.tcp(server, 5432), net.tcp(server, 9187));
            let (lost_udp, kept_udp) = (net.udp(server, 5432), net.udp(server, 9187));
            for (text, stream) in [("a", &lost), ("b", &kept)] {
                assert!(talks(stream, text), "{server}");
            }
            assert!(
                answers(&lost_udp, "c") && answers(&kept_udp, "d"),
                "{server}"
            );
            let plan = plan(env, &narrow());
            assert!(plan.contains("established connections are cut"), "{plan}");
            let outcome = apply(&env.host, &narrow());
            assert_eq!(outcome.not_cut, None);
            let text = outcome.notes.join("\n");
            assert!(text.contains("connections were cut"), "{text}");
            let bare = server.trim_matches(['[', ']']);
            assert!(text.contains(&format!("-> {bare} : 5432/")), "{text}");
            assert!(!text.contains("9187"), "{text}");
            // Not a byte of the others is lost, and the cut ones stay so, whoever speaks.
            for round in 0..20 {
                assert!(
                    talks(&kept, &format!("{round} of many")),
                    "{server} {round}"
                );
                assert!(answers(&kept_udp, &format!("{round}")), "{server} {round}");
            }
            assert!(is_silent(&lost, "still there?"), "{server}");
            lost_udp.set_read_timeout(Some(SILENCE)).unwrap();
            assert!(!answers(&lost_udp, "still there?"), "{server}");
            // Going back opens the way for new ones.
            let (_, outcome) = deploy::rollback(&env.host, None, Options::default()).unwrap();
            assert!(!outcome.notes.join("\n").contains("cut"), "{outcome:?}");
            assert!(talks(&net.tcp(server, 5432), "again"), "{server}");
            assert!(talks(&kept, "to the end"), "{server}");
        }
    });
}

/// The kernel would take the server's next packet for a new connection of its own.
#[test]
fn a_server_that_goes_on_talking_cannot_bring_it_back() {
    on_both(|env| {
        let net = Net::new(env);
        net.serve(5432, true);
        apply(&env.host, &open());
        for server in SERVER {
            let mut stream = net.tcp(server, 5432);
            stream.read_exact(&mut [0; 8192]).unwrap();
            let outcome = apply(&env.host, &narrow());
            assert!(
                outcome.notes.join("\n").contains(" cut that the policy"),
                "{outcome:?}"
            );
            stream.set_read_timeout(Some(SILENCE)).unwrap();
            let deadline = Instant::now() + PATIENCE;
            loop {
                assert!(Instant::now() < deadline, "{server} goes on");
                match stream.read(&mut vec![0; 65536]) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        break;
                    }
                }
            }
            let flows = env.host.flows().unwrap();
            let ports = flows
                .iter()
                .map(|flow| (flow.ends.source_port, flow.ends.port));
            let back: Vec<_> = ports
                .filter(|(from, to)| [*from, *to].contains(&5432))
                .collect();
            assert!(back.is_empty(), "{server}: {back:?}");
            apply(&env.host, &open());
        }
    });
}

/// Without the kernel's setting, that is what would happen: the test above can fail.
#[test]
fn a_policy_that_wants_it_otherwise_is_told_what_it_gets() {
    on_both(|env| {
        let net = Net::new(env);
        net.serve(5432, true);
        apply(&env.host, &open());
        let mut stream = net.tcp(SERVER[0], 5432);
        stream.read_exact(&mut [0; 8192]).unwrap();
        let key = "net.netfilter.nf_conntrack_tcp_loose";
        let loose = Sample::shop()
            .with_both("5432", "9187")
            .sysctl(key, "1")
            .bundle();
        let outcome = apply(&env.host, &loose);
        assert!(outcome.notes.join("\n").contains(key), "{outcome:?}");
        stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
    });
}

#[test]
fn connections_are_kept_on_request_and_cut_by_the_next() {
    on_both(|env| {
        let net = Net::new(env);
        net.serve(5432, false);
        apply(&env.host, &open());
        let stream = net.tcp(SERVER[0], 5432);
        assert!(talks(&stream, "a"));
        let options = Options {
            keep_connections: true,
            ..Options::default()
        };
        deploy::apply(&env.host, &narrow(), options).unwrap();
        assert!(talks(&stream, "b"));
        // As after a kill between loading and cutting: the rules stand already.
        let outcome = apply(&env.host, &narrow());
        assert!(!outcome.changed);
        assert!(is_silent(&stream, "c"));
    });
}

#[test]
fn a_trial_cuts_and_so_does_its_end() {
    on_both(|env| {
        let net = Net::new(env);
        net.serve(5432, false);
        net.serve(9187, false);
        let host = Faulty::new(env.host.clone(), |_| false);
        apply(&host, &narrow());
        let long = Duration::from_secs(600);
        deploy::try_out(&host, &open(), Options::default(), long).unwrap();
        let (lost, kept) = (net.tcp(SERVER[1], 5432), net.tcp(SERVER[1], 9187));
        assert!(talks(&lost, "a") && talks(&kept, "b"));
        deploy::rollback(&host, None, Options::default()).unwrap();
        assert!(is_silent(&lost, "c"));
        assert!(talks(&kept, "d"));
    });
}

#[test]
fn a_table_that_cannot_be_read_is_said_loudly() {
    on_both(|env| {
        let host = Faulty::new(env.host.clone(), |call| matches!(call, Call::Flows));
        let outcome = apply(&host, &open());
        assert!(outcome.changed);
        assert!(
            outcome
                .not_cut
                .unwrap()
                .contains("the test wants this to fail")
        );
    });
}
