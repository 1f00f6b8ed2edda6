//! Any text is a policy, which becomes a bundle, or has mistakes, which are shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::artifact::Bundle;
use tidegate::compile::{compile, recovered};
use tidegate::diag::text::{Style, render};
use tidegate::policy::{LoadError, Loader};

struct One<'t>(&'t str);

impl Loader for One<'_> {
    fn load(&self, name: &str) -> Result<String, LoadError> {
        let known = name == "policy.tide";
        known.then(|| self.0.to_owned()).ok_or(LoadError::Missing)
    }
}

fuzz_target!(|text: &str| {
    let compiled = compile(&One(text), "policy.tide");
    let style = Style {
        colour: false,
        width: 100,
    };
    let _ = render(&compiled.diagnostics, &compiled.sources, "", style);
    assert_eq!(compiled.has_errors(), compiled.bundles.is_empty());
    for bundle in compiled.bundles {
        recovered(bundle.manifest()).expect("it is our own");
        let again = Bundle::read(bundle.files().clone());
        assert_eq!(again.as_ref(), Ok(&bundle));
    }
});
