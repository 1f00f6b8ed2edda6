//! Networks and their settings.

use pest::iterators::Pair;

use super::{Builder, child, children};
use crate::syntax::ast::{Network, NetworkSetting, Spanned};
use crate::syntax::grammar::Rule;

impl Builder<'_> {
    pub(super) fn network(&mut self, pair: Pair<'_, Rule>) -> Network {
        let span = self.span(&pair);
        let head = child(pair.clone(), Rule::network_head);
        let settings = pair.into_inner();
        Network {
            settings: settings
                .filter_map(|part| self.network_setting(part))
                .collect(),
            span,
            ..self.network_head(head)
        }
    }

    /// Builds a network without settings.
    pub(in crate::syntax) fn network_head(&mut self, pair: Pair<'_, Rule>) -> Network {
        let span = self.span(&pair);
        let mut names = children(pair, Rule::name);
        let name = names
            .next()
            .unwrap_or_else(|| unreachable!("a network has a name"));
        Network {
            name: self.declared_name(&name),
            host: names.next().map(|host| self.name(&host)),
            settings: Vec::new(),
            span,
        }
    }

    /// Builds a setting; `None` for the parts of a network that are no settings.
    pub(in crate::syntax) fn network_setting(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Option<Spanned<NetworkSetting>> {
        let span = self.span(&pair);
        let on = super::has(&pair, Rule::kw_on);
        let node = match pair.as_rule() {
            Rule::antispoof => NetworkSetting::Antispoof(on),
            Rule::bridge => NetworkSetting::Bridge(self.plain_name(&child(pair, Rule::name))),
            Rule::egress => NetworkSetting::Egress(on),
            Rule::host_access => NetworkSetting::HostAccess(on),
            Rule::icc => NetworkSetting::Icc(on),
            Rule::subnet => NetworkSetting::Subnet(self.addresses(child(pair, Rule::addresses))),
            _ => return None,
        };
        Some(Spanned { node, span })
    }
}
