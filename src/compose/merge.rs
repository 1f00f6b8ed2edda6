//! Files on top of each other, as the Compose Specification's "Merge" has it.

use serde_yaml::value::TaggedValue;
use serde_yaml::{Mapping, Value};

use super::{ComposeError, Variables, interpolate};
use crate::yaml;

/// Lists that grow from file to file; those of other keys are replaced.
const GROWING: [&str; 5] = ["depends_on", "expose", "links", "networks", "ports"];

/// Reads a text of YAML with its merge keys and variables resolved.
pub(super) fn parse(file: &str, text: &str, variables: &Variables) -> Result<Value, ComposeError> {
    let failed = |path: String, message: String| ComposeError {
        file: file.to_owned(),
        path,
        message,
    };
    let read = yaml::read(text);
    let mut value: Value = read.map_err(|error| failed(String::new(), error))?;
    let merged = value.apply_merge();
    merged.map_err(|error| failed(String::new(), error.to_string()))?;
    fill(&mut value, variables, String::new()).map_err(|(path, message)| failed(path, message))?;
    Ok(value)
}

/// Resolves the variables in every text below a value; keys have none.
fn fill(value: &mut Value, variables: &Variables, path: String) -> Result<(), (String, String)> {
    match value {
        Value::String(text) => {
            *text = interpolate(text, variables).map_err(|error| (path, error))?;
        }
        Value::Sequence(list) => {
            for (at, value) in list.iter_mut().enumerate() {
                fill(value, variables, format!("{path}[{at}]"))?;
            }
        }
        Value::Mapping(map) => {
            for (key, value) in map.iter_mut() {
                let key = key.as_str().unwrap_or("?");
                let dot = if path.is_empty() { "" } else { "." };
                fill(value, variables, format!("{path}{dot}{key}"))?;
            }
        }
        Value::Tagged(tagged) => fill(&mut tagged.value, variables, path)?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// Puts a file on top of those before it.
pub(super) fn onto(below: Value, above: Value) -> Value {
    merge("", below, above)
}

fn merge(key: &str, below: Value, above: Value) -> Value {
    let above = match tagged(above) {
        Tag::Override(value) => return value,
        Tag::None(value) => value,
    };
    // A key that is there and empty takes nothing away.
    if above.is_null() {
        return below;
    }
    let grows = GROWING.contains(&key);
    let (below, above) = if grows && (below.is_mapping() || above.is_mapping()) {
        (as_mapping(below), as_mapping(above))
    } else {
        (below, above)
    };
    match (below, above) {
        (Value::Mapping(below), Value::Mapping(above)) => Value::Mapping(mappings(below, above)),
        (Value::Sequence(mut below), Value::Sequence(above)) if grows => {
            for value in above {
                if !below.contains(&value) {
                    below.push(value);
                }
            }
            Value::Sequence(below)
        }
        (_, above) => above,
    }
}

fn mappings(mut below: Mapping, above: Mapping) -> Mapping {
    for (key, value) in above {
        if matches!(&value, Value::Tagged(tagged) if tagged.tag == "reset") {
            below.remove(&key);
            continue;
        }
        let before = below.remove(&key).unwrap_or(Value::Null);
        let name = key.as_str().unwrap_or("").to_owned();
        below.insert(key, merge(&name, before, value));
    }
    below
}

/// `[a, b]` and `{a: , b: }` say the same of networks and dependencies.
fn as_mapping(value: Value) -> Value {
    match value {
        Value::Sequence(list) => {
            Value::Mapping(list.into_iter().map(|key| (key, Value::Null)).collect())
        }
        Value::Null => Value::Mapping(Mapping::new()),
        other => other,
    }
}

enum Tag {
    None(Value),
    Override(Value),
}

fn tagged(value: Value) -> Tag {
    match value {
        Value::Tagged(tagged) => {
            let TaggedValue { tag, value } = *tagged;
            if tag == "override" {
                Tag::Override(value)
            } else {
                Tag::None(value)
            }
        }
        value => Tag::None(value),
    }
}
