//! Any text is a manifest, whose parties make a policy or are refused, or it is none.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tidegate::artifact::{Bundle, MANIFEST, Manifest};
use tidegate::compile::recovered;
use tidegate::netfilter::Family;
use tidegate::netfilter::dump::States;
use tidegate::netfilter::trace::traces;
use tidegate::policy::ir::Policy;
use tidegate::question::{
    Answer, Question, Told, Way, as_json, no_sets, of_policy, placed, service, ways,
};

fuzz_target!(|text: &str| {
    let files = BTreeMap::from([(MANIFEST.to_owned(), text.to_owned())]);
    assert!(Bundle::read(files).is_err(), "a bundle without rules");
    let Ok(manifest) = serde_json::from_str::<Manifest>(text) else {
        return;
    };
    if let Ok(policy) = recovered(&manifest) {
        ask(&manifest, &policy);
    }
});

fn ask(manifest: &Manifest, policy: &Policy) {
    let family = Family::V4;
    let Ok(assumed) = of_policy(policy, "", family) else {
        return;
    };
    let (protocol, port) = service("80/tcp", family).expect("a service");
    let to = policy.containers.first();
    let question = Question {
        from: "outside",
        to: to.map_or("host", |container| container.name.as_str()),
        protocol,
        port,
        input: None,
        state: States::NEW,
        family,
    };
    let _ = no_sets(&question, policy, &manifest.parties.sets);
    let Ok(ways) = ways(&question, Some(&placed(policy)), &assumed.machine) else {
        return;
    };
    let answer = |way: Way| Answer {
        traces: traces(&assumed.machine, &way.probe),
        way,
    };
    let answers: Vec<Answer> = ways.into_iter().map(answer).collect();
    let _ = as_json(&answers, &Told::new(&assumed.machine, Some(manifest)));
}
