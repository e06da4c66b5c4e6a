//! One run: what it is made from, who takes part, how it begins and ends, and how a failure shrinks.

mod cast;
mod life;
mod limits;
pub(crate) mod options;
pub(crate) mod run;
pub(crate) mod shrink;
mod start;
