//! The picture as an SVG of its own layout: sources on the left, the host and the networks on the right,
//! and in each box a row for every service, so that no two labels can meet. Lines run in lanes, a lane
//! for each source, and each has a place of its own at the row where it ends.

mod lanes;
mod layout;
mod rows;

use std::fmt::Write;

use super::escape::xml;
use super::graph::{Graph, Kind, Node, Sureness};
use layout::{Place, layout};
use rows::Row;

/// The advance of a letter of the monospaced font at its size of 12, rounded up; all in user units.
const LETTER: usize = 8;
/// Height of a line of text.
const LINE: usize = 18;
/// Letters that a label may have before it is cut; all of it is in its tooltip.
const MAX_LETTERS: usize = 58;
/// Colours of sources, in turn; see `svg.css`.
const COLOURS: usize = 6;

/// Draws a graph. It needs no other file; colours follow the reader's preference.
pub fn svg(graph: &Graph) -> String {
    let layout = layout(graph);
    let (width, height) = (layout.width, layout.height);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tg\" role=\"img\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<!-- Drawn by tidegate. -->\n<title>{}</title>\n<desc>{}</desc>\n\
         <style>\n{}</style>\n<rect class=\"tg-page\" width=\"{width}\" height=\"{height}\"/>\n",
        xml(&graph.title),
        xml(&described(graph)),
        include_str!("svg.css")
    );
    for at in &layout.boxes {
        frame(&mut text, graph, at);
    }
    for line in lanes::lines(graph, &layout) {
        self::line(&mut text, &line);
    }
    for (number, note) in graph.notes.iter().enumerate() {
        let y = layout.notes + number * LINE;
        let _ = writeln!(
            text,
            "<text class=\"tg-note\" x=\"16\" y=\"{y}\">{}</text>",
            xml(note)
        );
    }
    text.push_str("</svg>\n");
    text
}

/// Says in words what the lines show, for those who do not see them.
fn described(graph: &Graph) -> String {
    let name = |at: usize| graph.nodes.get(at).map_or("", |node| node.name.as_str());
    let edges = graph.edges.iter();
    let said = edges.map(|edge| {
        let ending = edge.sureness.ending();
        format!(
            "{} to {}: {}{ending}.",
            name(edge.from),
            name(edge.to),
            edge.label
        )
    });
    said.collect::<Vec<String>>().join(" ")
}

fn frame(text: &mut String, graph: &Graph, at: &Place) {
    let Some(node) = graph.nodes.get(at.node) else {
        return;
    };
    let (class, radius) = look(node);
    let Place {
        x,
        y,
        width,
        height,
        ..
    } = at;
    let _ = writeln!(
        text,
        "<rect class=\"tg-box {class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>"
    );
    let (left, top) = (x + 10, y + 17);
    let _ = writeln!(
        text,
        "<text class=\"tg-name\" x=\"{left}\" y=\"{top}\">{}</text>",
        cut(&node.name)
    );
    if !node.note.is_empty() {
        let below = top + 16;
        let _ = writeln!(
            text,
            "<text class=\"tg-note\" x=\"{left}\" y=\"{below}\">{}</text>",
            cut(&node.note)
        );
    }
    for row in &at.rows {
        self::row(text, at, row);
    }
}

fn look(node: &Node) -> (&'static str, usize) {
    match node.kind {
        Kind::Outside => ("tg-outside", 15),
        Kind::Trust => ("tg-trust", 15),
        Kind::Host => ("tg-host", 3),
        Kind::Network => ("tg-network", 6),
        Kind::Container => ("tg-container", 3),
    }
}

fn row(text: &mut String, at: &Place, row: &Row) {
    let (x, y) = (at.x, row.y);
    let (left, base) = (x + 10, row.y + row.height / 2 + 4);
    let end = x + at.width;
    let _ = writeln!(text, "<path class=\"tg-rule\" d=\"M{x} {y}H{end}\"/>");
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"{base}\">{}</text>",
        cut(&row.label)
    );
}

/// Escapes a text, and cuts it where it is too long for its box.
fn cut(label: &str) -> String {
    if letters(label) <= MAX_LETTERS {
        return xml(label);
    }
    let (mut short, mut wide) = (String::new(), 0);
    for letter in label.chars() {
        wide += letter_width(letter);
        if wide >= MAX_LETTERS {
            break;
        }
        short.push(letter);
    }
    format!("<title>{}</title>{}…", xml(label), xml(&short))
}

/// Counts a text's letters; those of scripts that may be drawn wide count twice.
fn letters(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

fn letter_width(letter: char) -> usize {
    if u32::from(letter) < 0x1100 { 1 } else { 2 }
}

fn line(text: &mut String, line: &lanes::Line) {
    let dashes = match line.sureness {
        Sureness::All => "",
        Sureness::Limited => " tg-limited",
        Sureness::Some => " tg-some",
    };
    let colour = line.colour % COLOURS;
    let _ = writeln!(
        text,
        "<g class=\"tg-c{colour}\"><title>{}</title><path class=\"tg-line{dashes}\" d=\"{}\"/>\
         <path class=\"tg-tip\" d=\"{}\"/></g>",
        xml(&line.says),
        line.path,
        line.tip
    );
}
