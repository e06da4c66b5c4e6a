//! What everything that runs an agent shares: its process, what it prints, what it asks.

mod answer;
pub(crate) mod answerer;
pub(crate) mod audience;
pub(crate) mod conversation;
pub(crate) mod output;
pub(crate) mod process;
pub(crate) mod questions;
pub(crate) mod served;
