//! What viewers watch: one session's log, or the overview of everything. Links share
//! [`outgoing`] with them.

pub(in crate::relay) mod outgoing;
pub(in crate::relay) mod overviews;
mod viewer_stream;
pub(in crate::relay) mod viewers;
pub(in crate::relay) mod watching;
