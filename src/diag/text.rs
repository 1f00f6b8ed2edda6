//! Diagnostics as text for a terminal, in the form that rustc made known.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::hidden::is_hidden;
use super::wrap::wrapped;
use super::{Diagnostic, Fix, Label, Severity};
use crate::source::{Source, SourceId, SourceMap, Span};

/// So many are shown whole; more would only scroll the first ones away.
const WHOLE: usize = 10;

/// So many are shown at all, those that are not whole in one line each.
const SHOWN: usize = 100;

/// Lines that one of them has at most: those of a terminal as it is opened everywhere.
const LINES: usize = 24;

/// Lines that a note or a help has at most.
const SENTENCE: usize = 4;

/// Columns before a note's text: the numbers of lines, and `= note: `.
const BEFORE: usize = 14;

/// How the text is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    pub colour: bool,
    /// Columns of the terminal; longer lines of the policy are trimmed around the marked place.
    pub width: usize,
}

/// Returns the diagnostics one after the other, each with the lines it is about. Names of sources
/// are shown below the folder `base`, unless that is empty. Text of the user cannot control the
/// terminal: characters that do not show are escaped.
pub fn render(diagnostics: &[Diagnostic], sources: &SourceMap, base: &str, style: Style) -> String {
    let view = View {
        sources,
        base,
        width: style.width,
    };
    let renderer = renderer(style);
    let shown = first(diagnostics);
    let mut text = String::new();
    for diagnostic in shown.iter().take(WHOLE) {
        text.push_str(&view.whole(diagnostic, &renderer));
        text.push_str("\n\n");
    }
    for diagnostic in shown.iter().skip(WHOLE) {
        text.push_str(&view.in_a_line(diagnostic, &renderer));
        text.push('\n');
    }
    let hidden = diagnostics.len().saturating_sub(SHOWN);
    if hidden > 0 {
        text.push_str("and ");
        text.push_str(&hidden.to_string());
        text.push_str(" more\n");
    }
    text
}

/// Returns what is shown: errors come first when there is not room for all of each.
fn first(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut all: Vec<&Diagnostic> = diagnostics.iter().collect();
    if all.len() > WHOLE {
        all.sort_by_key(|diagnostic| diagnostic.severity);
        all.truncate(SHOWN);
    }
    all
}

fn renderer(style: Style) -> Renderer {
    let renderer = if style.colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.term_width(style.width)
}

fn level(diagnostic: &Diagnostic) -> Level<'static> {
    match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    }
}

/// Returns a diagnostic with the place of the mistake and so many of the others.
fn with_places(diagnostic: &Diagnostic, others: usize) -> Diagnostic {
    let mut found = diagnostic.clone();
    // The places keep their order among themselves.
    found.labels.sort_by_key(|label| !label.primary);
    let hidden = found.labels.len().saturating_sub(others + 1);
    found.labels.truncate(others + 1);
    if hidden > 0 {
        let places = if hidden == 1 { "place" } else { "places" };
        found.notes.push(format!("and {hidden} more {places}"));
    }
    found
}

/// What all diagnostics of one report are drawn with.
struct View<'a> {
    sources: &'a SourceMap,
    base: &'a str,
    width: usize,
}

impl View<'_> {
    /// Returns one message, with as many of its places as a screen has room for.
    fn whole(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let others = diagnostic.labels.len().saturating_sub(1).min(LINES);
        let mut text = renderer.render(&self.groups(&with_places(diagnostic, others)));
        for kept in (0..others).rev() {
            if text.lines().count() <= LINES {
                break;
            }
            text = renderer.render(&self.groups(&with_places(diagnostic, kept)));
        }
        text
    }

    /// Returns what is wrong, and where.
    fn in_a_line(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let place = diagnostic.place().map(|span| {
            let source = self.sources.get(span.source);
            format!(", {}:{}", self.path(source), source.line(span.start))
        });
        let message = visible(&diagnostic.message) + &place.unwrap_or_default();
        let title = level(diagnostic).primary_title(message);
        renderer.render(&[Group::with_title(title.id(diagnostic.code.0))])
    }

    fn groups(&self, diagnostic: &Diagnostic) -> Vec<Group<'static>> {
        let title = level(diagnostic)
            .primary_title(visible(&diagnostic.message))
            .id(diagnostic.code.0);
        let mut main = title.elements(self.snippets(&diagnostic.labels));
        for note in &diagnostic.notes {
            main = main.element(Level::NOTE.message(self.sentences(note)));
        }
        match (&diagnostic.fix, &diagnostic.help) {
            (None, None) => vec![main],
            (None, Some(help)) => vec![main.element(Level::HELP.message(self.sentences(help)))],
            (Some(fix), help) if self.fits(fix) => vec![main, self.edit(fix, help.as_deref())],
            (Some(fix), help) => {
                let words = in_words(fix, help.as_deref());
                vec![main.element(Level::HELP.message(self.sentences(&words)))]
            }
        }
    }

    /// Returns a note or a help in lines of the terminal's width.
    fn sentences(&self, text: &str) -> String {
        let text = wrapped(&visible(text), self.width.saturating_sub(BEFORE));
        let lines: Vec<&str> = text.lines().take(SENTENCE).collect();
        let more = text.lines().count() > lines.len();
        lines.join("\n") + if more { " …" } else { "" }
    }

    /// Returns one snippet for each source that has a label, that of the mistake itself first.
    fn snippets(
        &self,
        labels: &[Label],
    ) -> Vec<Snippet<'static, annotate_snippets::Annotation<'static>>> {
        let mut ids: Vec<SourceId> = Vec::new();
        let (primary, others): (Vec<&Label>, Vec<&Label>) =
            labels.iter().partition(|label| label.primary);
        let ordered: Vec<&Label> = primary.into_iter().chain(others).collect();
        for label in &ordered {
            if !ids.contains(&label.span.source) {
                ids.push(label.span.source);
            }
        }
        let here = |id: SourceId| {
            ordered
                .iter()
                .copied()
                .filter(move |label| label.span.source == id)
        };
        ids.into_iter()
            .map(|id| self.snippet(id, &here(id).collect::<Vec<_>>()))
            .collect()
    }

    fn snippet(
        &self,
        id: SourceId,
        labels: &[&Label],
    ) -> Snippet<'static, annotate_snippets::Annotation<'static>> {
        let source = self.sources.get(id);
        let spans: Vec<Span> = labels.iter().map(|label| label.span).collect();
        let window = Window::around(source, &spans);
        let annotations = labels.iter().map(|label| {
            let kind = if label.primary {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            kind.span(window.range(label.span))
                .label(visible(&label.text))
        });
        let annotations: Vec<_> = annotations.collect();
        Snippet::source(window.text)
            .line_start(window.line)
            .path(self.path(source))
            .annotations(annotations)
    }

    /// Tells whether the line to edit can be shown: an edit is not trimmed as a snippet is.
    fn fits(&self, fix: &Fix) -> bool {
        let window = Window::around(self.sources.get(fix.span.source), &[fix.span]);
        let lines = window.text.lines().count() + fix.replacement.lines().count();
        window.text.len() <= self.width && lines <= SENTENCE
    }

    fn edit(&self, fix: &Fix, help: Option<&str>) -> Group<'static> {
        let source = self.sources.get(fix.span.source);
        let window = Window::around(source, &[fix.span]);
        let patch = Patch::new(window.range(fix.span), visible(&fix.replacement));
        let snippet = Snippet::source(window.text)
            .line_start(window.line)
            .path(self.path(source))
            .patch(patch);
        Level::HELP
            .secondary_title(visible(help.unwrap_or("write this")))
            .element(snippet)
    }

    fn path(&self, source: &Source) -> String {
        visible(&super::path(self.base, &source.name))
    }
}

/// Returns what to write for a line that is too long to be shown twice.
fn in_words(fix: &Fix, help: Option<&str>) -> String {
    let replacement = fix.replacement.trim();
    match help {
        Some(help) if help.contains(replacement) => help.to_owned(),
        Some(help) => format!("{help}: `{replacement}`"),
        None => format!("write `{replacement}`"),
    }
}

/// The lines of a source that a message is about.
struct Window {
    text: String,
    /// Number of the first line, from 1.
    line: usize,
    /// Where the first line starts in the source.
    start: usize,
}

impl Window {
    fn around(source: &Source, spans: &[Span]) -> Self {
        let text = source.text.as_str();
        let first = spans.iter().map(|span| span.start).min().unwrap_or(0);
        let last = spans
            .iter()
            .map(|span| span.end.max(span.start))
            .max()
            .unwrap_or(0);
        let before = text.get(..boundary(text, first)).unwrap_or("");
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let after = text.get(boundary(text, last)..).unwrap_or("");
        let end = text.len() - after.len() + after.find('\n').unwrap_or(after.len());
        Window {
            text: stand_in(text.get(start..end).unwrap_or("")),
            line: source.line(first),
            start,
        }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let at = |offset: u32| {
            let inside = (offset as usize).saturating_sub(self.start);
            boundary(&self.text, u32::try_from(inside).unwrap_or(u32::MAX))
        };
        at(span.start)..at(span.end.max(span.start))
    }
}

/// Returns the nearest place at or before `offset` that is within the text and not within a
/// character.
fn boundary(text: &str, offset: u32) -> usize {
    let mut at = (offset as usize).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Escapes what does not show, so that a terminal shows it instead of obeying it. Line ends stay.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter == '\n' || !is_hidden(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_unicode());
        }
    }
    shown
}

/// Puts signs of the same number of bytes in the place of what does not show, so that places in
/// the text stay what they are. The renderer knows how to show ASCII's own control characters.
fn stand_in(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.len_utf8() {
            length if length == 1 || !is_hidden(letter) => shown.push(letter),
            3 => shown.push(char::REPLACEMENT_CHARACTER),
            length => shown.extend(std::iter::repeat_n('¤', length / 2)),
        }
    }
    shown
}

#[cfg(test)]
mod tests;
