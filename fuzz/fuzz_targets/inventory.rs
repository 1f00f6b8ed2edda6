//! Any text is an inventory, which is printed as it is read, or a mistake.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::inventory::Inventory;

fuzz_target!(|text: &str| {
    if let Ok(inventory) = Inventory::read(text) {
        assert_eq!(Inventory::read(&inventory.print()), Ok(inventory));
    }
});
