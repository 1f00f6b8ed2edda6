//! The conditions of a rule, from its options.

use super::options::{Module, Opt, all_texts};
use super::{AddressType, Condition, DumpErrorKind, Opaque, Pattern, States, Test, numbers};
use crate::net::Family;

/// Reads every condition. Options that are not understood stay as their text, each for itself; an
/// unknown match stays whole.
///
/// Errors: an address of the other family.
pub(super) fn read(
    plain: &[Opt<'_>],
    modules: &[Module<'_>],
    family: Family,
) -> Result<Vec<Condition>, DumpErrorKind> {
    let mut found = Vec::with_capacity(plain.len() + modules.len());
    for opt in plain {
        let read = understood(self::plain(opt, family))?;
        found.extend(read.unwrap_or_else(|| Some(condition(opt, Test::Opaque(as_text(opt))))));
    }
    for module in modules {
        if module.name == "comment" {
            continue;
        }
        match known(module.name).filter(|_| !is_bound(module)) {
            None => found.push(whole(module)),
            Some(read) => {
                for opt in &module.options {
                    let test = understood(read(opt, family))?.flatten();
                    found.push(
                        test.map_or_else(|| single(module, opt), |test| condition(opt, test)),
                    );
                }
            }
        }
    }
    Ok(found)
}

/// Returns what was read; nothing where it is not understood.
///
/// Errors: an address of the other family.
pub(super) fn understood<T>(read: Result<T, DumpErrorKind>) -> Result<Option<T>, DumpErrorKind> {
    match read {
        Err(DumpErrorKind::Address) => Err(DumpErrorKind::Address),
        read => Ok(read.ok()),
    }
}

/// Tells whether one option of the match changes what another one means.
fn is_bound(module: &Module<'_>) -> bool {
    let limits = |opt: &Opt<'_>| opt.name.starts_with("--limit-iface");
    module.options.iter().any(limits)
}

fn condition(opt: &Opt<'_>, test: Test) -> Condition {
    // `! --ctdir ORIGINAL` and `--ctdir REPLY` are one condition.
    let reply = opt.values.first().is_some_and(|value| *value == "REPLY");
    Condition {
        not: opt.not ^ (test == Test::Original && reply),
        test,
    }
}

/// Keeps an option of a match as its text, without its negation.
fn single(module: &Module<'_>, opt: &Opt<'_>) -> Condition {
    let positive = Opt {
        not: false,
        ..opt.clone()
    };
    opaque(
        opt.not,
        format!("-m {} {}", module.name, positive.text()),
        false,
    )
}

/// Keeps a match as its text. Several options have no common negation.
fn whole(module: &Module<'_>) -> Condition {
    const PURE: [&str; 14] = [
        "ah", "cgroup", "cluster", "cpu", "dst", "eui64", "frag", "hl", "length", "mac", "owner",
        "physdev", "pkttype", "ttl",
    ];
    let mut options = module.options.clone();
    let not = match options.as_mut_slice() {
        [only] => std::mem::take(&mut only.not),
        _ => false,
    };
    let texts = all_texts(&options);
    let stateful = !PURE.contains(&module.name) && module.name != "set";
    opaque(not, format!("-m {}{texts}", module.name), stateful)
}

fn opaque(not: bool, text: String, stateful: bool) -> Condition {
    Condition {
        not,
        test: Test::Opaque(Opaque { text, stateful }),
    }
}

fn plain(opt: &Opt<'_>, family: Family) -> Result<Option<Condition>, DumpErrorKind> {
    let nets = || numbers::nets(opt.value()?, family);
    let test = match opt.name {
        "--source" => nets()?.map_or_else(|| Test::Opaque(as_text(opt)), Test::Source),
        "--destination" => nets()?.map_or_else(|| Test::Opaque(as_text(opt)), Test::Destination),
        "--in-interface" => Test::Input(pattern(opt.value()?)),
        "--out-interface" => Test::Output(pattern(opt.value()?)),
        "--protocol" => match numbers::protocol(opt.value()?)? {
            Some(number) => Test::Protocol(number),
            None if opt.not => return Err(DumpErrorKind::Number),
            None => return Ok(None),
        },
        _ => Test::Opaque(as_text(opt)),
    };
    Ok(Some(condition(opt, test)))
}

fn as_text(opt: &Opt<'_>) -> Opaque {
    let text = format!("{} {}", opt.name, opt.values.join(" "));
    Opaque {
        text: text.trim_end().to_owned(),
        stateful: false,
    }
}

fn pattern(text: &str) -> Pattern {
    match text.strip_suffix('+') {
        None => Pattern {
            name: text.to_owned(),
            prefix: false,
        },
        Some(name) => Pattern {
            name: name.to_owned(),
            prefix: true,
        },
    }
}

/// Reads one option; nothing where it is to stay as its text.
type Read = fn(&Opt<'_>, Family) -> Result<Option<Test>, DumpErrorKind>;

fn known(module: &str) -> Option<Read> {
    Some(match module {
        "addrtype" => addrtype,
        "connmark" => |opt, _| mark(opt, |value, mask| Test::ConnMark { value, mask }),
        "conntrack" | "state" => conntrack,
        "dccp" | "multiport" | "sctp" | "tcp" | "udp" | "udplite" => ports,
        "icmp" | "icmp6" | "icmpv6" => icmp,
        "iprange" => iprange,
        "mark" => |opt, _| mark(opt, |value, mask| Test::Mark { value, mask }),
        _ => return None,
    })
}

fn mark(opt: &Opt<'_>, test: fn(u32, u32) -> Test) -> Result<Option<Test>, DumpErrorKind> {
    let (value, mask) = numbers::masked(opt.value()?)?;
    Ok((opt.name == "--mark").then(|| test(value, mask)))
}

fn ports(opt: &Opt<'_>, _: Family) -> Result<Option<Test>, DumpErrorKind> {
    let ports = || numbers::ports(opt.value()?);
    Ok(match opt.name {
        "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
            ports()?.map(Test::DestinationPort)
        }
        "--sport" | "--sports" | "--source-port" | "--source-ports" => {
            ports()?.map(Test::SourcePort)
        }
        "--port" | "--ports" => ports()?.map(Test::EitherPort),
        "--syn" => Some(Test::TcpFlags { mask: 23, set: 2 }),
        "--tcp-flags" => match opt.values.as_slice() {
            [mask, set] => Some(Test::TcpFlags {
                mask: numbers::tcp_flags(mask)?,
                set: numbers::tcp_flags(set)?,
            }),
            _ => return Err(DumpErrorKind::Value),
        },
        _ => None,
    })
}

fn icmp(opt: &Opt<'_>, family: Family) -> Result<Option<Test>, DumpErrorKind> {
    let text = opt.value()?;
    if numbers::is_any_icmp(text, family) {
        return Ok(Some(Test::Icmp(None)));
    }
    Ok(numbers::icmp(text, family).map(|kind| Test::Icmp(Some(kind))))
}

fn iprange(opt: &Opt<'_>, family: Family) -> Result<Option<Test>, DumpErrorKind> {
    let (first, last) = numbers::range(opt.value()?, family)?;
    Ok(match opt.name {
        "--dst-range" => Some(Test::DestinationRange(first, last)),
        "--src-range" => Some(Test::SourceRange(first, last)),
        _ => None,
    })
}

fn conntrack(opt: &Opt<'_>, family: Family) -> Result<Option<Test>, DumpErrorKind> {
    let net = || -> Result<_, DumpErrorKind> {
        let nets = numbers::nets(opt.value()?, family)?;
        let one = nets.filter(|nets| nets.len() == 1);
        Ok(one.and_then(|nets| nets.into_iter().next()))
    };
    Ok(match opt.name {
        "--ctstate" | "--state" => states(opt.value()?).map(Test::Conntrack),
        "--ctdir" => ["ORIGINAL", "REPLY"]
            .contains(&opt.value()?)
            .then_some(Test::Original),
        "--ctorigdst" => net()?.map(Test::OriginalDestination),
        "--ctorigsrc" => net()?.map(Test::OriginalSource),
        "--ctorigdstport" => numbers::port(opt.value()?).map(Test::OriginalDestinationPort),
        _ => None,
    })
}

fn states(text: &str) -> Option<States> {
    let state = |word: &str| {
        Some(match word {
            "DNAT" => States::DNAT,
            "ESTABLISHED" => States::ESTABLISHED,
            "INVALID" => States::INVALID,
            "NEW" => States::NEW,
            "RELATED" => States::RELATED,
            "SNAT" => States::SNAT,
            "UNTRACKED" => States::UNTRACKED,
            _ => return None,
        })
    };
    let mut all = States::default();
    for word in text.split(',') {
        all = all.with(state(word)?);
    }
    Some(all)
}

fn addrtype(opt: &Opt<'_>, _: Family) -> Result<Option<Test>, DumpErrorKind> {
    let types = || -> Result<Option<Vec<AddressType>>, DumpErrorKind> {
        let word = |word: &str| match word {
            "BROADCAST" => Some(AddressType::Broadcast),
            "LOCAL" => Some(AddressType::Local),
            "MULTICAST" => Some(AddressType::Multicast),
            "UNICAST" => Some(AddressType::Unicast),
            _ => None,
        };
        Ok(opt.value()?.split(',').map(word).collect())
    };
    Ok(match opt.name {
        "--dst-type" => types()?.map(Test::DestinationType),
        "--src-type" => types()?.map(Test::SourceType),
        _ => None,
    })
}
