//! iptables that is missing, fails, hangs, is killed, talks nonsense, or waits for its lock.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tidegate::deploy::{self, Options};
use tidegate::host::Variant;

use super::place::Place;
use super::tally::Tally;
use crate::support::env::{Env, on};

const FOLDER: &str = "/usr/sbin";
const RESTORE: [&str; 2] = ["iptables", "ip6tables"];

fn mount(arguments: &[&str]) {
    let output = Command::new("mount").args(arguments).output().unwrap();
    assert!(output.status.success(), "mount {arguments:?}: {output:?}");
}

/// Programs of the test's own over those of the system, in a mount namespace of this thread's own,
/// until this is dropped.
struct Over;

impl Over {
    /// Lays the folder's files over the programs.
    fn lay(folder: &Path) -> Self {
        let options = format!("lowerdir={}:{FOLDER}", folder.display());
        mount(&["-t", "overlay", "-o", &options, "none", FOLDER]);
        Over
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        let ended = Command::new("umount").arg(FOLDER).status();
        assert!(ended.unwrap().success() || std::thread::panicking());
    }
}

fn folder(env: &Env, name: &str) -> std::path::PathBuf {
    let folder = env
        .root
        .path()
        .join("over")
        .join(name.replace([' ', '/'], "-"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn script(folder: &Path, name: &str, body: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// Has the `from`th and every further load end as `body` says; those before it are real.
fn loads_end(env: &Env, folder: &Path, from: usize, body: &str) {
    let count = env.root.path().join("count");
    fs::write(&count, "0").unwrap();
    let variant = env.variant_name();
    for tool in RESTORE {
        let real = format!("exec xtables-{variant}-multi {tool}-restore \"$@\"");
        let count = count.display();
        let body = format!(
            "n=$(($(cat {count}) + 1)); echo $n >{count}; [ $n -lt {from} ] && {real}\n{body}"
        );
        script(folder, &format!("{tool}-{variant}-restore"), &body);
    }
}

fn with_private_programs(variant: Variant, test: impl Fn(&Place<'_>) + Sync) {
    on(variant, |env| {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(&["--make-rprivate", "/"]);
        test(&Place::new(env));
    });
}

fn heals(place: &Place<'_>) {
    let output = place.run(&["apply", "@"], 1);
    assert!(output.status.success(), "{output:?}");
    place.stands(1);
    place.settle(0);
}

#[test]
fn a_command_that_is_missing_is_named() {
    with_private_programs(Variant::Nft, |place| {
        let mut tally = Tally::of("a command that is missing");
        for name in [
            "iptables-nft-save",
            "iptables-nft-restore",
            "ip6tables-nft-restore",
        ] {
            tally.fault(|| {
                let folder = folder(place.env, name);
                // A whiteout: overlayfs shows no file of this name.
                mknod(
                    &folder.join(name),
                    SFlag::S_IFCHR,
                    Mode::empty(),
                    makedev(0, 0),
                )
                .unwrap();
                let over = Over::lay(&folder);
                let text = place.fails(&["apply", "@"], 1, 3);
                assert!(
                    text.starts_with(&format!(
                        "error[T0503]: the command {name} is not installed"
                    )),
                    "{text}"
                );
                assert!(
                    text.contains("\nnothing was changed\nhelp: install the package"),
                    "{text}"
                );
                drop(over);
                place.stands(0);
                heals(place);
            });
        }
    });
}

/// How a load may end, and what the message says of it. What the numbers mean is from iptables'
/// `xtables_error`: 1 other problem, 2 parameter, 3 version, 4 resource (the lock).
const ENDS: [(&str, &str); 9] = [
    (
        "echo 'iptables-restore: line 5 failed' >&2; exit 1",
        "exit status: 1: iptables-restore: line 5 failed",
    ),
    (
        "echo 'Bad argument' >&2; exit 2",
        "exit status: 2: Bad argument",
    ),
    (
        "echo 'Protocol not available' >&2; exit 3",
        "exit status: 3: Protocol not available",
    ),
    (
        "echo 'Another app is holding the xtables lock' >&2; exit 4",
        "exit status: 4: Another app",
    ),
    ("kill -9 $$", "signal: 9 (SIGKILL)"),
    ("kill -11 $$", "signal: 11 (SIGSEGV)"),
    ("exec >&- 2>&-; exit 1", "exit status: 1"),
    ("head -c 300000 /dev/zero; exit 1", "exit status: 1"),
    ("printf '\\377\\376'; exit 1", "exit status: 1"),
];

fn loads_that_fail(variant: Variant) {
    with_private_programs(variant, |place| {
        let mut tally = Tally::of(format!("a load that fails, {variant:?}"));
        for (number, (body, says)) in ENDS.iter().enumerate() {
            // Two loads of each rehearsal, then one of each family.
            for from in [1, 3, 5, 6] {
                tally.fault(|| {
                    let folder = folder(place.env, &format!("{number}-{from}"));
                    // Going back has to load again, so this one alone fails.
                    let once = format!("[ $n = {from} ] || exec xtables-{}-multi $(basename $0 | sed s/-{0}//) \"$@\"\n{body}", place.env.variant_name());
                    loads_end(place.env, &folder, from, &once);
                    let over = Over::lay(&folder);
                    let text = place.fails(&["apply", "@"], 1, 3);
                    drop(over);
                    assert!(text.starts_with("error[T0508]: the IPv"), "{text}");
                    assert!(text.contains(says), "{says}: {text}");
                    place.stands(0);
                    heals(place);
                });
            }
        }
    });
}

#[test]
fn a_load_that_fails_is_told_and_taken_back_nft() {
    loads_that_fail(Variant::Nft);
}

#[test]
fn a_load_that_fails_is_told_and_taken_back_legacy() {
    loads_that_fail(Variant::Legacy);
}

#[test]
fn a_load_that_fails_at_going_back_too_is_told() {
    with_private_programs(Variant::Nft, |place| {
        let mut tally = Tally::of("a load that fails, and going back too");
        tally.fault(|| {
            let folder = folder(place.env, "stuck");
            loads_end(place.env, &folder, 6, "echo broken >&2; exit 1");
            let over = Over::lay(&folder);
            let text = place.fails(&["apply", "@"], 1, 4);
            drop(over);
            assert!(text.contains("\ngoing back failed too: "), "{text}");
            place.is_whole();
            heals(place);
        });
    });
}

#[test]
fn an_uninstall_that_fails_half_way_says_so() {
    with_private_programs(Variant::Nft, |place| {
        let mut tally = Tally::of("an uninstall that fails half way");
        tally.fault(|| {
            let folder = folder(place.env, "uninstall");
            loads_end(place.env, &folder, 2, "echo broken >&2; exit 1");
            let over = Over::lay(&folder);
            let text = place.fails(&["uninstall"], 0, 4);
            drop(over);
            assert!(text.contains("\nsome of tidegate's rules"), "{text}");
            place.is_whole_or_nothing();
            assert!(place.run(&["uninstall"], 0).status.success());
            assert!(!place.env.has_rules_of_ours());
        });
    });
}

#[test]
fn a_command_that_hangs_is_killed_in_time() {
    with_private_programs(Variant::Nft, |place| {
        let mut tally = Tally::of("a command that hangs");
        for from in [1, 5, 6] {
            tally.fault(|| {
                let folder = folder(place.env, &format!("hang-{from}"));
                let once = format!("[ $n = {from} ] || exec xtables-nft-multi $(basename $0 | sed s/-nft//) \"$@\"\nsleep 1000");
                loads_end(place.env, &folder, from, &once);
                let over = Over::lay(&folder);
                let host = place.env.host.clone().with_patience(Duration::from_secs(5));
                let error = deploy::apply(&host, &place.bundles[1], Options::default()).unwrap_err();
                drop(over);
                let text = error.to_string();
                assert!(text.contains("did not end within 5 s, and was killed"), "{text}");
                assert!(error.old_state_stands(), "{text}");
                place.stands(0);
                heals(place);
            });
        }
    });
}

/// iptables waits ten seconds for its lock, as tidegate tells it to, then says so.
#[test]
fn a_lock_of_iptables_that_others_hold_is_waited_for_and_told() {
    with_private_programs(Variant::Legacy, |place| {
        let mut tally = Tally::of("iptables' lock held");
        // A /run of its own: other tests need the real lock.
        let run = folder(place.env, "run");
        mount(&["--bind", run.to_str().unwrap(), "/run"]);
        tally.fault(|| {
            let file = fs::File::create("/run/xtables.lock").unwrap();
            let lock = Flock::lock(file, FlockArg::LockExclusive).unwrap();
            let text = place.fails(&["apply", "@"], 1, 3);
            assert!(
                text.contains("Another app is currently holding the xtables lock"),
                "{text}"
            );
            drop(lock);
            place.stands(0);
            heals(place);
        });
        tally.fault(|| {
            let file = fs::File::create("/run/xtables.lock").unwrap();
            let lock = Flock::lock(file, FlockArg::LockExclusive).unwrap();
            let child = place.command(&["apply", "@"], 1).spawn().unwrap();
            std::thread::sleep(Duration::from_secs(1));
            drop(lock);
            assert!(child.wait_with_output().unwrap().status.success());
            place.stands(1);
            place.settle(0);
        });
    });
}

/// Brings the machine to where the fault is to happen.
type Prepare = fn(&Place<'_>);

#[test]
fn a_match_that_this_machine_has_not_is_told_before_anything_is_touched() {
    with_private_programs(Variant::Legacy, |place| {
        let mut tally = Tally::of("an iptables match that is missing");
        let found = Command::new("sh")
            .args([
                "-c",
                "ls -d /usr/lib/*/xtables /usr/lib/xtables 2>/dev/null | head -1",
            ])
            .output();
        let matches = String::from_utf8(found.unwrap().stdout).unwrap();
        let folder = folder(place.env, "matches");
        for entry in fs::read_dir(matches.trim()).unwrap() {
            let entry = entry.unwrap();
            if !entry.file_name().to_string_lossy().contains("conntrack") {
                fs::copy(entry.path(), folder.join(entry.file_name())).ok();
            }
        }
        // Rules that are in force cannot be read then; without any, the new ones do not load.
        let cases: [(Prepare, &str); 2] = [
            (|_| {}, "error[T0503]: iptables-legacy-save failed, "),
            (
                |place| drop(deploy::uninstall(&place.env.host).unwrap()),
                "error[T0508]: the IPv4 rules do not load\n",
            ),
        ];
        for (prepare, says) in cases {
            tally.fault(|| {
                prepare(place);
                let before = place.env.everything();
                mount(&["--bind", folder.to_str().unwrap(), matches.trim()]);
                let text = place.fails(&["apply", "@"], 1, 3);
                let unmounted = Command::new("umount").arg(matches.trim()).status();
                assert!(unmounted.unwrap().success());
                assert!(text.starts_with(says), "{text}");
                assert!(text.contains("`conntrack'"), "{text}");
                assert!(text.contains("\nnothing was changed\n"), "{text}");
                assert_eq!(place.env.everything(), before);
                heals(place);
            });
        }
    });
}

/// The modules of this machine's kernel may be built in, so /proc shows none, and modprobe fails.
#[test]
fn a_module_that_cannot_be_loaded_is_named_and_taken_back() {
    with_private_programs(Variant::Nft, |place| {
        let mut tally = Tally::of("a kernel module that is missing");
        tally.fault(|| {
            let folder = folder(place.env, "modprobe");
            script(
                &folder,
                "modprobe",
                "echo \"modprobe: FATAL: Module $2 not found.\" >&2; exit 1",
            );
            let over = Over::lay(&folder);
            let mut sample = crate::support::bundle::Sample::shop();
            sample.manifest.modules.push("no_such_module".to_owned());
            let error =
                deploy::apply(&place.env.host, &sample.bundle(), Options::default()).unwrap_err();
            drop(over);
            let text = error.to_string();
            assert!(
                text.contains("modprobe -- no_such_module failed, exit status: 1: modprobe: FATAL"),
                "{text}"
            );
            assert!(error.old_state_stands(), "{text}");
            place.stands(0);
            heals(place);
        });
    });
}

/// What iptables-nft says where the kernel has no `nf_tables`; this one has, so a script says it.
#[test]
fn a_kernel_without_nf_tables_is_told_before_anything_is_touched() {
    with_private_programs(Variant::Nft, |place| {
        let mut tally = Tally::of("no nf_tables in the kernel");
        tally.fault(|| {
            let folder = folder(place.env, "no-nft");
            let says = "iptables: Failed to initialize nft: Protocol not supported";
            for tool in RESTORE {
                for verb in ["save", "restore"] {
                    script(
                        &folder,
                        &format!("{tool}-nft-{verb}"),
                        &format!("echo '{says}' >&2; exit 1"),
                    );
                }
            }
            symlink("/bin/false", folder.join("modprobe")).unwrap();
            let over = Over::lay(&folder);
            let text = place.fails(&["apply", "@"], 1, 3);
            drop(over);
            assert!(
                text.contains(says) && text.contains("\nnothing was changed\n"),
                "{text}"
            );
            place.stands(0);
            heals(place);
        });
    });
}
