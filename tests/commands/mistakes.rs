//! Every kind of bad input that users are known to write: a place, a reason, and nothing written.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use super::{Desk, POLICY, text};

/// What is wrong, how the good policy is changed to it, and the code that names it.
const CHANGES: &[(&str, &str, &str, &str)] = &[
    ("unknown set", "from office", "from ofice", "T0201"),
    ("unknown network", "web on shop", "web on shp", "T0201"),
    ("set for a network", "web on shop", "web on office", "T0202"),
    ("bad prefix", "203.0.113.0/24", "203.0.113.0/33", "T0302"),
    ("bad address", "203.0.113.0/24", "203.0.113.256", "T0301"),
    ("host bits", "203.0.113.0/24", "203.0.113.1/24", "T0303"),
    ("bad port", "80/tcp", "65536/tcp", "T0307"),
    ("port 0", "80/tcp", "0/tcp", "T0307"),
    (
        "ports the wrong way",
        "80/tcp as 8080",
        "81-80/tcp as 8081-8080",
        "T0307",
    ),
    (
        "unequal ports",
        "80/tcp as 8080",
        "80-81/tcp as 8080",
        "T0308",
    ),
    ("bad protocol", "80/tcp", "80/tpc", "T0110"),
    ("no from", " from office", "", "T0322"),
    (
        "address of elsewhere",
        "at 172.18.0.10",
        "at 172.19.0.10",
        "T0317",
    ),
    ("duplicate name", "trust office {", "trust shop {", "T0203"),
    ("built-in name", "trust office {", "trust any {", "T0117"),
    ("reserved word", "trust office {", "trust group {", "T0116"),
    (
        "overlapping subnets",
        "172.18.0.0/24",
        "172.18.0.0/24, 172.18.0.128/25",
        "T0313",
    ),
    (
        "bridge that is an uplink",
        "bridge br-shop",
        "bridge eth0",
        "T0316",
    ),
    (
        "long interface",
        "bridge br-shop",
        "bridge br-0123456789abc",
        "T0310",
    ),
    (
        "interface with a plus",
        "bridge br-shop",
        "bridge br+",
        "T0110",
    ),
    ("no bridge", "  bridge br-shop\n", "", "T0311"),
    ("no subnet", "  subnet 172.18.0.0/24\n", "", "T0312"),
    ("cyclic set", "203.0.113.0/24 }", "office }", "T0209"),
    (
        "missing list",
        "203.0.113.0/24",
        "file \"none.txt\"",
        "T0204",
    ),
    (
        "list outside",
        "203.0.113.0/24",
        "file \"../none.txt\"",
        "T0206",
    ),
    (
        "missing include",
        "host {",
        "include \"none.tide\"\nhost {",
        "T0204",
    ),
    (
        "include of itself",
        "host {",
        "include \"bad.tide\"\nhost {",
        "T0205",
    ),
    (
        "limit",
        "from office",
        "from office limit 0 connections",
        "T0329",
    ),
];

#[test]
fn each_is_told_with_its_place_and_nothing_is_written() {
    let wrong: Vec<String> = CHANGES.iter().filter_map(mistold).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns what is wrong with what is said about one mistake.
fn mistold((what, from, to, code): &(&str, &str, &str, &str)) -> Option<String> {
    assert!(POLICY.contains(from), "{what}");
    let desk = Desk::new();
    desk.write("bad.tide", POLICY.replacen(from, to, 1));
    let before = desk.files();
    let output = desk.run(&["compile", "bad.tide", "-o", "bundle"]);
    let said = text(&output.stderr);
    let right = output.status.code() == Some(1)
        && said.contains(&format!("error[{code}]"))
        && said.contains(" bad.tide:")
        && said.ends_with("; nothing is written\n")
        && desk.files() == before;
    (!right).then(|| format!("{what}, {code}: {said}"))
}

#[test]
fn two_containers_cannot_share_an_address_or_a_host_port() {
    let second = "container api on shop at 172.18.0.10 {\n  expose 80/tcp as 8080 from office\n}\n";
    let desk = Desk::new();
    desk.write("bad.tide", format!("{POLICY}{second}"));
    let said = text(&desk.run(&["check", "bad.tide"]).stderr);
    assert!(said.ends_with("has 2 mistakes\n"), "{said}");
    assert_eq!(said.matches("bad.tide:12:").count(), 1, "{said}");
}

#[test]
fn every_mistake_is_told_in_one_run() {
    let desk = Desk::new();
    let bad = POLICY
        .replace("203.0.113.0/24", "203.0.113.0/33")
        .replace("bridge", "brigde")
        .replace("from office", "from ofice");
    desk.write("bad.tide", bad);
    let said = text(&desk.run(&["check", "bad.tide"]).stderr);
    for code in ["T0302", "T0111", "T0201"] {
        assert!(said.contains(code), "{code} is not in {said}");
    }
}

/// What is no policy at all is refused at once, whatever its size.
#[test]
fn garbage_is_refused_at_once() {
    let zeros = vec![0; 100 << 20];
    let garbage: Vec<u8> = (0..4096u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let cases: [(&str, Vec<u8>); 6] = [
        ("nothing", Vec::new()),
        ("binary", garbage),
        ("nested", "{".repeat(100_000).into_bytes()),
        ("nested blocks", "host { ".repeat(100_000).into_bytes()),
        ("100 MB", zeros),
        (
            "long name",
            format!("trust {} {{ 10.0.0.1 }}", "a".repeat(65)).into_bytes(),
        ),
    ];
    for (what, bytes) in cases {
        let desk = Desk::new();
        desk.write("bad.tide", bytes);
        let start = Instant::now();
        let output = desk.run(&["compile", "bad.tide", "-o", "bundle"]);
        assert_eq!(output.status.code(), Some(1), "{what}");
        let said = text(&output.stderr);
        assert!(
            said.starts_with("error[T0") && said.lines().count() < 40,
            "{what}: {said}"
        );
        assert!(!desk.path("bundle").exists(), "{what}");
        // Not a measurement: a reader that hangs or grows without bound would take minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let desk = Desk::with_policy();
    symlink("/dev/zero", desk.path("zero.tide")).unwrap();
    let fifo = desk.path("fifo.tide");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::create_dir(desk.path("folder.tide")).unwrap();
    for name in ["zero.tide", "fifo.tide", "folder.tide", "none.tide"] {
        let output = desk.run(&["check", name]);
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        assert!(text(&output.stderr).contains("T0204"), "{name}: {output:?}");
    }
}

#[test]
fn a_name_of_odd_letters_forges_no_message() {
    let desk = Desk::new();
    let odd = std::ffi::OsStr::from_bytes(b"a\x1b[2Jb\nerror: c.tide");
    std::fs::write(
        desk.folder.path().join(odd),
        POLICY.replace("office }", "x }"),
    )
    .unwrap();
    let output = desk.run(&["check".as_ref(), odd]);
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(!said.contains('\u{1b}'), "{said:?}");
    assert!(!said.contains("\nerror: c.tide"), "{said:?}");
}

#[test]
fn other_systems_line_ends_and_marks_are_read() {
    let desk = Desk::new();
    desk.write(
        "shop.tide",
        format!("\u{feff}{}", POLICY.replace('\n', "\r\n")),
    );
    let output = desk.run(&["check", "shop.tide"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
