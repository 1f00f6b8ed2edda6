//! Containers and their exposures.

use pest::iterators::Pair;

use super::{Builder, child, children, has};
use crate::syntax::ast::{Attachment, Container, Expose, Limit, LimitKind, Published, Spanned};
use crate::syntax::grammar::Rule;

impl Builder<'_> {
    pub(super) fn container(&mut self, pair: Pair<'_, Rule>) -> Container {
        let span = self.span(&pair);
        let head = child(pair.clone(), Rule::container_head);
        let exposures = children(pair, Rule::expose);
        Container {
            exposures: exposures.map(|part| self.expose(part)).collect(),
            span,
            ..self.container_head(head)
        }
    }

    /// Builds a container without exposures.
    pub(in crate::syntax) fn container_head(&mut self, pair: Pair<'_, Rule>) -> Container {
        let span = self.span(&pair);
        let name = self.declared_name(&child(pair.clone(), Rule::name));
        let attachments = children(pair, Rule::attachment);
        Container {
            name,
            attachments: attachments.map(|part| self.attachment(part)).collect(),
            exposures: Vec::new(),
            span,
        }
    }

    fn attachment(&mut self, pair: Pair<'_, Rule>) -> Attachment {
        let span = self.span(&pair);
        let network = self.name(&child(pair.clone(), Rule::name));
        let addresses = children(pair, Rule::addresses).next();
        Attachment {
            network,
            addresses: addresses.map_or_else(Vec::new, |list| self.addresses(list)),
            span,
        }
    }

    pub(in crate::syntax) fn expose(&mut self, pair: Pair<'_, Rule>) -> Expose {
        let span = self.span(&pair);
        let service = self.service(child(pair.clone(), Rule::service));
        let (mut published, mut from, mut log) = (None, None, None);
        let mut limits = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::from => from = Some(self.party_list(children(part, Rule::party))),
                Rule::kw_log => log = Some(self.span(&part)),
                Rule::limit => limits.push(self.limit(&part)),
                Rule::published => published = Some(self.published(part)),
                _ => {}
            }
        }
        Expose {
            service,
            published,
            from,
            limits,
            log,
            span,
        }
    }

    fn published(&mut self, pair: Pair<'_, Rule>) -> Published {
        let span = self.span(&pair);
        let (mut address, mut ports) = (None, Vec::new());
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::address_text | Rule::bare_address => address = Some(self.text(&part)),
                Rule::ports => ports = self.ports(part),
                _ => {}
            }
        }
        Published {
            address,
            ports,
            span,
        }
    }

    fn limit(&mut self, pair: &Pair<'_, Rule>) -> Spanned<Limit> {
        let number = children(pair.clone(), Rule::number).next();
        // A number too large is reported; any other stands in for it.
        let number = number.map(|part| self.number(&part).unwrap_or(1));
        let rate = children(pair.clone(), Rule::rate).next();
        let kind = match rate {
            None => LimitKind::Connections(number.unwrap_or(1)),
            Some(rate) => LimitKind::Rate {
                rate: self.rate(&rate).node,
                burst: number,
            },
        };
        let per_source = has(pair, Rule::kw_per);
        self.spanned(pair, Limit { kind, per_source })
    }
}
