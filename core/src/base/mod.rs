//! The values that everything else is made of: identifiers, time, secrets, text, and the named
//! limits. Nothing here knows the protocol, and nothing here imports anything above it.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`id`] | identifiers that are always checked when built (E-8), and the ids of operations |
//! | `few` | a list of what mostly is one thing |
//! | [`time`] | the two clocks, and why every call passes both in |
//! | [`secret`] | text that is never shown, and wiped when dropped (T-5) |
//! | [`io_error`] | why an operation in the outside world failed |
//! | [`text`] | bytes known to be UTF-8 |
//! | [`limits`] | the name of every bound |

pub(crate) mod few;
pub mod id;
pub mod io_error;
pub mod limits;
pub mod secret;
pub mod text;
pub mod time;
pub(crate) mod trace;
