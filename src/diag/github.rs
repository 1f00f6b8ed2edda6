//! Diagnostics as workflow commands, which GitHub shows beside the lines that they are about.

use super::hidden::is_hidden;
use super::place::{Place, Places};
use super::{Diagnostic, Severity};
use crate::source::SourceMap;

/// Returns one command for each diagnostic. Names of sources are those below the folder `base`,
/// unless that is empty.
pub fn render_github(diagnostics: &[Diagnostic], sources: &SourceMap, base: &str) -> String {
    let places = Places { sources, base };
    diagnostics.iter().map(|one| command(one, places)).collect()
}

fn command(diagnostic: &Diagnostic, places: Places<'_>) -> String {
    let word = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = diagnostic.place().map(|span| place(&places.of(span)));
    format!(
        "::{word} {}title={}::{}\n",
        place.unwrap_or_default(),
        diagnostic.code,
        data(&diagnostic.full_text())
    )
}

fn place(place: &Place) -> String {
    let ((line, column), (end_line, end_column)) = (place.start, place.end);
    format!(
        "file={},line={line},col={column},endLine={end_line},endColumn={end_column},",
        property(&place.file)
    )
}

/// Escapes what a command's text cannot have; `escapeData` of GitHub's actions/toolkit. Other
/// letters that do not show could make a log look like another one.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
        .replace(is_hidden, "?")
}

/// Escapes what a command's property cannot have; `escapeProperty` there.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::render_github;
    use crate::diag::{Code, Diagnostic};
    use crate::source::{SourceMap, Span};

    #[test]
    fn a_command_is_one_line_whatever_is_said() {
        let mut sources = SourceMap::default();
        let source = sources.add("a,b:c%.tide", "ä b\nc");
        let span = Span {
            source,
            start: 3,
            end: 6,
        };
        let one = Diagnostic::error(Code("T0000"), "100 % wrong\r\n::error::forged\u{1b}")
            .at(span, "here")
            .note("Why.")
            .help("write `d`");
        let other = Diagnostic::warning(Code("T0001"), "no place");
        insta::assert_snapshot!(render_github(&[one, other], &sources, "/etc"), @r"
        ::error file=/etc/a%2Cb%3Ac%25.tide,line=1,col=3,endLine=2,endColumn=2,title=T0000::100 %25 wrong%0D%0A::error::forged?%0Ahere%0AWhy.%0Ahelp: write `d`
        ::warning title=T0001::no place
        ");
    }
}
