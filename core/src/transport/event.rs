//! What a session is told about the way of its lines, whichever version that is.

use alloc::string::String;
use core::time::Duration;

use crate::base::text::Text;
use crate::client::ApiError;
use crate::transport::outbox::SetBack;

/// What a link reports to its session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LinkEvent {
    /// It is up: each side knows what the other has.
    Up,
    /// The connection failed; the next attempt follows after the pause.
    Down { reason: String, retry_in: Duration },
    /// The relay has a line for the agent, the one of this number.
    Line { number: u64, line: Text },
    /// A person asked for the session to end.
    Stop,
    /// The relay refuses it. After a 401 it waits for another credential; after anything else it
    /// is over.
    Refused(ApiError),
    /// The session was leased to another worker.
    LeaseLost,
    /// The relay was set back to an earlier state, such as a backup. It goes on from there, and gets what
    /// it lacks as far as this side still holds it.
    SetBack(SetBack),
    /// It was set back so far that nobody can say what the agent has had.
    SetBackTooFar,
    /// The relay has lines of this session that this side has never sent: something else has spoken in
    /// its name, and nobody can say any more what was said.
    Overtaken,
    /// It kept failing for as long as is allowed.
    GaveUp { reason: String, failing_for: Duration },
    /// The relay no longer holds some lines that never arrived here.
    Gap { lines: u64 },
    /// Version 2 does not get through, for this reason: everything goes on by version 1 (C-4).
    FellBack { reason: String },
    /// What an earlier run of the agent was told, and this one has to be before anything else.
    Declared(Text),
}
