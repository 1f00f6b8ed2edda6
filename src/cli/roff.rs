//! Writes a page of the documents as a manual page; man(7).
//!
//! It knows the Markdown that `docs/language.md` is written in: headings, paragraphs, tables of two
//! columns, lists, indented and fenced blocks, code and links within a line.

/// Returns the page's text in roff: its title becomes NAME, its headings sections.
pub(super) fn roff(markdown: &str, name: &str, section: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = Page::default();
    page.line(&format!(
        ".TH {name} {section} \"\" \"tidegate {version}\" tidegate"
    ));
    for line in markdown.lines() {
        page.add(line, name);
    }
    page.leave_block();
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
    block: Block,
    has_description: bool,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Block {
    #[default]
    None,
    Fenced,
    Indented,
    /// The head of a table, which says less than its rows.
    Head,
    Rows,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn add(&mut self, line: &str, name: &str) {
        if self.block == Block::Fenced {
            if line.starts_with("```") {
                self.leave_block();
            } else {
                self.example(line);
            }
        } else if line.starts_with("```") {
            self.enter(Block::Fenced);
        } else if let Some(code) = line.strip_prefix("    ") {
            if self.block != Block::Indented {
                self.enter(Block::Indented);
            }
            self.example(code);
        } else if let Some(row) = line.strip_prefix("| ") {
            self.row(row);
        } else if line.is_empty() {
            self.leave_block();
            if self.has_description {
                self.line(".PP");
            }
        } else if let Some(title) = line.strip_prefix("# ") {
            let title = inline(title).to_lowercase();
            self.line(&format!(".SH NAME\n{name} \\- {title}"));
        } else if let Some(title) = line.strip_prefix("## ") {
            self.line(&format!(".SH {}", inline(title).to_uppercase()));
        } else {
            self.words(line);
        }
    }

    fn words(&mut self, line: &str) {
        if !self.has_description {
            self.has_description = true;
            self.line(".SH DESCRIPTION");
        }
        match line.strip_prefix("- ") {
            Some(point) => self.line(&format!(".IP \\(bu 2\n{}", inline(point))),
            None => self.line(&inline(line.trim_start())),
        }
    }

    fn row(&mut self, row: &str) {
        if row.starts_with("---") {
            self.block = Block::Rows;
        } else if self.block != Block::Rows {
            self.block = Block::Head;
        } else {
            let row = row.trim_end_matches([' ', '|']).replace("\\|", "\u{1}");
            let cells = row.split_once(" | ").unwrap_or((&row, ""));
            let [term, what] = [cells.0, cells.1].map(|cell| inline(cell).replace('\u{1}', "|"));
            self.line(&format!(".TP\n{term}\n{what}"));
        }
    }

    fn enter(&mut self, block: Block) {
        self.leave_block();
        self.block = block;
        self.line(".PP\n.RS 4\n.nf");
    }

    fn leave_block(&mut self) {
        if matches!(self.block, Block::Fenced | Block::Indented) {
            self.line(".fi\n.RE");
        }
        self.block = Block::None;
    }

    fn example(&mut self, line: &str) {
        self.line(&safe(&escaped(line)));
    }
}

/// Writes code in bold, and of links their words.
fn inline(line: &str) -> String {
    let mut text = String::new();
    for (at, part) in line.split('`').enumerate() {
        if at % 2 == 1 {
            text.extend(["\\fB", &escaped(part), "\\fR"]);
        } else {
            text.push_str(&escaped(&without_links(part)).replace('*', ""));
        }
    }
    safe(&text)
}

fn without_links(text: &str) -> String {
    let mut parts = text.split("](");
    let mut words = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let rest = part.split_once(')').map_or("", |(_, rest)| rest);
        words.push_str(rest);
    }
    words.replace('[', "")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('…', "...")
        .replace('–', "\\-")
}

/// Keeps a line from being read as a request.
fn safe(line: &str) -> String {
    if line.starts_with(['.', '\'']) {
        format!("\\&{line}")
    } else {
        line.to_owned()
    }
}
