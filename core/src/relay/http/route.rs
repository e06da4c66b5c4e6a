//! The table of requests, and the way from method and path to a typed route. A path that exists, but
//! not for this method, is distinguished from one that does not exist.

use alloc::vec::Vec;

use crate::base::id::{DeviceId, EnvironmentId, IdError, PushId, SessionId, WorkId};
use crate::contract::action::Method::{self, Delete, Get, Head, Post, Put};
use crate::wire::device::Scope;
use crate::wire::session_name::canonical;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Route {
    Health,
    Ready,
    Version,
    Housekeeping,
    Proof,
    SignIn,
    SignInCodes,
    LogInMetadata,
    Oidc,
    OidcStart,
    OidcBack,
    BeginLogIn,
    Token,
    GiveBack,
    LogIn,
    AnswerLogIn,
    Devices,
    RevokeDevice(DeviceId),
    TrustDevice,
    Audit,
    WhoAmI,
    PushKey,
    Pushes,
    AddPush,
    RemovePush(PushId),
    TestPush(PushId),
    Register,
    Poll(EnvironmentId),
    WorkStream(EnvironmentId),
    Ack(EnvironmentId, WorkId),
    Heartbeat(EnvironmentId, WorkId),
    StopWork(EnvironmentId, WorkId),
    Redispatch(EnvironmentId, SessionId),
    NoteWorktree(EnvironmentId),
    Drain(EnvironmentId),
    Deregister(EnvironmentId),
    Ingress(SessionId),
    CreateCodeSession,
    Bridge(SessionId),
    WorkerStream(SessionId),
    WorkerEvents(SessionId),
    WorkerState(SessionId),
    WorkerHeartbeat(SessionId),
    Environments,
    Environment(EnvironmentId),
    Healthcheck(EnvironmentId),
    Sessions,
    CreateSession,
    Session(SessionId),
    ChangeSession(SessionId),
    DeleteSession(SessionId),
    Messages(SessionId),
    Permission(SessionId),
    PermissionLink(SessionId),
    ShowLinked,
    AnswerLinked,
    Callback(SessionId),
    Interrupt(SessionId),
    StopSession(SessionId),
    Worktree(SessionId),
    Events(SessionId),
    Subscribe(SessionId),
    Receipts(SessionId),
    Receipt(SessionId, u64),
    Overview,
    /// The page, or one of its files.
    Asset,
}

impl Route {
    /// The item the request is about.
    pub(in crate::relay) const fn work(&self) -> Option<&WorkId> {
        match self {
            Self::Ack(_, work) | Self::Heartbeat(_, work) | Self::StopWork(_, work) => Some(work),
            _ => None,
        }
    }

    /// What a device has to be allowed for this, if anything.
    pub(in crate::relay) const fn scope(&self, access: Access) -> Option<Scope> {
        match (access, self) {
            (_, Self::WhoAmI | Self::TrustDevice) => None,
            (Access::Registration | Access::CodeSession | Access::Bridge, _) => Some(Scope::Work),
            (_, Self::Permission(_) | Self::PermissionLink(_) | Self::Callback(_)) => {
                Some(Scope::Answer)
            }
            (
                _,
                Self::CreateSession
                | Self::Messages(_)
                | Self::Interrupt(_)
                | Self::StopSession(_)
                | Self::ChangeSession(_)
                | Self::DeleteSession(_)
                | Self::Worktree(_)
                | Self::Healthcheck(_),
            ) => Some(Scope::Drive),
            _ => Some(Scope::Watch),
        }
    }

    /// The environment and the session that a worker's call is about.
    pub(in crate::relay) const fn worker_subjects(
        &self,
    ) -> (Option<&EnvironmentId>, Option<&SessionId>) {
        match self {
            Self::Poll(id)
            | Self::WorkStream(id)
            | Self::Ack(id, _)
            | Self::Heartbeat(id, _)
            | Self::StopWork(id, _)
            | Self::Redispatch(id, _)
            | Self::NoteWorktree(id)
            | Self::Drain(id)
            | Self::Deregister(id) => (Some(id), None),
            Self::Ingress(id)
            | Self::Bridge(id)
            | Self::WorkerStream(id)
            | Self::WorkerEvents(id)
            | Self::WorkerState(id)
            | Self::WorkerHeartbeat(id) => (None, Some(id)),
            _ => (None, None),
        }
    }
}

/// Why there is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum RouteError {
    Path,
    Method,
    Id(IdError),
}

impl From<IdError> for RouteError {
    fn from(bad: IdError) -> Self {
        Self::Id(bad)
    }
}

/// Which credential a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Access {
    /// None.
    Anybody,
    /// None is shown: it is a question that only somebody with a credential can ask.
    Question,
    /// A person's: at a browser, with the access token, or a device's that is allowed this.
    Person,
    /// A person's, but no device's, because it is about devices.
    Approval,
    /// A person's access token, because it makes other credentials.
    Owner,
    /// What registers a machine.
    Registration,
    /// What signs a browser in.
    SignIn,
    /// The secret of the environment in the path.
    Environment,
    /// The token of the work item in the path.
    Lease,
    /// The token of the session in the path.
    Session,
    /// A person's access token, or a device's that may register machines: it makes a session of
    /// version 2.
    CodeSession,
    /// The same, or the token of the session in the path.
    Bridge,
    /// What a bridge has given for the session in the path.
    CodeWorker,
    /// A link that answers one question.
    AnswerLink,
}

/// What a request consists of besides its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Sends {
    /// Nothing: a body is not read.
    Nothing,
    Body,
}

/// A request of the interface.
#[derive(Debug)]
pub(in crate::relay) struct Row {
    pub(in crate::relay) method: Method,
    /// Its path; each segment in braces is an id or a number.
    pub(in crate::relay) path: &'static str,
    pub(in crate::relay) access: Access,
    pub(in crate::relay) sends: Sends,
    make: Make,
}

/// How a route is made of what stands in the path's braces.
#[derive(Debug)]
enum Make {
    Plain(Route),
    Environment(fn(EnvironmentId) -> Route),
    Work(fn(EnvironmentId, WorkId) -> Route),
    Redispatch(fn(EnvironmentId, SessionId) -> Route),
    Session(fn(SessionId) -> Route),
    Receipt(fn(SessionId, u64) -> Route),
    Device(fn(DeviceId) -> Route),
    Push(fn(PushId) -> Route),
}

const fn row(method: Method, path: &'static str, access: Access, sends: Sends, make: Make) -> Row {
    Row { method, path, access, sends, make }
}

/// The path of the page's files: whatever is in no other row, and not below the interface.
const ASSETS: &str = "/{file}";

/// Every request of the interface. Of two paths that both fit, the first one counts.
#[rustfmt::skip]
pub(in crate::relay) static TABLE: [Row; 68] = {
    use Access::{AnswerLink, Anybody, Approval, Bridge, CodeSession, CodeWorker, Environment, Lease, Owner, Person, Question, Registration, Session, SignIn};
    use Sends::{Body, Nothing};
    [
        row(Get, "/health", Anybody, Nothing, Make::Plain(Route::Health)),
        row(Get, "/ready", Anybody, Nothing, Make::Plain(Route::Ready)),
        row(Get, "/v1/version", Anybody, Nothing, Make::Plain(Route::Version)),
        row(Get, "/v1/housekeeping", Anybody, Nothing, Make::Plain(Route::Housekeeping)),
        row(Get, "/v1/proof", Question, Nothing, Make::Plain(Route::Proof)),
        row(Post, "/v1/sign-in", SignIn, Nothing, Make::Plain(Route::SignIn)),
        row(Post, "/v1/sign-in/codes", Owner, Nothing, Make::Plain(Route::SignInCodes)),
        row(Get, "/v1/oidc", Anybody, Nothing, Make::Plain(Route::Oidc)),
        row(Get, "/v1/oidc/start", Anybody, Nothing, Make::Plain(Route::OidcStart)),
        row(Get, "/v1/oidc/callback", Anybody, Nothing, Make::Plain(Route::OidcBack)),
        row(Get, "/.well-known/oauth-authorization-server", Anybody, Nothing, Make::Plain(Route::LogInMetadata)),
        row(Post, "/v1/oauth/device_authorization", Anybody, Body, Make::Plain(Route::BeginLogIn)),
        row(Post, "/v1/oauth/token", Anybody, Body, Make::Plain(Route::Token)),
        row(Post, "/v1/oauth/revoke", Anybody, Body, Make::Plain(Route::GiveBack)),
        row(Get, "/v1/oauth/device", Approval, Nothing, Make::Plain(Route::LogIn)),
        row(Post, "/v1/oauth/device", Approval, Body, Make::Plain(Route::AnswerLogIn)),
        row(Get, "/v1/devices", Approval, Nothing, Make::Plain(Route::Devices)),
        row(Post, "/v1/devices/{id}/revoke", Approval, Nothing, Make::Device(Route::RevokeDevice)),
        row(Post, "/api/auth/trusted_devices", Person, Body, Make::Plain(Route::TrustDevice)),
        row(Get, "/v1/audit", Approval, Nothing, Make::Plain(Route::Audit)),
        row(Get, "/v1/whoami", Person, Nothing, Make::Plain(Route::WhoAmI)),
        row(Get, "/v1/push/key", Person, Nothing, Make::Plain(Route::PushKey)),
        row(Get, "/v1/push/subscriptions", Person, Nothing, Make::Plain(Route::Pushes)),
        row(Post, "/v1/push/subscriptions", Person, Body, Make::Plain(Route::AddPush)),
        row(Delete, "/v1/push/subscriptions/{id}", Person, Nothing, Make::Push(Route::RemovePush)),
        row(Post, "/v1/push/subscriptions/{id}/test", Person, Body, Make::Push(Route::TestPush)),
        row(Post, "/v1/environments/bridge", Registration, Body, Make::Plain(Route::Register)),
        row(Get, "/v1/environments/{id}/work/poll", Environment, Nothing, Make::Environment(Route::Poll)),
        row(Get, "/v1/environments/{id}/work/stream", Environment, Nothing, Make::Environment(Route::WorkStream)),
        row(Post, "/v1/environments/{id}/work/{work}/ack", Lease, Body, Make::Work(Route::Ack)),
        row(Post, "/v1/environments/{id}/work/{work}/heartbeat", Lease, Body, Make::Work(Route::Heartbeat)),
        row(Post, "/v1/environments/{id}/work/{work}/stop", Environment, Body, Make::Work(Route::StopWork)),
        row(Post, "/v1/environments/{id}/sessions/{session}/redispatch", Environment, Body, Make::Redispatch(Route::Redispatch)),
        row(Post, "/v1/environments/{id}/worktrees", Environment, Body, Make::Environment(Route::NoteWorktree)),
        row(Post, "/v1/environments/{id}/drain", Environment, Body, Make::Environment(Route::Drain)),
        row(Post, "/v1/environments/{id}/stop", Environment, Body, Make::Environment(Route::Deregister)),
        row(Get, "/v1/session_ingress/ws/{session}", Session, Nothing, Make::Session(Route::Ingress)),
        row(Get, "/v2/session_ingress/ws/{session}", Session, Nothing, Make::Session(Route::Ingress)),
        row(Post, "/v1/code/sessions", CodeSession, Body, Make::Plain(Route::CreateCodeSession)),
        row(Post, "/v1/code/sessions/{id}/bridge", Bridge, Body, Make::Session(Route::Bridge)),
        row(Get, "/v1/code/sessions/{id}/worker/events/stream", CodeWorker, Nothing, Make::Session(Route::WorkerStream)),
        row(Post, "/v1/code/sessions/{id}/worker/events", CodeWorker, Body, Make::Session(Route::WorkerEvents)),
        row(Put, "/v1/code/sessions/{id}/worker", CodeWorker, Body, Make::Session(Route::WorkerState)),
        row(Post, "/v1/code/sessions/{id}/worker/heartbeat", CodeWorker, Body, Make::Session(Route::WorkerHeartbeat)),
        row(Get, "/v1/environments", Person, Nothing, Make::Plain(Route::Environments)),
        row(Get, "/v1/environments/{id}", Person, Nothing, Make::Environment(Route::Environment)),
        row(Post, "/v1/environments/{id}/healthcheck", Person, Body, Make::Environment(Route::Healthcheck)),
        row(Get, "/v1/overview/ws", Person, Nothing, Make::Plain(Route::Overview)),
        row(Get, "/v1/sessions", Person, Nothing, Make::Plain(Route::Sessions)),
        row(Post, "/v1/sessions", Person, Body, Make::Plain(Route::CreateSession)),
        row(Get, "/v1/sessions/{id}", Person, Nothing, Make::Session(Route::Session)),
        row(Post, "/v1/sessions/{id}", Person, Body, Make::Session(Route::ChangeSession)),
        row(Delete, "/v1/sessions/{id}", Person, Nothing, Make::Session(Route::DeleteSession)),
        row(Post, "/v1/sessions/{id}/messages", Person, Body, Make::Session(Route::Messages)),
        row(Post, "/v1/sessions/{id}/permission", Person, Body, Make::Session(Route::Permission)),
        row(Post, "/v1/sessions/{id}/permission/link", Person, Body, Make::Session(Route::PermissionLink)),
        row(Get, "/v1/answer", AnswerLink, Nothing, Make::Plain(Route::ShowLinked)),
        row(Post, "/v1/answer", AnswerLink, Body, Make::Plain(Route::AnswerLinked)),
        row(Post, "/v1/sessions/{id}/callback", Person, Body, Make::Session(Route::Callback)),
        row(Post, "/v1/sessions/{id}/interrupt", Person, Body, Make::Session(Route::Interrupt)),
        row(Post, "/v1/sessions/{id}/stop", Person, Body, Make::Session(Route::StopSession)),
        row(Post, "/v1/sessions/{id}/worktree", Person, Body, Make::Session(Route::Worktree)),
        row(Get, "/v1/sessions/{id}/receipts", Person, Nothing, Make::Session(Route::Receipts)),
        row(Get, "/v1/sessions/{id}/receipts/{seq}", Person, Nothing, Make::Receipt(Route::Receipt)),
        row(Get, "/v1/sessions/{id}/events", Person, Nothing, Make::Session(Route::Events)),
        row(Get, "/v1/sessions/{id}/events/ws", Person, Nothing, Make::Session(Route::Subscribe)),
        row(Get, "/", Anybody, Nothing, Make::Plain(Route::Asset)),
        row(Get, ASSETS, Anybody, Nothing, Make::Plain(Route::Asset)),
    ]
};

/// Finds the row of a path without its query, and the route. Nothing is decoded: an id has no
/// characters that need it.
pub(in crate::relay) fn find(
    method: Method,
    path: &str,
) -> Result<(Route, &'static Row), RouteError> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let fitting = TABLE.iter().find_map(|row| Some((row, row.fit(&segments)?)));
    let (first, values) = fitting.ok_or(RouteError::Path)?;
    let route = first.make.route(&values)?;
    if first.takes(method) {
        return Ok((route, first));
    }
    // The same path may be there for another method.
    let other = TABLE.iter().find(|row| row.path == first.path && row.takes(method));
    let row = other.ok_or(RouteError::Method)?;
    Ok((row.make.route(&values)?, row))
}

impl Row {
    fn takes(&self, method: Method) -> bool {
        let is_page_or_probe = self.access == Access::Anybody && self.method == Get;
        method == self.method || (method == Head && is_page_or_probe)
    }

    /// What stands in its braces, if a path is of its form.
    fn fit<'p>(&self, segments: &[&'p str]) -> Option<Vec<&'p str>> {
        if self.path == ASSETS {
            let is_interface = matches!(segments, ["v1" | "v2" | "api", ..] | []);
            return (!is_interface).then(Vec::new);
        }
        let mut values = Vec::new();
        let mut expected = self.path.split('/').skip(1);
        for segment in segments {
            match expected.next()? {
                braces if braces.starts_with('{') => values.push(*segment),
                literal if literal == *segment => {}
                _ => return None,
            }
        }
        expected.next().is_none().then_some(values)
    }
}

impl Make {
    fn route(&self, values: &[&str]) -> Result<Route, RouteError> {
        Ok(match (self, values) {
            (Self::Plain(route), []) => route.clone(),
            (Self::Environment(make), [id]) => make(EnvironmentId::new(id)?),
            (Self::Work(make), [id, work]) => make(EnvironmentId::new(id)?, WorkId::new(work)?),
            (Self::Redispatch(make), [id, session]) => {
                make(EnvironmentId::new(id)?, SessionId::new(session)?)
            }
            (Self::Session(make), [id]) => make(canonical(SessionId::new(id)?)),
            (Self::Push(make), [id]) => make(PushId::new(id)?),
            (Self::Device(make), [id]) => make(DeviceId::new(id)?),
            (Self::Receipt(make), [id, seq]) => {
                let seq = seq.parse().map_err(|_| RouteError::Path)?;
                make(SessionId::new(id)?, seq)
            }
            _ => return Err(RouteError::Path),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, path: &str) -> Result<Route, RouteError> {
        find(method, path).map(|(route, _)| route)
    }

    #[test]
    fn every_path_of_the_interface_has_its_route() {
        let environment = || EnvironmentId::new("env_1").expect("valid");
        let session = || SessionId::new("session_1").expect("valid");
        let work = || WorkId::new("work_1").expect("valid");
        let push = || PushId::new("push_1").expect("valid");
        let routes = [
            (Get, "/health", Route::Health),
            (Get, "/ready", Route::Ready),
            (Get, "/v1/version", Route::Version),
            (Get, "/v1/housekeeping", Route::Housekeeping),
            (Get, "/v1/proof", Route::Proof),
            (Post, "/v1/sign-in", Route::SignIn),
            (Post, "/v1/sign-in/codes", Route::SignInCodes),
            (Get, "/.well-known/oauth-authorization-server", Route::LogInMetadata),
            (Post, "/v1/oauth/device_authorization", Route::BeginLogIn),
            (Post, "/v1/oauth/token", Route::Token),
            (Post, "/v1/oauth/revoke", Route::GiveBack),
            (Get, "/v1/oauth/device", Route::LogIn),
            (Post, "/v1/oauth/device", Route::AnswerLogIn),
            (Get, "/v1/oidc", Route::Oidc),
            (Get, "/v1/oidc/start", Route::OidcStart),
            (Get, "/v1/oidc/callback", Route::OidcBack),
            (Get, "/v1/devices", Route::Devices),
            (
                Post,
                "/v1/devices/device_1/revoke",
                Route::RevokeDevice(DeviceId::new("device_1").expect("valid")),
            ),
            (Get, "/v1/audit", Route::Audit),
            (Get, "/v1/whoami", Route::WhoAmI),
            (Get, "/v1/push/key", Route::PushKey),
            (Get, "/v1/push/subscriptions", Route::Pushes),
            (Post, "/v1/push/subscriptions", Route::AddPush),
            (Delete, "/v1/push/subscriptions/push_1", Route::RemovePush(push())),
            (Post, "/v1/push/subscriptions/push_1/test", Route::TestPush(push())),
            (Post, "/v1/environments/bridge", Route::Register),
            (Get, "/v1/environments/env_1/work/poll", Route::Poll(environment())),
            (Get, "/v1/environments/env_1/work/stream", Route::WorkStream(environment())),
            (Post, "/v1/environments/env_1/work/work_1/ack", Route::Ack(environment(), work())),
            (
                Post,
                "/v1/environments/env_1/work/work_1/heartbeat",
                Route::Heartbeat(environment(), work()),
            ),
            (
                Post,
                "/v1/environments/env_1/work/work_1/stop",
                Route::StopWork(environment(), work()),
            ),
            (
                Post,
                "/v1/environments/env_1/sessions/session_1/redispatch",
                Route::Redispatch(environment(), session()),
            ),
            (Post, "/v1/environments/env_1/worktrees", Route::NoteWorktree(environment())),
            (Post, "/v1/environments/env_1/drain", Route::Drain(environment())),
            (Post, "/v1/environments/env_1/stop", Route::Deregister(environment())),
            (Get, "/v1/session_ingress/ws/session_1", Route::Ingress(session())),
            (Get, "/v2/session_ingress/ws/session_1", Route::Ingress(session())),
            (Get, "/v1/environments", Route::Environments),
            (Get, "/v1/environments/env_1", Route::Environment(environment())),
            (Post, "/v1/sessions", Route::CreateSession),
            (Post, "/v1/environments/env_1/healthcheck", Route::Healthcheck(environment())),
            (Get, "/v1/sessions", Route::Sessions),
            (Get, "/v1/sessions/session_1", Route::Session(session())),
            (Post, "/v1/sessions/session_1", Route::ChangeSession(session())),
            (Delete, "/v1/sessions/session_1", Route::DeleteSession(session())),
            (Post, "/v1/sessions/session_1/messages", Route::Messages(session())),
            (Post, "/v1/sessions/session_1/permission", Route::Permission(session())),
            (Post, "/v1/sessions/session_1/permission/link", Route::PermissionLink(session())),
            (Get, "/v1/answer", Route::ShowLinked),
            (Post, "/v1/answer", Route::AnswerLinked),
            (Post, "/v1/sessions/session_1/callback", Route::Callback(session())),
            (Post, "/v1/sessions/session_1/interrupt", Route::Interrupt(session())),
            (Post, "/v1/sessions/session_1/stop", Route::StopSession(session())),
            (Post, "/v1/sessions/session_1/worktree", Route::Worktree(session())),
            (Get, "/v1/sessions/session_1/events", Route::Events(session())),
            (Get, "/v1/sessions/session_1/receipts", Route::Receipts(session())),
            (Get, "/v1/sessions/session_1/receipts/7", Route::Receipt(session(), 7)),
            (Get, "/v1/sessions/session_1/events/ws", Route::Subscribe(session())),
            (Get, "/v1/overview/ws", Route::Overview),
            (Get, "/", Route::Asset),
        ];
        for (method, path, route) in routes {
            assert_eq!(found(method, path), Ok(route), "{path}");
            assert_eq!(found(Method::Put, path), Err(RouteError::Method), "{path}");
        }
        assert_eq!(found(Get, "/v1/environments/bridge"), Err(RouteError::Method));
        assert_eq!(found(Head, "/app.js"), Ok(Route::Asset));
        assert_eq!(found(Head, "/v1/sessions"), Err(RouteError::Method));
        assert_eq!(found(Head, "/v1/oauth/token"), Err(RouteError::Method));
    }

    #[test]
    fn every_row_is_found_by_its_own_path() {
        for row in &TABLE {
            let path: Vec<&str> = row
                .path
                .split('/')
                .map(|segment| if segment.starts_with('{') { "7" } else { segment })
                .collect();
            let (_, found) = find(row.method, &path.join("/")).expect("it is there");
            assert_eq!((found.method, found.path), (row.method, row.path));
        }
    }

    #[test]
    fn unknown_paths_are_not_found_and_a_bad_id_is_named() {
        for path in [
            "/v1",
            "/v1/",
            "/v1/nothing",
            "",
            "/v1/sessions/session_1/events/ws/x",
            "/v1/sessions/session_1/receipts/x",
        ] {
            assert_eq!(found(Get, path), Err(RouteError::Path), "{path:?}");
        }
        for id in ["..", "a.b", "%2e%2e", "", "é"] {
            let path = alloc::format!("/v1/sessions/{id}");
            let bad = RouteError::Id(IdError { field: "session id" });
            assert_eq!(found(Get, &path), Err(bad), "{path:?}");
        }
    }
}
