//! Names, numbers, texts and lists, each within its bound.

use std::net::IpAddr;

use pest::iterators::Pair;

use super::{Builder, children};
use crate::diag::{Diagnostic, code};
use crate::source::Span;
use crate::syntax::ast::{Name, PortRange, Spanned};
use crate::syntax::bounds::{LIST, NAME};
use crate::syntax::grammar::{self, Rule};
use crate::syntax::keyword::RESERVED;

/// Words that stand for somebody without being declared.
const BUILT_IN: [&str; 3] = ["any", "host", "outside"];

/// Tells whether an item may declare `name`, and statements name it.
pub(crate) fn may_be_declared(name: &str) -> bool {
    let kept = RESERVED.contains(&name) || BUILT_IN.contains(&name);
    let mut read = grammar::read(Rule::name, name).into_iter().flatten();
    let whole = read.next().is_some_and(|word| word.as_str() == name);
    whole && !kept && name.len() <= NAME && name.parse::<IpAddr>().is_err()
}

impl Builder<'_> {
    /// Builds a word whose meaning is checked elsewhere, such as an interface.
    pub(super) fn plain_name(&mut self, pair: &Pair<'_, Rule>) -> Name {
        let name = self.text(pair);
        if name.node.len() > NAME {
            let error = Diagnostic::error(code::NAME_TOO_LONG, "this name is too long")
                .at(name.span, format!("{} characters", name.node.len()))
                .note(format!("A name has at most {NAME} characters."));
            self.diagnostics.push(error);
        }
        name
    }

    /// Builds a name of the policy, which may not be a reserved word.
    pub(super) fn name(&mut self, pair: &Pair<'_, Rule>) -> Name {
        let name = self.plain_name(pair);
        if RESERVED.contains(&name.node.as_str()) {
            self.diagnostics.push(reserved(&name.node, name.span));
        }
        name
    }

    /// Builds a name that an item gives to what it declares.
    pub(super) fn declared_name(&mut self, pair: &Pair<'_, Rule>) -> Name {
        let name = self.name(pair);
        if BUILT_IN.contains(&name.node.as_str()) {
            let message = format!("`{}` cannot be declared", name.node);
            let error = Diagnostic::error(code::BUILT_IN_NAME, message)
                .at(name.span, "this name has a meaning of its own")
                .note("`any` is everybody, `outside` is what arrives by an uplink, `host` is the machine itself.")
                .help("choose another name");
            self.diagnostics.push(error);
        }
        name
    }

    /// Builds one side of a statement, which is named and never an address.
    pub(super) fn party(&mut self, pair: &Pair<'_, Rule>) -> Name {
        let name = self.name(pair);
        if name.node.parse::<IpAddr>().is_ok() {
            self.diagnostics
                .push(address_as_party(&name.node, name.span));
        }
        name
    }

    pub(super) fn text(&self, pair: &Pair<'_, Rule>) -> Spanned<String> {
        self.spanned(pair, pair.as_str().to_owned())
    }

    /// Builds a text without its quotes; the place is that of the whole.
    pub(super) fn string(&self, pair: &Pair<'_, Rule>) -> Spanned<String> {
        self.spanned(pair, pair.as_str().trim_matches('"').to_owned())
    }

    pub(super) fn addresses(&mut self, pair: Pair<'_, Rule>) -> Vec<Spanned<String>> {
        let span = self.span(&pair);
        let list = children(pair, Rule::address_text);
        let list: Vec<_> = list.map(|part| self.text(&part)).collect();
        self.check_length(list.len(), span);
        list
    }

    pub(super) fn ports(&mut self, pair: Pair<'_, Rule>) -> Vec<Spanned<PortRange>> {
        let span = self.span(&pair);
        let list = children(pair, Rule::range);
        let list: Vec<_> = list.map(|part| self.range(&part)).collect();
        self.check_length(list.len(), span);
        list
    }

    /// Builds `80` or `80-90`. A number too large is reported; any port stands in for it.
    fn range(&mut self, pair: &Pair<'_, Rule>) -> Spanned<PortRange> {
        let (first, last) = pair.as_str().split_once('-').unwrap_or((pair.as_str(), ""));
        let span = self.span(pair);
        let mut port = |digits: &str| {
            let Ok(port) = digits.parse() else {
                self.diagnostics.push(too_large(span, 32));
                return u32::from(u16::MAX);
            };
            port
        };
        let first = port(first);
        let last = if last.is_empty() { first } else { port(last) };
        self.spanned(pair, PortRange { first, last })
    }

    /// Returns a decimal or `0x` number; `None` with an error when it is too large for `T`.
    pub(super) fn number<T: TryFrom<u64>>(&mut self, pair: &Pair<'_, Rule>) -> Option<T> {
        let digits = pair.as_str();
        let value = match digits.strip_prefix("0x") {
            Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
            None => digits.parse(),
        };
        let number = value.ok().and_then(|value| T::try_from(value).ok());
        if number.is_none() {
            let error = too_large(self.span(pair), 8 * size_of::<T>());
            self.diagnostics.push(error);
        }
        number
    }

    /// Reports a list with more entries than any statement needs.
    pub(super) fn check_length(&mut self, length: usize, span: Span) {
        if length > LIST {
            let error = Diagnostic::error(code::LIST_TOO_LONG, "this list is too long")
                .at(span, format!("{length} entries"))
                .note(format!("A list in a statement has at most {LIST} entries."))
                .help("put the addresses into one `trust` set and name that");
            self.diagnostics.push(error);
        }
    }
}

/// Reports a word that later versions of the language need.
pub(in crate::syntax) fn reserved(word: &str, span: Span) -> Diagnostic {
    Diagnostic::error(code::RESERVED_WORD, format!("`{word}` is a reserved word"))
        .at(span, "reserved for a later version of the language")
        .note(format!(
            "These words are reserved: {}.",
            super::super::keyword::quoted(&RESERVED)
        ))
        .help("choose another name")
}

/// Reports an address where only a name can stand.
pub(in crate::syntax) fn address_as_party(address: &str, span: Span) -> Diagnostic {
    let message = format!("the address {address} cannot stand here");
    Diagnostic::error(code::ADDRESS_AS_NAME, message)
        .at(span, "a name is needed here")
        .note(
            "Statements name containers, networks and trust sets; addresses stand in `trust` sets.",
        )
        .help(format!(
            "declare `trust NAME {{ {address} }}` and write that name here"
        ))
}

fn too_large(span: Span, bits: usize) -> Diagnostic {
    Diagnostic::error(code::NUMBER_TOO_LARGE, "this number is too large")
        .at(span, format!("does not fit in {bits} bits"))
}
