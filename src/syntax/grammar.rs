//! The grammar file as a parser.

use std::num::NonZeroUsize;

use pest::Parser as _;
use pest::error::Error;
use pest::iterators::Pairs;

pub(super) use rules::{Parser, Rule};

/// How many steps the parser may take for one text. A text of 1 MiB needs about 4 million; more
/// than this means that the text was made to be slow.
const STEPS: NonZeroUsize = NonZeroUsize::new(16_000_000).unwrap();

mod rules {
    // What the derive writes is public, has no docs and is longer than ours may be.
    #![allow(missing_debug_implementations, unreachable_pub, clippy::pedantic)]

    #[derive(pest_derive::Parser)]
    #[grammar = "grammar/tide.pest"]
    pub struct Parser;
}

/// Reads `text` by one rule of the grammar. An error is the furthest place that could be reached.
pub(super) fn read(rule: Rule, text: &str) -> Result<Pairs<'_, Rule>, Box<Error<Rule>>> {
    // The limit belongs to the process, so it is always the same one.
    pest::set_call_limit(Some(STEPS));
    Parser::parse(rule, text).map_err(Box::new)
}
