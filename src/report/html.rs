//! Pieces of HTML. Only what goes through here is escaped, so all words of a policy do.

use std::fmt::Write;

use crate::hash::sha256_base64;
use crate::picture::escape::xml;

/// A part of the page with a heading and a place of its own in the address.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// As HTML.
    pub(super) body: String,
}

pub(super) fn page(title: &str, parts: &[Part]) -> String {
    let title = xml(title);
    let (mut links, mut sections) = (String::new(), String::new());
    for Part { id, title, body } in parts {
        let _ = writeln!(links, "<a href=\"#{id}\">{title}</a>");
        let _ = writeln!(
            sections,
            "<section id=\"{id}\" aria-labelledby=\"h-{id}\">\n<h2 id=\"h-{id}\">{title}</h2>\n{body}</section>"
        );
    }
    let style = include_str!("page.css");
    let script = concat!("\n", include_str!("page.js"));
    // Only this script may run, whatever a policy's words were to become.
    let own = sha256_base64(script.as_bytes());
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"generator\" content=\"tidegate\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'sha256-{own}'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{style}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#glance\">Skip to the report</a>\n\
         <header>\n<h1>{title}</h1>\n<nav aria-label=\"Sections\">\n{links}</nav>\n\
         <p class=\"search\" hidden><label for=\"filter\">Filter</label> \
         <input id=\"filter\" type=\"search\" autocomplete=\"off\" placeholder=\"a name or a port\"> \
         <output id=\"count\" for=\"filter\" aria-live=\"polite\"></output></p>\n</header>\n\
         <main>\n{sections}</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )
}

/// Most rows of a table: a browser still opens a page of some of these in a second.
const MAX_ROWS: usize = 10_000;

/// Returns a table that can be filtered by the text of its rows; its cells are HTML. On a narrow screen
/// each row is a block of its own, with the heads before the cells.
pub(super) fn table(name: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n\
         <table class=\"list\">\n<thead><tr>",
        xml(name)
    );
    let heads: Vec<String> = heads.iter().map(|head| xml(head)).collect();
    for head in &heads {
        let _ = write!(text, "<th scope=\"col\">{head}</th>");
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows.iter().take(MAX_ROWS) {
        text.push_str("<tr>");
        for (cell, head) in row.iter().zip(&heads) {
            let _ = write!(text, "<td data-head=\"{head}\">{cell}</td>");
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</div>\n");
    let more = rows.len().saturating_sub(MAX_ROWS);
    if more > 0 {
        let said = format!(
            "{more} more rows are too many for a page. `tidegate matrix` and `tidegate diff` print all of theirs."
        );
        text.push_str(&paragraph(&said));
    }
    text
}

/// Counts things, as in `1 network` and `2 networks`.
pub(super) fn count(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// Text that may be broken anywhere.
pub(super) fn long_code(text: &str) -> String {
    format!("<code class=\"long\">{}</code>", xml(text))
}

pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", xml(text))
}

pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", xml(text))
}
