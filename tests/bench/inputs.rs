//! Policies of any size, for benches and for whoever measures a whole process: text alone, the same each time.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;

use tidegate::policy::{LoadError, Loader};

pub(crate) struct Files(pub(crate) BTreeMap<String, String>);

impl Loader for Files {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        self.0.get(name).cloned().ok_or(LoadError::Missing)
    }
}

pub(crate) const HEAD: &str = "host {\n  uplink eth0\n  forwarding on\n  forward drop\n}\n\
                    network shop {\n  bridge br-shop\n  subnet 10.128.0.0/16\n}\n";

/// Makes a policy of containers with one published port each, every one for a source of its own.
pub(crate) fn exposures(count: usize) -> Files {
    let mut files = BTreeMap::new();
    let mut main = HEAD.to_owned();
    for part in 0..count.div_ceil(2500) {
        let _ = writeln!(main, "include \"part{part}.tide\"");
        let mut text = String::new();
        for id in part * 2500..count.min((part + 1) * 2500) {
            let (high, low, port) = (id / 250, id % 250 + 2, 10_000 + id);
            let _ = writeln!(
                text,
                "trust s{id} {{ 198.18.{}.{} }}\n\
                 container c{id} on shop at 10.128.{high}.{low} {{\n  expose 80/tcp as {port} from s{id}\n}}",
                id / 256,
                id % 256
            );
        }
        files.insert(format!("part{part}.tide"), text);
    }
    files.insert("policy.tide".to_owned(), main);
    Files(files)
}

/// Returns the first address of a prefix, by its place in the lists of [`prefixes`].
pub(crate) fn address(at: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0b00_0000 + at * 24_576)
}

/// Returns prefixes, no two of which touch, one a line.
pub(crate) fn list(count: u32) -> String {
    let line = |at: u32| format!("{}/{}\n", address(at), 20 + at % 12);
    (0..count).map(line).collect()
}

/// Makes a policy of `exposures` published ports, all for one set of `count` prefixes.
pub(crate) fn prefixes(count: u32, exposures: u32) -> Files {
    let mut main = format!("{HEAD}trust many {{ file \"many.txt\" }}\n");
    for id in 0..exposures {
        let (low, port) = (id % 250 + 2, 8080 + id);
        let _ = writeln!(
            main,
            "container c{id} on shop at 10.128.{}.{low} {{\n  expose 80/tcp as {port} from many\n}}",
            id / 250
        );
    }
    Files(BTreeMap::from([
        ("policy.tide".to_owned(), main),
        ("many.txt".to_owned(), list(count)),
    ]))
}
