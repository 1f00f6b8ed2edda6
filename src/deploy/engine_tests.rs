//! Engines and the policies that they would or would not make true.

use std::collections::BTreeMap;

use crate::artifact::{FORMAT, Manifest};
use crate::host::EngineFacts;

use super::{Mismatches, mismatches};

fn compare(engine: &str, version: &str, options: &[&str], file: Option<&str>) -> Mismatches {
    let manifest = Manifest {
        format: FORMAT,
        tidegate: String::new(),
        policy: "p.tide".to_owned(),
        host: None,
        engine: engine.to_owned(),
        daemon: if engine.ends_with("nftables") {
            BTreeMap::from([("bridge-accept-fwmark".to_owned(), "0x10/0x10".into())])
        } else {
            BTreeMap::new()
        },
        mark: "0x10".to_owned(),
        files: BTreeMap::new(),
        hooks: Vec::new(),
        forward: None,
        sysctls: Vec::new(),
        modules: Vec::new(),
        routes: Vec::new(),
    };
    let facts = EngineFacts {
        version: version.to_owned(),
        nftables: options.contains(&"--firewall-backend=nftables"),
        options: options.iter().map(|&option| option.to_owned()).collect(),
    };
    mismatches(&manifest, &facts, file)
}

#[test]
fn what_fits_is_not_spoken_of() {
    let mark = Some(r#"{"bridge-accept-fwmark": "0x10/0x10"}"#);
    let off = Some(r#"{"iptables": false}"#);
    let nft = ["--firewall-backend=nftables"];
    for (engine, version, options, file) in [
        ("docker", "20.10.24", &[][..], None),
        ("docker", "28.5.2", &["--iptables"][..], Some("{")),
        ("docker 28", "28.5.2+dfsg", &[][..], None),
        ("docker 29 nftables", "29.7.2", &nft[..], mark),
        ("docker 28.5", "28.5.2+dfsg", &["--iptables=true"][..], None),
        ("docker 1.12", "1.12.6", &[][..], None),
        ("docker 29.1 nftables", "29.1.0", &nft[..], mark),
        ("none", "26.1.5", &["--iptables=false"][..], None),
        ("none", "26.1.5", &["--iptables", "false"][..], None),
        ("none", "26.1.5", &["-D"][..], off),
    ] {
        let found = compare(engine, version, options, file);
        assert_eq!(found, Mismatches::default(), "{engine} on {version}");
    }
}

#[test]
fn what_makes_the_policy_untrue_is_an_error() {
    for (engine, version, options, said) in [
        ("none", "26.1.5", &[][..], "writes rules of its own"),
        (
            "docker",
            "26.1.5",
            &["--iptables=false"][..],
            "nobody publishes",
        ),
        (
            "docker",
            "29.1.0",
            &["--firewall-backend=nftables"][..],
            "`engine docker nftables`",
        ),
        ("docker nftables", "29.1.0", &[][..], "leave out `nftables`"),
        (
            "docker nftables",
            "29.1.0",
            &["--firewall-backend=nftables"][..],
            "0x10/0x10",
        ),
        ("docker", "1.13.1", &[][..], "`engine docker 1.13`"),
    ] {
        let found = compare(engine, version, options, None);
        assert!(
            found
                .errors
                .iter()
                .any(|error| error.to_string().contains(said)),
            "{engine}: {found:?}"
        );
    }
    let other = compare("docker 20.10", "28.5.2", &[], None);
    assert_eq!(other.errors.len(), 0);
    assert_eq!(other.notes, ["Docker is 28.5.2, and the policy says 20.10"]);
}
