//! The codes that name each kind of mistake.

use std::fmt;

/// A stable code such as `T0203`; the first two digits name the stage: 01 syntax, 02 names, 03
/// meaning, 04 rules, 05 host. A code is never used again for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Declares each code as a constant, and the table of all.
macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Code = Code($code);)*

        /// Every code with its meaning in one line.
        pub const ALL: &[(Code, &str)] = &[$(($name, $meaning)),*];
    };
}

codes! {
    FILE_TOO_LARGE = "T0101", "A policy file is larger than 1 MiB.";
    NOT_TEXT = "T0102", "A policy file holds control characters or hidden ones.";
    TOO_MANY_MISTAKES = "T0103", "A file has so many mistakes that reading stopped.";
    TOO_COMPLEX = "T0104", "A text takes more steps to read than any real policy does.";
    LIST_TOO_LONG = "T0105", "A list or a set has too many entries.";
    NAME_TOO_LONG = "T0106", "A name has more than 64 characters.";
    TOO_DEEP = "T0107", "Brackets are nested too deep.";
    NUMBER_TOO_LARGE = "T0108", "A number does not fit.";
    UNEXPECTED = "T0110", "Something else is expected here.";
    UNKNOWN_WORD = "T0111", "No item, setting or statement starts with this word.";
    MISPLACED = "T0112", "A statement stands outside the block that it belongs to.";
    UNCLOSED_BLOCK = "T0113", "A block has no closing brace.";
    UNOPENED_BLOCK = "T0114", "A block has no opening brace at the end of its first line.";
    UNCLOSED_TEXT = "T0115", "A text in quotes does not end on its line.";
    RESERVED_WORD = "T0116", "A word is reserved for a later version of the language.";
    BUILT_IN_NAME = "T0117", "A name that has a meaning of its own is declared.";
    ADDRESS_AS_NAME = "T0118", "An address stands where only a name can.";
}
