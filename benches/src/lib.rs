//! How fast Footbridge is.
//!
//! The commands, what each shows and what came of it are in the package's `README.md`.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`running`] | the real program, started and used as someone's scripts would |
//! | [`worker`], [`relay`] | each machine by hand: the runtime's part takes no time, so only the machine is measured |
//! | [`paths`] | the hot paths, for time and for instructions |
//! | [`storm`] | many workers that lose their relay at once |
//! | [`attacks`] | what somebody does who wants a relay to serve nobody else |
//! | [`counts`] | counts that are checked in |

pub mod attacks;
pub mod counts;
pub mod paths;
pub mod relay;
pub mod running;
pub mod storm;
pub mod worker;
