//! A session in a terminal, as a model of what is shown (R-6): notices and keys in, frames and wishes out.
//!
//! ```text
//!                     ┌──────────────── Model ────────────────┐
//!   RemoteNotice ───▶ │ transcript: entries, folds, scrolling │ ───▶ Frame: lines with styles
//!   Key, size    ───▶ │ panel: questions    editor: input     │ ───▶ Wish: a command, or a deed
//!                     └───────────────────────────────────────┘
//!                          ▲ Keys: bytes                ▼ Painter: bytes
//!                     ┌────┴──────────── Tty ──────────────────┐
//!                     │ raw mode, its size, what restores it   │
//!                     └────────────────────────────────────────┘
//! ```
//!
//! All but `tty` is pure: no terminal, no clock, no connection. It knows the vocabulary of a viewer, and
//! no viewer: whatever tells [`RemoteNotice`](footbridge_core::remote::RemoteNotice)s can be shown.
//!
//! | file | part |
//! | --- | --- |
//! | `text` | what somebody else has written, so that it does nothing but show itself |
//! | `line`, `style` | lines with styles, wrapped to a width |
//! | `markdown`, `diff` | the two that need a library |
//! | `tools`, `entry`, `reading` | one thing of a transcript, what it looks like, and where it comes from |
//! | `transcript` | all of them: order, folds, scrolling, memory |
//! | `facts` | what the agent has said about itself: commands, model, mode |
//! | `editor`, `completion` | what a person types |
//! | `question`, `choices`, `panel` | what the agent asks, and what a key answers |
//! | `known`, `standing` | what the session is doing, and what the terminal is to it: a viewer's, or the agent's own |
//! | `model` | all of that on one screen |
//! | `keys`, `paint`, `tty` | from bytes, to bytes, and the terminal itself |

mod choices;
mod completion;
mod diff;
mod editor;
mod entry;
mod facts;
mod keys;
mod known;
mod limits;
mod line;
mod markdown;
mod model;
mod paint;
mod panel;
mod question;
mod reading;
mod standing;
mod status;
mod style;
#[cfg(test)]
mod tests;
pub(in crate::program) mod text;
mod tools;
mod transcript;
mod tty;

pub(in crate::program) use keys::Keys;
pub(in crate::program) use known::{Doing, Known};
pub(in crate::program) use limits::OLDER;
pub(in crate::program) use model::{Model, Wish};
pub(in crate::program) use paint::{Colours, Painter};
pub(in crate::program) use standing::Standing;
pub(in crate::program) use tty::{Tty, write_frame};
