//! The program `footbridge`, run as people run it.

mod agent;
mod command_line;
mod running;
mod up;
