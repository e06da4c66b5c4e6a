//! Connections that end before their time, and what each end learns of it.

use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::mutants::Mutant;
use crate::scenario::cast::RELAY;
use crate::sim::network::conn::{Arrival, ConnId, ConnKind};
use crate::sim::party::{Address, End, Op};
use crate::sim::world::{World, failure};

impl World {
    /// One end learns that its connection is gone.
    pub(super) fn broken_at(&mut self, to: Address, kind: IoErrorKind, was_open: bool) {
        let hears = self.options.mutant != Some(Mutant::LosesTrack) || to.party != RELAY;
        if !self.is_alive(to) || !hears {
            return;
        }
        let op = to.op;
        match self.parties[to.party].ops.get(&op) {
            Some(Op::Request(_)) => self.tell(to, Event::Failed { op, failure: failure(kind) }),
            Some(Op::Stream(..)) => {
                // Before it was open it fails, after that it closes.
                let event = if was_open {
                    Event::Closed { op, code: None, failure: Some(failure(kind)) }
                } else {
                    Event::Failed { op, failure: failure(kind) }
                };
                self.tell(to, event);
            }
            Some(Op::Exchange(_)) => {
                self.tell(to, Event::Closed { op, code: None, failure: Some(failure(kind)) });
            }
            _ => {}
        }
    }

    pub(crate) fn time_limit(&mut self, id: ConnId) {
        let Some(conn) = self.network.conns.get(&id) else { return };
        let Some(to) = conn.client else { return };
        let is_http = matches!(conn.kind, ConnKind::Http { .. });
        if is_http || !conn.label.starts_with("open ") {
            let failure = failure(IoErrorKind::TimedOut);
            self.abandon(id, End::Client, false);
            self.tell(to, Event::Failed { op: to.op, failure });
        }
    }

    /// One end lets go of a connection; the other learns it, unless it happens in silence.
    pub(crate) fn abandon(&mut self, id: ConnId, end: End, is_silent: bool) {
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        *conn.end_mut(end) = None;
        conn.is_swallowed |= is_silent;
        let is_untaken = conn.end(end.other()).is_none() && end == End::Client;
        // A client that left before anybody took its request may have sent it already.
        if is_untaken && (conn.asked.is_none() || self.rng.bool()) {
            self.network.conns.remove(&id);
        } else {
            self.put(id, end.other(), Arrival::Reset(IoErrorKind::Disconnected), 0);
        }
    }

    /// Nobody has acknowledged anything for too long: whoever is still there learns it.
    pub(crate) fn unacknowledged(&mut self, id: ConnId) {
        if self.network.conns.get(&id).is_some_and(|conn| conn.is_swallowed) {
            self.reset(id);
        }
    }

    /// A connection breaks in the middle, and both ends are told.
    pub(crate) fn reset(&mut self, id: ConnId) {
        for end in [End::Client, End::Server] {
            let Some(conn) = self.network.conns.get(&id) else { return };
            let was_open = end == End::Server || conn.label.starts_with("open ");
            if let Some(to) = conn.end(end) {
                self.broken_at(to, IoErrorKind::Disconnected, was_open);
            }
        }
        self.network.conns.remove(&id);
    }
}
