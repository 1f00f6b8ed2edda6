//! The grammar by which editors colour knows the words of the language.

use serde_json::Value;
use tidegate::syntax::keyword;

use crate::support::files::repository;

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(repository().join("editors/vscode").join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Returns the words of all patterns of the form `(?<!…)(?:a|b|c)(?!…)`.
fn words(grammar: &Value, found: &mut Vec<String>) {
    match grammar {
        Value::Object(object) => {
            if let Some(pattern) = object.get("match").and_then(Value::as_str)
                && let Some(name) = object.get("name").and_then(Value::as_str)
                && ["keyword", "constant.language", "support"]
                    .iter()
                    .any(|it| name.starts_with(it))
                && let Some(list) = pattern
                    .split("(?:")
                    .nth(1)
                    .and_then(|it| it.split(')').next())
            {
                found.extend(list.split('|').map(str::to_owned));
            }
            object.values().for_each(|value| words(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| words(value, found)),
        _ => {}
    }
}

#[test]
fn the_grammar_has_every_keyword_and_no_other() {
    let mut found = Vec::new();
    words(&read("syntaxes/tide.tmLanguage.json"), &mut found);
    found.sort();
    let mut known: Vec<&str> = keyword::all();
    // Names that nobody declares.
    known.extend(["any", "outside"]);
    known.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn the_extension_is_about_our_files_and_program() {
    let package = read("package.json");
    let language = &package["contributes"]["languages"][0];
    assert_eq!(language["extensions"][0], ".tide");
    for path in [
        &language["configuration"],
        &package["contributes"]["grammars"][0]["path"],
    ] {
        read(path.as_str().unwrap().trim_start_matches("./"));
    }
    let main = package["main"]
        .as_str()
        .unwrap()
        .trim_start_matches("./")
        .to_owned();
    let code = std::fs::read_to_string(repository().join("editors/vscode").join(main)).unwrap();
    assert!(code.contains("\"lsp\""));
    assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));
}
