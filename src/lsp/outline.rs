//! What a file declares.

use lsp_types::{DocumentSymbol, SymbolKind};

use super::text::Encoding;
use crate::source::Span;
use crate::syntax::ast::{Container, File, Item, Name};

pub(super) fn symbols(file: &File, text: &str, encoding: Encoding) -> Vec<DocumentSymbol> {
    let outline = Outline { text, encoding };
    file.items
        .iter()
        .filter_map(|item| outline.item(item))
        .collect()
}

struct Outline<'a> {
    text: &'a str,
    encoding: Encoding,
}

impl Outline<'_> {
    fn item(&self, item: &Item) -> Option<DocumentSymbol> {
        Some(match item {
            Item::Container(it) => {
                let children = self.exposures(it);
                self.named(&it.name, "container", SymbolKind::OBJECT, it.span, children)
            }
            Item::Host(it) => match &it.name {
                Some(name) => self.named(name, "host", SymbolKind::MODULE, it.span, Vec::new()),
                None => self.symbol(
                    "host",
                    "",
                    SymbolKind::MODULE,
                    (it.span, it.span),
                    Vec::new(),
                ),
            },
            Item::Network(it) => self.named(
                &it.name,
                "network",
                SymbolKind::NAMESPACE,
                it.span,
                Vec::new(),
            ),
            Item::Trust(it) => {
                self.named(&it.name, "trust", SymbolKind::ARRAY, it.span, Vec::new())
            }
            Item::Access(_) | Item::Expect(_) | Item::Include(_) => return None,
        })
    }

    fn exposures(&self, container: &Container) -> Vec<DocumentSymbol> {
        let exposures = container.exposures.iter();
        exposures
            .map(|expose| {
                let service = expose.service.span;
                let name = self.slice(service).to_owned();
                let spans = (expose.span, service);
                self.symbol(&name, "expose", SymbolKind::PROPERTY, spans, Vec::new())
            })
            .collect()
    }

    fn slice(&self, span: Span) -> &str {
        let range = span.start as usize..span.end as usize;
        self.text.get(range).unwrap_or("")
    }

    fn named(
        &self,
        name: &Name,
        detail: &str,
        kind: SymbolKind,
        whole: Span,
        children: Vec<DocumentSymbol>,
    ) -> DocumentSymbol {
        self.symbol(&name.node, detail, kind, (whole, name.span), children)
    }

    /// Makes a symbol of its whole place and that of its name, which is within.
    #[expect(deprecated, reason = "the field has to be given all the same")]
    fn symbol(
        &self,
        name: &str,
        detail: &str,
        kind: SymbolKind,
        (whole, part): (Span, Span),
        children: Vec<DocumentSymbol>,
    ) -> DocumentSymbol {
        let range = |span: Span| {
            let (start, end) = (span.start as usize, span.end as usize);
            self.encoding.range(self.text, start, end)
        };
        DocumentSymbol {
            // Editors refuse an empty one.
            name: if name.is_empty() { "?" } else { name }.to_owned(),
            detail: Some(detail.to_owned()),
            kind,
            tags: None,
            deprecated: None,
            range: range(whole.to(part)),
            selection_range: range(part),
            children: (!children.is_empty()).then_some(children),
        }
    }
}
