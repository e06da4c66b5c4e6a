//! How both sides find out on a new connection where they are: also after the relay was set back to an
//! earlier state.

use super::event::LinkEvent;
use super::inbox::{CannotTell, Inbox};
use super::outbox::{Outbox, SetBack};

/// Where a relay says that it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// How many lines of this side it has.
    pub(super) received: u64,
    /// The line before the first that it still holds for this side.
    pub(super) from: u64,
    /// How many lines it takes at a time.
    pub(super) window: Option<u64>,
}

/// What a session has been told of that.
#[derive(Debug, Default)]
pub(super) struct Meeting {
    /// That its relay was set back.
    is_told: bool,
}

impl Meeting {
    /// Returns whether the connection can be used. `has_met` says whether both sides have met before.
    pub(super) fn meet(
        &mut self,
        (outbox, inbox): (&mut Outbox, &mut Inbox),
        Place { received, from, window }: Place,
        has_met: bool,
        each: &mut dyn FnMut(LinkEvent),
    ) -> bool {
        let Ok(lacks) = outbox.resume(received, window) else {
            each(LinkEvent::Overtaken);
            return false;
        };
        if lacks != SetBack::default() {
            self.tell_set_back(lacks, each);
        } else if !inbox.is_recognising() {
            self.is_told = false;
        }
        match inbox.resume(from) {
            // A session that ran elsewhere before has lines that were never meant for this agent.
            Ok(lines) if lines > 0 && has_met => each(LinkEvent::Gap { lines }),
            Ok(_) => {}
            Err(CannotTell) => each(LinkEvent::SetBackTooFar),
        }
        true
    }

    /// Says so once, however often both sides have to meet until they agree.
    pub(super) fn tell_set_back(&mut self, lacks: SetBack, each: &mut dyn FnMut(LinkEvent)) {
        if !core::mem::replace(&mut self.is_told, true) {
            each(LinkEvent::SetBack(lacks));
        }
    }
}
