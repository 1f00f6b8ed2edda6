//! A small bundle, written by hand, that tests change before they use it.

use std::collections::BTreeMap;
use std::path::Path;

use tidegate::artifact::{
    Bundle, ChainOrigins, FORMAT, ForwardEntry, HookEntry, Manifest, OriginEntry, Origins, Parties,
    Place, RULES_V4, RULES_V6, SYSCTL, SysctlEntry,
};
use tidegate::netfilter::{Family, Table};

const MARK: &str = "-m comment --comment \"shop.tide:23\" -j MARK --set-xmark 0x800000/0x800000";

/// Returns rules like those that the compiler writes, letting `source` reach `target`.
fn rules(source: &str, target: &str) -> String {
    format!(
        "\
*mangle
:TIDE-GATE - [0:0]
:TIDE-shop-in - [0:0]
-A TIDE-GATE -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A TIDE-GATE -o br-shop -g TIDE-shop-in
-A TIDE-shop-in -s {source} -d {target} -p tcp -m tcp --dport 5432 {MARK}
-A TIDE-shop-in -m mark --mark 0x800000/0x800000 -j RETURN
-A TIDE-shop-in -j DROP
-I FORWARD -j TIDE-GATE
COMMIT
*filter
:FORWARD DROP [0:0]
:TIDE-INPUT - [0:0]
:TIDE-PASS - [0:0]
-A TIDE-INPUT -i lo -j RETURN
-A TIDE-PASS -m mark --mark 0x800000/0x800000 -j ACCEPT
-I INPUT -j TIDE-INPUT
COMMIT
*filter
-I DOCKER-USER -j TIDE-PASS
COMMIT
"
    )
}

pub(crate) struct Sample {
    pub(crate) manifest: Manifest,
    pub(crate) files: BTreeMap<String, String>,
}

impl Sample {
    pub(crate) fn shop() -> Self {
        let v4 = rules("203.0.113.0/24", "172.18.0.20/32");
        let v6 = rules("2001:db8:10::/48", "fd00:18::20/128");
        let sysctl = "net.ipv4.conf.all.forwarding = 1\n";
        let files = [(RULES_V4, v4.as_str()), (RULES_V6, &v6), (SYSCTL, sysctl)];
        Sample {
            manifest: manifest(),
            files: files
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .into(),
        }
    }

    /// Replaces text in one family's rules; the text must be there.
    #[must_use]
    pub(crate) fn with(mut self, family: Family, from: &str, to: &str) -> Self {
        let name = match family {
            Family::V4 => RULES_V4,
            Family::V6 => RULES_V6,
        };
        let text = self.files.get_mut(name).unwrap();
        assert!(text.contains(from), "no {from} in {text}");
        *text = text.replace(from, to);
        self
    }

    /// Replaces text in both families' rules.
    #[must_use]
    pub(crate) fn with_both(self, from: &str, to: &str) -> Self {
        self.with(Family::V4, from, to).with(Family::V6, from, to)
    }

    #[must_use]
    pub(crate) fn sysctl(mut self, key: &str, value: &str) -> Self {
        self.manifest.sysctls.push(setting(key, value));
        self
    }

    pub(crate) fn bundle(self) -> Bundle {
        Bundle::new(self.manifest, Parties::default(), origins(), self.files)
    }
}

/// Writes a bundle's files into a folder that it makes.
pub(crate) fn write(bundle: &Bundle, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, text) in bundle.files() {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        tidegate: "0.1.0".to_owned(),
        policy: "shop.tide".to_owned(),
        host: None,
        daemon: BTreeMap::new(),
        routes: Vec::new(),
        engine: "docker".to_owned(),
        mark: "0x800000".to_owned(),
        files: BTreeMap::new(),
        hooks: Family::BOTH.into_iter().flat_map(hooks).collect(),
        forward: Some(ForwardEntry {
            policy: "DROP".to_owned(),
            source: "shop.tide:2".to_owned(),
        }),
        sysctls: vec![setting("net.ipv4.conf.all.forwarding", "1")],
        modules: Vec::new(),
    }
}

fn setting(key: &str, value: &str) -> SysctlEntry {
    SysctlEntry {
        key: key.to_owned(),
        value: value.to_owned(),
        source: "shop.tide:3".to_owned(),
    }
}

fn hooks(family: Family) -> [HookEntry; 3] {
    let hook = |table, chain: &str, target: &str, place| HookEntry {
        family,
        table,
        chain: chain.to_owned(),
        target: target.to_owned(),
        place,
        says: format!("{target} is met"),
    };
    [
        hook(Table::Mangle, "FORWARD", "TIDE-GATE", Place::First),
        hook(Table::Filter, "INPUT", "TIDE-INPUT", Place::First),
        hook(
            Table::Filter,
            "DOCKER-USER",
            "TIDE-PASS",
            Place::BeforeReturn,
        ),
    ]
}

/// The first rule of one chain has a line.
fn origins() -> Origins {
    let mut origins = Origins::new(vec![OriginEntry {
        source: "shop.tide:23".to_owned(),
        says: "office may reach db : 5432/tcp".to_owned(),
    }]);
    for family in Family::BOTH {
        let chain = ChainOrigins {
            sha256: String::new(),
            rules: vec![Some(0), None, None],
        };
        origins.add(family, Table::Mangle, "TIDE-shop-in", chain);
    }
    origins
}
