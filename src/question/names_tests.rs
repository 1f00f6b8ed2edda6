use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn names() -> Names {
    let machine = Machine {
        family: Family::V4,
        rules: crate::netfilter::dump::Dump::default(),
        interfaces: Vec::new(),
        routes: Vec::new(),
    };
    let mut names = Names::new(&[], &machine);
    for (name, first, last) in [
        ("shop", "10.0.0.0", "10.0.0.255"),
        ("web", "10.0.0.10", "10.0.0.10"),
        ("office", "20.0.0.0", "20.255.255.255"),
        ("desk", "20.0.0.0", "20.0.0.15"),
    ] {
        names.sources.push((name.to_owned(), range(first, last)));
    }
    names
        .sources
        .sort_by_key(|(_, set)| std::cmp::Reverse(size(set)));
    names
}

fn range(first: &str, last: &str) -> IntervalSet {
    let [first, last] = [first, last].map(|text| bits(text.parse().unwrap()));
    IntervalSet::from_ranges(vec![(first, last)])
}

/// Reads a word again.
fn meant(names: &Names, word: &str) -> IntervalSet {
    if word == "any" {
        return everything(Family::V4);
    }
    if let Some((_, set)) = names.sources.iter().find(|(name, _)| name == word) {
        return set.clone();
    }
    if let Some((first, last)) = word.split_once('-') {
        return range(first, last);
    }
    let net: IpNet = word
        .parse()
        .unwrap_or_else(|_| word.parse::<IpAddr>().unwrap().into());
    IntervalSet::from_ranges(vec![(bits(net.network()), bits(net.broadcast()))])
}

fn all_meant(names: &Names, words: &[String]) -> IntervalSet {
    let sets = words.iter().map(|word| meant(names, word));
    sets.fold(IntervalSet::default(), |all, set| all.union(&set))
}

/// Where sets begin and end: at what has a name, beside it, and elsewhere.
const EDGES: [&str; 11] = [
    "0.0.0.0",
    "9.9.9.9",
    "10.0.0.0",
    "10.0.0.10",
    "10.0.0.11",
    "10.0.1.0",
    "20.0.0.0",
    "20.0.0.16",
    "21.0.0.0",
    "99.0.0.7",
    "255.255.255.255",
];

fn set() -> impl Strategy<Value = IntervalSet> {
    let bound = |at: usize| u128::from(EDGES[at].parse::<Ipv4Addr>().unwrap().to_bits());
    let range = (0..EDGES.len(), 0..EDGES.len()).prop_map(move |(a, b)| {
        let (first, behind) = (bound(a.min(b)), bound(a.max(b)));
        (first, behind.saturating_sub(1).max(first))
    });
    proptest::collection::vec(range, 1..4).prop_map(IntervalSet::from_ranges)
}

proptest! {
    #[test]
    fn words_mean_the_set_but_for_what_cannot_occur(set in set(), free in set()) {
        let names = names();
        let words = names.sources(&set, &free);
        let meant = all_meant(&names, &words.these).difference(&all_meant(&names, &words.except));
        prop_assert_eq!(meant.difference(&free), set.difference(&free), "{}", words);
    }
}

#[test]
fn the_fewest_words_are_taken() {
    let names = names();
    let said = |sets: &[IntervalSet], free: &IntervalSet| {
        let all = sets
            .iter()
            .fold(IntervalSet::default(), |all, set| all.union(set));
        names.sources(&all, free).to_string()
    };
    let none = IntervalSet::default();
    let (office, desk) = (
        range("20.0.0.0", "20.255.255.255"),
        range("20.0.0.0", "20.0.0.15"),
    );
    let (web, other) = (
        range("10.0.0.10", "10.0.0.10"),
        range("30.0.0.0", "30.0.0.7"),
    );
    assert_eq!(said(&[office.clone(), web.clone()], &none), "office, web");
    assert_eq!(
        said(&[office.difference(&desk)], &none),
        "office except desk"
    );
    assert_eq!(
        said(&[everything(Family::V4).difference(&office)], &none),
        "any except office"
    );
    assert_eq!(said(&[web.clone(), other], &none), "web, 30.0.0.0/29");
    assert_eq!(
        said(&[range("1.0.0.1", "1.0.0.3")], &none),
        "1.0.0.1-1.0.0.3"
    );
    // Who cannot connect anyway need not be left out.
    assert_eq!(said(&[office.difference(&desk)], &desk), "office");
    let many = (0..20).map(|at| singles([at * 2])).collect::<Vec<_>>();
    assert!(said(&many, &none).ends_with("0.0.0.22 and 8 more"));
}
