//! Where names are declared and used.

use crate::source::Span;
use crate::syntax::ast::{File, Item, Member, Name, Spanned};

/// What a declared name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Container,
    Host,
    Network,
    Trust,
}

impl Kind {
    pub(super) fn title(self) -> &'static str {
        match self {
            Kind::Container => "container",
            Kind::Host => "host",
            Kind::Network => "network",
            Kind::Trust => "trust",
        }
    }
}

/// A name where it stands.
#[derive(Debug, Clone)]
pub(super) struct Mention {
    pub(super) name: String,
    pub(super) span: Span,
    /// Where it is declared, as what.
    pub(super) declares: Option<Kind>,
    /// Hosts have names of their own.
    host: bool,
}

impl Mention {
    /// Returns it with another name.
    pub(super) fn called(&self, name: &str) -> Mention {
        Mention {
            name: name.to_owned(),
            ..self.clone()
        }
    }

    /// Tells whether both are about the same thing.
    pub(super) fn is_same(&self, other: &Mention) -> bool {
        self.host == other.host && self.name == other.name
    }
}

/// Returns all names of a file, in the order written.
pub(super) fn of(file: &File) -> Vec<Mention> {
    let mut found = Vec::new();
    for item in &file.items {
        of_item(item, &mut found);
    }
    found.sort_by_key(|mention| mention.span);
    found
}

fn of_item(item: &Item, found: &mut Vec<Mention>) {
    match item {
        Item::Access(access) => uses(access.left.iter().chain(&access.right), found),
        Item::Expect(expect) => uses([&expect.left, &expect.right], found),
        Item::Container(container) => {
            declares(&container.name, Kind::Container, found);
            uses(container.attachments.iter().map(|it| &it.network), found);
            let from = container.exposures.iter().filter_map(|it| it.from.as_ref());
            uses(from.flatten(), found);
        }
        Item::Host(host) => {
            if let Some(name) = &host.name {
                declares(name, Kind::Host, found);
            }
        }
        Item::Include(_) => {}
        Item::Network(network) => {
            declares(&network.name, Kind::Network, found);
            let host = network.host.iter().map(|name| Mention {
                host: true,
                ..mention(&name.node, name.span)
            });
            found.extend(host);
        }
        Item::Trust(trust) => {
            declares(&trust.name, Kind::Trust, found);
            trust.members.iter().for_each(|member| set(member, found));
        }
    }
}

fn set(member: &Spanned<Member>, found: &mut Vec<Mention>) {
    match &member.node {
        Member::Set(name) => found.push(mention(name, member.span)),
        Member::Except(inner) => set(inner, found),
        Member::Address(_) | Member::File(_) | Member::Range(..) => {}
    }
}

fn mention(name: &str, span: Span) -> Mention {
    Mention {
        name: name.to_owned(),
        span,
        declares: None,
        host: false,
    }
}

fn declares(name: &Name, kind: Kind, found: &mut Vec<Mention>) {
    found.push(Mention {
        declares: Some(kind),
        host: kind == Kind::Host,
        ..mention(&name.node, name.span)
    });
}

fn uses<'a>(names: impl IntoIterator<Item = &'a Name>, found: &mut Vec<Mention>) {
    found.extend(names.into_iter().map(|name| mention(&name.node, name.span)));
}
