//! Environments, sessions and events as viewers see them: what the store holds, as shapes of the
//! wire.

use alloc::borrow::Cow;

use bytes::Bytes;

use super::response::{self, json};
use crate::contract::action::Response;
use crate::store::{Device, Entry, Environment, Healthcheck, Page, ReceiptPage, Session};
use crate::wire::device::{DeviceView, Devices};
use crate::wire::session::SessionState;
use crate::wire::viewer::{
    EnvironmentList, EnvironmentView, EventView, HealthcheckView, ReceiptList, SessionView,
    write_page,
};

impl<'a> From<&'a Environment> for EnvironmentView<'a> {
    fn from(environment: &'a Environment) -> Self {
        let registration = &environment.registration;
        Self {
            id: Cow::Borrowed(&environment.id),
            machine_name: Cow::Borrowed(&registration.machine_name),
            directory: Cow::Borrowed(&registration.directory),
            branch: registration.branch.as_deref().map(Cow::Borrowed),
            git_repo_url: registration.git_repo_url.as_deref().map(Cow::Borrowed),
            worker_type: Cow::Borrowed(&registration.metadata.worker_type),
            max_sessions: registration.max_sessions,
            active_sessions: environment.active_sessions,
            online: environment.is_online,
            draining: environment.is_draining,
            created_at: environment.created_at,
            last_seen_at: environment.last_seen_at,
            last_healthcheck: environment.last_healthcheck.map(HealthcheckView::from),
        }
    }
}

impl From<Healthcheck> for HealthcheckView {
    fn from(Healthcheck { asked_at, answered_at }: Healthcheck) -> Self {
        Self { asked_at, answered_at }
    }
}

/// A session, and whether its worker's link is up.
pub(in crate::relay) fn session(session: &Session, connected: bool) -> SessionView<'_> {
    SessionView {
        id: Cow::Borrowed(&session.id),
        environment_id: Cow::Borrowed(&session.environment),
        title: session.title.as_deref().map(Cow::Borrowed),
        state: session.state,
        connected,
        stopping: session.is_stopping,
        worker_draining: session.is_worker_draining && session.state == SessionState::Queued,
        archived: session.is_archived,
        pending_permissions: Cow::Borrowed(&session.pending),
        receipts: session.receipts,
        activities: Cow::Borrowed(&session.activities),
        working: session.is_working && session.state != SessionState::Ended,
        created_at: session.created_at,
        updated_at: session.updated_at,
        first_seq: session.first_seq,
        last_seq: session.last_seq,
        result: session.result.as_ref().map(Cow::Borrowed),
        worktree: session.worktree.as_ref().map(Cow::Borrowed),
    }
}

impl<'a> From<&'a Entry> for EventView<'a> {
    fn from(Entry { seq, at, origin, line }: &'a Entry) -> Self {
        Self { seq: *seq, at: *at, from: *origin, message: line.as_str() }
    }
}

pub(in crate::relay) fn environments(environments: &[Environment]) -> Response {
    let environments = environments.iter().map(EnvironmentView::from).collect();
    response::json(200, &EnvironmentList { environments })
}

/// The receipts of a session as an answer.
pub(in crate::relay) fn receipts(ReceiptPage { receipts, open, failed }: &ReceiptPage) -> Response {
    let list =
        ReceiptList { receipts: *receipts, open: open.clone(), failed: Cow::Borrowed(failed) };
    response::json(200, &list)
}

/// A page of the log as an answer.
pub(in crate::relay) fn page(Page { session, entries }: &Page) -> Response {
    let events = entries.iter().map(EventView::from);
    let page = write_page(events, session.first_seq, session.last_seq);
    response::json_bytes(200, Bytes::from(page))
}

/// The devices of a person.
pub(in crate::relay) fn devices(devices: &[Device]) -> Response {
    let view = |device: &Device| DeviceView {
        id: device.id.clone(),
        name: Cow::Owned(device.name.clone()),
        scope: device.scopes,
        created_at: device.created_at,
        last_used_at: device.last_used_at,
        address: Cow::Owned(device.address.clone()),
        trusted_at: device.trust.map(|trust| trust.at),
    };
    json(200, &Devices { devices: devices.iter().map(view).collect() })
}
