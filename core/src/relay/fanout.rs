//! Who is notified of which change.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeSet;

use super::close;
use super::cx::Cx;
use super::http::error::ApiError;
use super::notice::RelayNotice;
use super::parts::Parts;
use super::push::Change;
use crate::store::{Changes, Session};
use crate::wire::session::SessionState;
use crate::wire::to_text;
use crate::wire::viewer::{OverviewFrame, SessionFrame};

/// Changes another relay made in the same store. They may arrive after this relay's own later
/// changes, so viewers then have to catch up on anything that came too early for them.
pub(super) fn fan_out_of_others(parts: &mut Parts, cx: &mut Cx, changes: Changes) {
    let sessions: BTreeSet<_> = changes.entries.iter().map(|(id, _)| id.clone()).collect();
    parts.push.on_changes(cx, &changes, Change::Others);
    tell_all(parts, cx, changes);
    for session in &sessions {
        parts.viewers.catch_up(cx, session);
    }
}

/// Changes that this relay has made.
pub(super) fn fan_out(parts: &mut Parts, cx: &mut Cx, changes: Changes) {
    parts.push.on_changes(cx, &changes, Change::Own);
    tell_all(parts, cx, changes);
}

fn tell_all(parts: &mut Parts, cx: &mut Cx, changes: Changes) {
    for environment in &changes.work_for {
        parts.polls.wake(cx, environment);
        parts.work_streams.wake(cx, environment);
    }
    for (session, entry) in &changes.entries {
        if parts.viewers.has_any(session) {
            parts.viewers.on_appended(cx, session, entry.seq, &SessionFrame::event(&entry.into()));
        }
    }
    for (session, answerer, callback) in &changes.callbacks {
        parts.viewers.on_callback(cx, session, answerer, callback);
    }
    for (session, until) in &changes.inbound {
        parts.links.on_inbound(cx, session, *until);
    }
    for (session, receipts) in &changes.receipts {
        parts.viewers.on_receipts(cx, session, *receipts);
    }
    for (session, state) in changes.states {
        cx.notify(RelayNotice::SessionState { session, state });
    }
    for session in &changes.sessions {
        session_changed(parts, cx, session);
    }
    for environment in &changes.environments {
        let frame = to_text(&OverviewFrame::Environment { environment: environment.into() });
        parts.overviews.on_changed(cx, &environment.owner, &frame);
    }
    for (owner, session) in &changes.sessions_gone {
        if changes.removed_for_room.contains(session) {
            let (session, owner) = (session.clone(), owner.name().to_owned());
            cx.notify(RelayNotice::SessionMadeRoom { session, owner });
        }
        let frame = to_text(&OverviewFrame::SessionGone { id: Cow::Borrowed(session) });
        parts.overviews.on_changed(cx, owner, &frame);
        for op in parts.viewers.of(session) {
            parts.viewers.close(cx, op, close::GONE);
        }
        parts.links.close_session(cx, session);
    }
    for device in changes.devices_gone {
        for op in cx.shared.devices.ops_of(&device) {
            cx.refuse(op, &ApiError::revoked());
            parts.close(cx, op, close::REVOKED);
        }
        cx.notify(RelayNotice::LoggedOut { device });
    }
    for (owner, environment) in changes.environments_gone {
        let frame = to_text(&OverviewFrame::EnvironmentGone { id: Cow::Borrowed(&environment) });
        parts.overviews.on_changed(cx, &owner, &frame);
        parts.polls.refuse_environment(cx, &environment);
        parts.work_streams.close_environment(cx, &environment);
        parts.links.close_environment(cx, &environment);
        cx.notify(RelayNotice::EnvironmentGone { environment });
    }
}

/// A session has changed: in the store, or because its link has come up or gone down.
pub(super) fn session_changed(parts: &mut Parts, cx: &mut Cx, session: &Session) {
    if session.is_stopping {
        parts.links.stop(cx, &session.id);
    }
    if session.state == SessionState::Ended {
        parts.links.drain(cx, &session.id);
    }
    // Subscriptions and the overview use the same frame for it.
    let frame = to_text(&SessionFrame::Session { session: cx.view(session) });
    parts.viewers.on_changed(cx, &session.id, &frame);
    parts.overviews.on_changed(cx, &session.owner, &frame);
}
