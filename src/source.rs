//! Source texts of a policy and places in them.

/// Names one text of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

impl SourceId {
    /// Tells whether it is the text that was read first: a policy's main file.
    pub fn is_first(self) -> bool {
        self.0 == 0
    }
}

/// A range of bytes in one source; `start` may equal `end` for a place between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub source: SourceId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// Returns the span from the start of `self` to the end of `other`, both in one source.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span {
            end: other.end.max(self.end),
            ..self
        }
    }
}

/// One text: a policy file, an included file or a list of addresses.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path as the user wrote it, or joined to that of the including file.
    pub name: String,
    pub text: String,
    line_starts: Vec<u32>,
}

impl Source {
    fn new(name: String, text: String) -> Self {
        let starts = text
            .bytes()
            .zip(1u32..)
            .filter(|(byte, _)| *byte == b'\n')
            .map(|(_, at)| at);
        let line_starts = std::iter::once(0).chain(starts).collect();
        Source {
            name,
            text,
            line_starts,
        }
    }

    /// Returns the line number, from 1, of a byte offset.
    pub fn line(&self, offset: u32) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Returns line and column, both from 1, the column counted in characters.
    pub fn line_column(&self, offset: u32) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0) as usize;
        let before = self.text.get(start..offset as usize).unwrap_or("");
        (line, before.chars().count() + 1)
    }
}

/// All texts that one compilation has read, in the order they were met.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// Adds a text and returns its name in spans. Texts are shorter than 4 GiB by the loader's cap.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let id = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(Source::new(name.into(), text.into()));
        id
    }

    /// Returns the names of all texts, in the order they were met.
    pub fn ids(&self) -> impl Iterator<Item = SourceId> + use<> {
        (0..u32::try_from(self.sources.len()).unwrap_or(u32::MAX)).map(SourceId)
    }

    pub fn get(&self, id: SourceId) -> &Source {
        self.sources
            .get(id.0 as usize)
            .unwrap_or_else(|| unreachable!("span of another source map"))
    }

    /// Returns the source's text under `span`.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source)
            .text
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// Returns `file:line` of the span's start, the form used in comments, manifests and messages.
    pub fn place(&self, span: Span) -> String {
        let source = self.get(span.source);
        format!("{}:{}", source.name, source.line(span.start))
    }
}
