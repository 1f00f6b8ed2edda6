//! One thing that can undo the policy.

use serde::{Serialize, Serializer};

use crate::diag::Code;
use crate::netfilter::verbatim;

/// How much a finding counts; the worst is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The policy is not in force whole, or anybody may undo it.
    Error,
    /// It is undone when something that happens on machines happens.
    Warning,
    /// Good to know; it changes no exit status.
    Note,
}

impl Weight {
    pub fn name(self) -> &'static str {
        match self {
            Weight::Error => "error",
            Weight::Warning => "warning",
            Weight::Note => "note",
        }
    }
}

/// What was seen, where, why it matters and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(serialize_with = "code_name")]
    pub code: Code,
    #[serde(rename = "severity")]
    pub weight: Weight,
    /// What was seen, in one line.
    pub seen: String,
    /// A file with its line, or a chain with its rule; nothing where the machine as a whole is meant.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    pub why: String,
    #[serde(rename = "do")]
    pub remedy: String,
}

impl Finding {
    pub(super) fn new(code: Code, weight: Weight, seen: impl Into<String>) -> Self {
        Finding {
            code,
            weight,
            seen: seen.into(),
            place: None,
            why: String::new(),
            remedy: String::new(),
        }
    }

    #[must_use]
    pub(super) fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(verbatim::shown(&place.into()));
        self
    }

    #[must_use]
    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    #[must_use]
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

fn code_name<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.0)
}
