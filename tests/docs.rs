//! What the documents promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tidegate::compile::{Compiled, compile};
use tidegate::diag::code::{self, Entry};
use tidegate::diag::{Diagnostics, Severity};
use tidegate::source::SourceMap;

use crate::support::files::{Files, Folder, repository};

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the files below a folder whose names end in `ending`.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[track_caller]
fn is_clean(name: &str, mut compiled: Compiled) {
    compiled.lint();
    assert!(
        compiled.diagnostics.is_empty(),
        "{name}: {:#?}",
        compiled.diagnostics
    );
    assert!(!compiled.bundles.is_empty(), "{name} did not compile");
}

#[test]
fn every_code_is_documented_and_no_other() {
    let documented: Vec<String> = text("docs/codes.md")
        .lines()
        .filter(|line| line.starts_with("| [T"))
        .map(str::to_owned)
        .collect();
    let line = |entry: &Entry| {
        let level = match entry.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!(
            "| [{0}](codes/{0}.md) | {level} | {1} |",
            entry.code, entry.meaning
        )
    };
    let mut known: Vec<String> = code::ALL.iter().map(line).collect();
    known.sort();
    assert_eq!(documented, known);
    let mut codes: Vec<_> = code::ALL.iter().map(|entry| entry.code).collect();
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), known.len(), "a code is used twice");
}

/// Levels are for warnings alone, so the table has to know which codes these are.
#[test]
fn a_code_is_of_the_severity_that_the_table_says() {
    for path in files(&repository().join("src"), ".rs") {
        let text = fs::read_to_string(&path).expect("text");
        for (call, severity) in [
            ("Diagnostic::error(", Severity::Error),
            ("Diagnostic::warning(", Severity::Warning),
        ] {
            for name in text.split(call).skip(1).filter_map(constant) {
                let is = declared(name).unwrap_or_else(|| panic!("{name} is no code"));
                assert_eq!(is.severity, severity, "{name} in {}", path.display());
            }
        }
    }
}

/// Returns the code's name that a call starts with.
fn constant(call: &str) -> Option<&str> {
    call.trim_start().strip_prefix("code::")?.split(',').next()
}

/// Returns what is known of the code that a constant of the source stands for.
fn declared(name: &str) -> Option<&'static Entry> {
    let table = text("src/diag/code.rs");
    let line = table
        .lines()
        .find(|line| line.trim_start().starts_with(&format!("{name} = ")))?;
    code::find(line.split('"').nth(1)?)
}

/// A file that no module names is not compiled, and the tests in it do not run.
#[test]
fn every_source_file_is_part_of_the_program() {
    let (sources, tests) = (repository().join("src"), repository().join("tests"));
    let files = files(&sources, ".rs").into_iter();
    let files = files.chain(self::files(&tests, ".rs"));
    let roots = ["src/lib.rs", "src/main.rs", "tests/main.rs"].map(|root| repository().join(root));
    for file in files.filter(|file| !roots.contains(file) && !file.starts_with(tests.join("bench")))
    {
        assert!(is_declared(&file), "no module names {}", file.display());
    }
}

fn is_declared(file: &Path) -> bool {
    let folder = file.parent().expect("a folder");
    let (module, parent) = if file.ends_with("mod.rs") {
        (folder, folder.parent().expect("a folder"))
    } else {
        (file, folder)
    };
    let name = module.file_stem().expect("a name").to_string_lossy();
    let beside = fs::read_dir(parent).expect("a folder");
    let beside = beside.map(|entry| entry.expect("an entry").path());
    let texts = beside.chain([parent.with_extension("rs")]);
    let declared = [format!("mod {name};"), format!("path = \"{name}.rs\"")];
    texts
        .filter_map(|path| fs::read_to_string(path).ok())
        .any(|text| declared.iter().any(|line| text.contains(line.as_str())))
}

#[test]
fn every_example_compiles_without_a_warning_and_has_a_text() {
    let examples = files(&repository().join("examples"), ".tide");
    assert!(examples.len() >= 5, "the examples are gone");
    for path in examples {
        let folder = path.parent().expect("a folder");
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        is_clean(&name, compile(&Folder(folder.to_owned()), &name));
        let beside = [path.with_extension("md"), folder.join("README.md")];
        let said = beside.iter().any(|text| text.exists());
        assert!(said || folder.ends_with("demo"), "{name} has no text");
    }
}

#[test]
fn the_policy_of_the_readme_compiles() {
    let readme = text("README.md");
    let policy = readme.split("```").nth(1).expect("a policy in the README");
    is_clean(
        "README.md",
        compile(&Files::one(policy.trim_start()), "policy.tide"),
    );
}

/// Returns the policies that a page shows.
fn policies(page: &str) -> Vec<&str> {
    let blocks = page.split("```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.split_once('\n'));
    let policies = blocks.filter(|(word, text)| {
        *word == "tide" || word.is_empty() && text.starts_with("# shop.tide")
    });
    policies.map(|(_, text)| text).collect()
}

/// What is shown is what `fmt` makes of it.
#[test]
fn every_policy_that_is_shown_has_the_one_layout() {
    let mut shown = Vec::new();
    for path in files(&repository().join("examples"), ".tide") {
        shown.push((path.clone(), fs::read_to_string(&path).expect("text")));
    }
    let mut pages = files(&repository().join("docs"), ".md");
    pages.extend(files(&repository().join("examples"), ".md"));
    pages.push(repository().join("README.md"));
    for path in pages {
        let page = fs::read_to_string(&path).expect("text");
        shown.extend(
            policies(&page)
                .iter()
                .map(|text| (path.clone(), (*text).to_owned())),
        );
    }
    let mut other = Vec::new();
    let mut same = 0;
    for (path, text) in shown {
        match laid_out(&text) {
            Some(new) if new != text => other.push(path.display().to_string()),
            // Pages of codes show mistakes.
            new => same += usize::from(new.is_some()),
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
    assert!(same > 100, "only {same}");
}

/// Returns a policy in its layout; nothing where it has mistakes in its syntax.
fn laid_out(text: &str) -> Option<String> {
    let source = SourceMap::default().add("policy.tide", text);
    tidegate::format::format(source, text, &mut Diagnostics::default())
}

/// The policies of the tests are not all laid out well, but can be.
#[test]
fn every_policy_of_the_repository_keeps_its_meaning_when_laid_out() {
    let mut paths = files(&repository().join("examples"), ".tide");
    paths.extend(files(&repository().join("tests"), ".tide"));
    assert!(paths.len() > 10, "only {}", paths.len());
    for path in paths {
        let text = fs::read_to_string(&path).expect("text");
        // One waits for addresses that its test fills in.
        let names = ["AT_WEB", "AT_DB", "AT_AUX"];
        let text = names
            .iter()
            .fold(text, |text, name| text.replace(name, "172.17.0.2"));
        crate::props::fmt::check(&text);
    }
}

/// Returns the names of tidegate's metrics in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    words.filter(|word| word.starts_with("tidegate_")).collect()
}

/// An alert on a metric that is not there never comes.
#[test]
fn the_metrics_that_monitoring_names_exist() {
    let source = text("src/deploy/metrics.rs");
    let code = source.split("#[cfg(test)]").next().expect("code");
    let exist = metrics(code);
    assert_eq!(metrics(&text("docs/monitoring.md")), exist);
    for file in ["tidegate.rules.yml", "grafana.json"] {
        let named = text(&format!("examples/monitoring/{file}"));
        let named = metrics(&named);
        assert!(named.len() > 2, "{file}");
        assert!(named.is_subset(&exist), "{file}: {named:?}");
    }
    let board = text("examples/monitoring/grafana.json");
    serde_json::from_str::<serde_json::Value>(&board).expect("JSON");
    let rules = text("examples/monitoring/tidegate.rules.yml");
    serde_yaml::from_str::<serde_json::Value>(&rules).expect("YAML");
}

/// A test file that nobody names is a test that never runs.
#[test]
fn every_folder_of_tests_is_part_of_the_program() {
    let main = text("tests/main.rs");
    for path in files(&repository().join("tests"), "mod.rs") {
        let folder = path.parent().and_then(Path::file_name).expect("a folder");
        let line = format!("mod {};", folder.to_string_lossy());
        let listed =
            main.contains(&line) || path.components().any(|part| part.as_os_str() == "target");
        assert!(listed, "tests/main.rs does not name {}", path.display());
    }
}

/// The same of a part's own tests.
#[test]
fn every_folder_of_unit_tests_is_part_of_the_library() {
    for path in files(&repository().join("src"), "tests/mod.rs") {
        let part = path.ancestors().nth(2).expect("a part").join("mod.rs");
        let parent = fs::read_to_string(&part).expect("a module");
        assert!(
            parent.contains("\nmod tests;\n"),
            "{} names no tests",
            part.display()
        );
    }
}

/// Which parts of the library may use which; a part may always use itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("hash", &[]),
    ("source", &[]),
    ("net", &[]),
    ("diagram", &["net"]),
    ("yaml", &[]),
    ("compose", &["net", "yaml"]),
    ("diag", &["source"]),
    ("syntax", &["diag", "source"]),
    ("facts", &["net", "syntax", "yaml"]),
    ("format", &["diag", "source", "syntax"]),
    ("policy", &["diag", "facts", "net", "source", "syntax"]),
    (
        "import",
        &[
            "compose", "diag", "facts", "format", "net", "policy", "source", "syntax",
        ],
    ),
    ("netfilter", &["hash", "net", "policy", "source"]),
    (
        "meaning",
        &["diagram", "net", "netfilter", "policy", "source"],
    ),
    ("lint", &["diag", "diagram", "meaning", "policy", "source"]),
    ("sysctl", &["policy", "source"]),
    (
        "lsp",
        &[
            "compile", "diag", "format", "net", "policy", "question", "source", "syntax",
        ],
    ),
    ("artifact", &["hash", "netfilter"]),
    (
        "compare",
        &["artifact", "diag", "facts", "net", "netfilter", "policy"],
    ),
    (
        "question",
        &[
            "artifact",
            "diagram",
            "meaning",
            "net",
            "netfilter",
            "policy",
            "source",
        ],
    ),
    ("picture", &["diag", "net", "policy", "question"]),
    (
        "report",
        &["diag", "hash", "picture", "policy", "question", "source"],
    ),
    (
        "compile",
        &[
            "artifact",
            "diag",
            "diagram",
            "facts",
            "hash",
            "lint",
            "meaning",
            "net",
            "netfilter",
            "policy",
            "question",
            "source",
            "sysctl",
        ],
    ),
    (
        "host",
        &["artifact", "diag", "facts", "netfilter", "policy"],
    ),
    (
        "deploy",
        &[
            "artifact",
            "compare",
            "compile",
            "diag",
            "facts",
            "hash",
            "host",
            "netfilter",
            "policy",
            "question",
        ],
    ),
    (
        "doctor",
        &["artifact", "deploy", "diag", "host", "netfilter"],
    ),
    (
        "cli",
        &[
            "artifact",
            "compare",
            "compile",
            "compose",
            "deploy",
            "diag",
            "doctor",
            "facts",
            "format",
            "host",
            "import",
            "lsp",
            "netfilter",
            "picture",
            "policy",
            "question",
            "report",
            "source",
        ],
    ),
];

#[test]
fn parts_of_the_library_use_only_those_below_them() {
    let src = repository().join("src");
    for path in files(&src, ".rs") {
        let inner = path.strip_prefix(&src).expect("below src");
        let part = inner
            .iter()
            .next()
            .expect("a part")
            .to_string_lossy()
            .replace(".rs", "");
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == part) else {
            assert!(
                ["lib", "main"].contains(&part.as_str()),
                "{part} is in no layer"
            );
            continue;
        };
        let text = fs::read_to_string(&path).expect("text");
        // Tests may look further.
        let text = text.split("#[cfg(test)]").next().unwrap_or("");
        if inner.iter().any(|part| part == "tests") || inner.to_string_lossy().ends_with("tests.rs")
        {
            continue;
        }
        for used in text.split("crate::").skip(1) {
            let used: String = used
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            let fine = used == part || used.is_empty() || below.contains(&used.as_str());
            assert!(fine, "{} uses {used}", path.display());
        }
    }
}
