//! The policy of [`super::inputs::exposures`] in the languages of other tools.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// One published port, for one source.
pub struct Exposure {
    pub source: Ipv4Addr,
    pub container: Ipv4Addr,
    pub port: usize,
}

/// Returns the same sources, containers and ports as the policy has.
pub fn list(count: usize) -> Vec<Exposure> {
    let byte = |number: usize| u8::try_from(number).unwrap();
    let one = |id: usize| Exposure {
        source: Ipv4Addr::new(198, 18, byte(id / 256), byte(id % 256)),
        container: Ipv4Addr::new(10, 128, byte(id / 250), byte(id % 250 + 2)),
        port: 10_000 + id,
    };
    (0..count).map(one).collect()
}

/// Returns one text for each exposure, joined.
fn each(exposures: &[Exposure], text: impl Fn(&Ipv4Addr, &Ipv4Addr, usize) -> String) -> String {
    let texts = exposures.iter();
    texts
        .map(|it| text(&it.source, &it.container, it.port))
        .collect()
}

type Files = Vec<(&'static str, String)>;

pub fn ferm(exposures: &[Exposure]) -> Files {
    let usual = "mod state state (ESTABLISHED RELATED) ACCEPT; interface lo ACCEPT;\n";
    let input = each(exposures, |source, _, port| {
        format!("proto tcp dport {port} {{ saddr {source} ACCEPT; DROP; }}\n")
    });
    let forward = each(exposures, |source, container, _| {
        format!("outerface br-shop saddr {source} daddr {container} proto tcp dport 80 ACCEPT;\n")
    });
    let input6 = each(exposures, |_, _, port| {
        format!("proto tcp dport {port} DROP;\n")
    });
    let mut text = String::new();
    for (domain, input, forward) in [("ip", input, forward), ("ip6", input6, String::new())] {
        let _ = write!(
            text,
            "domain {domain} table filter {{\nchain INPUT {{\n{usual}{input}}}\n\
             chain FORWARD {{\npolicy DROP;\n{usual}{forward}}}\n}}\n"
        );
    }
    vec![("ferm.conf", text)]
}

pub fn shorewall(exposures: &[Exposure]) -> Files {
    let rules = each(exposures, |source, container, port| {
        format!(
            "ACCEPT net:{source} $FW tcp {port}\nDROP all $FW tcp {port}\n\
             ACCEPT net:{source} shop:{container} tcp 80\n"
        )
    });
    let files = [
        ("shorewall/zones", "fw firewall\nnet ipv4\nshop ipv4\n"),
        (
            "shorewall/interfaces",
            "?FORMAT 2\nnet eth0\nshop br-shop bridge\n",
        ),
        (
            "shorewall/policy",
            "$FW all ACCEPT\nnet shop DROP\nall all ACCEPT\n",
        ),
    ];
    let mut files: Files = files.map(|(name, text)| (name, text.to_owned())).into();
    files.push(("shorewall/rules", format!("?SECTION NEW\n{rules}")));
    files
}

/// In the file that `ufw allow` and `ufw route allow` write; one call of them for each rule takes
/// minutes.
pub fn ufw(exposures: &[Exposure]) -> Files {
    let rules = each(exposures, |source, container, port| {
        format!(
            "### tuple ### allow tcp {port} 0.0.0.0/0 any {source} in\n\
             -A ufw-user-input -p tcp --dport {port} -s {source} -j ACCEPT\n\n\
             ### tuple ### deny tcp {port} 0.0.0.0/0 any 0.0.0.0/0 in\n\
             -A ufw-user-input -p tcp --dport {port} -j DROP\n\n\
             ### tuple ### route:allow tcp 80 {container} any {source} in\n\
             -A ufw-user-forward -p tcp -d {container} --dport 80 -s {source} -j ACCEPT\n\n"
        )
    });
    let chains: String = ["input", "output", "forward", "limit", "limit-accept"]
        .map(|name| format!(":ufw-user-{name} - [0:0]\n"))
        .concat();
    let text = format!("*filter\n{chains}### RULES ###\n\n{rules}### END RULES ###\nCOMMIT\n");
    vec![("ufw/user.rules", text)]
}

pub fn firewalld(exposures: &[Exposure]) -> Files {
    let rule = |from: &str, port: usize, action: &str| {
        format!(
            "<rule family=\"ipv4\">{from}<port port=\"{port}\" protocol=\"tcp\"/><{action}/></rule>\n"
        )
    };
    let own = each(exposures, |source, _, port| {
        let from = format!("<source address=\"{source}\"/>");
        let others = rule("", port, "drop").replace("family", "priority=\"1\" family");
        rule(&from, port, "accept") + &others
    });
    let forward = each(exposures, |source, container, _| {
        let from = format!("<source address=\"{source}\"/><destination address=\"{container}\"/>");
        rule(&from, 80, "accept")
    });
    let head = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";
    let zone = |interface: &str, rules: &str| {
        format!(
            "{head}<zone target=\"ACCEPT\">\n<interface name=\"{interface}\"/>\n{rules}</zone>\n"
        )
    };
    let policy = format!(
        "{head}<policy target=\"DROP\">\n<ingress-zone name=\"public\"/>\n\
         <egress-zone name=\"shop\"/>\n{forward}</policy>\n"
    );
    vec![
        ("firewalld/zones/public.xml", zone("eth0", &own)),
        ("firewalld/zones/shop.xml", zone("br-shop", "")),
        ("firewalld/policies/shop-in.xml", policy),
    ]
}

pub fn foomuuri(exposures: &[Exposure]) -> Files {
    let own = each(exposures, |source, _, port| {
        format!("  tcp {port} saddr {source} accept\n  tcp {port} drop\n")
    });
    let forward = each(exposures, |source, container, _| {
        format!("  tcp 80 saddr {source} daddr {container} accept\n")
    });
    let zones = "zone {\n  localhost\n  public eth0\n  shop br-shop\n}\n";
    let pairs = ["localhost-public", "localhost-shop", "public-public"];
    let pairs = pairs
        .iter()
        .chain(&["shop-localhost", "shop-public", "shop-shop"]);
    let open = pairs.fold(String::new(), |open, pair| {
        open + pair + " {\n  accept\n}\n"
    });
    let text = format!(
        "{zones}public-localhost {{\n{own}  accept\n}}\npublic-shop {{\n{forward}  drop\n}}\n{open}"
    );
    vec![("foomuuri/foomuuri.conf", text)]
}
