//! One run: its options, who takes part, how it begins and ends, and how a failure is shrunk.

mod cast;
mod life;
mod limits;
pub(crate) mod options;
pub(crate) mod run;
pub(crate) mod shrink;
mod start;
