//! Worlds that nobody made to fit a policy, on a real engine: what can be connected to, and whether
//! every word that tidegate says of it is true. See `docs/worlds.md`.

mod claims;
mod draw;
mod judge;
mod oracle;
mod play;
mod policy;
mod stage;
mod truth;
mod world;

use std::fs;
use std::path::Path;
use std::time::Instant;

use stage::Stage;
use world::World;

/// Plays only the worlds whose names hold this.
const ONLY: &str = "TIDEGATE_WORLD";

/// Returns the worlds to play with these options of the engine.
fn field(engine: &str) -> Vec<World> {
    let only = std::env::var(ONLY).unwrap_or_default();
    let mut worlds = all_of(engine);
    worlds.retain(|world| world.name.contains(&only));
    worlds
}

/// Returns the worlds of `field/` whose engine runs with these options.
fn all_of(engine: &str) -> Vec<World> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds/field");
    let mut worlds = Vec::new();
    for entry in fs::read_dir(folder).expect("the worlds") {
        let path = entry.expect("a file").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).expect("text");
        let world = World::read(&name, &text);
        if world.engine() == engine {
            worlds.push(world);
        }
    }
    worlds.sort_by(|one, other| one.name.cmp(&other.name));
    worlds
}

/// Plays all of them on one engine, and panics with all that was wrong.
fn play(engine: &str, worlds: &[World]) {
    if worlds.is_empty() {
        return;
    }
    let Some(stage) = Stage::open(engine) else {
        return;
    };
    let mut wrong = Vec::new();
    for world in worlds {
        let begun = Instant::now();
        let failures = stage.play(world);
        eprintln!("{} {:.1?}", world.name, begun.elapsed());
        if !failures.is_empty() {
            eprintln!("=== {}\n{world}\n  {}", world.name, failures.join("\n  "));
            wrong.push(world.name.as_str());
        }
    }
    assert!(wrong.is_empty(), "wrong in {wrong:?}, see above");
}

/// How the engine runs in the three tests.
const PROXY: &str = "";
const NO_PROXY: &str = "--userland-proxy=false";
const IP6TABLES: &str = "--experimental --ip6tables";

/// Draws as many worlds as `TIDEGATE_WORLDS` says, from `TIDEGATE_WORLDS_SEED` on.
fn drawn(engine: &str) -> Vec<World> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seed = number("TIDEGATE_WORLDS_SEED").unwrap_or(1);
    let count = number("TIDEGATE_WORLDS").unwrap_or(4);
    eprintln!("{count} worlds from TIDEGATE_WORLDS_SEED={seed} on");
    (seed..seed + count)
        .map(|seed| draw::world(seed, engine))
        .collect()
}

#[test]
fn with_the_proxy() {
    play(PROXY, &field(PROXY));
}

#[test]
fn without_the_proxy() {
    play(NO_PROXY, &field(NO_PROXY));
}

#[test]
fn with_ip6tables() {
    play(IP6TABLES, &field(IP6TABLES));
}

#[test]
fn drawn_with_the_proxy() {
    play(PROXY, &drawn(PROXY));
}

#[test]
fn drawn_without_the_proxy() {
    play(NO_PROXY, &drawn(NO_PROXY));
}

#[test]
fn drawn_with_ip6tables() {
    play(IP6TABLES, &drawn(IP6TABLES));
}

#[test]
fn every_world_has_a_row_in_the_manual() {
    let page = include_str!("../../docs/worlds.md");
    let (_, part) = page.split_once("## The worlds\n").expect("the part");
    let part = part.split("\n## ").next().expect("its text");
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<&str> = rows.collect();
    let named = [
        (PROXY, "with_the_proxy"),
        (NO_PROXY, "without_the_proxy"),
        (IP6TABLES, "with_ip6tables"),
    ];
    let mut worlds: Vec<(String, &str)> = Vec::new();
    for (engine, test) in named {
        worlds.extend(all_of(engine).into_iter().map(|world| (world.name, test)));
    }
    assert_eq!(rows.len(), worlds.len(), "{rows:#?}");
    for (name, test) in worlds {
        let is_row = |row: &&str| {
            row.starts_with(&format!("| `{name}` |")) && row.ends_with(&format!("| `{test}` |"))
        };
        assert!(rows.iter().any(is_row), "no row of {name} with {test}");
    }
}
