//! The grammar file as a parser, and a word for each of its rules.

use std::num::NonZeroUsize;

use pest::Parser as _;
use pest::error::{Error, ErrorVariant};
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

/// Tells whether the text was given up because it takes too many steps or too much stack.
pub(super) fn gave_up(error: &Error<Rule>) -> bool {
    matches!(error.variant, ErrorVariant::CustomError { .. })
}

/// Reads `text` by one rule of the grammar. An error is the furthest place that could be reached.
pub(super) fn read(rule: Rule, text: &str) -> Result<Pairs<'_, Rule>, Box<Error<Rule>>> {
    // The limit belongs to the process, so it is always the same one.
    pest::set_call_limit(Some(STEPS));
    Parser::parse(rule, text).map_err(Box::new)
}

impl Rule {
    /// Returns the keyword that the rule stands for, if it stands for one.
    pub(super) fn keyword(self) -> Option<&'static str> {
        Some(match self {
            Rule::kw_accept => "accept",
            Rule::kw_allow => "allow",
            Rule::kw_allowed => "allowed",
            Rule::kw_antispoof => "antispoof",
            Rule::kw_as => "as",
            Rule::kw_at => "at",
            Rule::kw_bridge => "bridge",
            Rule::kw_burst => "burst",
            Rule::kw_connections => "connections",
            Rule::kw_container => "container",
            Rule::kw_day => "day",
            Rule::kw_denied => "denied",
            Rule::kw_deny => "deny",
            Rule::kw_dev => "dev",
            Rule::kw_docker => "docker",
            Rule::kw_closed => "closed",
            Rule::kw_drop => "drop",
            Rule::kw_egress => "egress",
            Rule::kw_engine => "engine",
            Rule::kw_except => "except",
            Rule::kw_expect => "expect",
            Rule::kw_expose => "expose",
            Rule::kw_file => "file",
            Rule::kw_forward => "forward",
            Rule::kw_forwarding => "forwarding",
            Rule::kw_from => "from",
            Rule::kw_host => "host",
            Rule::kw_host_access => "host-access",
            Rule::kw_hour => "hour",
            Rule::kw_icc => "icc",
            Rule::kw_icmp => "icmp",
            Rule::kw_include => "include",
            Rule::kw_leave => "leave",
            Rule::kw_limit => "limit",
            Rule::kw_link => "link",
            Rule::kw_log => "log",
            Rule::kw_mark => "mark",
            Rule::kw_minute => "minute",
            Rule::kw_network => "network",
            Rule::kw_nftables => "nftables",
            Rule::kw_none => "none",
            Rule::kw_off => "off",
            Rule::kw_on => "on",
            Rule::kw_others => "others",
            Rule::kw_per => "per",
            Rule::kw_route => "route",
            Rule::kw_sctp => "sctp",
            Rule::kw_second => "second",
            Rule::kw_source => "source",
            Rule::kw_subnet => "subnet",
            Rule::kw_sysctl => "sysctl",
            Rule::kw_tcp => "tcp",
            Rule::kw_trust => "trust",
            Rule::kw_udp => "udp",
            Rule::kw_uplink => "uplink",
            Rule::kw_via => "via",
            _ => return None,
        })
    }

    /// Returns what a user calls that which the rule stands for.
    pub(super) fn words(self) -> String {
        match self.keyword() {
            Some(keyword) => format!("`{keyword}`"),
            None => self.description().to_owned(),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Rule::address | Rule::address_text | Rule::addressed | Rule::bare_address => {
                "an address"
            }
            Rule::addresses => "an address or a prefix",
            Rule::arrow => "`->`",
            Rule::attachment => "`on` and a network",
            Rule::close => "`}`",
            Rule::colon => "`:`",
            Rule::comma => "`,`",
            Rule::dash => "`-`",
            Rule::equals => "`=`",
            Rule::except => "`except`",
            Rule::from => "`from`",
            Rule::hexadecimal | Rule::number => "a number",
            Rule::icmp_type => "an ICMP type",
            Rule::left_bracket => "`[`",
            Rule::limit => "`limit`",
            Rule::member => "an address, a set or `file`",
            Rule::open => "`{`",
            Rule::name | Rule::parties | Rule::party => "a name",
            Rule::ports | Rule::range => "a port",
            Rule::published => "`as`",
            Rule::rate => "a rate such as `50/second`",
            Rule::right_bracket => "`]`",
            Rule::service | Rule::services => "ports with a protocol such as `80/tcp`",
            Rule::set_name => "a set",
            Rule::slash => "`/`",
            Rule::string => "a text in quotes",
            Rule::value => "a value",
            Rule::version => "a version",
            // Each starts with its keyword or is read with that keyword known to be there.
            _ => "a statement",
        }
    }
}
