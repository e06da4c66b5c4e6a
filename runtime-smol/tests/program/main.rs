//! The program `footbridge`, run as people run it.

mod agent;
mod answer_link;
mod attach;
mod attacks;
mod both_killed;
mod chat;
mod check;
mod client;
mod command_line;
mod config;
mod credential;
mod direct;
mod keyring;
mod log;
mod log_in;
mod mirror;
#[cfg(feature = "tls")]
mod oidc;
mod peers;
mod people;
mod restart;
mod running;
mod seeds;
mod set_back;
mod shared_log_in;
mod sign_in;
mod storm;
mod terminal;
#[cfg(feature = "tls")]
mod tls;
mod up;
mod worktree;
