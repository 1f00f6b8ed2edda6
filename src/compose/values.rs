//! Values of YAML with their place, so that a mistake can name it.

use serde_yaml::Value;

/// A path and what is wrong there.
pub(super) type Wrong = (String, String);

/// A value and its path.
#[derive(Debug, Clone)]
pub(super) struct At<'v> {
    pub value: &'v Value,
    pub path: String,
}

impl<'v> At<'v> {
    pub(super) fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Wrong> {
        Err((self.path.clone(), message.into()))
    }

    /// Returns the value of a key, if it is there and not empty.
    pub(super) fn get(&self, key: &str) -> Option<At<'v>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.below(key, value))
    }

    fn below(&self, key: &str, value: &'v Value) -> At<'v> {
        let dot = if self.path.is_empty() { "" } else { "." };
        At {
            value,
            path: format!("{}{dot}{key}", self.path),
        }
    }

    /// Returns the entries of a mapping.
    pub(super) fn entries(&self) -> Result<Vec<(String, At<'v>)>, Wrong> {
        let Some(map) = self.value.as_mapping() else {
            return self.wrong("this must be a mapping");
        };
        let entry = |(key, value): (&'v Value, &'v Value)| {
            let key = match key {
                Value::String(key) => key.clone(),
                Value::Number(key) => key.to_string(),
                _ => return self.wrong("a key must be a word"),
            };
            let at = self.below(&key, value);
            Ok((key, at))
        };
        map.iter().map(entry).collect()
    }

    pub(super) fn items(&self) -> Result<Vec<At<'v>>, Wrong> {
        let Some(list) = self.value.as_sequence() else {
            return self.wrong("this must be a list");
        };
        let item = |(at, value): (usize, &'v Value)| At {
            value,
            path: format!("{}[{at}]", self.path),
        };
        Ok(list.iter().enumerate().map(item).collect())
    }

    /// Returns the names of a list, or the keys of a mapping.
    pub(super) fn names(&self) -> Result<Vec<String>, Wrong> {
        if self.value.is_mapping() {
            return Ok(self.entries()?.into_iter().map(|(key, _)| key).collect());
        }
        self.items()?.iter().map(At::text).collect()
    }

    /// Returns a text, a number or a truth value as text.
    pub(super) fn text(&self) -> Result<String, Wrong> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            _ => self.wrong("this must be a text or a number"),
        }
    }

    pub(super) fn truth(&self) -> Result<bool, Wrong> {
        match self.text()?.as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            other => self.wrong(format!("`{other}` is neither true nor false")),
        }
    }
}
