//! Any text is an inventory, which is printed as it is read, or a mistake.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::facts::Facts;

fuzz_target!(|text: &str| {
    if let Ok(inventory) = Facts::read(text) {
        assert_eq!(Facts::read(&inventory.print()), Ok(inventory));
    }
});
