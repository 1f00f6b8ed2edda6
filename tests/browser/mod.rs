//! The page of `tidegate report` in a real browser, at the width of a desk and of a phone.

mod chromium;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::support::files::repository;
use chromium::{Browser, DESKTOP, PHONE};

/// A name of a file that would run if it became a tag.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1>'\"&.tide";

/// Writes the page of a policy, compared with another one.
fn page(folder: &TempDir, policy: &Path, against: Option<&Path>) -> PathBuf {
    let page = folder.path().join("page.html");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.arg("report").arg(policy).arg("-o").arg(&page);
    if let Some(against) = against {
        command.arg("--against").arg(against);
    }
    let output = command.env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    page
}

fn example(name: &str) -> PathBuf {
    repository().join("examples").join(name)
}

/// Names of the matrix's rows that are to be seen.
const ROWS: &str = "Array.from(document.querySelectorAll('.matrix tbody tr')).filter(row => !row.hidden)\
    .map(row => row.cells[0].textContent)";
/// Names of its columns that are to be seen.
const COLUMNS: &str = "Array.from(document.querySelectorAll('.matrix thead th')).slice(1)\
    .filter(head => !head.hidden).map(head => head.textContent)";

#[test]
fn the_page_fits_asks_for_nothing_and_complains_of_nothing() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let many = folder.path().join("many.tide");
    fs::write(&many, crowd(60)).unwrap();
    let pages = [
        (example("01-web-host.tide"), None),
        (
            example("03-trusted-only.tide"),
            Some(example("02-links.tide")),
        ),
        (
            repository().join("tests/cases/06-everything/policy.tide"),
            None,
        ),
        (many, None),
    ];
    for (policy, against) in pages {
        let page = page(&folder, &policy, against.as_deref());
        for screen in [DESKTOP, PHONE] {
            browser.open(&page, screen);
            let wide = browser.value("document.documentElement.scrollWidth");
            assert_eq!(wide, screen.0, "{}", policy.display());
            let empty = "Array.from(document.querySelectorAll('section'))\
                .filter(it => it.querySelector('h2') === null || it.children.length < 2).length";
            assert_eq!(browser.value(empty), 0);
            assert_eq!(browser.requests(&page), Vec::<String>::new());
            assert!(
                browser.complaints().is_empty(),
                "{:?}",
                browser.complaints()
            );
        }
    }
}

/// Writes a policy of more containers than a matrix has room for.
fn crowd(count: usize) -> String {
    let mut policy = "host {\n  uplink eth0\n  forwarding on\n}\nnetwork n {\n  bridge br-n\n  \
                      subnet 10.0.0.0/24\n}\n"
        .to_owned();
    for number in 0..count {
        let address = number + 10;
        let _ = writeln!(
            policy,
            "container c{number} on n at 10.0.0.{address} {{ expose 80/tcp as {} from any }}",
            8000 + number
        );
    }
    policy
}

#[test]
fn the_filter_leaves_rows_and_columns_with_the_word() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let page = page(&folder, &example("02-links.tide"), None);
    browser.open(&page, DESKTOP);
    let (rows, columns) = (browser.value(ROWS), browser.value(COLUMNS));
    // Three containers, two networks, outside and the host.
    assert_eq!(rows.as_array().unwrap().len(), 7, "{rows}");
    browser.press("/");
    assert_eq!(browser.value("document.activeElement.id"), "filter");
    for letter in ["5", "4", "3", "2"] {
        browser.press(letter);
    }
    assert_eq!(browser.value(ROWS), json!(["shop", "cart"]));
    assert_eq!(browser.value(COLUMNS), json!(["db"]));
    assert_eq!(browser.value("location.hash"), "#filter=5432");
    let marked = "Array.from(document.querySelectorAll('.matrix .hit')).map(it => it.textContent)";
    assert_eq!(
        browser.value(marked),
        json!(["5432/tcp (some) (IPv4)", "5432/tcp (IPv4)"])
    );
    browser.press("Escape");
    assert_eq!(
        (browser.value(ROWS), browser.value(COLUMNS)),
        (rows, columns)
    );
    assert_eq!(browser.value("location.hash"), "");
    browser.value("location.hash = '#filter=nobody-at-all'; 0");
    let told = "new Promise(done => { const look = () => { \
        const text = document.getElementById('count').textContent; \
        text === '' ? setTimeout(look, 5) : done(text); }; look(); })";
    let what = json!({"expression": told, "returnByValue": true, "awaitPromise": true});
    let count = browser.ask("Runtime.evaluate", &what);
    assert_eq!(count["result"]["value"], "0 rows");
    assert!(
        browser.complaints().is_empty(),
        "{:?}",
        browser.complaints()
    );
}

#[test]
fn a_keyboard_gets_everywhere() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let page = page(&folder, &example("01-web-host.tide"), None);
    browser.open(&page, PHONE);
    browser.press("Tab");
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    let shown = "document.activeElement.getBoundingClientRect().left >= 0";
    assert_eq!(browser.value(shown), true, "the first link is not seen");
    browser.press("Enter");
    assert_eq!(browser.value("location.hash"), "#glance");
    // Every link, the filter and each part that may scroll comes once, in the order of the page.
    browser.open(&page, PHONE);
    let places = "document.querySelectorAll('a, input, [tabindex]').length";
    let places = browser.value(places).as_u64().unwrap();
    let mut before = 0;
    for number in 0..places {
        browser.press("Tab");
        let place = "Array.from(document.querySelectorAll('*')).indexOf(document.activeElement)";
        let place = browser.value(place).as_u64().unwrap();
        assert!(place > before, "stop {number} of {places}");
        before = place;
        let outline = "getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(
            browser.value(outline),
            "solid",
            "stop {number} is not marked"
        );
    }
    browser.value("document.querySelector('.matrix').parentElement.focus(); 0");
    let moved = "new Promise(done => { const it = document.activeElement; \
        it.addEventListener('scroll', () => done(it.scrollLeft > 0), {once: true}); })";
    browser.value(&format!("window.moved = {moved}; 0"));
    browser.press("ArrowRight");
    let what = json!({"expression": "window.moved", "returnByValue": true, "awaitPromise": true});
    assert_eq!(
        browser.ask("Runtime.evaluate", &what)["result"]["value"],
        true
    );
}

#[test]
fn words_of_a_policy_do_not_run() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let policy = fs::read_to_string(example("02-links.tide")).unwrap();
    let hostile =
        "expect outside -> # </script></svg><script>window.hacked=1</script>\n  db denied\n";
    let path = folder.path().join(HOSTILE);
    fs::write(&path, policy + hostile).unwrap();
    let page = page(&folder, &path, Some(&path));
    browser.open(&page, DESKTOP);
    let text = browser.value("document.body.textContent");
    let text = text.as_str().unwrap();
    assert!(
        text.contains("<script>window.hacked=1</script>"),
        "the comment is not there"
    );
    assert!(
        browser
            .value("document.title")
            .as_str()
            .unwrap()
            .contains("onerror")
    );
    assert_eq!(browser.value("typeof window.hacked"), "undefined");
    assert_eq!(
        browser.value("document.querySelectorAll('script').length"),
        1
    );
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    browser.value(
        "location.hash = '#filter=' + encodeURIComponent('<img src=x onerror=window.hacked=1>'); 0",
    );
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    assert_eq!(browser.requests(&page), Vec::<String>::new());
    assert!(
        browser.complaints().is_empty(),
        "{:?}",
        browser.complaints()
    );
    // And a script that got in all the same does not run either.
    let forced = "const script = document.createElement('script'); \
        script.textContent = 'window.hacked = 1'; document.body.append(script); typeof window.hacked";
    assert_eq!(browser.value(forced), "undefined");
}
