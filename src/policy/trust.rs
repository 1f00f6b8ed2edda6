//! Trust sets: members are read, sets within sets put in, exceptions taken out.

use std::net::IpAddr;

use crate::diag::{Diagnostic, Diagnostics, code};
use crate::net::AddrSet;
use crate::source::Span;
use crate::syntax::ast;
use crate::syntax::ast::{Member, Spanned};

use super::hidden::Hidden;
use super::ir::{Trust, TrustId};
use super::names::Scope;
use super::reader::Reader;
use super::{list, literal};

/// How many prefixes and ranges all sets together may have, sets within sets counted again.
const MAX_RANGES: usize = 1_000_000;

/// Evaluates all sets. Those with mistakes come out empty, each mistake reported once.
pub(super) fn resolve<'a>(
    trusts: &[&'a ast::Trust],
    hidden: &Hidden,
    scope: &mut Scope<'a>,
    reader: &mut Reader<'_>,
) -> Vec<Trust> {
    let drafts = trusts.iter().map(|trust| {
        let mut draft = draft(trust, scope, reader);
        draft.poisoned |= hidden.spoils(trust.span);
        draft
    });
    let mut sets = Sets {
        drafts: drafts.collect(),
        values: vec![Value::Unknown; trusts.len()],
        ranges: 0,
    };
    for id in 0..trusts.len() {
        sets.evaluate(TrustId(id), trusts, &mut reader.diagnostics);
    }
    let evaluated = sets.values.into_iter().zip(sets.drafts);
    let named = trusts.iter().zip(evaluated);
    named
        .map(|(trust, (value, draft))| finished(trust, value, &draft))
        .collect()
}

fn finished(trust: &ast::Trust, value: Value, draft: &Draft) -> Trust {
    Trust {
        name: trust.name.node.clone(),
        set: match value {
            Value::Done(set) => set,
            Value::Bad | Value::Open | Value::Unknown => AddrSet::default(),
        },
        within: draft.within.iter().map(|(id, _)| *id).collect(),
        span: trust.name.span,
    }
}

/// A set whose members are read, other sets still by name.
#[derive(Debug, Default)]
struct Draft {
    included: Vec<Part>,
    excepted: Vec<Part>,
    /// The sets among both.
    within: Vec<(TrustId, Span)>,
    /// A member could not be read: what follows from it is not reported.
    poisoned: bool,
}

#[derive(Debug)]
struct Part {
    content: Content,
    span: Span,
}

#[derive(Debug)]
enum Content {
    Own(AddrSet),
    Other(TrustId),
}

fn draft<'a>(trust: &'a ast::Trust, scope: &mut Scope<'a>, reader: &mut Reader<'_>) -> Draft {
    let mut draft = Draft::default();
    for written in &trust.members {
        let (member, except) = match &written.node {
            Member::Except(inner) => (inner.as_ref(), true),
            _ => (written, false),
        };
        let Some(content) = content(member, scope, reader) else {
            draft.poisoned = true;
            continue;
        };
        draft.add(content, member.span, except);
    }
    draft
}

impl Draft {
    fn add(&mut self, content: Content, span: Span, except: bool) {
        if let Content::Other(id) = content {
            self.within.push((id, span));
        }
        let part = Part { content, span };
        if except {
            self.excepted.push(part);
        } else {
            self.included.push(part);
        }
    }
}

/// Reads one member, or returns `None` after an error.
fn content<'a>(
    member: &'a Spanned<Member>,
    scope: &mut Scope<'a>,
    reader: &mut Reader<'_>,
) -> Option<Content> {
    let span = member.span;
    match &member.node {
        Member::Address(text) => match literal::block(text) {
            Ok(net) => Some(Content::Own(AddrSet::prefix(net))),
            Err(flaw) => {
                reader.diagnostics.push(flaw.diagnostic(text, span));
                None
            }
        },
        Member::Except(_) => {
            reader.diagnostics.push(double_except(span));
            None
        }
        Member::File(path) => file(path, span, reader).map(Content::Own),
        Member::Range(first, last) => {
            range(first, last, span, &mut reader.diagnostics).map(Content::Own)
        }
        Member::Set(name) => scope.trust(name, span).map(Content::Other),
    }
}

fn file(path: &str, span: Span, reader: &mut Reader<'_>) -> Option<AddrSet> {
    let within = reader.name(span.source).to_owned();
    let written = Spanned {
        node: path.to_owned(),
        span,
    };
    let name = reader.resolve(&within, &written)?;
    let source = reader.open(&name, span)?;
    let text = &reader.sources.get(source).text;
    list::read(source, text, &mut reader.diagnostics)
}

/// Reads `a-b`; both ends are checked before the mistake is reported.
fn range(
    first: &Spanned<String>,
    last: &Spanned<String>,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Option<AddrSet> {
    let mut end = |text: &Spanned<String>| match literal::address(&text.node) {
        Ok(address) => Some(address),
        Err(flaw) => {
            diagnostics.push(flaw.diagnostic(&text.node, text.span));
            None
        }
    };
    let (low, high) = (end(first), end(last));
    let (low, high) = (low?, high?);
    if low.is_ipv4() != high.is_ipv4() {
        diagnostics.push(mixed_range(first.span, last.span));
        return None;
    }
    if low > high {
        diagnostics.push(reversed_range(span, low, high));
        return None;
    }
    Some(AddrSet::range(low, high))
}

fn mixed_range(first: Span, last: Span) -> Diagnostic {
    Diagnostic::error(code::BAD_RANGE, "a range cannot go from IPv4 to IPv6")
        .at(first.to(last), "its ends are of two families")
        .help("write two ranges, one for each family")
}

fn reversed_range(span: Span, low: IpAddr, high: IpAddr) -> Diagnostic {
    Diagnostic::error(code::BAD_RANGE, "the range ends before it starts")
        .at(span, format!("{high} comes before {low}"))
        .help(format!("did you mean `{high}-{low}`?"))
        .fix(span, format!("{high}-{low}"))
}

fn double_except(span: Span) -> Diagnostic {
    Diagnostic::error(code::BAD_RANGE, "`except` cannot stand within `except`")
        .at(span, "an exception of an exception")
        .help("name the set without this member, and take that out")
}

#[derive(Debug, Clone)]
enum Value {
    Bad,
    Done(AddrSet),
    /// Waits for sets within it.
    Open,
    Unknown,
}

struct Sets {
    drafts: Vec<Draft>,
    values: Vec<Value>,
    ranges: usize,
}

impl Sets {
    /// Evaluates a set after those within it. Walks with a list instead of calls, as a policy may
    /// nest any number of sets.
    fn evaluate(&mut self, id: TrustId, trusts: &[&ast::Trust], diagnostics: &mut Diagnostics) {
        let mut path = vec![(id, 0)];
        while let Some((id, at)) = path.pop() {
            if at == 0 && !matches!(self.value(id), Value::Unknown) {
                continue;
            }
            self.set(id, Value::Open);
            let Some((next, span)) = self.next_within(id, at) else {
                let value = self.combine(id, trusts, diagnostics);
                self.set(id, value);
                continue;
            };
            path.push((id, at + 1));
            match self.value(next) {
                Value::Open => {
                    diagnostics.push(cycle(&path, next, span, trusts));
                    self.poison(&path, next);
                }
                Value::Unknown => path.push((next, 0)),
                Value::Bad | Value::Done(_) => {}
            }
        }
    }

    /// Marks all sets of a cycle, which ends the walk's path and starts at `from`.
    fn poison(&mut self, path: &[(TrustId, usize)], from: TrustId) {
        let start = path.iter().position(|(id, _)| *id == from).unwrap_or(0);
        for (id, _) in path.iter().skip(start) {
            if let Some(draft) = self.drafts.get_mut(id.0) {
                draft.poisoned = true;
            }
        }
    }

    fn value(&self, id: TrustId) -> &Value {
        self.values.get(id.0).unwrap_or(&Value::Bad)
    }

    fn set(&mut self, id: TrustId, value: Value) {
        if let Some(slot) = self.values.get_mut(id.0) {
            *slot = value;
        }
    }

    fn next_within(&self, id: TrustId, at: usize) -> Option<(TrustId, Span)> {
        self.drafts.get(id.0)?.within.get(at).copied()
    }

    /// Evaluates a set whose sets within it have values.
    fn combine(
        &mut self,
        id: TrustId,
        trusts: &[&ast::Trust],
        diagnostics: &mut Diagnostics,
    ) -> Value {
        let (Some(draft), Some(trust)) = (self.drafts.get(id.0), trusts.get(id.0)) else {
            return Value::Bad;
        };
        let parts = self.parts(&draft.included).zip(self.parts(&draft.excepted));
        let Some((included, excepted)) = parts.filter(|_| !draft.poisoned) else {
            return Value::Bad;
        };
        let sets = included.iter().chain(&excepted);
        let ranges = self.ranges + sets.map(|set| set.range_count()).sum::<usize>();
        let before = self.ranges;
        if ranges > MAX_RANGES {
            if before <= MAX_RANGES {
                diagnostics.push(too_large(trust));
            }
            self.ranges = ranges;
            return Value::Bad;
        }
        let set = subtract(&included, draft, &excepted, trust, diagnostics);
        self.ranges = ranges;
        Value::Done(set)
    }

    /// Returns the sets that the parts stand for, or `None` when one of them is bad.
    fn parts<'s>(&'s self, parts: &'s [Part]) -> Option<Vec<&'s AddrSet>> {
        let value = |part: &'s Part| match &part.content {
            Content::Own(set) => Some(set),
            Content::Other(id) => match self.value(*id) {
                Value::Done(set) => Some(set),
                Value::Bad | Value::Open | Value::Unknown => None,
            },
        };
        parts.iter().map(value).collect()
    }
}

/// Takes the exceptions out of what is included, and reports what comes to nothing.
fn subtract(
    included: &[&AddrSet],
    draft: &Draft,
    excepted: &[&AddrSet],
    trust: &ast::Trust,
    diagnostics: &mut Diagnostics,
) -> AddrSet {
    let whole = AddrSet::union_of(included.iter().copied());
    for (part, set) in draft.excepted.iter().zip(excepted) {
        if !whole.is_empty() && !whole.overlaps(set) {
            diagnostics.push(takes_nothing(part.span, trust));
        }
    }
    let set = whole.difference(&AddrSet::union_of(excepted.iter().copied()));
    if set.is_empty() {
        diagnostics.push(empty(trust, whole.is_empty()));
    }
    set
}

/// How many sets of a cycle are named.
const MAX_SHOWN: usize = 8;

fn cycle(
    path: &[(TrustId, usize)],
    next: TrustId,
    span: Span,
    trusts: &[&ast::Trust],
) -> Diagnostic {
    let start = path.iter().position(|(id, _)| *id == next).unwrap_or(0);
    let round = path
        .iter()
        .skip(start)
        .filter_map(|(id, _)| trusts.get(id.0));
    let shown = round.clone().take(MAX_SHOWN);
    let mut names: Vec<&str> = shown.map(|trust| trust.name.node.as_str()).collect();
    let first = names.first().copied().unwrap_or_default();
    if path.len() - start > MAX_SHOWN {
        names.push("…");
    }
    names.push(first);
    let title = format!("the trust set `{first}` contains itself");
    let cycle = Diagnostic::error(code::TRUST_CYCLE, title)
        .at(span, "this closes the circle")
        .note(format!("The circle is {}.", names.join(" -> ")))
        .help("take one of these members out of its set");
    let on_the_way = round.skip(1).take(MAX_SHOWN - 1);
    on_the_way.fold(cycle, |cycle, trust| {
        cycle.also(trust.name.span, "on the way")
    })
}

fn too_large(trust: &ast::Trust) -> Diagnostic {
    Diagnostic::error(
        code::TOO_MANY_PREFIXES,
        format!("the trust sets have more than {MAX_RANGES} prefixes and ranges together"),
    )
    .at(trust.name.span, "the limit is passed here")
    .note("A set within another counts again there.")
}

fn takes_nothing(span: Span, trust: &ast::Trust) -> Diagnostic {
    let name = &trust.name.node;
    Diagnostic::warning(code::EXCEPT_NOTHING, "this exception takes nothing out")
        .at(span, format!("nothing of it is in `{name}`"))
        .note("If it is misspelt, those that it was meant for are still trusted.")
}

fn empty(trust: &ast::Trust, at_first: bool) -> Diagnostic {
    let name = &trust.name.node;
    let text = if at_first {
        "nothing is in it"
    } else {
        "its exceptions take everything out"
    };
    Diagnostic::warning(
        code::EMPTY_TRUST,
        format!("the trust set `{name}` is empty"),
    )
    .at(trust.name.span, text)
    .note("It means nobody: what is open to it is closed, and what is denied to it is not denied.")
    .note("What is expected of it is not asked.")
    .help("leave it so, if nobody is meant; else give it a member")
}
