//! Pieces of HTML. Only what goes through here is escaped, so all words of a policy do.

use std::fmt::Write;

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
    let (style, script) = (include_str!("page.css"), include_str!("page.js"));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{style}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#glance\">Skip to the report</a>\n\
         <header>\n<h1>{title}</h1>\n<nav aria-label=\"Sections\">\n{links}</nav>\n\
         <p class=\"search\" hidden><label for=\"filter\">Filter</label> \
         <input id=\"filter\" type=\"search\" autocomplete=\"off\" placeholder=\"a name or a port\"> \
         <output id=\"count\" for=\"filter\" aria-live=\"polite\"></output></p>\n</header>\n\
         <main>\n{sections}</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )
}

/// Returns a table that can be filtered by the text of its rows; its cells are HTML.
pub(super) fn table(name: &str, heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n\
         <table class=\"list\">\n<thead><tr>",
        xml(name)
    );
    for head in heads {
        let _ = write!(text, "<th scope=\"col\">{}</th>", xml(head));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for cell in row {
            let _ = write!(text, "<td>{cell}</td>");
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</div>\n");
    text
}

pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", xml(text))
}

pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", xml(text))
}
