//! Packets byte by byte; RFC 791, 8200, 768, 9293, 792, 4443 and 9260.

use std::net::IpAddr;

use tidegate::netfilter::trace::Probe;

/// In front of each packet's number: neither the kernel's answers nor what others send begin so.
pub const MAGIC: u16 = 0x7169;

/// Returns the packet of a probe, with a number in its body.
pub fn packet(probe: &Probe, number: u16) -> Vec<u8> {
    let body = body(probe, number);
    let length = body.len() as u16;
    let mut bytes = match (probe.source, probe.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut bytes = vec![0x45, 0];
            bytes.extend((length + 20).to_be_bytes());
            bytes.extend([0, 1, 0, 0, 64, probe.protocol, 0, 0]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            bytes
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut bytes = vec![0x60, 0, 0, 0];
            bytes.extend(length.to_be_bytes());
            bytes.extend([probe.protocol, 64]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
            bytes
        }
        _ => panic!("{probe:?} is of two families"),
    };
    bytes.extend(body);
    bytes
}

/// Returns the body: the number stands behind its first eight bytes, where no translation changes it; in
/// SCTP, whose checksum is there, behind sixteen.
fn body(probe: &Probe, number: u16) -> Vec<u8> {
    let ports = [probe.source_port.to_be_bytes(), probe.port.to_be_bytes()].concat();
    let marked = [MAGIC.to_be_bytes(), number.to_be_bytes()].concat();
    let (kind, code) = probe.icmp;
    let (before, after): (Vec<u8>, Vec<u8>) = match probe.protocol {
        6 => {
            let rest = vec![5 << 4, probe.tcp_flags, 4, 0, 0, 0, 0, 0];
            ([ports.as_slice(), &[0; 4]].concat(), rest)
        }
        17 | 136 => ([ports.as_slice(), &[0, 20, 0, 0]].concat(), vec![0; 8]),
        // An INIT, whose tag must not be 0.
        132 => {
            let chunk = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20];
            (
                [ports.as_slice(), &chunk].concat(),
                vec![0, 0, 4, 0, 0, 1, 0, 1, 0, 0, 0, 1],
            )
        }
        1 | 58 => (vec![kind, code, 0, 0, 0, 1, 0, 1], vec![0; 8]),
        _ => (vec![0; 8], vec![0; 8]),
    };
    [before, marked, after].concat()
}
