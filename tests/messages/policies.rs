//! What is told about a policy: the examples of the pages, and what is too large for a page.

use std::fmt::Write as _;

use tidegate::compile::{Compiled, How, compile_with};
use tidegate::compose::{self, Variables};
use tidegate::diag::{Code, Diagnostic, code};
use tidegate::facts::Facts;
use tidegate::import;

use super::{shown, told};
use crate::pages::{examples, whole};
use crate::support::files::Files;

const SHOP: &str = "host {\n  uplink eth0\n  forwarding on\n  forward drop\n}\n\
    network shop {\n  bridge br-shop\n  subnet 172.18.0.0/16\n}\n";

/// What leads to a message.
#[derive(Default)]
struct Trigger {
    /// The policy's files; the first is the main one.
    files: Vec<(String, String)>,
    compose: Option<&'static str>,
    inventory: Option<&'static str>,
}

fn policy(text: impl Into<String>) -> Trigger {
    Trigger {
        files: vec![("shop.tide".to_owned(), text.into())],
        ..Trigger::default()
    }
}

fn in_shop(text: &str) -> Trigger {
    policy(format!("{SHOP}{text}"))
}

impl Trigger {
    fn and(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.push((name.into(), text.into()));
        self
    }

    fn with_compose(mut self, text: &'static str) -> Self {
        self.compose = Some(text);
        self
    }

    fn with_inventory(mut self, text: &'static str) -> Self {
        self.inventory = Some(text);
        self
    }

    fn compiled(&self) -> Compiled {
        let inventory = self.inventory.map(|text| Facts::read(text).unwrap());
        let files = Files(self.files.iter().cloned().collect());
        let mut compiled =
            compile_with(&files, &self.files[0].0, inventory.as_ref(), How::default());
        compiled.lint();
        if let Some(text) = self.compose {
            let text = if text.contains("\nnetworks:") {
                text.to_owned()
            } else {
                text.to_owned() + NETWORK
            };
            let file = ("compose.yaml".to_owned(), text);
            let project = compose::read(&[file], "shop", &Variables::new()).unwrap();
            let found = import::compare(&compiled.policies[0], &project, "compose.yaml");
            compiled.say(found);
        }
        compiled
    }
}

/// Writes one line for each number.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0..count {
        writeln!(text, "{}", line(number)).unwrap();
    }
    text
}

fn includes(count: usize) -> Trigger {
    let all = lines(count, |number| format!("include \"{number}.tide\""));
    let whole = in_shop(&all);
    (0..count).fold(whole, |made, number| made.and(format!("{number}.tide"), ""))
}

fn included_in_each_other(count: usize) -> Trigger {
    let include = |number: usize| format!("include \"{number}.tide\"\n");
    let whole = in_shop(&include(0));
    (0..count).fold(whole, |made, number| {
        made.and(format!("{number}.tide"), include(number + 1))
    })
}

fn networks(count: usize) -> Trigger {
    policy(lines(count, |number| {
        let (high, low) = (number / 256, number % 256);
        format!("network n{number} {{\n  bridge b{number}\n  subnet 10.{high}.{low}.0/24\n}}")
    }))
}

fn containers() -> Trigger {
    let part = |part: usize| {
        lines(10_000, |number| {
            format!("container c{part}-{number} on shop")
        })
    };
    let all = in_shop(&lines(11, |number| format!("include \"{number}.tide\"")));
    (0..11).fold(all, |made, number| {
        made.and(format!("{number}.tide"), part(number))
    })
}

/// Eighteen sets of many addresses that do not merge.
fn addresses() -> Trigger {
    let list = lines(60_000, |number| {
        let at = 2 * number;
        format!("10.{}.{}.{}", at >> 16, (at >> 8) & 255, at & 255)
    });
    let sets = lines(18, |number| {
        format!("trust partner{number} {{ file \"partners.txt\" }}")
    });
    in_shop(&sets).and("partners.txt", list)
}

fn links() -> Trigger {
    let containers = lines(5_000, |number| {
        let (high, low) = (1 + number / 250, 1 + number % 250);
        format!("container c{number} on shop at 172.18.{high}.{low} {{ expose 80/tcp }}")
    });
    let names: Vec<String> = (0..5_000).map(|number| format!("c{number}")).collect();
    let names = names.join(",");
    in_shop(&format!("{containers}link {names} -> {names}\n"))
}

const WEB: &str = "container web on shop at 172.18.0.10 {\n  expose 80/tcp as 8080 from any\n}\n";

const MACVLAN: &str = "networks:\n  shop:\n    driver: macvlan\n    subnets: [172.18.0.0/16]\n";

const OTHER_SUBNET: &str =
    "networks:\n  shop:\n    driver: bridge\n    bridge: br-shop\n    subnets: [172.25.0.0/24]\n";

const OTHER_ADDRESS: &str = "networks:\n  shop:\n    driver: bridge\n    bridge: br-shop\n    subnets: [172.18.0.0/16]\n\
    containers:\n  web:\n    networks: {shop: [172.18.0.2]}\n";

const NETWORK: &str = "networks:
  shop:
    driver_opts: { com.docker.network.bridge.name: br-shop }
    ipam: { config: [ { subnet: 172.18.0.0/16 } ] }
";

const OTHER_SERVICE: &str = "services:
  api:
    container_name: api
    networks: [shop]
";

const LINKED: &str = "services:
  web:
    container_name: web
    networks: { shop: { ipv4_address: 172.18.0.10 } }
    links: [db]
  db:
    container_name: db
    networks: { shop: { ipv4_address: 172.18.0.20 } }
";

const TWO: &str = "container web on shop at 172.18.0.10\n\
    container db on shop at 172.18.0.20 { expose 5432/tcp from host }\n";

/// What leads to the messages of codes whose page shows no policy.
fn triggers() -> Vec<(Code, Trigger)> {
    let compose = |text| in_shop(WEB).with_compose(text);
    vec![
        (code::FILE_TOO_LARGE, policy("# a line\n".repeat(120_000))),
        (code::NOT_TEXT, policy("host {\n  uplink eth\u{7}0\n}\n")),
        (
            code::TOO_MANY_MISTAKES,
            policy("alow a -> b\n".repeat(1001)),
        ),
        (
            code::LIST_TOO_LONG,
            in_shop(&format!("allow {}shop -> host\n", "shop, ".repeat(10_000))),
        ),
        (code::TOO_DEEP, policy("host {\n".repeat(100))),
        (
            code::INCLUDE_CYCLE,
            policy("include \"web.tide\"\n").and("web.tide", "include \"shop.tide\"\n"),
        ),
        (code::INCLUDE_DEPTH, included_in_each_other(18)),
        (code::TOO_MANY_FILES, includes(258)),
        (code::TOO_MANY_NETWORKS, networks(4098)),
        (code::TOO_MANY_CONTAINERS, containers()),
        (code::TOO_MANY_PREFIXES, addresses()),
        (code::TOO_MANY_LINKS, links()),
        (code::NO_NETWORK, policy("host {\n  uplink eth0\n}\n")),
        (
            code::UNGOVERNED_NETWORK,
            in_shop("").with_inventory(MACVLAN),
        ),
        (
            code::INVENTORY_DIFFERS,
            in_shop("").with_inventory(OTHER_SUBNET),
        ),
        (
            code::NOT_IN_INVENTORY,
            in_shop("").with_inventory("networks: {}\ncontainers: {}\n"),
        ),
        (
            code::INVENTORY_STALE,
            in_shop(WEB).with_inventory(OTHER_ADDRESS),
        ),
        (
            code::ADDRESS_OF_NOW,
            in_shop(&WEB.replace(" at 172.18.0.10", "")).with_inventory(OTHER_ADDRESS),
        ),
        (
            code::COMPOSE_DIFFERS,
            compose(
                "services:\n  web:\n    networks:\n      shop: { ipv4_address: 172.18.0.11 }\nnetworks:\n  shop:\n",
            ),
        ),
        (
            code::COMPOSE_PORTS,
            compose(
                "services:\n  web:\n    ports: [\"9090:90\"]\n    networks: [shop]\nnetworks:\n  shop:\n",
            ),
        ),
        (
            code::COMPOSE_SILENT,
            compose("services:\n  web:\n    networks: [shop]\nnetworks:\n  shop:\n"),
        ),
        (code::NOT_IN_COMPOSE, compose(OTHER_SERVICE)),
        (
            code::NOT_IN_POLICY,
            compose("services:\n  api:\n    image: x\n    networks: [back]\nnetworks:\n  back:\n"),
        ),
        (
            code::COMPOSE_LINK,
            policy(SHOP.replace("/16\n", "/16\n  icc off\n") + TWO).with_compose(LINKED),
        ),
    ]
}

fn message(code: Code, compiled: &Compiled) -> Result<String, String> {
    let all = &compiled.diagnostics;
    let found = all.iter().find(|diagnostic| diagnostic.code == code);
    found
        .map(|found| shown(found, &compiled.sources))
        .ok_or_else(|| {
            let said = all.iter().map(|it| format!("{} {}", it.code, it.message));
            format!("{code} is not told: {:?}", said.collect::<Vec<_>>())
        })
}

#[test]
fn of_examples_on_pages() {
    let mut untold = Vec::new();
    for entry in code::ALL {
        let first = examples(entry.page).into_iter().next();
        let Some((_, text)) = first.filter(|(word, _)| *word == "tide") else {
            continue;
        };
        match message(entry.code, &policy(whole(text)).compiled()) {
            Ok(text) => told(entry.code, &text),
            Err(why) => untold.push(why),
        }
    }
    assert!(untold.is_empty(), "{}", untold.join("\n"));
}

/// Says how the edit that an example's message suggests does not mend it, if it has one.
fn unmended(code: Code, text: &str) -> Option<String> {
    let compiled = policy(text).compiled();
    let found = compiled.diagnostics.iter().find(|it| it.code == code)?;
    let fix = found.fix.as_ref()?;
    let (start, end) = (fix.span.start as usize, fix.span.end as usize);
    let edited = format!("{}{}{}", &text[..start], fix.replacement, &text[end..]);
    let after = policy(&edited).compiled();
    let place = |it: &Diagnostic| {
        it.labels
            .iter()
            .any(|label| label.span.start as usize == start)
    };
    let stays = |it: &&Diagnostic| {
        it.code == code && place(it) || it.code.0.starts_with("T01") && code.0 > "T02"
    };
    let left = after.diagnostics.iter().find(stays)?;
    Some(format!("{code}: {}\n{edited}", left.message))
}

#[test]
fn suggested_edits_mend_what_they_are_for() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for entry in code::ALL {
        let first = examples(entry.page).into_iter().next();
        let Some((_, text)) = first.filter(|(word, _)| *word == "tide") else {
            continue;
        };
        let text = whole(text);
        let compiled = policy(text.clone()).compiled();
        let mut of_code = compiled
            .diagnostics
            .iter()
            .filter(|it| it.code == entry.code);
        count += usize::from(of_code.any(|it| it.fix.is_some()));
        wrong.extend(unmended(entry.code, &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 10, "only {count} examples have an edit");
}

#[test]
fn of_what_is_too_large_for_a_page() {
    let mut untold = Vec::new();
    for (code, trigger) in triggers() {
        match message(code, &trigger.compiled()) {
            Ok(text) => told(code, &text),
            Err(why) => untold.push(why),
        }
    }
    assert!(untold.is_empty(), "{}", untold.join("\n"));
}
