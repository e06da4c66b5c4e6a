//! Who hears of what has changed.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::exchange::Pending;
use super::{RETRY_AFTER_FAILURE, Relay, RelayNotice, Timer, close};
use crate::base::id::SessionId;
use crate::store::{AccountId, Answer, Changes, Session, StoreError, StoreOp};
use crate::wire::session::SessionState;
use crate::wire::to_text;
use crate::wire::viewer::{OverviewFrame, SessionFrame};

impl Relay {
    pub(super) fn spread(&mut self, changes: Changes) {
        for environment in &changes.work_for {
            self.wake_polls(environment);
        }
        for (session, entry) in &changes.entries {
            if self.viewers.are_there(session) {
                self.event_came(session, entry.seq, &SessionFrame::event(&entry.into()));
            }
        }
        for (session, until) in &changes.inbound {
            self.inbound_grew(session, *until);
        }
        for (session, state) in changes.states {
            self.fx.notify(RelayNotice::SessionState { session, state });
        }
        for session in &changes.sessions {
            self.session_changed(session);
        }
        for environment in &changes.environments {
            let told = to_text(&OverviewFrame::Environment { environment: environment.into() });
            self.tell_overviews(&environment.owner, &told);
        }
        for (owner, session) in &changes.sessions_gone {
            let told = to_text(&OverviewFrame::SessionGone { id: Cow::Borrowed(session) });
            self.tell_overviews(owner, &told);
            let link: Vec<_> = self.links.of(session).into_iter().collect();
            for op in self.viewers.of(session).into_iter().chain(link) {
                self.close_stream(op, close::GONE);
            }
        }
        for (owner, environment) in changes.environments_gone {
            let told = to_text(&OverviewFrame::EnvironmentGone { id: Cow::Borrowed(&environment) });
            self.tell_overviews(&owner, &told);
            self.refuse_polls_of(&environment);
            for op in self.links.of_environment(&environment) {
                self.close_stream(op, close::GONE);
            }
            self.fx.notify(RelayNotice::EnvironmentGone { environment });
        }
    }

    fn session_changed(&mut self, session: &Session) {
        if session.is_stopping {
            self.tell_link_to_stop(&session.id);
        }
        if session.state == SessionState::Ended {
            self.let_link_linger(&session.id);
        }
        let view = self.session_view(session);
        // The overview has the same message for it.
        let told = to_text(&SessionFrame::Session { session: view });
        self.tell_viewers(&session.id, &told);
        self.tell_overviews(&session.owner, &told);
    }

    /// Has a session read anew, so that everybody learns whether its link is up.
    pub(super) fn read_anew(&mut self, owner: AccountId, session: SessionId) {
        let call = StoreOp::GetSession { owner: owner.clone(), id: session.clone() };
        self.store(Pending::Refresh { owner, session }, call);
    }

    /// The store failed to: nobody else would ever tell, so it is asked again.
    pub(super) fn read_anew_later(&mut self, owner: AccountId, session: SessionId) {
        self.unread.insert(session, owner);
        self.timers.set(Timer::Refresh, self.fx.now().mono + RETRY_AFTER_FAILURE);
    }

    pub(super) fn read_all_anew(&mut self) {
        for (session, owner) in core::mem::take(&mut self.unread) {
            self.read_anew(owner, session);
        }
    }

    /// A session was read anew, because its link has come or gone.
    pub(super) fn refresh(&mut self, answer: Result<Answer, StoreError>) {
        if let Ok(Answer::Session(session)) = answer {
            self.session_changed(&session);
        }
    }
}
