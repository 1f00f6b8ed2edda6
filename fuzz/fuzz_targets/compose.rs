//! Any text is a compose file or a mistake.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::compose::{Variables, dotenv, read};

fuzz_target!(|text: &str| {
    // What comes before a line of `---` gives the variables, if there is one.
    let (variables, text) = text.split_once("\n---\n").unwrap_or(("", text));
    let variables = dotenv(variables).unwrap_or_else(|_| Variables::new());
    let files = [("compose.yaml".to_owned(), text.to_owned())];
    if let Ok(project) = read(&files, "project", &variables) {
        for name in project.services.keys() {
            let _ = project.containers(name);
        }
    }
});
