//! Options written shorter or in one word, as `getopt_long(3)` takes them.

/// Options that need no module, and those that stand for a command.
const PLAIN: [&str; 16] = [
    "--source",
    "--src",
    "--destination",
    "--dst",
    "--in-interface",
    "--out-interface",
    "--protocol",
    "--proto",
    "--fragment",
    "--match",
    "--jump",
    "--goto",
    "--set-counters",
    "--ipv4",
    "--ipv6",
    "--table",
];

/// The commands of iptables(8): letter and name.
const COMMANDS: [(char, &str); 13] = [
    ('A', "--append"),
    ('C', "--check"),
    ('D', "--delete"),
    ('E', "--rename-chain"),
    ('F', "--flush"),
    ('I', "--insert"),
    ('L', "--list"),
    ('N', "--new-chain"),
    ('P', "--policy"),
    ('R', "--replace"),
    ('S', "--list-rules"),
    ('X', "--delete-chain"),
    ('Z', "--zero"),
];

const PORTS: [&str; 4] = ["--source-port", "--sport", "--destination-port", "--dport"];

/// Returns the options of matches and targets that this reader knows; iptables-extensions(8).
fn of_module(name: &str) -> &'static [&'static str] {
    match name {
        "addrtype" => &[
            "--src-type",
            "--dst-type",
            "--limit-iface-in",
            "--limit-iface-out",
        ],
        "comment" => &["--comment"],
        "connmark" | "mark" => &["--mark"],
        "conntrack" => &[
            "--ctstate",
            "--ctproto",
            "--ctorigsrc",
            "--ctorigdst",
            "--ctreplsrc",
            "--ctrepldst",
            "--ctorigsrcport",
            "--ctorigdstport",
            "--ctreplsrcport",
            "--ctrepldstport",
            "--ctstatus",
            "--ctexpire",
            "--ctdir",
        ],
        "dccp" | "sctp" | "udp" | "udplite" => &PORTS,
        "icmp" => &["--icmp-type"],
        "icmp6" | "icmpv6" => &["--icmpv6-type"],
        "iprange" => &["--src-range", "--dst-range"],
        "multiport" => &[
            "--source-ports",
            "--sports",
            "--destination-ports",
            "--dports",
            "--ports",
        ],
        "state" => &["--state"],
        "tcp" => &[
            "--source-port",
            "--sport",
            "--destination-port",
            "--dport",
            "--tcp-flags",
            "--syn",
            "--tcp-option",
        ],
        _ => of_target(name),
    }
}

fn of_target(name: &str) -> &'static [&'static str] {
    match name {
        "CONNMARK" => &[
            "--set-xmark",
            "--set-mark",
            "--and-mark",
            "--or-mark",
            "--xor-mark",
            "--save-mark",
            "--restore-mark",
            "--nfmask",
            "--ctmask",
            "--mask",
        ],
        "DNAT" => &["--to-destination", "--random", "--persistent"],
        "MARK" => &[
            "--set-xmark",
            "--set-mark",
            "--and-mark",
            "--or-mark",
            "--xor-mark",
        ],
        "MASQUERADE" | "REDIRECT" => &["--to-ports", "--random", "--random-fully"],
        "REJECT" => &["--reject-with"],
        "SNAT" => &["--to-source", "--random", "--random-fully", "--persistent"],
        _ => &[],
    }
}

/// Returns the whole name of an option where modules are loaded: its own, or the only one that it is
/// the beginning of. What begins none or several stays as it is.
pub(super) fn whole<'n>(name: &'n str, modules: impl Iterator<Item = &'n str>) -> &'n str {
    if !name.starts_with("--") || PLAIN.contains(&name) {
        return name;
    }
    let options = modules.flat_map(of_module).chain(&PLAIN);
    let mut found = None;
    for option in options.copied() {
        if option == name {
            return name;
        }
        if option.starts_with(name) && found.replace(option).is_some_and(|it| it != option) {
            return name;
        }
    }
    found.unwrap_or(name)
}

/// Returns the letter of a command and what is written behind it in the same word, as in `-AINPUT`.
pub(super) fn command(word: &str) -> Option<(char, &str)> {
    if word.starts_with("--") {
        let exact = COMMANDS.iter().find(|(_, name)| *name == word);
        let mut fits = COMMANDS.iter().filter(|(_, name)| name.starts_with(word));
        let only = fits
            .next()
            .filter(|_| fits.next().is_none() && word.len() > 2);
        return exact.or(only).map(|(letter, _)| (*letter, ""));
    }
    let mut letters = word.strip_prefix('-')?.chars();
    let first = letters.next()?;
    let known = COMMANDS.iter().any(|(letter, _)| *letter == first);
    known.then_some((first, letters.as_str()))
}

/// Returns name and value of an option that are one word: `-s10.0.0.1`, `--dport=80`.
pub(super) fn parts(word: &str) -> (&str, Option<&str>) {
    const SHORT: [char; 8] = ['d', 'g', 'i', 'j', 'm', 'o', 'p', 's'];
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
    }
    let has_value = word.len() > 2 && word.chars().nth(1).is_some_and(|it| SHORT.contains(&it));
    match word.split_at_checked(2).filter(|_| has_value) {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    }
}

/// Tells whether the word behind an option is its value, whatever it looks like.
pub(super) fn takes_any(name: &str) -> bool {
    const TEXTS: [&str; 9] = [
        "--comment",
        "--hex-string",
        "--in-interface",
        "--log-prefix",
        "--nflog-prefix",
        "--out-interface",
        "--string",
        "-i",
        "-o",
    ];
    TEXTS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_whole_where_they_are_of_one() {
        let at =
            |name: &'static str, modules: &'static [&str]| whole(name, modules.iter().copied());
        assert_eq!(at("--to", &["DNAT"]), "--to-destination");
        assert_eq!(at("--dpor", &["tcp"]), "--dport");
        // Both `--source` and `--source-port` begin so, and the first is one itself.
        assert_eq!(at("--source", &["tcp"]), "--source");
        assert_eq!(at("--s", &["tcp"]), "--s");
        assert_eq!(at("--to", &["string"]), "--to");
    }

    #[test]
    fn commands_are_known_by_letter_and_name() {
        assert_eq!(command("-A"), Some(('A', "")));
        assert_eq!(command("-AINPUT"), Some(('A', "INPUT")));
        assert_eq!(command("--app"), Some(('A', "")));
        assert_eq!(command("--delete"), Some(('D', "")));
        for other in ["--", "-p", "-", "", "A", "--source"] {
            assert_eq!(command(other), None, "{other}");
        }
    }

    #[test]
    fn names_and_values_are_told_apart() {
        assert_eq!(parts("-s10.0.0.1"), ("-s", Some("10.0.0.1")));
        assert_eq!(parts("--dport=80"), ("--dport", Some("80")));
        for whole in ["-s", "-f", "--dport", "-é", "-"] {
            assert_eq!(parts(whole), (whole, None));
        }
    }
}
