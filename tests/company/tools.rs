//! The tools: how each is set up, what shows that it is there, and what it does on an ordinary day.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tidegate::netfilter::Family;

use super::place::{OFFICE, Place};

pub struct Act {
    pub name: &'static str,
    pub run: fn(&Place),
    /// It takes rules of ours away, as the tool's manual says.
    pub undoes: bool,
    /// The office is banned afterwards.
    pub bans: bool,
}

pub struct Tool {
    pub name: &'static str,
    pub start: fn(&Place),
    pub stop: fn(&Place),
    /// Stands in its rules.
    pub mark: &'static str,
    pub acts: &'static [Act],
}

const fn act(name: &'static str, run: fn(&Place)) -> Act {
    Act {
        name,
        run,
        undoes: false,
        bans: false,
    }
}

const fn ban(name: &'static str, run: fn(&Place)) -> Act {
    Act {
        bans: true,
        ..act(name, run)
    }
}

const fn undo(name: &'static str, run: fn(&Place)) -> Act {
    Act {
        undoes: true,
        ..act(name, run)
    }
}

const NOTHING: fn(&Place) = |_| {};

/// Its server runs, with a jail that bans in DOCKER-USER.
pub const FAIL2BAN: Tool = Tool {
    name: "fail2ban",
    start: |place| {
        place.write(
            "/etc/fail2ban/jail.d/defaults-debian.conf",
            "[web]\nenabled = true\nbackend = polling\nfilter = nginx-http-auth\nlogpath = /var/log/web.log\n\
             action = iptables-allports[name=web, chain=DOCKER-USER, blocktype=DROP]",
        );
        place.sh(": > /var/log/web.log\nmkdir -p /run/fail2ban\nfail2ban-server -x -b start >/dev/null 2>&1");
        let until = Instant::now() + Duration::from_secs(20);
        while !place
            .sh("fail2ban-client ping 2>&1 || true")
            .contains("pong")
        {
            let log = place.sh("cat /var/log/fail2ban.log || true");
            assert!(Instant::now() < until, "fail2ban does not start: {log}");
            sleep(Duration::from_millis(50));
        }
        // It makes its chain with the first ban.
        place.sh("fail2ban-client set web banip 203.0.113.66 2001:db8:66::66");
        waits_for(place, "203.0.113.66");
        waits_for(place, "2001:db8:66::66");
    },
    stop: |place| {
        place.sh("fail2ban-client stop");
    },
    mark: "f2b-web",
    acts: &[
        ban("ban", |place| {
            place.sh(&format!(
                "fail2ban-client set web banip {} {}",
                OFFICE[0], OFFICE[1]
            ));
            waits_for(place, OFFICE[0]);
            waits_for(place, OFFICE[1]);
        }),
        act("unban", |place| {
            place.sh(&format!(
                "fail2ban-client set web unbanip {} {}",
                OFFICE[0], OFFICE[1]
            ));
            waits_until_gone(place, "f2b-web -s 192.0.2.40");
            waits_until_gone(place, "f2b-web -s 2001:db8::40");
        }),
        act("reload", |place| {
            place.sh("fail2ban-client reload web");
        }),
    ],
};

fn waits_for(place: &Place, text: &str) {
    waits(place, text, true);
}

fn waits_until_gone(place: &Place, text: &str) {
    waits(place, text, false);
}

fn waits(place: &Place, text: &str, there: bool) {
    let until = Instant::now() + Duration::from_secs(20);
    // Of ours, a rule may name the office, too.
    let has = || place.theirs().iter().any(|line| line.contains(text));
    while has() != there {
        assert!(
            Instant::now() < until,
            "{text}: {there}: {:#?}",
            place.theirs()
        );
        sleep(Duration::from_millis(50));
    }
}

/// What its firewall bouncer does in the mode iptables with DOCKER-USER among `iptables_chains`:
/// one set a family, and one rule on top of each chain; bans then change the sets alone.
pub const CROWDSEC: Tool = Tool {
    name: "crowdsec",
    start: |place| {
        place.sh("ipset create crowdsec-blacklists nethash timeout 300\n\
             ipset create crowdsec6-blacklists nethash timeout 300 family inet6\n\
             for chain in INPUT DOCKER-USER; do\n\
             iptables -I $chain -m set --match-set crowdsec-blacklists src -j DROP\n\
             ip6tables -I $chain -m set --match-set crowdsec6-blacklists src -j DROP\n\
             done");
    },
    stop: NOTHING,
    mark: "crowdsec-blacklists",
    acts: &[
        ban("ban", |place| {
            place.sh(&format!(
                "ipset add crowdsec-blacklists {} timeout 200\nipset add crowdsec6-blacklists {} timeout 200",
                OFFICE[0], OFFICE[1]
            ));
        }),
        act("unban", |place| {
            place.sh(&format!(
                "ipset del crowdsec-blacklists {}\nipset del crowdsec6-blacklists {}",
                OFFICE[0], OFFICE[1]
            ));
        }),
        act("restart", |place| {
            place.sh("for chain in INPUT DOCKER-USER; do\n\
                 iptables -D $chain -m set --match-set crowdsec-blacklists src -j DROP\n\
                 iptables -I $chain -m set --match-set crowdsec-blacklists src -j DROP\n\
                 ip6tables -D $chain -m set --match-set crowdsec6-blacklists src -j DROP\n\
                 ip6tables -I $chain -m set --match-set crowdsec6-blacklists src -j DROP\n\
                 done");
        }),
    ],
};

const ENABLE_UFW: &str = "ufw allow 22/tcp\nufw --force enable";

/// ufw(8) itself.
pub const UFW: Tool = Tool {
    name: "ufw",
    start: |place| {
        place.sh(ENABLE_UFW);
    },
    stop: NOTHING,
    mark: "ufw-before-forward",
    acts: &[
        act("reload", |place| {
            place.sh("ufw reload");
        }),
        act("a new rule", |place| {
            place.sh("ufw deny from 203.0.113.9");
        }),
        // It has FORWARD accept then, which the policy says is to drop.
        undo("disable", |place| {
            place.sh("ufw disable");
        }),
        act("enable", |place| {
            place.sh("ufw --force enable");
        }),
    ],
};

/// The rules that ufw-docker's instructions add to after.rules, in the shape that they have: what
/// ufw's routes allow, then private sources back to Docker, then new connections into private
/// networks dropped. ufw loads the file by iptables-restore, so DOCKER-USER begins anew each time.
const AFTER_RULES: &str = "\
*filter
:ufw-user-forward - [0:0]
:DOCKER-USER - [0:0]
:ufw-docker-logging-deny - [0:0]
-A DOCKER-USER -j ufw-user-forward
-A DOCKER-USER -p udp -m udp --sport 53 --dport 1024:65535 -j RETURN
-A DOCKER-USER -j RETURN -s 172.16.0.0/12
-A DOCKER-USER -j ufw-docker-logging-deny -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -d 172.16.0.0/12
-A DOCKER-USER -j RETURN
-A ufw-docker-logging-deny -j DROP
COMMIT";

/// ufw with the rules that ufw-docker adds, and the route that lets the office in.
pub const UFW_DOCKER: Tool = Tool {
    name: "ufw-docker",
    start: |place| {
        place.sh(&format!(
            "cat >> /etc/ufw/after.rules <<'END'\n{AFTER_RULES}\nEND"
        ));
        place.sh("ufw route allow proto tcp from any to 172.18.0.10 port 80");
        place.sh(ENABLE_UFW);
    },
    stop: NOTHING,
    mark: "ufw-docker-logging-deny",
    acts: &[
        undo("reload", |place| {
            place.sh("ufw reload");
        }),
        act("a new route", |place| {
            place.sh("ufw route allow proto tcp from any to 172.18.0.10 port 81");
        }),
    ],
};

/// Debian's netfilter-persistent with its plugins, without `--noflush`, as it comes.
pub const NETFILTER_PERSISTENT: Tool = Tool {
    name: "netfilter-persistent",
    start: |place| {
        place.sh("mkdir -p /etc/iptables /etc/systemd/system/multi-user.target.wants");
        place.sh(
            "iptables -I INPUT -s 203.0.113.9 -j DROP\nip6tables -I INPUT -s 2001:db8:9::9 -j DROP",
        );
        place.sh("netfilter-persistent save 2>&1");
        place.sh("ln -s /lib/systemd/system/netfilter-persistent.service /etc/systemd/system/multi-user.target.wants/");
    },
    stop: NOTHING,
    mark: "INPUT -s 203.0.113.9/32 -j DROP",
    acts: &[
        undo("restart", |place| {
            place.sh("netfilter-persistent restart 2>&1");
        }),
        act("save", |place| {
            place.sh("netfilter-persistent save 2>&1");
        }),
        act("restart of what was saved with ours", |place| {
            place.sh("netfilter-persistent restart 2>&1");
        }),
        undo("flush, and Docker's rules again", |place| {
            place.sh("iptables-save > /root/v4\nip6tables-save > /root/v6\nnetfilter-persistent flush 2>&1");
            place.sh("grep -v TIDE- /root/v4 | iptables-restore\ngrep -v TIDE- /root/v6 | ip6tables-restore");
        }),
    ],
};

/// What kube-proxy keeps in the mode iptables: chains of its own, jumps to them on top of the
/// kernel's chains, and all of it written again by `iptables-restore --noflush --counters`.
fn kube_proxy_syncs(place: &Place) {
    for (family, service) in [(Family::V4, "10.96.0.1/32"), (Family::V6, "fd00:96::1/128")] {
        place.load(
            family,
            &format!(
                "*filter\n:KUBE-SERVICES - [0:0]\n:KUBE-FORWARD - [0:0]\n:KUBE-FIREWALL - [0:0]\n\
                 -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP\n\
                 -A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT\n\
                 -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n\
                 *nat\n:KUBE-SERVICES - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n\
                 -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n\
                 -A KUBE-SERVICES -d {service} -p tcp -m tcp --dport 443 -j KUBE-MARK-MASQ\n\
                 -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n\
                 -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n\
                 -A KUBE-POSTROUTING -j MASQUERADE\nCOMMIT\n"
            ),
        );
    }
}

fn kube_proxy_jumps(place: &Place) {
    for tool in ["iptables", "ip6tables"] {
        for (table, chain, target) in [
            ("filter", "INPUT", "KUBE-FIREWALL"),
            ("filter", "FORWARD", "KUBE-FORWARD"),
            ("filter", "FORWARD", "KUBE-SERVICES"),
            ("nat", "PREROUTING", "KUBE-SERVICES"),
            ("nat", "POSTROUTING", "KUBE-POSTROUTING"),
        ] {
            place.sh(&format!(
                "{tool} -t {table} -C {chain} -j {target} 2>/dev/null || {tool} -t {table} -I {chain} -j {target}"
            ));
        }
    }
}

pub const KUBE_PROXY: Tool = Tool {
    name: "kube-proxy",
    start: |place| {
        kube_proxy_syncs(place);
        kube_proxy_jumps(place);
    },
    stop: NOTHING,
    mark: "KUBE-FORWARD",
    acts: &[
        act("resync", kube_proxy_syncs),
        act("jumps put back on top", |place| {
            place.sh("for tool in iptables ip6tables; do\n\
                 $tool -D FORWARD -j KUBE-FORWARD\n$tool -D INPUT -j KUBE-FIREWALL\ndone");
            kube_proxy_jumps(place);
        }),
    ],
};
