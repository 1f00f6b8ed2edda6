//! The codes that name each kind of mistake.

use std::fmt;

use super::{Severity, suggest};

/// A stable code such as `T0203`; the first two digits name the stage: 01 syntax, 02 names, 03
/// meaning, 04 rules, 05 host, 06 lints, 07 what else is on a host, 08 what runs there. A code is never used again for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What is known of a code.
#[derive(Debug)]
pub struct Entry {
    pub code: Code,
    /// In one line.
    pub meaning: &'static str,
    /// What it means and how to mend it, in Markdown; its first line is the title.
    pub page: &'static str,
    pub severity: Severity,
}

impl Entry {
    /// Returns what the page says before its examples.
    pub fn description(&self) -> &'static str {
        let text = self.page.split_once("\n\n").map_or("", |(_, text)| text);
        text.split("\n\n```").next().unwrap_or(text)
    }
}

/// Returns what is known of a code, in whatever case it is written.
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter()
        .find(|entry| entry.code.0.eq_ignore_ascii_case(name))
}

/// Returns the code that a misspelt one was most likely meant to be.
pub fn nearest(name: &str) -> Option<&'static str> {
    suggest::nearest(name, ALL.iter().map(|entry| entry.code.0))
}

macro_rules! severity {
    () => {
        Severity::Error
    };
    (warning) => {
        Severity::Warning
    };
}

/// Declares each code as a constant, and the table of all.
macro_rules! codes {
    ($($name:ident = $code:literal $($warning:ident)?, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Code = Code($code);)*

        /// Every code.
        pub const ALL: &[Entry] = &[$(Entry {
            code: $name,
            meaning: $meaning,
            page: include_str!(concat!("../../docs/codes/", $code, ".md")),
            severity: severity!($($warning)?),
        }),*];
    };
}

codes! {
    FILE_TOO_LARGE = "T0101", "A policy file is larger than 1 MiB.";
    NOT_TEXT = "T0102", "A policy file holds control characters or hidden ones.";
    TOO_MANY_MISTAKES = "T0103", "A file has so many mistakes that reading stopped.";
    TOO_COMPLEX = "T0104", "A text takes more steps to read than any real policy does.";
    LIST_TOO_LONG = "T0105", "A list or a set has too many entries.";
    NAME_TOO_LONG = "T0106", "A name has more than 64 characters.";
    TOO_DEEP = "T0107", "Brackets are nested too deep.";
    NUMBER_TOO_LARGE = "T0108", "A number does not fit.";
    UNEXPECTED = "T0110", "Something else is expected here.";
    UNKNOWN_WORD = "T0111", "No item, setting or statement starts with this word.";
    MISPLACED = "T0112", "A statement stands outside the block that it belongs to.";
    UNCLOSED_BLOCK = "T0113", "A block has no closing brace.";
    UNOPENED_BLOCK = "T0114", "A block has no opening brace at the end of its first line.";
    UNCLOSED_TEXT = "T0115", "A text in quotes does not end on its line.";
    RESERVED_WORD = "T0116", "A word is reserved for a later version of the language.";
    BUILT_IN_NAME = "T0117", "A name that has a meaning of its own is declared.";
    ADDRESS_AS_NAME = "T0118", "An address stands where only a name can.";
    UNKNOWN_NAME = "T0201", "A name that nothing declares.";
    WRONG_KIND = "T0202", "A name of another kind than the place needs.";
    DUPLICATE_NAME = "T0203", "A name that is declared twice.";
    UNREADABLE_FILE = "T0204", "A file of the policy that cannot be read.";
    INCLUDE_CYCLE = "T0205", "A file that includes itself, perhaps through others.";
    INCLUDE_ESCAPE = "T0206", "A file outside the policy's folder.";
    INCLUDE_DEPTH = "T0207", "Includes within includes, too deep.";
    TOO_MANY_FILES = "T0208", "More files than a policy may have.";
    TRUST_CYCLE = "T0209", "A trust set that contains itself, perhaps through others.";
    UNKNOWN_ICMP_TYPE = "T0210", "An ICMP type that has no such name.";
    TOO_MANY_NETWORKS = "T0211", "More networks than a policy may have.";
    TOO_MANY_CONTAINERS = "T0212", "More containers than a policy may have.";
    TOO_MANY_PREFIXES = "T0213", "Trust sets larger than a policy may have.";
    TOO_MANY_LINKS = "T0214", "Links that stand for more pairs than a policy may have.";
    BAD_ADDRESS = "T0301", "A text that is not an address.";
    BAD_PREFIX = "T0302", "A text that is not a prefix.";
    HOST_BITS = "T0303", "A prefix with bits set right of its length.";
    MAPPED_ADDRESS = "T0304", "An IPv4 address written as IPv6.";
    BAD_RANGE = "T0305", "A range of addresses that has no meaning.";
    EMPTY_TRUST = "T0306" warning, "A trust set without any address.";
    BAD_PORT = "T0307", "A port or a range of ports that cannot be.";
    PORT_COUNT = "T0308", "As many container ports as host ports are needed.";
    DUPLICATE_SETTING = "T0309", "A setting that is written twice in its block.";
    BAD_INTERFACE = "T0310", "A text that cannot name an interface.";
    BRIDGE_REQUIRED = "T0311", "A network without a bridge.";
    SUBNET_REQUIRED = "T0312", "A network without a subnet.";
    SUBNET_OVERLAP = "T0313", "Two subnets with addresses in common.";
    SUBNET_UNUSABLE = "T0314", "A subnet whose addresses containers cannot have.";
    BRIDGE_TWICE = "T0315", "Two networks on one bridge.";
    BRIDGE_IS_UPLINK = "T0316", "A bridge that is an uplink too.";
    ADDRESS_OUTSIDE = "T0317", "A container's address outside its network.";
    ADDRESS_UNUSABLE = "T0318", "An address of a subnet that no container can have.";
    ADDRESS_TWICE = "T0319", "One address for two containers.";
    NETWORK_TWICE = "T0320", "A container that is twice on one network.";
    HOST_PORT_TWICE = "T0321", "One port of the host for two exposures.";
    PUBLISHED_TO_NOBODY = "T0322", "A published port that does not say from whom.";
    EXPOSED_WITHOUT_PORTS = "T0323", "An exposure that needs ports and has none.";
    LOOPBACK_UNREACHABLE = "T0324", "A loopback port offered to somebody who cannot reach it.";
    BAD_HOST_ADDRESS = "T0325", "An address that a port cannot be published on.";
    BAD_MARK = "T0326", "A mark that is not one bit.";
    BAD_VERSION = "T0327", "A text that is not a version of Docker.";
    OLD_ENGINE = "T0328", "A release of Docker that is too old.";
    BAD_RATE = "T0329", "A rate that the kernel cannot keep.";
    BAD_SYSCTL_KEY = "T0330", "A text that cannot name a kernel setting.";
    BAD_SYSCTL_VALUE = "T0331", "A text that cannot be a kernel setting's value.";
    SYSCTL_TWICE = "T0332", "A kernel setting that is written twice.";
    SYSCTL_OWNED = "T0333", "A kernel setting that follows from the policy.";
    LINK_SIDE = "T0334", "A side of a link that is no container.";
    LINK_TO_NOTHING = "T0335", "A link to a container that exposes nothing.";
    LINK_NOT_EXPOSED = "T0336", "A link to ports that the container does not expose.";
    NO_DECLARED_SIDE = "T0338", "A statement with no declared network on either side.";
    ADDRESS_NEEDED = "T0339", "A rule about a container whose address is not known.";
    NO_NETWORK = "T0340", "A policy that declares no network.";
    UPLINK_TWICE = "T0341", "An uplink that is written twice.";
    NO_NFTABLES = "T0342", "A release of Docker without the nftables backend.";
    FORWARD_UNDER_NFTABLES = "T0343", "A policy of FORWARD that would cut what Docker's nftables backend lets in.";
    HOST_UNNAMED = "T0344", "One host of several, without a name.";
    NETWORK_WITHOUT_HOST = "T0345", "A network in a policy of several hosts that does not say on which it is.";
    ON_TWO_HOSTS = "T0346", "A container on networks of two hosts.";
    BAD_ROUTE = "T0347", "A route that cannot be.";
    LIMIT_OF_NOBODY = "T0348", "A limit on an exposure that is offered to nobody.";
    UNGOVERNED_NETWORK = "T0349", "A network whose packets no rule of the host sees.";
    FORWARD_LEFT_OPEN = "T0350" warning, "Forwarding is on and FORWARD's policy is left as it is.";
    UPLINK_UNNAMED = "T0351" warning, "IPv6 forwarding is on and no uplink is named.";
    GATEWAY_ADDRESS = "T0352" warning, "A container's address that is usually the bridge's own.";
    EXCEPT_NOTHING = "T0353" warning, "An exception that takes nothing out.";
    NEW_ENGINE = "T0354" warning, "A release of Docker that is newer than this tidegate knows.";
    NFTABLES_NEEDS_FORWARDING = "T0355" warning, "An engine that does not start without forwarding, and forwarding is not on.";
    INVENTORY_DIFFERS = "T0357", "An inventory that cannot be of the networks that the policy declares.";
    NOT_IN_INVENTORY = "T0358" warning, "A network that the inventory does not have.";
    INVENTORY_STALE = "T0359" warning, "A container whose address the policy and the inventory tell otherwise.";
    ADDRESS_OF_NOW = "T0360" warning, "Addresses that are the engine's of this moment.";
    COMPOSE_DIFFERS = "T0361", "A network or an address that compose files and the policy tell otherwise.";
    COMPOSE_PORTS = "T0362" warning, "A port that only one of compose files and policy publishes.";
    COMPOSE_SILENT = "T0363" warning, "A bridge or subnet that compose files leave to Docker.";
    NOT_IN_COMPOSE = "T0364" warning, "A container that no service makes.";
    NOT_IN_POLICY = "T0365" warning, "A network or a container of compose files that the policy does not declare.";
    COMPOSE_LINK = "T0366" warning, "A link of compose files that the policy does not open.";
    OFFER_LOST = "T0367" warning, "A published port offered to containers of another host.";
    FORWARDING_NEEDED = "T0370", "Nobody turns forwarding on, and containers need it.";
    LOOPBACK_V6 = "T0371", "A port on the IPv6 loopback address, which cannot be translated.";
    INTERNAL_NETWORK = "T0380" warning, "A statement that an internal network makes empty.";
    EXPECTED_OF_INTERNAL = "T0381", "An expectation that an internal network never keeps.";
    NO_ROUTE = "T0356" warning, "A host without a route to another's containers.";
    TOO_MANY_RULES = "T0401", "A policy becomes more rules than a host should load.";
    RULES_DIFFER = "T0402", "Rules that do not mean what the policy says: a mistake of tidegate.";
    TOO_MANY_TO_PROVE = "T0403", "Rules that are too many to be compared with the policy.";
    NOT_PROVEN = "T0404" warning, "Rules that nobody has compared with the policy.";
    NOT_EXPECTED = "T0405", "An expectation that the rules do not keep.";
    EXPECTED_OF_NOBODY = "T0406", "An expectation that no connection is about.";
    NOT_LOADABLE = "T0407", "Rules that iptables or the kernel would not take.";
    BUNDLE_DAMAGED = "T0501", "A bundle that is not as it was compiled.";
    REHEARSAL_DIFFERS = "T0502", "This machine's iptables prints a rule otherwise than it was compiled.";
    HOST_FAILED = "T0503", "A file, a command or the kernel of this machine failed.";
    LOCKED = "T0504", "Another tidegate is changing this machine.";
    UNSAFE_FILE = "T0505", "Somebody other than root could change what would be put in force.";
    NO_SETTING = "T0506", "A kernel setting that this machine does not have.";
    NOT_INSTALLED = "T0507", "No bundle is installed.";
    RULES_REJECTED = "T0508", "The kernel or iptables refused the rules.";
    RULES_STRANGE = "T0509", "A bundle whose rules do more than its manifest says.";
    RULES_UNSTABLE = "T0510", "Another program keeps changing the rules while they are loaded.";
    RULES_UNREADABLE = "T0511", "The machine's own rules cannot be read.";
    SETTING_REFUSED = "T0512", "The kernel took a setting and has another value.";
    FOLDER_OCCUPIED = "T0513", "The folder for a bundle holds something else.";
    ROUTE_REFUSED = "T0514", "A route that this machine does not take, or routes that cannot be read.";
    OTHER_ENGINE = "T0515", "An engine that runs otherwise than the policy says.";
    CONFIRMATION_AWAITED = "T0516", "A bundle that waits for a confirmation is in the way.";
    NOTHING_WAITS = "T0517", "Nothing waits for a confirmation.";
    TOO_LATE = "T0518", "A confirmation that came too late.";
    NOT_ARMED = "T0519", "Nothing can be started that would go back when the time is over.";
    NOTHING_BEFORE = "T0520", "No bundle, or not one alone, to go back to.";
    NOT_CUT = "T0524", "Connections that lost their permission could not be cut.";
    BOOT_FAILED = "T0525", "The rules were not loaded in whole when the machine started.";
    FORGETS = "T0526", "A policy that no longer names a network which the one in force closes.";
    CLOSED_AT_FIRST = "T0527", "Ports that the first policy closes by default.";
    TABLE_UNREAD = "T0528", "A table that was written and cannot be read back.";
    ANSWER_OPEN = "T0529", "An answer that rules of others, which are not read, may change.";
    OLDER_COPY = "T0530", "An installed bundle that is damaged, and an older copy in force.";
    NOTHING_INTACT = "T0531", "No bundle on this machine is intact.";
    NOT_CLOSED = "T0532", "Containers that cannot be closed before their engine starts.";
    NOTHING_BUT_CLOSED = "T0533", "A trial whose end would open containers.";
    ENDS_SESSION = "T0534", "Rules that would end the session in which they are applied.";
    UNUSED_SET = "T0601" warning, "A trust set that nothing uses.";
    IDLE_NETWORK = "T0602" warning, "A network about which nothing is said.";
    CLOSED_PORT = "T0603" warning, "A port that nobody in its `from` can reach.";
    REDUNDANT_NAME = "T0604" warning, "A name that adds nothing to the others in its list.";
    UNLINKED = "T0605" warning, "A port for linked containers to which nobody is linked.";
    REPEATED = "T0607" warning, "A statement that another one contains.";
    NOTHING_NEW = "T0608" warning, "A statement that opens nothing which is not open without it.";
    CANCELLED = "T0609" warning, "A statement of which denials leave nothing.";
    DENIES_NOTHING = "T0610" warning, "A denial of what is closed without it.";
    SPARE_SOURCE = "T0611" warning, "Somebody in a list whom others in it hold already.";
    NOT_COMPARED = "T0612" warning, "Statements that are too many to be compared with each other.";
    GATEWAY_MEANT = "T0613" warning, "A network named where the host might be meant.";
    HOST_LEFT_OPEN = "T0614" warning, "An opening of the host that closes nothing to others.";
    ANY_IS_HOST = "T0615" warning, "A denial of `any` that the host is under, too.";
    NAMES_LEAVE = "T0616" warning, "A network without a way out whose names the engine may resolve.";
    OTHER_VARIANT = "T0701", "Rules in the iptables that is not the machine's usual one.";
    SAVED_RULES = "T0702", "Saved rules that a service loads over tidegate's.";
    NFTABLES_FLUSHES = "T0703", "A service that empties all tables of nftables.";
    UFW = "T0704", "What ufw does to the policy.";
    FIREWALLD = "T0705", "What firewalld does to the policy.";
    SCRIPT_FLUSHES = "T0706", "A script that empties or replaces rules.";
    RULE_IN_FRONT = "T0707", "A rule of others in front of tidegate's.";
    UNTRACKED = "T0708", "Packets that pass without connection tracking.";
    REDIRECTED = "T0709", "Packets that others lead elsewhere.";
    QUEUED = "T0710", "Packets about which a program decides.";
    AROUND_NETFILTER = "T0711", "A way around the rules.";
    ENGINE_ON_NETWORK = "T0712", "An engine that anybody on the network may command.";
    ENGINE_SOCKET = "T0713", "Who may command the engine.";
    CONTAINER_POWERS = "T0714", "A container that can change the rules.";
    ENGINE_SETTINGS = "T0715", "An engine that is not as the policy takes it to be.";
    OTHER_ENGINE_BESIDE = "T0716", "Another engine on the same machine.";
    SETTING_UNDONE = "T0717", "A file that undoes a kernel setting of the policy.";
    KERNEL_SETTING = "T0718", "A kernel setting that opens more than the policy says.";
    CONNECTIONS_FULL = "T0719", "A table of connections that is nearly full.";
    UNITS = "T0720", "A unit of tidegate that does not do its work.";
    NO_BUNDLE = "T0721", "No bundle, or none that can be used.";
    DRIFTED = "T0722", "A machine that differs from its bundle.";
    OLD_IPTABLES = "T0723", "A release of iptables that is too old.";
    NOT_LOOKED_AT = "T0724", "Something that could not be looked at.";
    DOCKER_USER_DECIDES = "T0725", "Rules of others in DOCKER-USER that decide first.";
    MARK_WRITTEN = "T0726", "A rule of others that writes the mark of grants.";
    PROXY_SERVES = "T0727", "A published port that the policy does not mention.";
    RULES_UNREAD = "T0730", "Rules of others that tidegate cannot read.";
    CLOSED_FIRST = "T0731", "What closes containers at boot is not whole.";
    TAGS_PASS = "T0732", "Frames with tags that pass between containers of a closed bridge.";
    TAGS_DROPPED = "T0733", "Frames with tags that are dropped on more bridges than the policy's.";
    FORWARD_CUTS = "T0734", "A policy of FORWARD that ends what another table lets pass.";
    PODMAN_NETWORK = "T0735", "A network of podman's in a policy for Docker.";
    NETWORK_ABSENT = "T0801", "A declared network that the engine does not have.";
    NETWORK_BRIDGE = "T0802", "A network that has another bridge than the policy says.";
    NETWORK_SUBNET = "T0803", "A network that has a subnet which the policy does not name.";
    NETWORK_DRIVER = "T0804", "A declared network that is no bridge.";
    CONTAINER_ELSEWHERE = "T0805", "A container that runs on another network than the policy says.";
    CONTAINER_ADDRESS = "T0806", "A container at another address than the rules have for it.";
    ADDRESS_TAKEN = "T0807", "An address of the policy's that another container has.";
    PORT_CLOSED = "T0808", "A published port that no line opens, and that is closed.";
    PORT_OPEN = "T0809", "A published port that no line opens, and that is open.";
    PORT_OF_ANOTHER = "T0810", "A port that a line opens for one container, and the engine published for another.";
    PORT_UNPUBLISHED = "T0811", "A port that a line opens, and the container does not publish.";
    UNDECLARED_OPEN = "T0812", "A published port of a network that no line declares, and that is open.";
    OTHERS_DROP = "T0813", "A rule of others that drops what the policy opens.";
    NOT_COMPARED_WITH_ENGINE = "T0814", "An engine that could not be asked what runs.";
    CONTAINER_BESIDES = "T0815", "A declared container that is also on a network which no line declares.";
    OUTSIDE_UNNAMED = "T0816", "What `outside` is where no uplink is named.";
    BRIDGES_LEFT = "T0817", "Bridges that are not the engine's.";
}
