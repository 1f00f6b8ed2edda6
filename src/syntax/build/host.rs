//! Hosts and their settings.

use pest::iterators::Pair;

use super::{Builder, child, children, has};
use crate::syntax::ast::{ForwardPolicy, Host, HostSetting, Name, Others, Rate, RateUnit, Spanned};
use crate::syntax::grammar::Rule;

impl Builder<'_> {
    pub(super) fn host(&mut self, pair: Pair<'_, Rule>) -> Host {
        let span = self.span(&pair);
        let head = child(pair.clone(), Rule::host_head);
        let settings = pair.into_inner();
        Host {
            settings: settings
                .filter_map(|part| self.host_setting(part))
                .collect(),
            span,
            ..self.host_head(head)
        }
    }

    /// Builds a host without settings.
    pub(in crate::syntax) fn host_head(&mut self, pair: Pair<'_, Rule>) -> Host {
        let span = self.span(&pair);
        let name = children(pair, Rule::name).next();
        Host {
            name: name.map(|name| self.declared_name(&name)),
            settings: Vec::new(),
            span,
        }
    }

    /// Builds a setting; `None` for the parts of a host that are no settings, and for a setting
    /// with a number too large.
    pub(in crate::syntax) fn host_setting(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Option<Spanned<HostSetting>> {
        let span = self.span(&pair);
        let node = match pair.as_rule() {
            Rule::engine => self.engine(&pair),
            Rule::forward => HostSetting::Forward(forward_policy(&pair)),
            Rule::forwarding => HostSetting::Forwarding(has(&pair, Rule::kw_on)),
            Rule::log_denied => {
                let rate = children(pair, Rule::rate).next();
                HostSetting::LogDenied(rate.map(|rate| self.rate(&rate)))
            }
            Rule::mark => HostSetting::Mark(self.mark(pair)?),
            Rule::others => HostSetting::Others(others(&pair)),
            Rule::route => self.route(pair),
            Rule::sysctl => self.sysctl(pair),
            Rule::uplink => HostSetting::Uplink(self.uplink(pair)),
            _ => return None,
        };
        Some(Spanned { node, span })
    }

    fn engine(&mut self, pair: &Pair<'_, Rule>) -> HostSetting {
        HostSetting::Engine {
            docker: has(pair, Rule::kw_docker),
            version: children(pair.clone(), Rule::version)
                .next()
                .map(|part| self.text(&part)),
            nftables: has(pair, Rule::kw_nftables),
        }
    }

    fn mark(&mut self, pair: Pair<'_, Rule>) -> Option<Spanned<u64>> {
        let number = pair.into_inner().next_back()?;
        let value = self.number::<u64>(&number)?;
        Some(self.spanned(&number, value))
    }

    fn route(&mut self, pair: Pair<'_, Rule>) -> HostSetting {
        let mut addresses = children(pair.clone(), Rule::address_text);
        let (Some(prefix), Some(via)) = (addresses.next(), addresses.next()) else {
            unreachable!("the grammar gives a route two addresses")
        };
        HostSetting::Route {
            prefix: self.text(&prefix),
            via: self.text(&via),
            dev: children(pair, Rule::name)
                .next()
                .map(|part| self.plain_name(&part)),
        }
    }

    fn sysctl(&mut self, pair: Pair<'_, Rule>) -> HostSetting {
        let mut parts = pair.into_inner().skip(1);
        let (Some(key), Some(value)) = (parts.next(), parts.next_back()) else {
            unreachable!("the grammar gives a sysctl a key and a value")
        };
        let value = match value.as_rule() {
            Rule::string => self.string(&value),
            _ => self.text(&value),
        };
        let key = self.string(&key);
        HostSetting::Sysctl { key, value }
    }

    fn uplink(&mut self, pair: Pair<'_, Rule>) -> Vec<Name> {
        let span = self.span(&pair);
        let names = children(pair, Rule::name);
        let names: Vec<Name> = names.map(|part| self.plain_name(&part)).collect();
        self.check_length(names.len(), span);
        names
    }

    pub(super) fn rate(&mut self, pair: &Pair<'_, Rule>) -> Spanned<Rate> {
        let unit = pair
            .clone()
            .into_inner()
            .find_map(|part| unit(part.as_rule()));
        let unit = unit.unwrap_or_else(|| unreachable!("the grammar gives a rate its unit"));
        let number = child(pair.clone(), Rule::number);
        // A number too large is reported; any other stands in for it.
        let count = self.number(&number).unwrap_or(1);
        self.spanned(pair, Rate { count, unit })
    }
}

fn forward_policy(pair: &Pair<'_, Rule>) -> ForwardPolicy {
    if has(pair, Rule::kw_accept) {
        ForwardPolicy::Accept
    } else {
        ForwardPolicy::Drop
    }
}

fn others(pair: &Pair<'_, Rule>) -> Others {
    if has(pair, Rule::kw_closed) {
        Others::Closed
    } else if has(pair, Rule::kw_drop) {
        Others::Drop
    } else {
        Others::Leave
    }
}

fn unit(rule: Rule) -> Option<RateUnit> {
    match rule {
        Rule::kw_day => Some(RateUnit::Day),
        Rule::kw_hour => Some(RateUnit::Hour),
        Rule::kw_minute => Some(RateUnit::Minute),
        Rule::kw_second => Some(RateUnit::Second),
        _ => None,
    }
}
