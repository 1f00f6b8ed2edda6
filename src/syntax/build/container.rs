//! Containers and their exposures.

use pest::iterators::Pair;

use super::{Builder, child, children};
use crate::syntax::ast::{Attachment, Container, Expose, Published};
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
        let (mut published, mut from, mut limit, mut log) = (None, None, None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::from => from = Some(self.party_list(children(part, Rule::party))),
                Rule::kw_log => log = Some(self.span(&part)),
                Rule::limit => limit = Some(self.limit(part)),
                Rule::published => published = Some(self.published(part)),
                _ => {}
            }
        }
        Expose {
            service,
            published,
            from,
            limit,
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

    /// Checks the numbers of a `limit` clause and returns its place.
    fn limit(&mut self, pair: Pair<'_, Rule>) -> crate::source::Span {
        let span = self.span(&pair);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::number => {
                    self.number::<u32>(&part);
                }
                Rule::rate => {
                    self.rate(&part);
                }
                _ => {}
            }
        }
        span
    }
}
