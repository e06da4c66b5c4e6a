//! Which sessions are to end, of which the store could not keep that.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use crate::base::id::SessionId;
use crate::base::limits::MAX_UNSTORED_STOPS;
use crate::store::AccountId;
use crate::wire::audit::Actor;

/// Sessions that are to end.
#[derive(Debug, Default)]
pub(super) struct Stops {
    wanted: BTreeMap<SessionId, Stop>,
}

/// Whose session it is, and who wants it to end.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    pub(super) owner: AccountId,
    pub(super) by: Option<Box<Actor>>,
}

impl Stops {
    /// Whether a person wants this one to end.
    pub(super) fn has(&self, session: &SessionId) -> bool {
        self.wanted.contains_key(session)
    }

    /// A person wants this one to end. Returns whether there was room for one more.
    pub(super) fn want(&mut self, session: SessionId, stop: Stop) -> bool {
        let has_room = self.wanted.len() < MAX_UNSTORED_STOPS || self.has(&session);
        if has_room {
            self.wanted.entry(session).or_insert(stop);
        }
        has_room
    }

    /// The store has kept it, or there is nothing to keep.
    pub(super) fn stored(&mut self, session: &SessionId) {
        self.wanted.remove(session);
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<SessionId, Stop> {
        self.wanted.clone()
    }
}
