//! Whether the conditions of a rule hold for a packet.

use std::net::IpAddr;

use super::chain::Walker;
use crate::net::PortRange;
use crate::netfilter::dump::{AddressType, Condition, States, Test};

const TCP: u8 = 6;
/// Protocols whose header begins with both ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [TCP, 17, 33, 132, 136];
const ICMP: [u8; 2] = [1, 58];

impl Walker<'_> {
    pub(super) fn holds(&mut self, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| {
            if is_about_a_connection(&condition.test) && !self.is_tracked() {
                return false;
            }
            let answer = match &condition.test {
                Test::Opaque(opaque) => self.ask(opaque),
                test => self.test(test),
            };
            answer != condition.not
        })
    }

    fn test(&self, test: &Test) -> bool {
        let packet = &self.packet;
        let has_ports = WITH_PORTS.contains(&packet.protocol);
        let among = |ports: &[PortRange], port| has_ports && ports.iter().any(|r| r.contains(port));
        match test {
            Test::Source(nets) => nets.iter().any(|net| net.contains(&packet.source)),
            Test::Destination(nets) => nets.iter().any(|net| net.contains(&packet.destination)),
            Test::SourceRange(first, last) => (*first..=*last).contains(&packet.source),
            Test::DestinationRange(first, last) => (*first..=*last).contains(&packet.destination),
            Test::Input(pattern) => pattern.matches(&packet.input),
            Test::Output(pattern) => pattern.matches(&packet.output),
            Test::Protocol(number) => packet.protocol == *number,
            Test::SourcePort(ports) => among(ports, packet.source_port),
            Test::DestinationPort(ports) => among(ports, packet.port),
            Test::EitherPort(ports) => {
                among(ports, packet.source_port) || among(ports, packet.port)
            }
            Test::TcpFlags { mask, set } => {
                packet.protocol == TCP && packet.tcp_flags & mask == *set
            }
            Test::Icmp(wanted) => ICMP.contains(&packet.protocol) && self.icmp(*wanted),
            Test::SourceType(types) => types.iter().any(|one| self.is_of(packet.source, *one)),
            Test::DestinationType(types) => {
                types.iter().any(|one| self.is_of(packet.destination, *one))
            }
            Test::Mark { value, mask } => packet.mark & mask == *value,
            Test::Opaque(_) => false,
            connection => self.of_connection(connection),
        }
    }

    fn of_connection(&self, test: &Test) -> bool {
        let packet = &self.packet;
        match test {
            Test::Conntrack(states) => states.overlaps(self.states()),
            Test::Original => packet.original,
            Test::OriginalDestination(net) => net.contains(&packet.asked.0),
            Test::OriginalDestinationPort(ports) => ports.contains(packet.asked.1),
            Test::OriginalSource(net) => net.contains(&packet.asker),
            Test::ConnMark { value, mask } => packet.connmark & mask == *value,
            _ => false,
        }
    }

    pub(super) fn is_tracked(&self) -> bool {
        let without = States::UNTRACKED.with(States::INVALID);
        self.tracks && !self.packet.state.overlaps(without)
    }

    fn states(&self) -> States {
        let mut states = self.packet.state;
        if states == States::UNTRACKED {
            return states;
        }
        if !self.tracks {
            return States::INVALID;
        }
        if self.packet.source != self.packet.asker {
            states = states.with(States::SNAT);
        }
        if self.packet.is_translated() {
            states = states.with(States::DNAT);
        }
        states
    }

    fn icmp(&self, wanted: Option<(u8, Option<u8>)>) -> bool {
        let (kind, code) = self.packet.icmp;
        wanted.is_none_or(|(at, of)| at == kind && of.is_none_or(|of| of == code))
    }

    fn is_of(&self, address: IpAddr, kind: AddressType) -> bool {
        let local = self.machine.is_local(address);
        let broadcast = self.machine.is_broadcast(address);
        match kind {
            AddressType::Broadcast => broadcast,
            AddressType::Local => local,
            AddressType::Multicast => address.is_multicast(),
            AddressType::Unicast => !local && !broadcast && !address.is_multicast(),
        }
    }
}

/// Tells whether a test has no answer without a connection: it fails then, negated or not; see
/// `conntrack_mt` of the kernel's `xt_conntrack.c` and `connmark_mt` of `xt_connmark.c`.
fn is_about_a_connection(test: &Test) -> bool {
    matches!(
        test,
        Test::ConnMark { .. }
            | Test::Original
            | Test::OriginalDestination(_)
            | Test::OriginalDestinationPort(_)
            | Test::OriginalSource(_)
    )
}
