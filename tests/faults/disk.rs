//! Disks that are full, out of inodes or read-only, with real mounts.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use tidegate::host::Variant;

use super::place::Place;
use super::tally::Tally;
use crate::support::env::{Env, on};

fn mount(arguments: &[&str]) {
    let output = Command::new("mount").args(arguments).output().unwrap();
    assert!(output.status.success(), "mount {arguments:?}: {output:?}");
}

fn path(env: &Env, path: &str) -> String {
    env.root.path().join(path).to_str().unwrap().to_owned()
}

/// Leaves every mount to a namespace of this thread's own.
fn in_private_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(&["--make-rprivate", "/"]);
}

/// Puts a small file system with the same files over a folder.
fn small(env: &Env, folder: &str, options: &str) -> String {
    let path = path(env, folder);
    let copy = format!("{path}.copy");
    let copied = Command::new("cp")
        .args(["-a", &path, &copy])
        .status()
        .unwrap();
    assert!(copied.success());
    mount(&["-t", "tmpfs", "-o", options, "none", &path]);
    let filled = Command::new("cp")
        .args(["-a", &format!("{copy}/."), &path])
        .status()
        .unwrap();
    assert!(filled.success());
    path
}

fn unmount(path: &str) {
    let output = Command::new("umount").arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Fills a file system until nothing goes in any more.
fn fill(path: &str) {
    let file = format!("{path}/ballast");
    let dd = Command::new("dd")
        .args(["if=/dev/zero", &format!("of={file}"), "bs=4096"])
        .output()
        .unwrap();
    assert!(!dd.status.success(), "the disk is full");
}

const FOLDERS: [&str; 3] = ["var/lib/tidegate", "etc", "run"];

#[test]
fn a_full_disk_leaves_the_old_state() {
    on(Variant::Nft, |env| {
        in_private_mounts();
        let place = Place::new(env);
        let mut tally = Tally::of("disk full");
        // /run needs no more than the lock, which is there.
        for folder in ["var/lib/tidegate", "etc"] {
            tally.fault(|| {
                let disk = small(env, folder, "size=256k");
                fill(&disk);
                let text = place.fails(&["apply", "@"], 1, 3);
                assert!(text.contains("No space left on device"), "{text}");
                place.stands_beside(0, "ballast");
                std::fs::remove_file(format!("{disk}/ballast")).unwrap();
                assert!(place.run(&["apply", "@"], 1).status.success());
                place.stands(1);
                unmount(&disk);
                place.settle(0);
            });
        }
    });
}

#[test]
fn a_disk_without_inodes_leaves_the_old_state() {
    on(Variant::Nft, |env| {
        in_private_mounts();
        let place = Place::new(env);
        let mut tally = Tally::of("inodes used up");
        for folder in ["var/lib/tidegate", "etc"] {
            tally.fault(|| {
                let disk = small(env, folder, "nr_inodes=60");
                let mut files = Vec::new();
                for number in 0.. {
                    let file = format!("{disk}/ballast{number}");
                    if std::fs::write(&file, "").is_err() {
                        break;
                    }
                    files.push(file);
                }
                let text = place.fails(&["apply", "@"], 1, 3);
                assert!(text.contains("No space left on device"), "{text}");
                place.rules_stand(0);
                for file in &files {
                    std::fs::remove_file(file).unwrap();
                }
                place.stands(0);
                assert!(place.run(&["apply", "@"], 1).status.success());
                place.stands(1);
                unmount(&disk);
                place.settle(0);
            });
        }
    });
}

#[test]
fn a_read_only_file_system_leaves_the_old_state() {
    on(Variant::Nft, |env| {
        in_private_mounts();
        let place = Place::new(env);
        let mut tally = Tally::of("read-only file system");
        for folder in FOLDERS {
            tally.fault(|| {
                let path = path(env, folder);
                mount(&["--bind", &path, &path]);
                mount(&["-o", "remount,bind,ro", &path]);
                let text = place.fails(&["apply", "@"], 1, 3);
                assert!(text.contains("Read-only file system"), "{text}");
                place.stands(0);
                unmount(&path);
                assert!(place.run(&["apply", "@"], 1).status.success());
                place.stands(1);
                place.settle(0);
            });
        }
    });
}

/// At boot, rules matter more than where they are kept.
#[test]
fn a_read_only_disk_does_not_keep_a_boot_from_its_rules() {
    on(Variant::Nft, |env| {
        in_private_mounts();
        let place = Place::new(env);
        let mut tally = Tally::of("boot from a read-only disk");
        for folder in ["var/lib/tidegate", "etc"] {
            tally.fault(|| {
                place.install(1);
                let path = path(env, folder);
                mount(&["--bind", &path, &path]);
                mount(&["-o", "remount,bind,ro", &path]);
                let output = place.run(&["apply", "--boot"], 1);
                assert!(output.status.success(), "{output:?}");
                place.stands(1);
                unmount(&path);
                place.settle(0);
            });
        }
    });
}
