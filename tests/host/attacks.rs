//! What somebody who is not root, or who writes the names that are printed, might try.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tempfile::TempDir;
use tidegate::artifact::{Bundle, BundleError, MANIFEST};
use tidegate::host::{
    FolderLoader, Host, HostError, LinuxHost, Trust, Variant, is_root, read_file, read_folder,
};
use tidegate::netfilter::Family;
use tidegate::policy::Loader;

use crate::support::bundle::{Sample, write};
use crate::support::env::on;

/// Somebody who is not root: nobody, on every system.
const ATTACKER: u32 = 65534;
const RACES: usize = 5_000;

fn as_root() -> bool {
    if !is_root() {
        // Not a macro: the test runner would keep it back.
        writeln!(io::stderr(), "skipped: only root can make files of others").ok();
    }
    is_root()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn give_away(path: &Path) {
    chown(path, Some(ATTACKER), Some(ATTACKER)).unwrap();
}

/// Calls `attempt` many times while two names of a folder are exchanged all the time.
fn while_swapped(one: &Path, other: &Path, mut attempt: impl FnMut()) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let flags = RenameFlags::RENAME_EXCHANGE;
                renameat2(AT_FDCWD, one, AT_FDCWD, other, flags).unwrap();
            }
        });
        for _ in 0..RACES {
            attempt();
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Root's folder `policy` with a good text, and the attacker's `theirs` with a bad one, in a file
/// that is root's: only the folder tells.
fn two_folders() -> (TempDir, PathBuf, PathBuf) {
    let top = tempfile::tempdir().unwrap();
    let (ours, theirs) = (top.path().join("policy"), top.path().join("theirs"));
    for (folder, text) in [(&ours, "good"), (&theirs, "bad")] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("main.tide"), text).unwrap();
    }
    give_away(&theirs);
    (top, ours, theirs)
}

#[test]
fn a_folder_that_is_swapped_meanwhile_is_never_read() {
    if !as_root() {
        return;
    }
    let (_top, ours, theirs) = two_folders();
    let file = ours.join("main.tide");
    let (mut good, mut refused) = (0, 0);
    while_swapped(&ours, &theirs, || {
        match read_file(&file, 100, Trust::Root) {
            Ok(text) => assert_eq!(text, "good"),
            Err(_) => refused += 1,
        }
        match read_folder(&ours, Trust::Root) {
            Ok(files) => {
                assert_eq!(files.unwrap()["main.tide"], "good");
                good += 1;
            }
            Err(_) => refused += 1,
        }
        if let Ok((loader, main)) = FolderLoader::of_policy(&file, Trust::Root)
            && let Ok(text) = loader.load(&main)
        {
            assert_eq!(text, "good");
        }
    });
    assert!(good > 0 && refused > 0, "{good} read, {refused} refused");
}

#[test]
fn a_link_put_in_the_place_of_a_folder_or_file_is_never_followed() {
    if !as_root() {
        return;
    }
    let (top, ours, theirs) = two_folders();
    let link = top.path().join("link");
    symlink(&theirs, &link).unwrap();
    while_swapped(&ours, &link, || {
        if let Ok(text) = read_file(&ours.join("main.tide"), 100, Trust::Root) {
            assert_eq!(text, "good");
        }
    });
    // A file that is root's, elsewhere: its text would be in a message.
    let secret = top.path().join("secret");
    fs::write(&secret, "bad").unwrap();
    let (_top, ours, _theirs) = two_folders();
    symlink(&secret, ours.join("link")).unwrap();
    let file = ours.join("main.tide");
    while_swapped(&file, &ours.join("link"), || {
        if let Ok(text) = read_file(&file, 100, Trust::Root) {
            assert_eq!(text, "good");
        }
    });
}

#[test]
fn each_step_of_the_way_must_be_roots() {
    if !as_root() {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let file = top.path().join("a/b/c/main.tide");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "good").unwrap();
    let read = || read_file(&file, 100, Trust::Root);
    assert_eq!(read().unwrap(), "good");
    for step in ["a/b/c/main.tide", "a/b/c", "a/b", "a", ""] {
        let step = top.path().join(step);
        give_away(&step);
        let error = read().unwrap_err();
        assert!(
            error.to_string().contains("does not belong to root"),
            "{error}"
        );
        chown(&step, Some(0), Some(0)).unwrap();
        let mode = step.metadata().unwrap().permissions().mode();
        for bits in [0o020, 0o002] {
            set_mode(&step, mode | bits);
            let error = read().unwrap_err();
            assert!(error.to_string().contains("written by others"), "{error}");
        }
        set_mode(&step, mode);
    }
    // Like /tmp: others may write, and rename nothing of root's.
    set_mode(&top.path().join("a"), 0o1777);
    assert_eq!(read().unwrap(), "good");
    set_mode(&top.path().join("a/b/c"), 0o1777);
    read().unwrap_err();
}

#[test]
fn an_access_list_that_lets_others_write_is_seen() {
    if !as_root() {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let file = top.path().join("main.tide");
    fs::write(&file, "good").unwrap();
    let mut set = Command::new("setfacl");
    match set.args(["-m", "u:65534:rw"]).arg(&file).status() {
        Ok(status) if status.success() => {}
        failed => {
            writeln!(io::stderr(), "skipped: no setfacl here: {failed:?}").ok();
            return;
        }
    }
    let error = read_file(&file, 100, Trust::Root).unwrap_err();
    assert!(matches!(error, HostError::Unsafe { .. }), "{error}");
}

fn tidegate(arguments: &[&str], root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(arguments).arg("--root").arg(root);
    command
}

fn text(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8(text).unwrap()
}

#[test]
fn nothing_is_written_where_others_may_redirect_it() {
    if !as_root() {
        return;
    }
    let bundle = tempfile::tempdir().unwrap();
    write(&Sample::shop().bundle(), bundle.path());
    let install = |root: &Path| {
        let output = tidegate(&["install"], root).arg(bundle.path()).output();
        text(&output.unwrap())
    };
    let outside = tempfile::tempdir().unwrap();
    for name in [
        "etc",
        "var/lib",
        "usr/sbin",
        "run/tidegate",
        "etc/systemd/system",
    ] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(outside.path(), &path).unwrap();
        let said = install(root.path());
        assert!(said.contains("T0505"), "{name}: {said}");
        assert!(said.contains("leads out"), "{name}: {said}");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o777);
        let said = install(root.path());
        assert!(said.contains("may be written by others"), "{name}: {said}");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_lock_that_is_no_file_is_refused() {
    if !as_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let host = LinuxHost::new(root.path(), Variant::Auto);
    let lock = root.path().join("run/tidegate/lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    symlink("/etc/hostname", &lock).unwrap();
    host.lock().unwrap_err();
    fs::remove_file(&lock).unwrap();
    nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).unwrap();
    host.lock().unwrap_err();
}

/// A stranger's environment must neither choose the programs nor what they load.
#[test]
fn the_environment_is_not_trusted() {
    on(Variant::Nft, |env| {
        let evil = tempfile::tempdir().unwrap();
        let proof = evil.path().join("proof");
        let script = format!("#!/bin/sh\n: >{}\nexit 1\n", proof.display());
        for name in [
            "iptables-nft-save",
            "iptables-nft-restore",
            "ip",
            "modprobe",
            "systemctl",
        ] {
            fs::write(evil.path().join(name), &script).unwrap();
            set_mode(&evil.path().join(name), 0o755);
        }
        let bundle = env.root.path().join("bundle");
        write(&Sample::shop().bundle(), &bundle);
        let mut apply = tidegate(&["apply", "--iptables", "nft"], env.root.path());
        let output = { apply.arg(&bundle) }
            .current_dir(evil.path())
            .env("PATH", evil.path())
            .env("XTABLES_LIBDIR", evil.path())
            .env("XTABLES_LOCKFILE", evil.path().join("lock"))
            .env("IPTABLES_LIB_DIR", evil.path())
            .env("TMPDIR", "/nonexistent")
            .env("DOCKER_HOST", "tcp://192.0.2.1:1")
            .output();
        let said = text(&output.unwrap());
        assert!(said.ends_with(": in force\n"), "{said}");
        assert!(!proof.exists());
    });
}

#[test]
fn a_program_that_others_may_change_is_not_run() {
    if !as_root() {
        return;
    }
    let evil = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    fs::write(evil.path().join("ip"), "#!/bin/sh\nexit 0\n").unwrap();
    let real = Command::new("readlink")
        .args(["-f", "/usr/sbin/iptables-nft-save"])
        .output();
    let real = text(&real.unwrap());
    let program = env!("CARGO_BIN_EXE_tidegate");
    for (mode, refused) in [(0o755, false), (0o775, true), (0o757, true)] {
        set_mode(&evil.path().join("ip"), mode);
        // Over the real one, where nobody else sees it.
        let script = format!(
            "mount --make-rprivate / && mount --bind {} {} && exec {program} drift --iptables nft --root {}",
            evil.path().join("ip").display(),
            real.trim_end(),
            root.path().display()
        );
        write(
            &Sample::shop().bundle(),
            &root.path().join("var/lib/tidegate/current"),
        );
        let output = Command::new("unshare")
            .args(["--mount", "--net", "sh", "-c", &script])
            .output();
        let said = text(&output.unwrap());
        let told = said.contains("T0505") && said.contains("may be written by others");
        assert_eq!(told, refused, "{mode:o}: {said}");
    }
}

/// Returns whether a text could act on a terminal, or look like another.
fn acts(text: &str) -> bool {
    let marks = ['\u{202e}', '\u{200b}', '\u{feff}'];
    text.chars()
        .any(|c| (c.is_control() && c != '\n' && c != '\t') || marks.contains(&c))
}

const HOSTILE: &str = "\u{1b}[2J\u{202e}\u{200b}\u{7}\r";

#[test]
fn names_of_files_cannot_forge_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("a{HOSTILE}\nerror[T0001]: forged.tide");
    fs::write(folder.path().join(&name), "host { uplink }").unwrap();
    for arguments in [
        &["check"][..],
        &["compile"],
        &["trace", "--rules"],
        &["diff", "x.tide"],
    ] {
        for name in [&name, &format!("missing-{name}")] {
            let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
                .args(arguments)
                .arg(name)
                .current_dir(folder.path())
                .output();
            let said = text(&output.unwrap());
            assert!(!acts(&said), "{arguments:?}: {said:?}");
            let forged = said.lines().any(|line| line.starts_with("error[T0001]"));
            assert!(!forged, "{arguments:?}: {said}");
        }
    }
}

#[test]
fn comments_of_others_rules_are_shown_escaped() {
    on(Variant::Nft, |env| {
        write(&Sample::shop().bundle(), &env.root.path().join("bundle"));
        let host = ["--iptables", "nft"];
        let bundle = env.root.path().join("bundle");
        let output = tidegate(&["apply"], env.root.path())
            .args(host)
            .arg(bundle)
            .output();
        assert!(output.unwrap().status.success());
        let comment = "\u{1b}[2J\u{202e}\u{7}";
        let rule = format!("-t mangle -A TIDE-GATE -m comment --comment \"{comment}\" -j ACCEPT");
        env.iptables(Family::V4, &rule);
        for format in ["text", "json"] {
            let drift = ["drift", "--format", format];
            let output = tidegate(&drift, env.root.path()).args(host).output();
            let said = text(&output.unwrap());
            assert!(said.contains("\\u202e"), "{said}");
            assert!(!acts(&said), "{said:?}");
        }
        let output = tidegate(&["drift", "--repair"], env.root.path())
            .args(host)
            .output();
        assert!(!acts(&text(&output.unwrap())));
    });
}

#[test]
fn a_manifest_cannot_hold_a_line_end() {
    let mut files = Sample::shop().bundle().files().clone();
    let manifest = files.get_mut(MANIFEST).unwrap();
    assert!(manifest.contains("\"policy\": \""));
    *manifest = manifest.replace("\"policy\": \"", "\"policy\": \"x\\nerror[T0001]: ");
    let error = Bundle::read(files).unwrap_err();
    assert!(matches!(error, BundleError::Unread { .. }), "{error}");
}

/// Programs are started in one place, which chooses their path and environment.
#[test]
fn no_other_module_starts_a_program() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let marks = ["process::Command", "process::{", "Command::new", "/bin/sh"];
                if marks.iter().any(|mark| text.contains(mark)) {
                    found.push(path.file_name().unwrap().to_owned());
                }
            }
        }
    }
    found.sort();
    // `arm` starts tidegate itself, by /proc/self/exe.
    assert_eq!(found, ["arm.rs", "command.rs"]);
}
