//! The one name space of containers, networks and trust sets.

use std::collections::{BTreeMap, HashMap};

use crate::diag::{Diagnostic, Diagnostics, code, suggest};
use crate::source::Span;
use crate::syntax::ast::Name;

use super::hidden::Hidden;
use super::ir::{ContainerId, NetworkId, Party, TrustId};

/// Words that stand for somebody by themselves.
const WORDS: [&str; 3] = ["any", "host", "outside"];

/// Looking for a near name walks all names, so only so many unknown names get one.
const MAX_SUGGESTIONS: usize = 64;

/// How many further uses of an unknown name are shown.
const MAX_USES: usize = 4;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entity {
    Container(ContainerId),
    Network(NetworkId),
    Trust(TrustId),
}

impl Entity {
    fn kind(self) -> Kind {
        match self {
            Entity::Container(_) => Kind::Container,
            Entity::Network(_) => Kind::Network,
            Entity::Trust(_) => Kind::Trust,
        }
    }

    fn party(self) -> Party {
        match self {
            Entity::Container(id) => Party::Container(id),
            Entity::Network(id) => Party::Network(id),
            Entity::Trust(id) => Party::Trust(id),
        }
    }
}

/// What a place of the policy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Container,
    Network,
    Trust,
    Who,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Kind::Container => "container",
            Kind::Network => "network",
            Kind::Trust => "trust set",
            Kind::Who => "container, network or trust set",
        }
    }

    fn takes(self, entity: Entity) -> bool {
        self == Kind::Who || entity.kind() == self
    }
}

#[derive(Debug, Clone, Copy)]
struct Symbol {
    entity: Entity,
    span: Span,
}

/// All declared names, and those that were asked for and are not there.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    symbols: HashMap<&'a str, Symbol>,
    in_order: Vec<&'a str>,
    hidden: &'a Hidden,
    unknown: BTreeMap<(&'a str, Kind), Vec<Span>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(hidden: &'a Hidden) -> Self {
        let (symbols, in_order, unknown) = (HashMap::new(), Vec::new(), BTreeMap::new());
        Scope {
            symbols,
            in_order,
            hidden,
            unknown,
        }
    }

    /// Adds a declared name. The first declaration of a name is the one that its uses mean.
    pub(super) fn declare(
        &mut self,
        name: &'a Name,
        entity: Entity,
        diagnostics: &mut Diagnostics,
    ) {
        if let Some(first) = self.symbols.get(name.node.as_str()) {
            return diagnostics.push(duplicate(name, *first));
        }
        let span = name.span;
        self.symbols.insert(&name.node, Symbol { entity, span });
        self.in_order.push(&name.node);
    }

    /// Looks up who is on a side of a statement. Returns `None` after an error, now or when the
    /// unknown names are reported.
    pub(super) fn party(&mut self, name: &'a Name) -> Option<Party> {
        match name.node.as_str() {
            "any" => Some(Party::Any),
            "host" => Some(Party::Host),
            "outside" => Some(Party::Outside),
            text => self.find(text, name.span, Kind::Who).map(Entity::party),
        }
    }

    /// Looks up all of a list; `None` when one is unknown.
    pub(super) fn parties(&mut self, names: &'a [Name]) -> Option<Vec<Party>> {
        let found: Vec<_> = names.iter().map(|name| self.party(name)).collect();
        found.into_iter().collect()
    }

    pub(super) fn network(&mut self, name: &'a Name) -> Option<NetworkId> {
        match self.find(&name.node, name.span, Kind::Network)? {
            Entity::Network(id) => Some(id),
            Entity::Container(_) | Entity::Trust(_) => None,
        }
    }

    pub(super) fn trust(&mut self, name: &'a str, span: Span) -> Option<TrustId> {
        match self.find(name, span, Kind::Trust)? {
            Entity::Trust(id) => Some(id),
            Entity::Container(_) | Entity::Network(_) => None,
        }
    }

    fn find(&mut self, name: &'a str, span: Span, kind: Kind) -> Option<Entity> {
        let found = self.symbols.get(name).map(|symbol| symbol.entity);
        let right = found.filter(|entity| kind.takes(*entity));
        let hidden = self.hidden.spoils(span) || self.hidden.may_declare(name);
        if right.is_none() && (found.is_some() || !hidden) {
            self.unknown.entry((name, kind)).or_default().push(span);
        }
        right
    }

    /// Reports each unknown name once, however often it is used.
    pub(super) fn report_unknown(&mut self, diagnostics: &mut Diagnostics) {
        let unknown = std::mem::take(&mut self.unknown);
        for (place, ((name, kind), spans)) in unknown.into_iter().enumerate() {
            let suggest = place < MAX_SUGGESTIONS;
            let diagnostic = match self.symbols.get(name) {
                Some(symbol) => wrong_kind(name, kind, *symbol, &spans),
                None => self.unknown_name(name, kind, &spans, suggest),
            };
            diagnostics.push(diagnostic);
        }
    }

    fn unknown_name(&self, name: &str, kind: Kind, spans: &[Span], suggest: bool) -> Diagnostic {
        let title = format!("there is no {} `{name}`", kind.title());
        let used = Diagnostic::error(code::UNKNOWN_NAME, title);
        let used = at_uses(used, spans, "nothing of this name is declared");
        let Some(near) = suggest.then(|| self.near(name, kind)).flatten() else {
            return used;
        };
        let of_kind = |symbol: &Symbol| kind.takes(symbol.entity);
        match (self.symbols.get(near), spans.first()) {
            (Some(symbol), _) if !of_kind(symbol) => {
                let other = symbol.entity.kind().title();
                used.help(format!(
                    "`{near}` is a {other}, and a {} is needed here",
                    kind.title()
                ))
            }
            (_, Some(first)) => used
                .help(format!("did you mean `{near}`?"))
                .fix(*first, near),
            (_, None) => used,
        }
    }

    /// Returns the nearest name of the kind, else the nearest of any kind.
    fn near(&self, name: &str, kind: Kind) -> Option<&str> {
        let fits = |known: &&str| {
            let symbol = self.symbols.get(known);
            symbol.is_some_and(|symbol| kind.takes(symbol.entity))
        };
        let words = WORDS.iter().filter(|_| kind == Kind::Who);
        let of_kind = self.in_order.iter().filter(|known| fits(known));
        let near = suggest::nearest(name, of_kind.chain(words).copied());
        near.or_else(|| suggest::nearest(name, self.in_order.iter().copied()))
    }
}

/// Underlines the first use as the mistake and some of the others as its repetition.
fn at_uses(diagnostic: Diagnostic, spans: &[Span], text: &str) -> Diagnostic {
    let Some((first, rest)) = spans.split_first() else {
        return diagnostic;
    };
    let mut diagnostic = diagnostic.at(*first, text);
    for span in rest.iter().take(MAX_USES) {
        diagnostic = diagnostic.also(*span, "here too");
    }
    match rest.len().checked_sub(MAX_USES) {
        Some(more @ 1..) => diagnostic.note(format!("It is used in {more} more places.")),
        _ => diagnostic,
    }
}

fn wrong_kind(name: &str, wanted: Kind, symbol: Symbol, spans: &[Span]) -> Diagnostic {
    let (is, wanted) = (symbol.entity.kind().title(), wanted.title());
    let title = format!("`{name}` is a {is}, not a {wanted}");
    let diagnostic = Diagnostic::error(code::WRONG_KIND, title);
    at_uses(diagnostic, spans, &format!("a {wanted} is needed here"))
        .also(symbol.span, format!("the {is} `{name}`"))
}

fn duplicate(name: &Name, first: Symbol) -> Diagnostic {
    let title = format!("the name `{}` is declared twice", name.node);
    Diagnostic::error(code::DUPLICATE_NAME, title)
        .at(name.span, "declared again here")
        .also(
            first.span,
            format!("first declared here, as a {}", first.entity.kind().title()),
        )
        .note(
            "Containers, networks and trust sets share one name space, as `allow` takes them all.",
        )
}
