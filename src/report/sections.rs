//! The parts below the glance.

use std::fmt::Write;

use super::html::{Part, code, paragraph, table};
use super::{Exposed, Review};
use crate::diag::Diagnostic;
use crate::picture::escape::xml;
use crate::question::{Diff, Opener, matrix_table};
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

pub(super) fn matrix(review: &Review<'_>) -> Part {
    let cells = matrix_table(review.cells);
    let mut body = paragraph(
        "Who connects stands on the left, to what on top; an empty cell is closed. By the host: by a port of \
         the host that leads to the container. Some: not every address of the left side. Limited: up to a limit.",
    );
    body.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Who reaches whom\">\n\
         <table class=\"matrix\">\n<thead><tr><th scope=\"col\">from</th>",
    );
    for column in &cells.columns {
        let _ = write!(body, "<th scope=\"col\">{}</th>", xml(column));
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    for (name, row) in &cells.rows {
        let _ = write!(body, "<tr><th scope=\"row\">{}</th>", xml(name));
        for cell in row {
            let _ = write!(body, "<td>{}</td>", xml(cell));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody>\n</table>\n</div>\n");
    Part {
        id: "matrix",
        title: "Who reaches whom",
        body,
    }
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
    let heads = [
        "port",
        "published",
        "exposed at",
        "who reaches it",
        "by line",
    ];
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
        vec![code(&words.join(" ")), code(&place), "kept".to_owned()]
    };
    let rows: Vec<Vec<String>> = review.policy.expectations.iter().map(row).collect();
    Part {
        id: "expectations",
        title: "Expectations",
        body: if rows.is_empty() {
            paragraph("The policy has none.")
        } else {
            table(
                "Expectations",
                &["expectation", "place", "proven of the rules"],
                &rows,
            )
        },
    }
}

pub(super) fn assumptions(review: &Review<'_>) -> Part {
    let mut body = paragraph(
        "What the rules let through was worked out from them, for all packets, on this machine:",
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
