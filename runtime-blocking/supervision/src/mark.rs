//! The mark that a process and everything that it starts carry in their environment.
//!
//! `FOOTBRIDGE_TREE` holds one word for each worker that a process descends from, the innermost
//! last: `4026531836.812.51966.0.17` is operation 17 of the first supervisor of the process 812,
//! which was started 51966 ticks after the machine and is in the process namespace 4026531836.

use std::env;

/// The variable.
pub(crate) const VARIABLE: &str = "FOOTBRIDGE_TREE";
/// Workers inside agents of workers: the outermost of more than this many are forgotten.
const MAX_NESTED: usize = 8;

/// The value of the variable for a process with this mark of this process's own.
pub(crate) fn value(own: &str) -> String {
    let inherited = env::var(VARIABLE).unwrap_or_default();
    let mut words: Vec<_> = inherited.split(' ').filter(|word| !word.is_empty()).collect();
    words.push(own);
    words.split_off(words.len().saturating_sub(MAX_NESTED)).join(" ")
}
