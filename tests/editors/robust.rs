//! Whatever is typed, every request has an answer.

use proptest::prelude::*;
use serde_json::json;
use tidegate::lsp::{Disk, Session};
use tidegate::policy::LoadError;

use super::SHOP;
use crate::support::files::repository;

struct Nothing;

impl Disk for Nothing {
    fn load(&self, _: &str, _: &str) -> Result<String, LoadError> {
        Err(LoadError::Missing)
    }

    fn policies(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

const URI: &str = "file:///policies/shop.tide";
const METHODS: [&str; 9] = [
    "codeAction",
    "completion",
    "definition",
    "documentSymbol",
    "formatting",
    "hover",
    "prepareRename",
    "references",
    "rename",
];

/// Opens a text, checks it, and asks everything about one place.
fn ask_all(session: &mut Session<Nothing>, text: &str, line: u32, column: u32) {
    let document = json!({"uri": URI, "languageId": "tide", "version": 1, "text": text});
    session.notice(lsp_server::Notification {
        method: "textDocument/didOpen".to_owned(),
        params: json!({"textDocument": document}),
    });
    let place = json!({"line": line, "character": column});
    let params = json!({
        "textDocument": {"uri": URI},
        "position": place,
        "range": {"start": place, "end": place},
        "context": {"diagnostics": [], "includeDeclaration": true},
        "options": {"tabSize": 2, "insertSpaces": true},
        "newName": "other",
    });
    // As it is typed, and once it is checked.
    for _ in 0..2 {
        for method in METHODS {
            session.answer(lsp_server::Request {
                id: 1.into(),
                method: format!("textDocument/{method}"),
                params: params.clone(),
            });
        }
        for notice in session.check() {
            assert!(notice.params["diagnostics"].is_array());
        }
    }
}

fn session(encoding: &str) -> Session<Nothing> {
    let mut session = Session::new(Nothing);
    session.initialize(json!({"capabilities": {"general": {"positionEncodings": [encoding]}}}));
    session
}

/// As it is typed, letter by letter, with the cursor at the end.
#[test]
fn any_beginning_of_any_example_is_answered() {
    let mut session = session("utf-8");
    for path in crate::docs::files(&repository().join("examples"), ".tide") {
        let text = std::fs::read_to_string(&path).unwrap();
        for end in (0..text.len())
            .filter(|end| text.is_char_boundary(*end))
            .step_by(23)
        {
            let before = &text[..end];
            let line = before.matches('\n').count() as u32;
            let column = before.rsplit('\n').next().unwrap().len() as u32;
            ask_all(&mut session, before, line, column);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_edit_anywhere_is_answered(
        at in 0..SHOP.len(),
        length in 0_usize..40,
        piece in prop::sample::select(&["", "{", "}", "\"", "#", "\n", "->", ",", ":", "é𐐀", "on", "-", "[", "\r"][..]),
        line in 0_u32..30,
        column in 0_u32..40,
        wide in any::<bool>(),
    ) {
        let end = (at + length).min(SHOP.len());
        let text = format!("{}{piece}{}", &SHOP[..at], &SHOP[end..]);
        let mut session = session(if wide { "utf-16" } else { "utf-8" });
        ask_all(&mut session, SHOP, line, column);
        ask_all(&mut session, &text, line, column);
    }

    #[test]
    fn any_text_is_answered(text in ".{0,80}", line in 0_u32..3, column in 0_u32..90) {
        ask_all(&mut session("utf-16"), &text, line, column);
    }
}

/// A letter of two units in UTF-16 is counted as the editor counts it.
#[test]
fn columns_are_counted_as_agreed() {
    for (encoding, column) in [("utf-8", 29), ("utf-16", 26)] {
        let mut session = session(encoding);
        ask_all(&mut session, "trust more { file \"𐐀é\" } x\n", 0, 0);
        let notices = session.check();
        let said = notices[0].params["diagnostics"].as_array().unwrap();
        let found = said.iter().find(|it| it["code"] == "T0110").unwrap();
        assert_eq!(found["range"]["start"]["character"], column);
        assert_eq!(found["range"]["end"]["character"], column + 1);
    }
}
