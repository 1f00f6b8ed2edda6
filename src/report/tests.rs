//! Words that would act if they were not escaped.

use super::html::{code, page, paragraph, table};

#[test]
fn words_cannot_become_tags() {
    let hostile = "</title><script>alert(1)</script>\"'&";
    let rows = [vec![code(hostile)]];
    let body = paragraph(hostile) + &table(hostile, &[hostile], &rows);
    let part = super::html::Part {
        id: "x",
        title: "X",
        body,
    };
    let page = page(hostile, &[part]);
    assert_eq!(page.matches("<script>").count(), 1, "{page}");
    assert_eq!(page.matches("</title>").count(), 1, "{page}");
    assert!(!page.contains("alert(1)</script>"), "{page}");
}
