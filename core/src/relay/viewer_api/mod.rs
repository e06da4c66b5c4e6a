//! The viewers' side: environments, sessions, answers to questions (M).

pub(in crate::relay) mod permission;
pub(in crate::relay) mod sessions;
