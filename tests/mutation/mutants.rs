//! Every small mistake that a rule could have.

use ipnet::IpNet;

/// A text of rules with one mistake, and what it is.
pub struct Mutant {
    pub what: String,
    pub text: String,
}

/// Returns every mutant of a text of rules: of each rule it is gone, later, wider, narrower, or does
/// something else.
pub fn mutants(text: &str) -> Vec<Mutant> {
    let lines: Vec<&str> = text.lines().collect();
    let chains = chains(&lines);
    let mut found = emptied(&lines, &chains);
    for (at, line) in lines.iter().enumerate() {
        let with = |new: &[String]| {
            let before = lines[..at].iter().map(|line| (*line).to_owned());
            let after = lines[at + 1..].iter().map(|line| (*line).to_owned());
            let all: Vec<String> = before.chain(new.to_vec()).chain(after).collect();
            all.join("\n") + "\n"
        };
        for new in of_line(line) {
            let what = format!("{} {line} => {new}", at + 1);
            let text = with(&Vec::from_iter((!new.is_empty()).then_some(new)));
            found.push(Mutant { what, text });
        }
        if let Some(new) = elsewhere(line, &chains) {
            let what = format!("{} {line} => {new}", at + 1);
            found.push(Mutant {
                what,
                text: with(&[new]),
            });
        }
        let next = lines
            .get(at + 1)
            .filter(|next| is_of_one_chain(line, next) && *next != line);
        if let Some(next) = next {
            let mut lines: Vec<&str> = lines.clone();
            lines.swap(at, at + 1);
            let what = format!("{} {line} <=> {next}", at + 1);
            let text = lines.join("\n") + "\n";
            found.push(Mutant { what, text });
        }
    }
    found
}

/// Returns the names of our own chains, in the order in which they are declared.
fn chains<'l>(lines: &[&'l str]) -> Vec<&'l str> {
    let names = lines.iter().filter_map(|line| line.strip_prefix(':'));
    let names = names.filter_map(|line| line.split(' ').next());
    names.filter(|name| name.starts_with("TIDE-")).collect()
}

/// Returns the texts in which one chain has no rules.
fn emptied(lines: &[&str], chains: &[&str]) -> Vec<Mutant> {
    let without = |name: &&str| {
        let head = format!("-A {name} ");
        let kept = lines.iter().filter(|line| !line.starts_with(&head));
        let text = kept.fold(String::new(), |text, line| text + line + "\n");
        let what = format!("{name} is empty");
        Mutant { what, text }
    };
    chains.iter().map(without).collect()
}

/// Returns what a jump of a tree becomes that is told its neighbour's chain.
fn elsewhere(line: &str, chains: &[&str]) -> Option<String> {
    let (head, name) = line.rsplit_once(' ')?;
    let is_jump = head.starts_with("-A TIDE-") && head.ends_with(['g', 'j']);
    if !is_jump || !name.contains(['.', '~']) {
        return None;
    }
    let at = chains.iter().position(|chain| *chain == name)?;
    let others = [at.checked_sub(1), Some(at + 1)];
    let mut others = others.into_iter().flatten().filter_map(|at| chains.get(at));
    let other = others.find(|chain| chain.contains(['.', '~']))?;
    Some(format!("{head} {other}"))
}

fn is_of_one_chain(one: &str, other: &str) -> bool {
    let head = |line: &str| {
        line.split(' ')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    one.starts_with("-A ") && head(one) == head(other)
}

/// Returns what a line may become; an empty one is gone.
fn of_line(line: &str) -> Vec<String> {
    if let Some(rest) = line.strip_prefix(":FORWARD ") {
        let other = if rest.starts_with("DROP") {
            "ACCEPT"
        } else {
            "DROP"
        };
        return vec![format!(":FORWARD {other} [0:0]")];
    }
    let mut words = line.split(' ');
    let (Some(command @ ("-A" | "-I")), Some(chain)) = (words.next(), words.next()) else {
        return Vec::new();
    };
    let rest: Vec<&str> = words.collect();
    let groups = groups(&rest);
    let mut found = vec![Vec::new()];
    found.extend(without_one(&groups));
    found.extend(changed(&groups));
    found.extend(narrowed(&groups));
    let write = |groups: Vec<String>| match groups.len() {
        0 => String::new(),
        _ => format!("{command} {chain} {}", groups.join(" ")),
    };
    found.into_iter().map(write).collect()
}

/// Splits a rule into conditions and its target, each with its options.
fn groups(words: &[&str]) -> Vec<String> {
    const HEADS: [&str; 8] = ["-s", "-d", "-i", "-o", "-p", "-m", "-j", "-g"];
    let mut found: Vec<Vec<&str>> = Vec::new();
    let mut not = None;
    for (at, word) in words.iter().enumerate() {
        let heads = words.get(at + 1).is_some_and(|next| HEADS.contains(next));
        if *word == "!" && heads {
            not = Some("!");
        } else if HEADS.contains(word) {
            found.push(not.take().into_iter().chain([*word]).collect());
        } else if let Some(last) = found.last_mut() {
            last.push(word);
        }
    }
    found.iter().map(|group| group.join(" ")).collect()
}

fn is_target(group: &str) -> bool {
    group.starts_with("-j ") || group.starts_with("-g ")
}

fn without_one(groups: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        if is_target(group) || group.starts_with("-m comment") {
            continue;
        }
        let mut fewer = groups.to_vec();
        fewer.remove(at);
        // A protocol's own match cannot stay without it.
        let protocol = group.strip_prefix("-p ");
        if let Some(protocol) = protocol {
            fewer.retain(|other| !other.starts_with(&format!("-m {protocol} ")));
            fewer.retain(|other| !(protocol == "ipv6-icmp" && other.starts_with("-m icmp6")));
        }
        found.push(fewer);
    }
    found
}

/// Returns the rule with one of its groups changed.
fn changed(groups: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        for other in others(group) {
            let mut changed = groups.to_vec();
            changed[at] = other;
            found.push(changed);
        }
    }
    found
}

fn others(group: &str) -> Vec<String> {
    let words: Vec<&str> = group.split(' ').collect();
    match words.as_slice() {
        [flag @ ("-s" | "-d"), net] => nets(net).iter().map(|it| format!("{flag} {it}")).collect(),
        [flag @ ("-i" | "-o"), name] => vec![format!("! {flag} {name}"), format!("{flag} eth9")],
        ["!", flag, name] => vec![format!("{flag} {name}"), format!("! {flag} eth9")],
        ["-m", protocol @ ("tcp" | "udp" | "sctp"), flag, port] => ports(port)
            .iter()
            .map(|it| format!("-m {protocol} {flag} {it}"))
            .collect(),
        ["-m", module @ ("icmp" | "icmp6"), flag, kind] => {
            let kind: u8 = kind.parse().expect("a number");
            vec![format!("-m {module} {flag} {}", kind.wrapping_add(1))]
        }
        ["-m", "conntrack", ..] => states(group),
        ["-m", "hashlimit" | "connlimit", ..] => {
            let digits = |word: &&str| word.parse::<u32>().is_ok();
            let at = words.iter().position(digits).expect("a number");
            let mut other: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
            other[at] = (words[at].parse::<u32>().expect("a number") + 1).to_string();
            vec![other.join(" ")]
        }
        ["-m", module @ ("mark" | "connmark"), "--mark", bits] => {
            vec![format!("-m {module} ! --mark {bits}")]
        }
        ["-j", target, options @ ..] => targets(target, &options.join(" ")),
        ["-g", chain] => vec![
            format!("-j {chain}"),
            "-j DROP".to_owned(),
            "-j RETURN".to_owned(),
        ],
        _ => Vec::new(),
    }
}

fn nets(net: &str) -> Vec<String> {
    let net: IpNet = net.parse().expect("a prefix");
    let length = net.prefix_len();
    let wider = length
        .checked_sub(1)
        .and_then(|length| IpNet::new(net.addr(), length).ok());
    let narrower = IpNet::new(net.addr(), length + 1).ok();
    let both = wider.into_iter().chain(narrower);
    both.map(|net| net.trunc().to_string()).collect()
}

fn ports(port: &str) -> Vec<String> {
    let (first, last) = port.split_once(':').unwrap_or((port, port));
    let (first, last): (u16, u16) = (
        first.parse().expect("a port"),
        last.parse().expect("a port"),
    );
    let mut found = vec![
        format!("{first}:{}", last + 1),
        format!("{}:{last}", first - 1),
    ];
    if first < last {
        found.push(format!("{}:{last}", first + 1));
    }
    found.push((last + 1).to_string());
    found
}

/// Returns other tests of a connection: each option gone, or another port.
fn states(group: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (from, to) in [
        ("--ctstate RELATED,ESTABLISHED", "--ctstate ESTABLISHED"),
        (
            "--ctstate RELATED,ESTABLISHED",
            "--ctstate NEW,RELATED,ESTABLISHED",
        ),
        (
            "--ctstate RELATED,ESTABLISHED",
            "--ctstate INVALID,RELATED,ESTABLISHED",
        ),
        ("! --ctstate DNAT", "--ctstate DNAT"),
        (
            "-m conntrack --ctstate DNAT --ctorig",
            "-m conntrack --ctorig",
        ),
        ("--ctdir ORIGINAL", "--ctdir REPLY"),
        (" --ctdir ORIGINAL", ""),
    ] {
        if group.contains(from) {
            found.push(group.replace(from, to));
        }
    }
    let words: Vec<&str> = group.split(' ').collect();
    if let Some(at) = words.iter().position(|word| *word == "--ctorigdstport") {
        for port in ports(words[at + 1]) {
            found.push(group.replace(
                &format!("--ctorigdstport {}", words[at + 1]),
                &format!("--ctorigdstport {port}"),
            ));
        }
    }
    if let Some(at) = words.iter().position(|word| *word == "--ctorigdst") {
        found.push(group.replace(&format!(" --ctorigdst {}", words[at + 1]), ""));
    }
    found
}

fn targets(target: &str, options: &str) -> Vec<String> {
    let all = |targets: &[&str]| targets.iter().map(|it| format!("-j {it}")).collect();
    match target {
        "ACCEPT" => all(&["RETURN", "DROP"]),
        "DROP" => all(&["RETURN", "ACCEPT"]),
        "RETURN" => all(&["DROP", "ACCEPT"]),
        "MASQUERADE" => all(&["ACCEPT", "RETURN"]),
        "MARK" | "CONNMARK" if options.starts_with("--set-xmark 0x0/") => {
            let bit = options.trim_start_matches("--set-xmark 0x0/");
            vec![format!("-j {target} --set-xmark {bit}/{bit}")]
        }
        "MARK" | "CONNMARK" => {
            let (_, bit) = options.split_once('/').expect("a mask");
            let mut found: Vec<String> = all(&["RETURN", "DROP"]);
            found.push(format!("-j {target} --set-xmark 0x0/{bit}"));
            found.push(format!("-j {target} --set-xmark {bit}0/{bit}0"));
            found
        }
        "DNAT" => {
            let mut found: Vec<String> = all(&["RETURN", "ACCEPT"]);
            let longer =
                if options.ends_with(']') || !options.contains("]:") && !options.contains('.') {
                    options.to_owned()
                } else {
                    format!("{options}1")
                };
            found.extend((longer != options).then(|| format!("-j DNAT {longer}")));
            found
        }
        "LOG" => Vec::new(),
        _ => {
            let mut found: Vec<String> = all(&["DROP", "RETURN", "ACCEPT"]);
            found.push(format!("-g {target}"));
            found
        }
    }
}

/// Returns the rule for fewer packets.
fn narrowed(groups: &[String]) -> Vec<Vec<String>> {
    let has = |flag: &str| {
        groups
            .iter()
            .any(|group| group.trim_start_matches("! ").starts_with(flag))
    };
    let mut found = Vec::new();
    let mut with = |group: &str| {
        let mut more = vec![group.to_owned()];
        more.extend_from_slice(groups);
        found.push(more);
    };
    if !has("-p ") {
        with("-p udp -m udp --dport 4711");
        with("-p tcp");
    }
    if !has("-i ") {
        with("! -i eth9");
        with("-i eth0");
    }
    found
}
