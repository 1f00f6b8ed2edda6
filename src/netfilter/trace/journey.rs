//! The hooks in the order that a packet comes to them.

use std::net::IpAddr;

use super::chain::{Packet, Passed, Walker};
use super::forks::Answers;
use super::{End, Machine, Probe, Trace, is_loopback};

/// Sends a packet along the way that the answers choose, to where its connection goes if that is known.
pub(super) fn travel(
    machine: &Machine,
    probe: &Probe,
    to: Option<(IpAddr, u16)>,
    answers: Answers,
) -> (Trace, Answers) {
    let mut walker = Walker {
        machine,
        packet: Packet::new(probe),
        tracks: false,
        returned: false,
        steps: Vec::new(),
        looks: 0,
        answers,
        translated: to,
        table: "raw",
    };
    let end = match probe.input {
        Some(_) => walker.arrive(),
        None => walker.set_out(),
    };
    let packet = walker.packet;
    let trace = Trace {
        steps: walker.steps,
        end,
        assumptions: Vec::new(),
        source: packet.source,
        destination: (packet.destination, packet.port),
    };
    (trace, walker.answers)
}

/// Ends the journey where a hook ended it.
macro_rules! through {
    ($walker:expr, $chain:expr, $tables:expr) => {
        for table in $tables {
            if let Passed::Ended(end) = $walker.hook(table, $chain) {
                return end;
            }
        }
    };
}

impl Walker<'_> {
    /// From the wire to a process, or on to another interface.
    fn arrive(&mut self) -> End {
        through!(self, "PREROUTING", ["raw", "mangle", "nat"]);
        let (source, destination) = (self.packet.source, self.packet.destination);
        // `route_localnet` is off wherever nobody asked for it, and `accept_local`, too;
        // `ip_route_input_slow` and `fib_validate_source` of the kernel.
        let own = source.is_ipv4() && self.machine.is_local(source);
        let foreign = own || is_loopback(source) || is_loopback(destination);
        if foreign && self.packet.input != "lo" {
            return End::Martian;
        }
        if self.for_the_host() {
            return self.enter();
        }
        let Some(output) = self.machine.route(destination) else {
            return End::NoRoute;
        };
        output.clone_into(&mut self.packet.output);
        through!(self, "FORWARD", ["mangle", "filter", "security"]);
        self.leave()
    }

    fn for_the_host(&self) -> bool {
        let to = self.packet.destination;
        self.comes_back(to) || self.machine.is_broadcast(to) || to.is_multicast()
    }

    fn comes_back(&self, to: IpAddr) -> bool {
        is_loopback(to) || self.machine.is_local(to) || self.machine.is_any_routers(to)
    }

    fn enter(&mut self) -> End {
        self.packet.output.clear();
        through!(self, "INPUT", ["mangle", "filter", "security", "nat"]);
        End::Host
    }

    fn leave(&mut self) -> End {
        through!(self, "POSTROUTING", ["mangle", "nat"]);
        End::Out(self.packet.output.clone())
    }

    /// From a process of the host, out or back to the host.
    fn set_out(&mut self) -> End {
        let Some(asked) = self.own_route() else {
            return End::NoRoute;
        };
        self.packet.output = asked;
        through!(self, "OUTPUT", ["raw", "mangle", "nat"]);
        // A new destination is routed again, but the rest of the hook is told of the first interface:
        // `nf_nat_ipv4_local_fn` of the kernel changes the packet's route, not `nf_hook_state`.
        let Some(output) = self.own_route() else {
            return End::NoRoute;
        };
        through!(self, "OUTPUT", ["filter", "security"]);
        self.packet.output = output;
        let end = self.leave();
        if !end.arrives() || self.packet.output != "lo" {
            return end;
        }
        // Its connection is known already: nat has had its say.
        "lo".clone_into(&mut self.packet.input);
        self.packet.output.clear();
        self.returned = true;
        through!(self, "PREROUTING", ["raw", "mangle"]);
        self.enter()
    }

    fn own_route(&self) -> Option<String> {
        let to = self.packet.destination;
        let output = if self.comes_back(to) {
            Some("lo")
        } else {
            self.machine.route(to)
        };
        output.map(str::to_owned)
    }
}
