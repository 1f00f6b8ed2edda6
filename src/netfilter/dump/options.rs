//! The options of a rule, sorted by the match or target that they belong to.

use super::words::Word;
use super::{DumpErrorKind, numbers, spellings};
use crate::net::Family;

/// An option with its values, as in `! --dport 80`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opt<'l> {
    pub not: bool,
    /// With its dashes.
    pub name: &'l str,
    pub values: Vec<&'l str>,
}

impl Opt<'_> {
    /// Returns the only value.
    pub(super) fn value(&self) -> Result<&str, DumpErrorKind> {
        only(self)
    }

    /// Writes the option as iptables-save would, but for quotes.
    pub(super) fn text(&self) -> String {
        let not = if self.not { "! " } else { "" };
        format!(
            "{not}{}",
            [&[self.name], self.values.as_slice()].concat().join(" ")
        )
    }
}

/// Returns the only value of an option, for as long as its line lives.
fn only<'l>(opt: &Opt<'l>) -> Result<&'l str, DumpErrorKind> {
    match opt.values.as_slice() {
        [value] => Ok(*value),
        _ => Err(DumpErrorKind::Value),
    }
}

/// Writes options in a row, each with a blank in front.
pub(super) fn all_texts(options: &[Opt<'_>]) -> String {
    let mut texts = vec![String::new()];
    texts.extend(options.iter().map(Opt::text));
    texts.join(" ")
}

/// A match that a rule loads with `-m`, or without one by its protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module<'l> {
    pub name: &'l str,
    pub options: Vec<Opt<'l>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Jump<'l> {
    pub goto: bool,
    pub name: &'l str,
    pub options: Vec<Opt<'l>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Options<'l> {
    /// Those that need no module: addresses, interfaces, the protocol, fragments.
    pub plain: Vec<Opt<'l>>,
    pub modules: Vec<Module<'l>>,
    pub target: Option<Jump<'l>>,
    /// The family that the rule is for, where it says so.
    pub family: Option<Family>,
}

/// What an option without a module of its own belongs to.
#[derive(Clone, Copy)]
enum Owner {
    Module,
    Target,
}

/// Reads all words of a rule.
pub(super) fn options<'l>(words: &'l [Word<'_>]) -> Result<Options<'l>, DumpErrorKind> {
    let mut found = Options::default();
    let mut owner = Owner::Module;
    for opt in split(words)? {
        let name = spellings::whole(opt.name, found.loaded());
        let opt = Opt { name, ..opt };
        let Some(plain) = long_name(opt.name) else {
            found.own(opt, owner)?;
            continue;
        };
        match plain {
            "--match" => {
                owner = Owner::Module;
                found.modules.push(Module {
                    name: only(&opt)?,
                    options: Vec::new(),
                });
            }
            "--jump" | "--goto" => {
                owner = Owner::Target;
                found.target = Some(Jump {
                    goto: plain == "--goto",
                    name: only(&opt)?,
                    options: Vec::new(),
                });
            }
            // Counters say nothing about packets to come.
            "--set-counters" => {}
            "--ipv4" => found.family = Some(Family::V4),
            "--ipv6" => found.family = Some(Family::V6),
            name => found.plain.push(Opt { name, ..opt }),
        }
    }
    Ok(found)
}

impl<'l> Options<'l> {
    /// Returns the names of the matches and the target whose options are known so far.
    fn loaded(&self) -> impl Iterator<Item = &'l str> {
        let modules = self.modules.iter().map(|module| module.name);
        let target = self.target.iter().map(|target| target.name);
        modules
            .chain(target)
            .chain(self.protocol().and_then(match_of))
    }

    fn protocol(&self) -> Option<&'l str> {
        let protocol = self.plain.iter().find(|opt| opt.name == "--protocol")?;
        protocol.values.first().copied()
    }

    fn own(&mut self, opt: Opt<'l>, owner: Owner) -> Result<(), DumpErrorKind> {
        let implied = self.implied(opt.name);
        match (owner, implied, &mut self.target) {
            (_, Some(name), _) => self.give(name, opt),
            (Owner::Target, None, Some(target)) => target.options.push(opt),
            _ => {
                if self.modules.is_empty() {
                    // A match by the protocol's name is loaded where an option asks for it.
                    let name = self.protocol().ok_or(DumpErrorKind::Line)?;
                    self.give(name, opt);
                    return Ok(());
                }
                let last = self.modules.last_mut();
                last.ok_or(DumpErrorKind::Line)?.options.push(opt);
            }
        }
        Ok(())
    }

    /// Returns the match of the rule's protocol that an option needs and nobody has loaded.
    fn implied(&self, option: &str) -> Option<&'static str> {
        const PORTS: [&str; 4] = ["--dport", "--sport", "--destination-port", "--source-port"];
        const TCP: [&str; 3] = ["--tcp-flags", "--syn", "--tcp-option"];
        let module = match_of(self.protocol()?)?;
        let fits = match module {
            "tcp" => PORTS.contains(&option) || TCP.contains(&option),
            "icmp" => option == "--icmp-type",
            "icmp6" => option == "--icmpv6-type",
            _ => PORTS.contains(&option),
        };
        fits.then_some(module)
    }

    /// Gives an option to the last match of a name, or to a new one.
    fn give(&mut self, name: &'l str, opt: Opt<'l>) {
        let found = self
            .modules
            .iter_mut()
            .rev()
            .find(|module| module.name == name);
        match found {
            Some(module) => module.options.push(opt),
            None => self.modules.push(Module {
                name,
                options: vec![opt],
            }),
        }
    }
}

/// Returns the match of a protocol.
fn match_of(protocol: &str) -> Option<&'static str> {
    Some(match numbers::protocol(protocol).ok()?? {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        58 => "icmp6",
        132 => "sctp",
        136 => "udplite",
        _ => return None,
    })
}

/// Splits words at options; a `!` stands in front of its option or, as up to iptables 1.4.2, behind.
fn split<'l>(words: &'l [Word<'_>]) -> Result<Vec<Opt<'l>>, DumpErrorKind> {
    let mut found: Vec<Opt<'l>> = Vec::new();
    let mut not = false;
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if word.is_not() {
            let before = words.peek().is_some_and(|next| next.is_option());
            match found.last_mut() {
                Some(last) if !before && last.values.is_empty() => last.not = true,
                _ => not = true,
            }
        } else if word.is_option() {
            let (name, value) = spellings::parts(&word.text);
            let any = value.is_none() && spellings::takes_any(name);
            let text = words.next_if(|next| any && !next.is_not());
            let value = value.or(text.map(|text| &*text.text));
            found.push(Opt {
                not: std::mem::take(&mut not),
                name,
                values: value.into_iter().collect(),
            });
        } else {
            let last = found.last_mut().ok_or(DumpErrorKind::Line)?;
            last.values.push(&word.text);
        }
    }
    if not {
        Err(DumpErrorKind::Line)
    } else {
        Ok(found)
    }
}

/// Returns the long name of an option that needs no module.
fn long_name(name: &str) -> Option<&'static str> {
    const NAMES: [(&str, &[&str]); 12] = [
        ("--source", &["-s", "--source", "--src"]),
        ("--destination", &["-d", "--destination", "--dst"]),
        ("--in-interface", &["-i", "--in-interface"]),
        ("--out-interface", &["-o", "--out-interface"]),
        ("--protocol", &["-p", "--protocol", "--proto"]),
        ("--fragment", &["-f", "--fragment"]),
        ("--match", &["-m", "--match"]),
        ("--jump", &["-j", "--jump"]),
        ("--goto", &["-g", "--goto"]),
        ("--set-counters", &["-c", "--set-counters"]),
        ("--ipv4", &["-4", "--ipv4"]),
        ("--ipv6", &["-6", "--ipv6"]),
    ];
    let found = NAMES
        .iter()
        .find(|(_, spellings)| spellings.contains(&name));
    found.map(|(long, _)| *long)
}
