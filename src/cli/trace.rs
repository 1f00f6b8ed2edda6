//! `tidegate trace`.

use std::net::IpAddr;
use std::path::Path;

use super::args::{Format, TraceArgs};
use super::failure::{Failure, FailureKind};
use super::{Done, beside, policy, target};
use crate::compile::Subject;
use crate::deploy::Problem;
use crate::host::{self, FileKind, Host, LinuxHost, Trust};
use crate::netfilter::Family;
use crate::netfilter::dump::{DumpErrorKind, States};
use crate::netfilter::trace::{Machine, traces};
use crate::question::{self, Answer, Assumed, LiveError, Question, Told, Way, WhoError};

/// Largest text of rules that is read, in bytes.
pub(super) const MAX_RULES: u64 = 256 << 20;

pub(super) fn run(args: &TraceArgs) -> Result<Done, Failure> {
    let family = family(args);
    let (subject, warnings) = match &args.what {
        None => (None, String::new()),
        Some(path) => {
            let (subject, warnings) = subject(path, args)?;
            (Some(subject), warnings)
        }
    };
    let Assumed {
        machine,
        assumptions,
    } = machine(args, subject.as_ref(), family)?;
    let (protocol, port) =
        question::service(&args.port, family).map_err(|error| unclear(&error))?;
    let question = Question {
        from: &args.from,
        to: &args.to,
        protocol,
        port,
        input: args.input.as_deref(),
        state: if args.established {
            States::ESTABLISHED
        } else {
            States::NEW
        },
        family,
    };
    let answers = answers(&question, subject.as_ref(), args.live, &machine);
    let answers = answers.map_err(|error| unclear(&error))?;
    let notes: Vec<String> = assumptions
        .iter()
        .map(|said| format!("note: {said}\n"))
        .collect();
    let origins = subject.as_ref().map(|subject| subject.bundle.origins());
    let origins = origins.transpose().map_err(Problem::from)?;
    let done = Done {
        text: shown(args, &answers, &Told::new(&machine, origins)),
        warnings: warnings + &notes.concat(),
        // By one way is enough: a published port need not be reached past the host, too.
        yes: answers.iter().any(Answer::arrives),
        ..Done::default()
    };
    Ok(if args.live {
        beside::add(done, &live_host(args), &[family])
    } else {
        done
    })
}

fn live_host(args: &TraceArgs) -> LinuxHost {
    LinuxHost::new("/", args.iptables.into())
}

fn answers(
    question: &Question<'_>,
    subject: Option<&Subject>,
    live: bool,
    machine: &Machine,
) -> Result<Vec<Answer>, WhoError> {
    if let Some(Subject { policy, bundle }) = subject {
        // A bundle whose parties cannot be read has given no policy.
        let sets = bundle.parties().map_or(&[][..], |parties| &parties.sets);
        question::no_sets(question, policy, sets)?;
    }
    let known = subject.map(|subject| &subject.policy);
    // Where the machine is the policy's, its containers are where it takes them to be.
    let placed = known.filter(|_| !live).map(question::placed);
    let ways = question::ways(question, placed.as_ref().or(known), machine)?;
    let answer = |way: Way| Answer {
        traces: traces(machine, &way.probe),
        way,
    };
    Ok(ways.into_iter().map(answer).collect())
}

fn shown(args: &TraceArgs, answers: &[Answer], told: &Told<'_>) -> String {
    match args.format {
        Format::Json => format!("{:#}\n", question::as_json(answers, told)),
        Format::Text if args.why => question::shortest(answers, told),
        Format::Text => question::as_text(answers, told),
    }
}

fn family(args: &TraceArgs) -> Family {
    let six = |text: &String| {
        text.parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv6())
    };
    if args.ipv6 || six(&args.from) || six(&args.to) {
        Family::V6
    } else {
        Family::V4
    }
}

/// Compiles a policy; of a bundle, its manifest tells the names.
fn subject(path: &Path, args: &TraceArgs) -> Result<(Subject, String), Failure> {
    if host::kind(path) == FileKind::Folder {
        let named = target::named_folder(path, args.host_name.as_deref(), Trust::Anybody)?;
        return Ok((named, String::new()));
    }
    let with = policy::With {
        host: args.host_name.as_deref(),
        inventory: args.inventory.as_deref(),
        ..policy::With::default()
    };
    policy::subject(path, &with, Trust::Anybody, "nothing is traced")
}

fn machine(
    args: &TraceArgs,
    subject: Option<&Subject>,
    family: Family,
) -> Result<Assumed, Failure> {
    let known = subject.map(|subject| &subject.policy);
    if args.live {
        return live(args, family);
    }
    let built = match (&args.rules, subject) {
        (Some(path), _) => {
            let text = host::read_rules(path, MAX_RULES)?;
            let built = question::of_rules(&text, known, &args.output, family);
            return built.map_err(|error| unread_file(path, &error));
        }
        (None, Some(subject)) => {
            question::of_policy(&subject.policy, subject.bundle.rules(family), family)
        }
        // The command line asks for one of them.
        (None, None) => question::of_rules("", None, &args.output, family),
    };
    built.map_err(|error| unread(&error))
}

fn live(args: &TraceArgs, family: Family) -> Result<Assumed, Failure> {
    let host = live_host(args);
    let (rules, routes) = (host.save(family)?, host.routes(family)?);
    let machine = question::of_live(&rules, &host.addresses()?, &routes, family)
        .map_err(|error| unread(&error))?;
    Ok(Assumed {
        machine,
        assumptions: Vec::new(),
    })
}

pub(super) fn unread(error: &LiveError) -> Failure {
    Failure::new(FailureKind::No, &error.to_string(), expected(error))
}

fn expected(error: &LiveError) -> &'static str {
    match error {
        LiveError::Rules(error) if error.kind == DumpErrorKind::Nft => {
            "give what `iptables-save` prints; rules of nft alone are not followed yet"
        }
        _ => "the rules must be what iptables-save prints, of the family that is asked for",
    }
}

/// Like [`unread`], of a file.
pub(super) fn unread_file(path: &Path, error: &LiveError) -> Failure {
    let message = format!("{}: {error}", host::shown(path));
    Failure::new(FailureKind::No, &message, expected(error))
}

fn unclear(error: &WhoError) -> Failure {
    let help = match error {
        WhoError::Set(_) => "give one of its addresses, or the policy instead of its bundle",
        _ => "see `tidegate trace --help`; `-6` asks in IPv6, `--in` names an interface",
    };
    Failure::new(FailureKind::Usage, &error.to_string(), help)
}
