//! The parts below the glance.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::html::{Part, code, long_code, paragraph, table};
use super::{Exposed, Review};
use crate::diag::Diagnostic;
use crate::picture::escape::xml;
use crate::question::{Cell, Diff, Opener, matrix_list, matrix_table};
use crate::source::SourceMap;

pub(super) fn change(name: &str, diff: &Diff) -> Part {
    let mut body = if diff.differs() {
        format!("<p>New connections that change since {}.</p>\n", code(name))
    } else {
        format!("<p>No new connection changes since {}.</p>\n", code(name))
    };
    let escaped = |cells: &[String; 6]| {
        let [change, rest @ ..] = cells;
        let word = change.split(' ').next().unwrap_or_default();
        let mut row = vec![format!(
            "<strong class=\"is-{}\">{}</strong>",
            xml(word),
            xml(change)
        )];
        row.extend(rest.iter().map(|cell| xml(cell)));
        row
    };
    let rows: Vec<Vec<String>> = diff.table().iter().map(escaped).collect();
    if !rows.is_empty() {
        let heads = ["change", "from", "to", "services", "was", "is"];
        body.push_str(&table("What changes", &heads, &rows));
    }
    body.extend(diff.more().iter().map(|more| paragraph(more)));
    Part {
        id: "changes",
        title: "What changes",
        body,
    }
}

/// Most fields of a matrix: a bigger one is a list, since most of its fields would be empty.
const MAX_FIELDS: usize = 2_500;
/// Most columns that fit on paper.
const MAX_COLUMNS: usize = 4;
/// Letters from which on a field is a wide one.
const WIDE: usize = 50;

pub(super) fn matrix(review: &Review<'_>) -> Part {
    let names = |of: &dyn Fn(&Cell) -> (String, bool)| {
        let all: BTreeSet<(String, bool)> = review.cells.iter().map(of).collect();
        all.len()
    };
    let rows = names(&|cell| (cell.from.clone(), false));
    let columns = names(&|cell| (cell.to.clone(), cell.by_host));
    let words = "By the host: by a port of the host that leads to the container. Some: not every address of who \
                 connects. Limited: up to a limit.";
    let body = if rows * columns > MAX_FIELDS {
        let how = format!("What is not here is closed. {words}");
        paragraph(&how) + &list(review.cells)
    } else {
        let how = format!(
            "Who connects stands on the left, to what on top; an empty field is closed. {words}"
        );
        let wide = columns > MAX_COLUMNS;
        let on_paper = if wide {
            format!("<div class=\"on-paper\">\n{}</div>\n", list(review.cells))
        } else {
            String::new()
        };
        paragraph(&how) + &fields(review.cells, wide) + &on_paper
    };
    Part {
        id: "matrix",
        title: "Who reaches whom",
        body,
    }
}

fn list(cells: &[Cell]) -> String {
    let rows = matrix_list(cells).into_iter();
    let rows = rows.map(|[from, to, services]| {
        let name = |name: &str| format!("<span class=\"name\">{}</span>", xml(name));
        vec![name(&from), name(&to), xml(&services)]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    table("Who reaches whom", &["from", "to", "services"], &rows)
}

fn fields(cells: &[Cell], on_screen: bool) -> String {
    let table = matrix_table(cells);
    let screen = if on_screen { " on-screen" } else { "" };
    let mut text = format!(
        "<div class=\"scroll{screen}\" tabindex=\"0\" role=\"region\" aria-label=\"Who reaches whom\">\n\
         <table class=\"matrix\">\n<thead><tr><th scope=\"col\">from</th>"
    );
    for column in &table.columns {
        let _ = write!(text, "<th scope=\"col\">{}</th>", xml(column));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for (name, row) in &table.rows {
        let _ = write!(text, "<tr><th scope=\"row\">{}</th>", xml(name));
        for cell in row {
            let wide = if cell.len() > WIDE {
                " class=\"wide\""
            } else {
                ""
            };
            let _ = write!(text, "<td{wide}>{}</td>", xml(cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</div>\n");
    text
}

pub(super) fn picture(review: &Review<'_>) -> Part {
    Part {
        id: "graph",
        title: "Graph",
        body: format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Graph\">\n{}</div>\n",
            review.picture
        ),
    }
}

pub(super) fn exposed(review: &Review<'_>) -> Part {
    let mut rows = Vec::new();
    for port in review.exposed {
        if port.openers.is_empty() {
            let nobody = "<em>nobody but what the host itself opens</em>".to_owned();
            rows.push([exposure(port), vec![nobody, String::new()]].concat());
        }
        for opener in &port.openers {
            rows.push([exposure(port), who(opener)].concat());
        }
    }
    let heads = ["port", "published", "exposed at", "open to", "by line"];
    Part {
        id: "ports",
        title: "Exposed ports",
        body: if rows.is_empty() {
            paragraph("No container exposes a port.")
        } else {
            let how = "Of a range of ports the first one is followed. A line is the one that let a packet pass.";
            paragraph(how) + &table("Exposed ports", &heads, &rows)
        },
    }
}

fn exposure(port: &Exposed) -> Vec<String> {
    let published = port.published.as_deref().map_or_else(String::new, code);
    let name = format!(
        "<strong>{}</strong> {}",
        xml(&port.container),
        code(&port.service)
    );
    vec![name, published, code(&port.place)]
}

fn who(opener: &Opener) -> Vec<String> {
    let way = if opener.by_host { " by the host" } else { "" };
    let ending = match opener.ending {
        "" => String::new(),
        ending => format!(" ({ending})"),
    };
    let from = xml(&opener.from);
    let line = opener.line.as_deref().map_or_else(String::new, code);
    vec![format!("{from}{way}{ending}"), line]
}

pub(super) fn warnings(review: &Review<'_>) -> Part {
    let found = review.warnings.iter();
    let rows: Vec<Vec<String>> = found.map(|it| warning(it, review.sources)).collect();
    Part {
        id: "warnings",
        title: "Warnings",
        body: if rows.is_empty() {
            paragraph("None.")
        } else {
            table("Warnings", &["code", "place", "what"], &rows)
        },
    }
}

fn warning(found: &Diagnostic, sources: &SourceMap) -> Vec<String> {
    let place = found.place().map(|span| code(&sources.place(span)));
    let text = xml(&found.full_text()).replace('\n', "<br>");
    vec![found.code.to_string(), place.unwrap_or_default(), text]
}

pub(super) fn expectations(review: &Review<'_>) -> Part {
    let row = |it: &crate::policy::ir::Expectation| {
        let text = review.sources.slice(it.span);
        let words: Vec<&str> = text.split_whitespace().collect();
        let place = review.sources.place(it.span);
        vec![long_code(&words.join(" ")), code(&place), "kept".to_owned()]
    };
    let rows: Vec<Vec<String>> = review.policy.expectations.iter().map(row).collect();
    Part {
        id: "expectations",
        title: "Expectations",
        body: if rows.is_empty() {
            paragraph("The policy has none.")
        } else {
            table("Expectations", &["expectation", "place", "proven"], &rows)
        },
    }
}

pub(super) fn assumptions(review: &Review<'_>) -> Part {
    let mut body = paragraph(
        "What the rules let through was worked out from them, for all packets, on a machine like this:",
    );
    body.push_str("<ul>\n");
    for said in review.assumptions {
        let _ = writeln!(body, "<li>{}</li>", xml(said));
    }
    body.push_str("</ul>\n");
    Part {
        id: "assumptions",
        title: "Taken for granted",
        body,
    }
}
