//! Who watches all of their environments and sessions.
//!
//! Whoever is too slow for the changes is left alone until everything on the way has arrived, and is
//! then told the whole state anew.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::base::id::OpId;
use crate::base::limits::VIEWER_ALIVE_EVERY;
use crate::base::text::Text;
use crate::contract::action::Message;
use crate::contract::event::IncomingRequest;
use crate::relay::exchange::{Pending, wants_websocket};
use crate::relay::http::response::ApiError;
use crate::relay::streams::Outgoing;
use crate::relay::streams::viewers::{MAX_VIEWER_MESSAGE, protocol_of};
use crate::relay::{Purpose, Relay, Timer, close};
use crate::store::{AccountId, Answer, StoreError, StoreOp};
use crate::wire::to_text;
use crate::wire::viewer::{EnvironmentView, OverviewFrame};

#[derive(Default)]
pub(in crate::relay) struct Overviews {
    by_op: BTreeMap<OpId, Overview>,
}

impl Overviews {
    pub(in crate::relay) fn ops(&self) -> Vec<OpId> {
        self.by_op.keys().copied().collect()
    }
}

struct Overview {
    owner: AccountId,
    state: State,
    outgoing: Outgoing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The stream is not open yet.
    Opening,
    /// The store was asked for everything.
    Reading,
    /// It has the state and hears of each change.
    Current,
    /// It has missed a change.
    Stale,
}

impl Relay {
    pub(in crate::relay) fn watch_overview(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        owner: AccountId,
    ) -> Result<(), ApiError> {
        wants_websocket(asked)?;
        let watching = self.overviews.by_op.values().filter(|other| other.owner == owner).count();
        let is_full = watching >= self.config.max_subscribers;
        let purpose = if is_full { Purpose::CloseOnOpen(close::LIMIT) } else { Purpose::Overview };
        if self.upgrade(op, purpose, protocol_of(asked), MAX_VIEWER_MESSAGE) && !is_full {
            let outgoing = Outgoing::default();
            let overview = Overview { owner, state: State::Opening, outgoing };
            self.overviews.by_op.insert(op, overview);
        }
        Ok(())
    }

    pub(in crate::relay) fn overview_opened(&mut self, op: OpId) {
        self.timers.set(Timer::ViewerKeepalive(op), self.fx.now().mono + VIEWER_ALIVE_EVERY);
        self.read_overview(op);
    }

    fn read_overview(&mut self, op: OpId) {
        let Some(overview) = self.overviews.by_op.get_mut(&op) else { return };
        overview.state = State::Reading;
        let owner = overview.owner.clone();
        self.store(Pending::Overview { op }, StoreOp::List { owner });
    }

    pub(in crate::relay) fn overview_read(&mut self, op: OpId, answer: Result<Answer, StoreError>) {
        let Ok(Answer::Overview { environments, sessions }) = answer else { return };
        let environments = environments.iter().map(EnvironmentView::from).collect();
        let sessions = sessions.iter().map(|session| self.session_view(session)).collect();
        let told = to_text(&OverviewFrame::Overview { environments, sessions });
        if let Some(overview) = self.overviews.by_op.get_mut(&op) {
            overview.state = State::Current;
            self.send_to_overview(op, told);
        }
    }

    /// A change, for everybody of this person. While the store is being asked, it is in the answer
    /// or comes after it: the store answers in order.
    pub(in crate::relay) fn tell_overviews(&mut self, owner: &AccountId, told: &Text) {
        for op in self.overviews.ops() {
            let credit = self.config.stream_credit;
            let Some(overview) = self.overviews.by_op.get_mut(&op) else { continue };
            if overview.owner != *owner || overview.state != State::Current {
                continue;
            }
            if overview.outgoing.bytes() < credit {
                self.send_to_overview(op, told.clone());
            } else {
                overview.state = State::Stale;
            }
        }
    }

    fn send_to_overview(&mut self, op: OpId, told: Text) {
        let Some(overview) = self.overviews.by_op.get_mut(&op) else { return };
        let message = Message::Text(told);
        overview.outgoing.add(&message);
        self.watch_stream(op);
        self.send(op, message);
    }

    pub(in crate::relay) fn overview_sent(&mut self, op: OpId, messages: usize) {
        let Some(overview) = self.overviews.by_op.get_mut(&op) else { return };
        overview.outgoing.sent(messages);
        let is_idle = overview.outgoing.is_empty();
        let is_stale = overview.state == State::Stale;
        self.stream_moved(op, is_idle);
        if is_idle && is_stale {
            self.read_overview(op);
        }
    }

    pub(in crate::relay) fn say_overview_alive(&mut self, op: OpId, told: Text) {
        let overview = self.overviews.by_op.get(&op);
        if overview.is_some_and(|overview| overview.outgoing.is_empty()) {
            self.send_to_overview(op, told);
        }
    }

    pub(in crate::relay) fn forget_overview(&mut self, op: OpId) {
        self.overviews.by_op.remove(&op);
    }
}
