//! What may be typed at a place.

use lsp_types::{CompletionItem, CompletionItemKind};

use super::context::Context;
use super::mentions::{Kind, Mention};
use super::project::Project;
use crate::syntax::ast::Item;
use crate::syntax::keyword;

/// Returns all that may stand at a place: keywords, and names of the kinds that fit.
pub(super) fn items(context: &Context<'_>, project: Option<&Project>) -> Vec<CompletionItem> {
    let mut offer = Offer {
        project,
        items: Vec::new(),
    };
    match context.block {
        None => offer.item(context),
        Some("container") => offer.exposure(context),
        Some("host") => offer.setting(context, keyword::Context::Host),
        Some("network") => offer.setting(context, keyword::Context::Network),
        Some("trust") => offer.member(context),
        Some(_) => {}
    }
    offer.items
}

struct Offer<'a> {
    project: Option<&'a Project>,
    items: Vec<CompletionItem>,
}

const PARTIES: [Kind; 3] = [Kind::Container, Kind::Network, Kind::Trust];
const PROTOCOLS: [&str; 4] = ["tcp", "udp", "sctp", "icmp"];

impl Offer<'_> {
    /// Outside of blocks.
    fn item(&mut self, context: &Context<'_>) {
        let last = context.last();
        match context.first() {
            "" => self.keywords(keyword::Context::File),
            "container" => self.container(context),
            "network" if last == "on" => self.names(&[Kind::Host]),
            "network" if context.before.len() == 2 => self.words(&["on"]),
            "link" | "allow" | "deny" => self.access(context, &[]),
            "expect" => self.access(context, &["allowed", "denied"]),
            _ => {}
        }
    }

    fn container(&mut self, context: &Context<'_>) {
        let before = context.before.iter().rev().nth(1).copied();
        match (context.last(), before) {
            ("container" | "at" | ",", _) => {}
            ("on", _) => self.names(&[Kind::Network]),
            (_, Some("on")) => self.words(&["at", "on"]),
            _ => self.words(&["on"]),
        }
    }

    fn access(&mut self, context: &Context<'_>, verdicts: &[&str]) {
        let last = context.last();
        if context.has(":") {
            match last {
                ":" | "," => self.services(context),
                "/" => self.words(&PROTOCOLS[..3]),
                _ => self.words(verdicts),
            }
        } else if context.before.len() == 1 || matches!(last, "," | "->") {
            self.parties(context.first() == "link");
        } else if context.has("->") {
            self.words(verdicts);
        }
    }

    /// What the containers on the right expose, and protocols.
    fn services(&mut self, context: &Context<'_>) {
        let right = context.before.iter().skip_while(|word| **word != "->");
        let right: Vec<&str> = right.take_while(|word| **word != ":").copied().collect();
        let Some(project) = self.project else {
            return self.words(&PROTOCOLS);
        };
        for (source, file) in &project.files {
            let containers = file.items.iter().filter_map(|item| match item {
                Item::Container(it) if right.contains(&it.name.node.as_str()) => Some(it),
                _ => None,
            });
            for exposure in containers.flat_map(|container| &container.exposures) {
                let span = exposure.service.span;
                let text = project.text(*source);
                let service = text.get(span.start as usize..span.end as usize);
                self.words(&[service.unwrap_or("")]);
            }
        }
        self.words(&PROTOCOLS);
    }

    fn exposure(&mut self, context: &Context<'_>) {
        let (from, limit) = (context.has("from"), context.has("limit"));
        match context.last() {
            "" => self.keywords(keyword::Context::Container),
            "expose" => self.words(&PROTOCOLS),
            "from" => self.parties(false),
            "," if from && !limit => self.parties(false),
            "/" if limit => self.words(&["second", "minute", "hour", "day"]),
            "/" => self.words(&PROTOCOLS[..3]),
            "per" => self.words(&["source"]),
            "as" | "burst" | "limit" | "," | ":" => {}
            _ if limit => self.words(&["burst", "connections", "per", "limit", "log"]),
            _ if from => self.words(&["limit", "log"]),
            _ if context.has("as") => self.words(&["from"]),
            _ => self.words(&["as", "from"]),
        }
    }

    fn setting(&mut self, context: &Context<'_>, block: keyword::Context) {
        let last = context.last();
        match (context.first(), context.before.len()) {
            ("", _) => self.keywords(block),
            ("engine", 1) => self.words(&["docker", "none"]),
            ("engine", _) if last != "none" => self.words(&["nftables"]),
            ("forward", 1) => self.words(&["accept", "drop"]),
            ("others", 1) => self.words(&["closed", "drop", "leave"]),
            ("log", 1) => self.words(&["denied"]),
            ("log", 2) => self.words(&["limit"]),
            ("log", _) if last == "/" => self.words(&["second", "minute", "hour", "day"]),
            ("route", 2..) if !context.has("via") => self.words(&["via"]),
            ("route", 4..) if last != "via" && !context.has("dev") => self.words(&["dev"]),
            ("antispoof" | "egress" | "forwarding" | "host-access" | "icc", 1) => {
                self.words(&["off", "on"]);
            }
            _ => {}
        }
    }

    fn member(&mut self, context: &Context<'_>) {
        match context.last() {
            "" => {
                self.keywords(keyword::Context::Trust);
                self.names(&[Kind::Trust]);
            }
            "except" => {
                self.names(&[Kind::Trust]);
                self.words(&["file"]);
            }
            _ => {}
        }
    }

    fn parties(&mut self, containers_only: bool) {
        if containers_only {
            return self.names(&[Kind::Container]);
        }
        self.names(&PARTIES);
        self.words(&["any", "host", "outside"]);
    }

    fn names(&mut self, kinds: &[Kind]) {
        let mentions = self.project.map_or(&[][..], |project| &project.mentions);
        let fits = |mention: &&Mention| mention.declares.is_some_and(|kind| kinds.contains(&kind));
        for mention in mentions.iter().filter(fits) {
            let kind = mention.declares.map_or("", Kind::title);
            self.push(&mention.name, CompletionItemKind::VARIABLE, kind);
        }
    }

    fn keywords(&mut self, context: keyword::Context) {
        for (word, form) in context.keywords() {
            self.push(word, CompletionItemKind::KEYWORD, form);
        }
    }

    fn words(&mut self, words: &[&str]) {
        for word in words {
            self.push(word, CompletionItemKind::KEYWORD, "");
        }
    }

    fn push(&mut self, label: &str, kind: CompletionItemKind, detail: &str) {
        if label.is_empty() || self.items.iter().any(|item| item.label == label) {
            return;
        }
        self.items.push(CompletionItem {
            label: label.to_owned(),
            kind: Some(kind),
            detail: (!detail.is_empty()).then(|| detail.to_owned()),
            ..CompletionItem::default()
        });
    }
}
