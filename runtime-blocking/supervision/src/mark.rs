//! The mark that a process and everything that it starts carry in their environment.
//!
//! `FOOTBRIDGE_TREE` holds one word for each worker that a process descends from, the innermost
//! last: `Xy1-.4026531836.812.51966.0.17` is operation 17 of the first supervisor of the process 812,
//! which was started 51966 ticks after the machine, is in the process namespace 4026531836, and
//! works for the owner `Xy1-`.

use std::env;
use std::sync::OnceLock;

/// The variable.
pub(crate) const VARIABLE: &str = "FOOTBRIDGE_TREE";
/// Workers inside agents of workers: the outermost of more than this many are forgotten.
const MAX_NESTED: usize = 8;

/// In the place of an owner: there is none, and no later run ends what this one leaves.
#[cfg(target_os = "linux")]
const NOBODY: &str = "-";
static OWNER: OnceLock<String> = OnceLock::new();

/// Sets the owner of what this process starts from now on. The first one counts.
pub(crate) fn set_owner(name: &str) {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = name.chars().filter(|c| is_safe(*c)).collect();
    if !name.is_empty() {
        let _ = OWNER.set(name);
    }
}

/// The owner of what this process starts, if it has one.
#[cfg(target_os = "linux")]
pub(crate) fn owner() -> Option<&'static str> {
    OWNER.get().map(String::as_str)
}

/// The same, as it begins a mark.
#[cfg(target_os = "linux")]
pub(crate) fn owner_word() -> &'static str {
    owner().unwrap_or(NOBODY)
}

/// The value of the variable for a process with this mark of this process's own.
pub(crate) fn value(own: &str) -> String {
    let inherited = env::var(VARIABLE).unwrap_or_default();
    let mut words: Vec<_> = inherited.split(' ').filter(|word| !word.is_empty()).collect();
    words.push(own);
    words.split_off(words.len().saturating_sub(MAX_NESTED)).join(" ")
}
