//! What a rule does, from the target it names.

use super::conditions::understood;
use super::options::{Jump, Opt, all_texts};
use super::{Action, DumpErrorKind, Translation, numbers};
use crate::net::Family;

/// Targets behind which the next rule comes, and which change nothing that rules here look at.
const PASSING: [&str; 18] = [
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNSECMARK",
    "CT",
    "DSCP",
    "HL",
    "IDLETIMER",
    "LED",
    "LOG",
    "NFLOG",
    "RATEEST",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TOS",
    "TRACE",
    "TTL",
];

/// Reads a target; one that is not understood stays as its text. A name that no target has may still be
/// that of a chain, which shows when all chains are known.
///
/// Errors: an address of the other family.
pub(super) fn read(jump: &Jump<'_>, family: Family) -> Result<Action, DumpErrorKind> {
    if jump.goto {
        return Ok(Action::Goto(jump.name.to_owned()));
    }
    let known = understood(known(jump, family))?;
    Ok(known.unwrap_or_else(|| unknown(jump)))
}

fn known(jump: &Jump<'_>, family: Family) -> Result<Action, DumpErrorKind> {
    Ok(match jump.name {
        "ACCEPT" => Action::Accept,
        "DROP" => Action::Drop,
        "RETURN" => Action::Return,
        "REJECT" => Action::Reject(reject(jump)),
        "MASQUERADE" => Action::Masquerade,
        "NOTRACK" => Action::NoTrack,
        "CT" if has(jump, "--notrack") => Action::NoTrack,
        "DNAT" => translation(jump, "--to-destination", family)?
            .map_or_else(|| unknown(jump), Action::Dnat),
        "SNAT" => {
            translation(jump, "--to-source", family)?.map_or_else(|| unknown(jump), Action::Snat)
        }
        "REDIRECT" => redirect(jump)?,
        "MARK" => mark(jump)?,
        "CONNMARK" => connmark(jump)?,
        name if PASSING.contains(&name) => Action::Continue,
        _ => unknown(jump),
    })
}

/// Keeps a target as its text.
fn unknown(jump: &Jump<'_>) -> Action {
    let options = all_texts(&jump.options);
    Action::Opaque(format!("{}{options}", jump.name))
}

fn has(jump: &Jump<'_>, name: &str) -> bool {
    jump.options.iter().any(|opt| opt.name == name)
}

fn value<'j>(jump: &'j Jump<'_>, name: &str) -> Result<Option<&'j str>, DumpErrorKind> {
    let found: Option<&Opt<'_>> = jump.options.iter().find(|opt| opt.name == name);
    found.map(Opt::value).transpose()
}

fn reject(jump: &Jump<'_>) -> String {
    let with = value(jump, "--reject-with").ok().flatten();
    with.unwrap_or("icmp-port-unreachable").to_owned()
}

fn redirect(jump: &Jump<'_>) -> Result<Action, DumpErrorKind> {
    let Some(text) = value(jump, "--to-ports")? else {
        return Ok(Action::Redirect(None));
    };
    let ports = numbers::port(&text.replacen('-', ":", 1));
    Ok(ports.map_or_else(|| unknown(jump), |ports| Action::Redirect(Some(ports))))
}

/// Reads `A`, `A-B`, `A:P`, `A-B:P-Q` and `:P`, with IPv6 addresses in brackets where a port follows.
fn translation(
    jump: &Jump<'_>,
    option: &str,
    family: Family,
) -> Result<Option<Translation>, DumpErrorKind> {
    let text = value(jump, option)?.ok_or(DumpErrorKind::Value)?;
    let (addresses, ports) = match family {
        Family::V4 => text.split_once(':').unwrap_or((text, "")),
        Family::V6 => match text.rsplit_once(']') {
            Some((inner, ports)) => (inner, ports.trim_start_matches(':')),
            None => (text, ""),
        },
    };
    // `[A]-[B]:P` is written, too.
    let addresses = addresses.replace(['[', ']'], "");
    let ports = match ports {
        "" => None,
        text => match numbers::port(&text.replacen('-', ":", 1)) {
            // A base for shifted ports, or a service's name.
            None => return Ok(None),
            some => some,
        },
    };
    let addresses = match addresses.as_str() {
        "" => None,
        text => Some(numbers::range(text, family)?),
    };
    Ok(Some(Translation { addresses, ports }))
}

fn mark(jump: &Jump<'_>) -> Result<Action, DumpErrorKind> {
    let change = change(jump)?;
    Ok(change.map_or_else(
        || unknown(jump),
        |(flip, clear)| Action::Mark { flip, clear },
    ))
}

fn connmark(jump: &Jump<'_>) -> Result<Action, DumpErrorKind> {
    if let Some((flip, clear)) = change(jump)? {
        return Ok(Action::ConnMark { flip, clear });
    }
    let mask = |name| -> Result<Option<u32>, DumpErrorKind> {
        value(jump, name)?.map(numbers::number).transpose()
    };
    let both = mask("--mask")?;
    let from = mask("--nfmask")?.or(both).unwrap_or(u32::MAX);
    let to = mask("--ctmask")?.or(both).unwrap_or(u32::MAX);
    Ok(if has(jump, "--save-mark") {
        Action::SaveMark { from, to }
    } else if has(jump, "--restore-mark") {
        Action::RestoreMark { from: to, to: from }
    } else {
        unknown(jump)
    })
}

/// Returns what is flipped and what is cleared before; see `xt_mark.c`'s target.
fn change(jump: &Jump<'_>) -> Result<Option<(u32, u32)>, DumpErrorKind> {
    let Some(opt) = jump.options.first() else {
        return Err(DumpErrorKind::Value);
    };
    let both = || numbers::masked(opt.value()?);
    Ok(Some(match opt.name {
        "--set-xmark" => both()?,
        "--set-mark" => {
            let (value, mask) = both()?;
            (value, mask | value)
        }
        "--and-mark" => (0, !numbers::number(opt.value()?)?),
        "--or-mark" => {
            let bits = numbers::number(opt.value()?)?;
            (bits, bits)
        }
        "--xor-mark" => (numbers::number(opt.value()?)?, 0),
        _ => return Ok(None),
    }))
}
