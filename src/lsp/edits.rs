//! What the editor is told to change.

use lsp_types::TextEdit;
use serde_json::{Map, Value, json};

use super::mentions::Mention;
use super::path;
use super::project::Project;
use super::text::Encoding;
use crate::diag::{Diagnostic, Diagnostics, Fix};
use crate::format::format;
use crate::source::{SourceId, SourceMap};
use crate::syntax::may_be_declared;

/// Returns what lays a text out; nothing where it has mistakes.
pub(super) fn layout(text: &str, encoding: Encoding) -> Option<Vec<TextEdit>> {
    let source = SourceMap::default().add("", text);
    let new = format(source, text, &mut Diagnostics::default())?;
    // Only lines that differ, so that the cursor stays where it is.
    let before = common(text.split_inclusive('\n'), new.split_inclusive('\n'));
    let (old_rest, new_rest) = (text.get(before..)?, new.get(before..)?);
    let after = common(
        old_rest.split_inclusive('\n').rev(),
        new_rest.split_inclusive('\n').rev(),
    );
    let (old_end, new_end) = (text.len() - after, new.len() - after);
    if old_end == before && new_end == before {
        return Some(Vec::new());
    }
    let edit = TextEdit {
        range: encoding.range(text, before, old_end),
        new_text: new.get(before..new_end)?.to_owned(),
    };
    Some(vec![edit])
}

/// Returns the length of the lines that two texts have in common.
fn common<'a>(one: impl Iterator<Item = &'a str>, two: impl Iterator<Item = &'a str>) -> usize {
    let same = one.zip(two).take_while(|(one, two)| one == two);
    same.map(|(line, _)| line.len()).sum()
}

/// Gives a name another one everywhere in the policy.
///
/// Errors: a sentence for the user.
pub(super) fn rename(
    project: &Project,
    mention: &Mention,
    new: &str,
    encoding: Encoding,
) -> Result<Value, String> {
    if !may_be_declared(new) {
        return Err(format!("`{new}` cannot be a name"));
    }
    if project.same(mention).all(|it| it.declares.is_none()) {
        return Err(format!(
            "nothing of the name `{}` is declared",
            mention.name
        ));
    }
    let wanted = mention.called(new);
    if new != mention.name && project.same(&wanted).any(|it| it.declares.is_some()) {
        return Err(format!("something else is called `{new}` already"));
    }
    let mut edits: Vec<(SourceId, TextEdit)> = Vec::new();
    for place in project.same(mention) {
        let (start, end) = (place.span.start as usize, place.span.end as usize);
        let range = encoding.range(project.text(place.span.source), start, end);
        let new_text = new.to_owned();
        edits.push((place.span.source, TextEdit { range, new_text }));
    }
    Ok(changes(project, edits))
}

/// Returns edits by file, as `WorkspaceEdit` has them.
fn changes(project: &Project, edits: Vec<(SourceId, TextEdit)>) -> Value {
    let mut files: Map<String, Value> = Map::new();
    for (source, edit) in edits {
        let Some(uri) = path::to_uri(&project.path(source)) else {
            continue;
        };
        let list = files.entry(uri.as_str()).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(json!(edit));
        }
    }
    json!({ "changes": files })
}

/// Returns the suggested edit of a mistake, as a code action that mends it.
pub(super) fn action(
    project: &Project,
    diagnostic: &Diagnostic,
    fix: &Fix,
    encoding: Encoding,
) -> Value {
    let text = project.text(fix.span.source);
    let (start, end) = (fix.span.start as usize, fix.span.end as usize);
    let edit = TextEdit {
        range: encoding.range(text, start, end),
        new_text: fix.replacement.clone(),
    };
    let shown = super::session::shown(project, diagnostic, encoding);
    json!({
        "title": title(fix, text.get(start..end).unwrap_or("")),
        "kind": "quickfix",
        "isPreferred": true,
        "diagnostics": [shown],
        "edit": changes(project, vec![(fix.span.source, edit)]),
    })
}

fn title(fix: &Fix, old: &str) -> String {
    let (new, old) = (fix.replacement.trim(), old.trim());
    match (old, new) {
        (_, "") => format!("Remove `{old}`"),
        ("", _) => format!("Add `{new}`"),
        _ => format!("Write `{new}`"),
    }
}
