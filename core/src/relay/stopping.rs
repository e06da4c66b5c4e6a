//! That a session ends although the store can keep nothing, because its disk is full.
//!
//! What ends an agent needs no disk: its worker is told by its link, or with its next heartbeat. That is
//! said to be not stored yet, and is, once the store takes it. A relay that dies before then knows no
//! more of it; a worker that was told has ended its session all the same.

use super::cx::{Cx, RETRY_AFTER_FAILURE};
use super::http::error::ApiError;
use super::http::response;
use super::parts::Parts;
use super::pending::Pending;
use super::purpose::Timer;
use super::stops::Stop;
use crate::base::id::{OpId, SessionId};
use crate::store::{AccountId, Answer, StoreError, StoreOp};
use crate::wire::session::SessionState;

/// The store could not keep that a person wants a session to end. Whether it is theirs can still be
/// read.
pub(super) fn on_failed(cx: &mut Cx, op: OpId, owner: AccountId, id: SessionId) {
    let read = StoreOp::GetSession { owner: owner.clone(), id };
    cx.store(Pending::UnstoredStop { op, owner }, read);
}

/// It is this person's session.
pub(super) fn on_read(
    parts: &mut Parts,
    cx: &mut Cx,
    op: OpId,
    owner: AccountId,
    answer: Result<Answer, StoreError>,
) {
    let session = match answer {
        Ok(Answer::Session(session)) => session,
        Ok(_) => return cx.refuse(op, &ApiError::unavailable()),
        Err(error) => return cx.refuse(op, &error.into()),
    };
    if session.state == SessionState::Ended {
        let response = response::json(200, &cx.view(&session));
        return cx.reply(op, response);
    }
    let by = cx.shared.exchanges.actor(op);
    if !cx.shared.stops.want(session.id.clone(), Stop { owner, by }) {
        return cx.refuse(op, &ApiError::store_failed(None, false));
    }
    cx.engine.set_timer(Timer::Stops, RETRY_AFTER_FAILURE);
    parts.links.stop(cx, &session.id);
    let response = response::json(202, &cx.view(&session));
    cx.reply(op, response);
}

/// The store is asked again.
pub(super) fn on_timer(cx: &mut Cx) {
    for (id, Stop { owner, by }) in cx.shared.stops.all() {
        let pending = Pending::StopAgain { session: id.clone() };
        let stop = StoreOp::RequestStop { owner, id };
        cx.shared.store_calls.start(cx.engine, pending, stop, by);
    }
}

/// It has failed again.
pub(super) fn on_failed_again(cx: &mut Cx) {
    cx.engine.set_timer(Timer::Stops, RETRY_AFTER_FAILURE);
}
