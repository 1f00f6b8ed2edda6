//! Rules of others that nobody can read: tidegate's own stand beside them, and they stay as they are.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};

use nix::sched::{CloneFlags, unshare};
use tidegate::artifact::Bundle;
use tidegate::deploy::report::DriftKind;
use tidegate::deploy::{self, Options, Outcome};
use tidegate::doctor::{Facts, examine};
use tidegate::host::{Host, Variant};
use tidegate::netfilter::dump::{Action, read};
use tidegate::netfilter::{Family, Table, verbatim};

use crate::props::dice::Dice;
use crate::support::bundle::Sample;
use crate::support::env::{Env, on, on_both};

const GATE: &str = "-j TIDE-GATE";

fn program(env: &Env, family: Family) -> String {
    let tool = match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    format!("{tool}-{}", env.variant_name())
}

fn run(name: &str, words: &[&[u8]]) -> Output {
    let words = words.iter().map(|word| OsStr::from_bytes(word));
    Command::new(name).args(words).output().unwrap()
}

/// Adds a rule in words of any bytes, and returns whether iptables took it.
fn add(env: &Env, family: Family, words: &[&[u8]]) -> bool {
    run(&program(env, family), words).status.success()
}

fn nft(line: &str) -> Vec<u8> {
    let output = Command::new("nft").args(line.split(' ')).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "nft {line}: {error}");
    output.stdout
}

/// Returns all that is not tidegate's, byte for byte, and rules of nft's own by their number.
fn others(env: &Env) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for family in Family::BOTH {
        let saved = run(&format!("{}-save", program(env, family)), &[]).stdout;
        let lines = saved.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        all.extend(lines.filter(|line| !is_ours(line)));
    }
    if env.variant == Variant::Nft {
        let json: serde_json::Value = serde_json::from_slice(&nft("-j list ruleset")).unwrap();
        let rules = json["nftables"].as_array().unwrap().iter();
        let rules = rules
            .filter_map(|it| it.get("rule"))
            .map(ToString::to_string);
        let rules = rules.map(String::into_bytes).filter(|rule| !is_ours(rule));
        all.extend(rules);
    }
    all
}

/// Tells whether a line is about a chain of ours, or is no rule at all.
fn is_ours(line: &[u8]) -> bool {
    let has = |word: &[u8]| line.windows(word.len()).any(|it| it == word);
    let kernels = [
        &b":INPUT"[..],
        b":FORWARD",
        b":OUTPUT",
        b":PREROUTING",
        b":POSTROUTING",
    ];
    let empty = line.is_empty()
        || [&b"*"[..], b"COMMIT", b"#"]
            .iter()
            .any(|it| line.starts_with(it));
    empty || has(b"TIDE-") || has(b"DOCKER-USER") || kernels.iter().any(|it| line.starts_with(it))
}

/// What somebody does to a machine on which the policy is in force.
type Deed = fn(&Env, Family);

fn newline(env: &Env, family: Family) {
    let comment = b"first\nCOMMIT\n*filter\n-A FORWARD -j ACCEPT";
    for (table, chain) in [("filter", "INPUT"), ("mangle", "FORWARD")] {
        let head = [
            "-t",
            table,
            "-I",
            chain,
            "1",
            "-p",
            "tcp",
            "-m",
            "comment",
            "--comment",
        ];
        let head = head.map(str::as_bytes);
        let words = [&head[..], &[&comment[..], b"-j", b"ACCEPT"]].concat();
        assert!(add(env, family, &words));
    }
}

fn latin1(env: &Env, family: Family) {
    let words = ["-I", "INPUT", "1", "-m", "comment", "--comment"].map(str::as_bytes);
    assert!(add(
        env,
        family,
        &[&words[..], &[&b"caf\xe9 \"x\" \\"[..], b"-j", b"ACCEPT"]].concat()
    ));
}

/// Makes tables that iptables-save cannot show. The legacy variant has none.
fn incompatible(env: &Env, family: Family) {
    if env.variant != Variant::Nft {
        return;
    }
    let word = if family == Family::V4 { "ip" } else { "ip6" };
    for chain in ["mangle FORWARD", "filter INPUT", "filter FORWARD"] {
        nft(&format!(
            "insert rule {word} {chain} ct state vmap {{ invalid : drop }}"
        ));
    }
    let saved = run(&format!("{}-save", program(env, family)), &[]).stdout;
    assert!(String::from_utf8_lossy(&saved).contains("is incompatible"));
}

const DEEDS: [Deed; 3] = [newline, latin1, incompatible];

/// Takes the ways to the policy out, and empties a chain of it.
fn disarm(env: &Env, family: Family) {
    let program = program(env, family);
    for line in [
        "-t mangle -D FORWARD -j TIDE-GATE",
        "-t mangle -F TIDE-GATE",
        "-t filter -D INPUT -j TIDE-INPUT",
        "-t filter -F DOCKER-USER",
    ] {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let output = run(&program, &words);
        assert!(output.status.success(), "{line}: {output:?}");
    }
}

fn apply(env: &Env, bundle: &Bundle) -> Outcome {
    deploy::apply(&env.host, bundle, Options::default()).unwrap()
}

/// Does each deed to a machine, and wants the policy in force again by `mend`, others' rules untouched.
fn is_mended(mend: impl Fn(&Env) + Sync) {
    for deed in DEEDS {
        on_both(|env| {
            apply(env, &Sample::shop().bundle());
            for family in Family::BOTH {
                deed(env, family);
                disarm(env, family);
            }
            let before = others(env);
            mend(env);
            for family in Family::BOTH {
                let gate = env.chain(family, Table::Mangle, "FORWARD");
                assert_eq!(gate.first().map(String::as_str), Some(GATE));
                assert_eq!(env.chain(family, Table::Mangle, "TIDE-GATE").len(), 2);
                let input = env.chain(family, Table::Filter, "INPUT");
                assert_eq!(input.first().map(String::as_str), Some("-j TIDE-INPUT"));
            }
            let report = deploy::drift(&env.host).unwrap();
            assert!(report.is_clean(), "{}", report.text());
            assert_eq!(others(env), before);
            deploy::uninstall(&env.host).unwrap();
            assert!(!env.has_rules_of_ours());
            assert_eq!(others(env), before);
        });
    }
}

#[test]
fn a_repair_mends_beside_rules_that_cannot_be_read() {
    is_mended(|env| {
        let (before, after) = deploy::repair(&env.host).unwrap();
        assert!(!before.is_clean() && after.is_clean(), "{}", after.text());
    });
}

#[test]
fn a_boot_mends_beside_rules_that_cannot_be_read() {
    is_mended(|env| {
        let boot = Options {
            boot: true,
            ..Options::default()
        };
        let (_, outcome) = deploy::apply_installed(&env.host, boot).unwrap();
        assert!(outcome.changed && outcome.not_compared.is_empty());
    });
}

#[test]
fn an_apply_and_a_rollback_work_beside_rules_that_cannot_be_read() {
    is_mended(|env| {
        let other = Sample::shop().with_both("tcp --dport 5432", "tcp --dport 5433");
        apply(env, &other.bundle());
        deploy::rollback(&env.host, None, Options::default()).unwrap();
    });
}

/// Hides nft from this thread and what it starts.
fn hide_nft() {
    put_in_place_of_nft("/dev/null");
}

fn put_in_place_of_nft(other: &str) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    for words in [
        &["--make-rprivate", "/"][..],
        &["--bind", other, "/usr/sbin/nft"],
    ] {
        let status = Command::new("mount").args(words).status().unwrap();
        assert!(status.success());
    }
}

#[test]
fn a_table_that_nobody_can_read_is_closed_and_told() {
    if !Path::new("/usr/sbin/nft").exists() {
        return;
    }
    on(Variant::Nft, |env| {
        apply(env, &Sample::shop().bundle());
        for family in Family::BOTH {
            incompatible(env, family);
            disarm(env, family);
        }
        hide_nft();
        let unread = |report: &deploy::report::DriftReport| {
            let drifts = report.drifts.iter();
            drifts
                .filter(|it| it.kind == DriftKind::TableUnread)
                .count()
        };
        let (_, after) = deploy::repair(&env.host).unwrap();
        // mangle and filter, in both families.
        assert_eq!(
            (unread(&after), after.drifts.len()),
            (4, 4),
            "{}",
            after.text()
        );
        let outcome = apply(env, &Sample::shop().bundle());
        assert_eq!((outcome.changed, outcome.not_compared.len()), (true, 4));
        for family in Family::BOTH {
            for words in ["mangle -S TIDE-GATE", "filter -S TIDE-PASS"] {
                let words: Vec<&[u8]> = ["-t"]
                    .into_iter()
                    .chain(words.split(' '))
                    .map(str::as_bytes)
                    .collect();
                let shown = run(&program(env, family), &words).stdout;
                assert!(String::from_utf8_lossy(&shown).lines().count() > 1);
            }
            // Each jump is there, and once.
            for jump in [
                "mangle -D FORWARD -j TIDE-GATE",
                "filter -D INPUT -j TIDE-INPUT",
            ] {
                let words: Vec<&[u8]> = ["-t"]
                    .into_iter()
                    .chain(jump.split(' '))
                    .map(str::as_bytes)
                    .collect();
                let twice = [(); 2].map(|()| run(&program(env, family), &words).status.success());
                assert_eq!(twice, [true, false], "{jump}");
            }
        }
        let error = deploy::uninstall(&env.host).unwrap_err();
        assert!(
            error.to_string().contains("some of tidegate's rules"),
            "{error}"
        );
    });
}

/// Comments and matches of any kind, as others may have them.
fn strange(dice: &mut Dice) -> Vec<Vec<u8>> {
    let chain = dice.pick(&["INPUT", "FORWARD", "OUTPUT", "STRANGE"]);
    let mut words: Vec<Vec<u8>> = ["-I", chain].map(|it| it.as_bytes().to_vec()).into();
    let extra = dice.pick(&[
        "",
        "-p ospf",
        "-p 253",
        "-m length --length 3:9",
        "-m u32 --u32 6&0xFF=1",
        "-i a\"b",
        "-m statistic --mode random --probability 0.5",
        "! -f",
        "-m string --algo bm --string \"x",
    ]);
    words.extend(
        extra
            .split(' ')
            .filter(|it| !it.is_empty())
            .map(|it| it.as_bytes().to_vec()),
    );
    let length = 1 + dice.below(40);
    let byte = |dice: &mut Dice| match dice.below(4) {
        0 => dice.pick(b"\n\"\\' \t\r"),
        1 => u8::try_from(1 + dice.below(255)).unwrap(),
        _ => dice.pick(b"-AjJCOMIT*:#"),
    };
    let comment: Vec<u8> = (0..length).map(|_| byte(dice)).collect();
    words.extend([
        b"-m".to_vec(),
        b"comment".to_vec(),
        b"--comment".to_vec(),
        comment,
    ]);
    let target = dice.pick(&["ACCEPT", "DROP", "RETURN", "LOG", "STRANGE2"]);
    words.extend(["-j", target].map(|it| it.as_bytes().to_vec()));
    words
}

#[test]
fn whatever_others_have_the_gate_is_in_force_and_theirs_is_theirs() {
    on_both(|env| {
        let mut dice = Dice::new(16);
        apply(env, &Sample::shop().bundle());
        let mut taken = 0;
        for family in Family::BOTH {
            for chain in ["STRANGE", "STRANGE2"] {
                assert!(add(env, family, &[b"-N", chain.as_bytes()]));
            }
            for _ in 0..150 {
                let words = strange(&mut dice);
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                taken += usize::from(add(env, family, &words));
            }
        }
        assert!(taken > 150, "{taken} of 300 were taken");
        for round in 0..4 {
            let before = others(env);
            for family in Family::BOTH {
                disarm(env, family);
                let saved = env.host.save(family).unwrap();
                let raw = run(&format!("{}-save", program(env, family)), &[]).stdout;
                assert_eq!(without_dates(&verbatim::bytes(&saved)), without_dates(&raw));
                read(&saved, family).unwrap();
            }
            if round % 2 == 0 {
                assert!(deploy::repair(&env.host).unwrap().1.is_clean());
            } else {
                assert!(apply(env, &Sample::shop().bundle()).changed);
            }
            assert!(deploy::drift(&env.host).unwrap().is_clean());
            assert_eq!(others(env), before);
        }
    });
}

fn without_dates(saved: &[u8]) -> Vec<&[u8]> {
    let lines = saved.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.starts_with(b"# ")).collect()
}

#[test]
fn a_rule_of_nfts_own_has_a_stand_in_that_may_do_anything() {
    on(Variant::Nft, |env| {
        apply(env, &Sample::shop().bundle());
        incompatible(env, Family::V4);
        let dump = read(&env.host.save(Family::V4).unwrap(), Family::V4).unwrap();
        let forward = &dump.chain("mangle", "FORWARD").unwrap().rules;
        assert!(matches!(&forward[0].action, Action::Opaque(said) if said.starts_with("NFT")));
        assert_eq!(forward[1].action, Action::Jump("TIDE-GATE".to_owned()));
        let report = examine(&Facts::of(&env.host));
        let places = report.findings.iter().filter(|it| it.code.0 == "T0730");
        let places: Vec<&str> = places.filter_map(|it| it.place.as_deref()).collect();
        assert_eq!(places.len(), 3, "{places:?}");
    });
}

/// Asks about the machine of this thread's namespace.
fn trace(env: &Env, more: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args([
            "trace",
            "--live",
            "--from",
            "host",
            "--to",
            "127.0.0.1",
            "--port",
            "22/tcp",
        ])
        .args(["--iptables", env.variant_name()])
        .args(more)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn an_answer_tells_what_it_leaves_out() {
    on_both(|env| {
        Env::ip("link set lo up");
        let (code, text) = trace(env, &[]);
        assert_eq!(code, Some(0), "{text}");
        nft("add table inet guard");
        nft("add chain inet guard in { type filter hook input priority 10 ; }");
        // It has no rule, and accepts.
        assert_eq!(trace(env, &[]).0, Some(0));
        nft("add rule inet guard in tcp dport 22 drop");
        let (code, text) = trace(env, &[]);
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("error[T0529]") && text.contains("inet guard in (hook input)"),
            "{text}"
        );
        let report = examine(&Facts::of(&env.host));
        assert!(report.findings.iter().any(|it| it.code.0 == "T0730"));
    });
}

#[test]
fn saved_bytes_of_any_kind_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |bytes: &[u8]| {
        let file = folder.path().join("saved");
        fs::write(&file, bytes).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args([
                "trace",
                "--from",
                "192.0.2.9",
                "--to",
                "198.51.100.7",
                "--port",
                "80/tcp",
            ])
            .args(["--in", "eth0", "--rules"])
            .arg(file)
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let saved = b"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -m tcp --dport 80 \
                  -m comment --comment \"first\nsecond \xe9\" -j DROP\nCOMMIT\n";
    let (code, text) = ask(saved);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("dropped") && text.contains("no table nat"),
        "{text}"
    );
    for (bytes, said) in [
        (&b""[..], "there is no rule and no table in it"),
        (b"# a comment\n", "there is no rule and no table in it"),
        (b"table ip filter {\n}\n", "this is of nft"),
        (b"-N X\n-A X -j DROP\n", "rules whose table is not told"),
    ] {
        let (code, text) = ask(bytes);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(said), "{text}");
    }
    let (code, text) = ask(b"-P PREROUTING ACCEPT\n-P POSTROUTING ACCEPT\n");
    assert_eq!(code, Some(0));
    assert!(text.contains("no table filter"), "{text}");
}

/// A table of others that nft itself stumbles over, its release 1.0.6.
#[test]
fn what_nft_cannot_list_keeps_nothing_from_being_mended() {
    on(Variant::Nft, |env| {
        deploy::apply(&env.host, &Sample::shop().bundle(), Options::default()).unwrap();
        nft("add table inet other { flags dormant ; }");
        let before = env.everything();
        assert!(add(
            env,
            Family::V4,
            &[b"-t", b"mangle", b"-F", b"TIDE-GATE"]
        ));
        let (report, _) = deploy::repair(&env.host).unwrap();
        assert!(!report.drifts.is_empty());
        assert_eq!(env.everything(), before);
    });
}

/// Puts a program in nft's place that always fails, for this thread and what it starts.
fn break_nft() {
    put_in_place_of_nft("/bin/false");
}

/// Rules are put right and taken away all the same, and what nobody looked at is said.
#[test]
fn an_nft_that_fails_keeps_nothing_from_being_mended_or_removed() {
    on(Variant::Nft, |env| {
        let bundle = Sample::shop().bundle();
        deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        let before = env.everything();
        break_nft();
        assert!(add(
            env,
            Family::V4,
            &[b"-t", b"mangle", b"-F", b"TIDE-GATE"]
        ));
        let (_, left) = deploy::repair(&env.host).unwrap();
        assert_eq!(env.everything(), before);
        let kinds: Vec<DriftKind> = left.drifts.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [DriftKind::TableUnread]);
        let outcome = deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        assert_eq!(outcome.not_compared.len(), 1, "{outcome:?}");
        assert!(!outcome.notes.join("\n").contains("VLAN"), "{outcome:?}");
        assert!(deploy::open_frames(&env.host, &bundle).is_err());
        assert!(deploy::uninstall(&env.host).is_err());
        assert!(!env.everything().iter().any(|line| line.contains("TIDE-")));
    });
}

#[test]
fn a_chain_without_its_hook_is_not_in_force() {
    on(Variant::Nft, |env| {
        let bundle = Sample::shop().bundle();
        deploy::apply(&env.host, &bundle, Options::default()).unwrap();
        nft("flush chain ip mangle FORWARD");
        nft("delete chain ip mangle FORWARD");
        nft("add chain ip mangle FORWARD");
        nft("add rule ip mangle FORWARD counter jump TIDE-GATE");
        let report = deploy::drift(&env.host).unwrap();
        let mut kinds = report.drifts.iter().map(|it| it.kind);
        assert!(
            kinds.any(|kind| kind == DriftKind::TableUnread),
            "{report:?}"
        );
        let outcome = deploy::apply(&env.host, &bundle, Options::default());
        let is_silent = |it: &Outcome| it.not_compared.is_empty();
        assert!(!outcome.as_ref().is_ok_and(is_silent), "{outcome:?}");
    });
}
