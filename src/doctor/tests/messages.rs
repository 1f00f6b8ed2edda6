//! The message of every `T07xx`, beside all others in `tests/messages/snapshots`.

use super::*;
use crate::deploy::OpenFrames;
use crate::diag::Code;

fn in_front() -> Facts {
    with_rules(
        "-A FORWARD -j TIDE-GATE",
        "-A FORWARD -i wg0 -j ACCEPT\n-A FORWARD -j TIDE-GATE",
    )
}

fn behind(rule: &str) -> Facts {
    with_rules(
        "-A FORWARD -j TIDE-GATE",
        &format!("-A FORWARD -j TIDE-GATE\n-A FORWARD {rule}"),
    )
}

fn table(text: &str) -> Facts {
    with_rules("*mangle", &format!("{text}COMMIT\n*mangle"))
}

fn ufw() -> Facts {
    with_files(&[
        ("/etc/ufw/ufw.conf", "ENABLED=yes\n"),
        ("/etc/default/ufw", "DEFAULT_FORWARD_POLICY=\"ACCEPT\"\n"),
    ])
}

fn firewalld() -> Facts {
    let file = with_file("/etc/firewalld/firewalld.conf", "StrictForwardPorts=yes\n");
    enabled(file, "firewalld.service")
}

fn sysctls(pairs: &[(&str, &str)]) -> Facts {
    let own = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Facts {
        sysctls: own.collect(),
        ..clean()
    }
}

fn flowtable() -> Facts {
    Facts {
        nftables: json!({"nftables": [{"flowtable": {"family": "inet", "table": "fast", "name": "ft"}}]}),
        ..clean()
    }
}

fn other_variant() -> Facts {
    let text =
        "*filter\n:INPUT ACCEPT [0:0]\n:TIDE-INPUT - [0:0]\n-A INPUT -j TIDE-INPUT\nCOMMIT\n";
    Facts {
        other: [(Family::V6, save::parse(text).unwrap())].into(),
        ..clean()
    }
}

fn open_socket() -> Facts {
    Facts {
        socket: Some(Access {
            mode: 0o140_666,
            gid: 999,
        }),
        ..with_file("/etc/group", "")
    }
}

fn unseen() -> Facts {
    let unseen = Unseen {
        what: "tables of nftables".to_owned(),
        why: "the command nft is not installed (looked in /usr/sbin, /sbin, /usr/bin, /bin)"
            .to_owned(),
    };
    Facts {
        unseen: vec![unseen],
        ..clean()
    }
}

fn mismatched() -> Facts {
    let mut facts = clean();
    facts.mismatches.errors.push(mismatch(
        "Docker writes its rules with iptables, and the policy was compiled for nftables",
    ));
    facts
}

fn machines() -> Vec<(Code, Facts)> {
    let saved = "*filter\n:DOCKER-USER - [0:0]\nCOMMIT\n";
    let persistent = with_file("/etc/iptables/rules.v4", saved);
    let nft = with_file("/etc/nftables.conf", "#!/usr/sbin/nft -f\nflush ruleset\n");
    let listens = "{\"hosts\": [\"tcp://0.0.0.0:2375\"]}";
    let full = [
        ("net/netfilter/nf_conntrack_count", "900"),
        ("net/netfilter/nf_conntrack_max", "1000"),
    ];
    vec![
        (code::BOOT_FAILED, Facts {
            boot_failed: Some("tidegate-guard.service failed: exit-code".to_owned()),
            ..clean()
        }),
        (code::OTHER_VARIANT, other_variant()),
        (code::SAVED_RULES, enabled(persistent, "netfilter-persistent.service")),
        (code::NFTABLES_FLUSHES, enabled(nft, "nftables.service")),
        (code::UFW, ufw()),
        (code::FIREWALLD, firewalld()),
        (code::SCRIPT_FLUSHES, with_file("/etc/rc.local", "iptables -F\n")),
        (code::RULE_IN_FRONT, in_front()),
        (code::UNTRACKED, table("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j NOTRACK\n")),
        (code::REDIRECTED, table("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j DNAT --to-destination 172.18.0.9:80\n")),
        (code::QUEUED, behind("-j NFQUEUE --queue-num 0 --queue-bypass")),
        (code::AROUND_NETFILTER, flowtable()),
        (code::ENGINE_ON_NETWORK, with_file("/etc/docker/daemon.json", listens)),
        (code::ENGINE_SOCKET, open_socket()),
        (code::CONTAINER_POWERS, with_container(|it| it.privileged = true)),
        (code::ENGINE_SETTINGS, mismatched()),
        (code::OTHER_ENGINE_BESIDE, table("*nat\n:KUBE-SERVICES - [0:0]\n")),
        (code::SETTING_UNDONE, Facts {
            overridden: vec!["shop.tide:3: net.ipv4.ip_forward = 1 is set to 0 by /etc/sysctl.d/99-local.conf".to_owned()],
            ..clean()
        }),
        (code::KERNEL_SETTING, sysctls(&[("net/netfilter/nf_conntrack_helper", "1")])),
        (code::CONNECTIONS_FULL, sysctls(&full)),
        (code::UNITS, with_unit(|unit| unit.masked = true)),
        (code::NO_BUNDLE, Facts { installed: Installed::Nothing, ..clean() }),
        (code::DRIFTED, Facts { drifts: 2, ..clean() }),
        (code::OLD_IPTABLES, Facts { iptables: "iptables v1.6.1".to_owned(), ..clean() }),
        (code::NOT_LOOKED_AT, unseen()),
        (code::DOCKER_USER_DECIDES, with_rules("-A DOCKER-USER -j", "-A DOCKER-USER -s 10.0.0.0/8 -j RETURN\n-A DOCKER-USER -j")),
        (code::MARK_WRITTEN, behind("-j MARK --set-xmark 0x10000000/0x10000000")),
        (code::FORWARD_CUTS, Facts {
            manifest: Some(Manifest { engine: "docker 29 nftables".to_owned(), ..manifest() }),
            ..clean()
        }),
        (code::PODMAN_NETWORK, table("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 172.18.0.0/24 -j NETAVARK-1D8721804F16F\n")),
        (code::CLOSED_FIRST, Facts {
            closed: vec![("/etc/systemd/system/docker.service.d/50-tidegate.conf".to_owned(), "is not there")],
            ..clean()
        }),
        (code::PROXY_SERVES, with_container(|it| {
            it.addresses = vec!["172.18.0.30".parse().unwrap()];
            it.published = vec!["9000->9000/tcp".to_owned()];
        })),
        (code::TAGS_PASS, with_frames(OpenFrames::SeveralTags("nft is not there".to_owned()))),
        (code::TAGS_DROPPED, with_frames(OpenFrames::Nowhere)),
        (code::RULES_UNREAD, Facts {
            nftables: json!({"nftables": [{"chain": {"family": "inet", "table": "guard", "name": "in",
                "hook": "input", "policy": "drop"}}]}),
            ..clean()
        }),
    ]
}

fn with_frames(frames: OpenFrames) -> Facts {
    Facts {
        frames: Some(frames),
        ..clean()
    }
}

#[test]
fn every_finding_has_its_message() {
    for (code, facts) in machines() {
        let mut report = examine(&facts);
        report.findings.retain(|finding| finding.code == code);
        assert!(!report.findings.is_empty(), "{code}");
        report.findings.truncate(1);
        let text = report.text();
        let message = text.lines().filter(|line| !line.contains("; looked at: "));
        crate::diag::told(code, &message.collect::<Vec<_>>().join("\n"));
    }
}
