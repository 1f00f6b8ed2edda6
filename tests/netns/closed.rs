//! `/usr/lib/tidegate/closed`, which closes containers until a policy is loaded, where commands fail.

use std::process::{Command, Output};

use tidegate::host::Variant;
use tidegate::netfilter::{Family, Table};

use super::cli::ends;
use crate::support::env::on;
use crate::support::files::repository;

/// A machine on which something was put in force once, and on which these programs fail.
const MACHINE: &str = "mount -t tmpfs none /run
    mount -t tmpfs none /var/lib
    mkdir /var/lib/tidegate
    for program; do
        mount --bind /bin/false \"$(readlink -f \"/usr/sbin/$program\")\"
    done
    exec sh \"$closed\"";

fn run(failing: &[&str]) -> Output {
    Command::new("unshare")
        .args(["--mount", "sh", "-euc", MACHINE, "sh"])
        .args(failing)
        .env("closed", repository().join("packaging/closed/closed"))
        .env_remove("INVOCATION_ID")
        .output()
        .unwrap()
}

fn tables() -> String {
    let list = Command::new("nft").args(["list", "tables"]).output();
    ends(&list.unwrap(), 0)
}

#[test]
fn iptables_closes_else_nft_and_where_neither_does_the_engine_does_not_start() {
    let iptables = ["iptables-restore", "ip6tables-restore"];
    on(Variant::Nft, |env| {
        let all = [&iptables[..], &["nft"]].concat();
        let text = ends(&run(&all), 1);
        let said = "error[T0532]: containers cannot be closed: neither iptables nor nft loads";
        assert!(text.contains(said), "{text}");
        assert!(text.contains("\nhelp: "), "{text}");
        assert!(!env.has_rules_of_ours());
        assert_eq!(tables().matches("tidegate-closed").count(), 0);

        let text = ends(&run(&iptables), 0);
        assert!(
            text.contains("closed to everybody outside by nft"),
            "{text}"
        );
        assert!(tables().contains("table inet tidegate-closed"));
    });
    on(Variant::Nft, |env| {
        let text = ends(&run(&[]), 0);
        assert!(text.contains("closed to everybody outside until"), "{text}");
        for family in Family::BOTH {
            let forward = env.chain(family, Table::Mangle, "FORWARD");
            assert_eq!(forward, ["-j TIDE-CLOSED"], "{family}");
        }
        assert!(!tables().contains("tidegate-closed"));
    });
}
