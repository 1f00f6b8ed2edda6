//! Files that are not what a policy should be made of.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tidegate::host::{FolderLoader, Trust, is_root};
use tidegate::policy::{LoadError, Loader};

/// Returns a loader of a folder with a policy in it.
fn loader(folder: &Path, trust: Trust) -> FolderLoader {
    let (loader, name) = FolderLoader::of_policy(&folder.join("main.tide"), trust).unwrap();
    assert_eq!(name, "main.tide");
    loader
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    mkfifo(&path("fifo.tide"), Mode::S_IRWXU).unwrap();
    fs::create_dir(path("folder.tide")).unwrap();
    symlink("/dev/zero", path("zero.tide")).unwrap();
    symlink("loop.tide", path("loop.tide")).unwrap();
    let loader = loader(folder.path(), Trust::Anybody);
    for name in ["fifo.tide", "folder.tide", "zero.tide", "loop.tide"] {
        let error = loader.load(name).unwrap_err();
        assert!(matches!(error, LoadError::Other(_)), "{name}: {error}");
    }
    assert_eq!(loader.load("none.tide"), Err(LoadError::Missing));
}

#[test]
fn nothing_outside_of_the_folder_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(folder.path().join("secret.tide"), "").unwrap();
    fs::write(inner.join("main.tide"), "").unwrap();
    symlink("../secret.tide", inner.join("out.tide")).unwrap();
    symlink("main.tide", inner.join("in.tide")).unwrap();
    let loader = loader(&inner, Trust::Anybody);
    for name in [
        "../secret.tide",
        "/etc/hostname",
        "out.tide",
        "",
        "./main.tide",
    ] {
        let error = loader.load(name).unwrap_err();
        assert!(matches!(error, LoadError::Other(_)), "{name}: {error}");
    }
    assert_eq!(loader.load("in.tide"), Ok(String::new()));
}

#[test]
fn sizes_have_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    fs::write(path("fits.tide"), vec![b' '; 1 << 20]).unwrap();
    fs::write(path("large.tide"), vec![b' '; (1 << 20) + 1]).unwrap();
    fs::write(path("list.txt"), vec![b' '; (1 << 20) + 1]).unwrap();
    fs::write(path("binary.tide"), [0xff]).unwrap();
    let loader = loader(folder.path(), Trust::Anybody);
    assert_eq!(loader.load("fits.tide").map(|text| text.len()), Ok(1 << 20));
    let limit = 1 << 20;
    assert_eq!(
        loader.load("large.tide"),
        Err(LoadError::TooLarge { limit })
    );
    assert!(loader.load("list.txt").is_ok());
    assert_eq!(loader.load("binary.tide"), Err(LoadError::NotText));
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn what_root_trusts_is_roots_alone() {
    if !is_root() {
        eprintln!("skipped: only root can make files of root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("main.tide");
    fs::write(&path, "x").unwrap();
    symlink("main.tide", folder.path().join("link.tide")).unwrap();
    let loader = loader(folder.path(), Trust::Root);
    assert_eq!(loader.load("main.tide").as_deref(), Ok("x"));
    let is_unsafe = |name| matches!(loader.load(name), Err(LoadError::Unsafe(_)));
    assert!(is_unsafe("link.tide"));
    fs::set_permissions(&path, PermissionsExt::from_mode(0o620)).unwrap();
    assert!(is_unsafe("main.tide"));
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(is_unsafe("main.tide"));
}
