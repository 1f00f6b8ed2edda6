//! Loading never panics, whatever the text.

use proptest::prelude::*;

use super::{Files, in_shop, load};

const POLICY: &str = "host {\n uplink eth0\n forwarding on\n mark 0x100\n log denied limit 6/minute\n\
    sysctl \"net.core.somaxconn\" = 4096\n}\n\
    include \"common.tide\"\n\
    trust staff { office, 10.8.0.0/16, 10.9.0.1-10.9.0.9, except 203.0.113.66 }\n\
    trust crawlers { file \"crawlers.txt\" }\n\
    network back {\n bridge docker0\n subnet 172.19.0.0/16, fd00:19::/64\n icc on\n}\n\
    container app on shop at 172.18.0.30 on back at 172.19.0.30, fd00:19::30 {\n\
    expose 80,443/tcp as 8080,8443 from any log\n expose 9000-9009/udp from staff\n\
    expose 22/tcp as 127.0.0.1:2222 from host\n}\n\
    link web, app -> db : 5432/tcp\nlink app -> web\nallow staff -> shop : 22/tcp, icmp echo-request\n\
    deny app -> outside : 25/tcp\nexpect staff -> app : 80/tcp allowed\n";

/// Words to put where they do not belong.
const WORDS: [&str; 24] = [
    "shop",
    "web",
    "any",
    "host",
    "outside",
    "0",
    "65536",
    "-",
    "/",
    "::",
    "::ffff:1.2.3.4",
    "/33",
    "{",
    "}",
    ",",
    "->",
    ":",
    "trust",
    "network",
    "except",
    "\"",
    "\n",
    "as",
    "999999999999",
];

/// One change of a text: what, where as a share of its length, and how much.
type Change = (u8, f64, usize, usize);

fn change(text: &mut String, (what, place, length, word): Change) {
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a place in a short text"
    )]
    let start = boundary((place * text.len() as f64) as usize);
    let end = boundary((start + length).min(text.len()));
    let piece = text[start..end].to_owned();
    match what {
        0 => text.replace_range(start..end, ""),
        1 => text.insert_str(end, &piece),
        2 => text.insert_str(start, WORDS[word % WORDS.len()]),
        _ => text.replace_range(start..end, WORDS[word % WORDS.len()]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changed_policies_never_panic(
        changes in prop::collection::vec((0u8..4, 0.0..1.0f64, 0usize..40, 0usize..24), 1..6)
    ) {
        let mut main = in_shop(POLICY);
        let mut list = "192.0.2.0/24\n2001:db8::/32\n".to_owned();
        for each in changes {
            change(&mut main, each);
            change(&mut list, each);
        }
        let files = Files::new(&[
            ("p.tide", &main),
            ("common.tide", "trust office { 203.0.113.0/24 }\ninclude \"p.tide\""),
            ("crawlers.txt", &list),
        ]);
        let loaded = load(&files, "p.tide");
        prop_assert_eq!(loaded.policies.is_empty(), loaded.diagnostics.has_errors());
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}", list in "[0-9a-f.:/# \n-]{0,80}") {
        let main = in_shop(&format!("trust t {{ file \"l.txt\" }}\n{text}"));
        let files = Files::new(&[("p.tide", &main), ("l.txt", &list)]);
        let loaded = load(&files, "p.tide");
        prop_assert_eq!(loaded.policies.is_empty(), loaded.diagnostics.has_errors());
    }
}

#[test]
fn the_policy_that_is_changed_has_only_the_circle_as_mistake() {
    let files = Files::new(&[
        ("p.tide", &in_shop(POLICY)),
        (
            "common.tide",
            "trust office { 203.0.113.0/24, 203.0.113.66 }",
        ),
        ("crawlers.txt", "192.0.2.0/24\n"),
    ]);
    let loaded = load(&files, "p.tide");
    assert!(!loaded.policies.is_empty(), "{:#?}", loaded.diagnostics);
}
