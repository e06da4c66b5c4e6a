//! From method and path to a typed route. A path that exists, but not for this method, is
//! distinguished from one that does not exist.

use alloc::vec::Vec;

use crate::base::id::{EnvironmentId, IdError, SessionId, WorkId};
use crate::contract::action::Method::{self, Get, Head, Post};

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
    Register,
    Poll(EnvironmentId),
    Ack(EnvironmentId, WorkId),
    Heartbeat(EnvironmentId, WorkId),
    StopWork(EnvironmentId, WorkId),
    Redispatch(EnvironmentId, SessionId),
    Deregister(EnvironmentId),
    Ingress(SessionId),
    Environments,
    Environment(EnvironmentId),
    Healthcheck(EnvironmentId),
    Sessions,
    CreateSession,
    Session(SessionId),
    Messages(SessionId),
    Permission(SessionId),
    Interrupt(SessionId),
    StopSession(SessionId),
    Events(SessionId),
    Subscribe(SessionId),
    Receipts(SessionId),
    Receipt(SessionId, u64),
    Overview,
    /// The page, or one of its files.
    Asset,
}

impl Route {
    /// Whether its request has a body. One of any other request is not read.
    pub(in crate::relay) const fn takes_body(&self) -> bool {
        matches!(
            self,
            Self::Register
                | Self::Ack(..)
                | Self::Heartbeat(..)
                | Self::StopWork(..)
                | Self::Redispatch(..)
                | Self::Deregister(_)
                | Self::Healthcheck(_)
                | Self::CreateSession
                | Self::Messages(_)
                | Self::Permission(_)
                | Self::Interrupt(_)
                | Self::StopSession(_)
        )
    }

    /// The item the request is about.
    pub(in crate::relay) const fn work(&self) -> Option<&WorkId> {
        match self {
            Self::Ack(_, work) | Self::Heartbeat(_, work) | Self::StopWork(_, work) => Some(work),
            _ => None,
        }
    }

    /// The environment and the session that a worker's call is about.
    pub(in crate::relay) const fn worker_subjects(
        &self,
    ) -> (Option<&EnvironmentId>, Option<&SessionId>) {
        match self {
            Self::Poll(id)
            | Self::Ack(id, _)
            | Self::Heartbeat(id, _)
            | Self::StopWork(id, _)
            | Self::Redispatch(id, _)
            | Self::Deregister(id) => (Some(id), None),
            Self::Ingress(id) => (None, Some(id)),
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

/// Finds the route of a path without its query. Nothing is decoded: an id has no characters that
/// need it.
pub(in crate::relay) fn find(method: Method, path: &str) -> Result<Route, RouteError> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let environment = EnvironmentId::new;
    let session = SessionId::new;
    let (expected, route) = match *segments.as_slice() {
        ["health"] => (Get, Route::Health),
        ["ready"] => (Get, Route::Ready),
        ["v1", "version"] => (Get, Route::Version),
        ["v1", "housekeeping"] => (Get, Route::Housekeeping),
        ["v1", "proof"] => (Get, Route::Proof),
        ["v1", "sign-in"] => (Post, Route::SignIn),
        ["v1", "sign-in", "codes"] => (Post, Route::SignInCodes),
        ["v1", "environments", "bridge"] => (Post, Route::Register),
        ["v1", "environments", id, "work", "poll"] => (Get, Route::Poll(environment(id)?)),
        ["v1", "environments", id, "work", work, call] => {
            let (id, work) = (environment(id)?, WorkId::new(work)?);
            match call {
                "ack" => (Post, Route::Ack(id, work)),
                "heartbeat" => (Post, Route::Heartbeat(id, work)),
                "stop" => (Post, Route::StopWork(id, work)),
                _ => return Err(RouteError::Path),
            }
        }
        ["v1", "environments", id, "sessions", of, "redispatch"] => {
            (Post, Route::Redispatch(environment(id)?, session(of)?))
        }
        ["v1", "environments", id, "stop"] => (Post, Route::Deregister(environment(id)?)),
        ["v1" | "v2", "session_ingress", "ws", id] => (Get, Route::Ingress(session(id)?)),
        ["v1", "environments"] => (Get, Route::Environments),
        ["v1", "environments", id] => (Get, Route::Environment(environment(id)?)),
        ["v1", "environments", id, "healthcheck"] => (Post, Route::Healthcheck(environment(id)?)),
        ["v1", "overview", "ws"] => (Get, Route::Overview),
        ["v1", "sessions"] if method == Post => (Post, Route::CreateSession),
        ["v1", "sessions"] => (Get, Route::Sessions),
        ["v1", "sessions", id] => (Get, Route::Session(session(id)?)),
        ["v1", "sessions", id, "messages"] => (Post, Route::Messages(session(id)?)),
        ["v1", "sessions", id, "permission"] => (Post, Route::Permission(session(id)?)),
        ["v1", "sessions", id, "interrupt"] => (Post, Route::Interrupt(session(id)?)),
        ["v1", "sessions", id, "stop"] => (Post, Route::StopSession(session(id)?)),
        ["v1", "sessions", id, "receipts"] => (Get, Route::Receipts(session(id)?)),
        ["v1", "sessions", id, "receipts", seq] => {
            let seq = seq.parse().map_err(|_| RouteError::Path)?;
            (Get, Route::Receipt(session(id)?, seq))
        }
        ["v1", "sessions", id, "events"] => (Get, Route::Events(session(id)?)),
        ["v1", "sessions", id, "events", "ws"] => (Get, Route::Subscribe(session(id)?)),
        ["v1" | "v2" | "api", ..] | [] => return Err(RouteError::Path),
        _ => (Get, Route::Asset),
    };
    let is_plain = matches!(
        route,
        Route::Asset | Route::Health | Route::Ready | Route::Version | Route::Housekeeping
    );
    if method == expected || (method == Head && is_plain) {
        Ok(route)
    } else {
        Err(RouteError::Method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_interface_has_its_route() {
        let environment = || EnvironmentId::new("env_1").expect("valid");
        let session = || SessionId::new("session_1").expect("valid");
        let work = || WorkId::new("work_1").expect("valid");
        let routes = [
            (Get, "/health", Route::Health),
            (Get, "/ready", Route::Ready),
            (Get, "/v1/version", Route::Version),
            (Get, "/v1/housekeeping", Route::Housekeeping),
            (Get, "/v1/proof", Route::Proof),
            (Post, "/v1/sign-in", Route::SignIn),
            (Post, "/v1/sign-in/codes", Route::SignInCodes),
            (Post, "/v1/environments/bridge", Route::Register),
            (Get, "/v1/environments/env_1/work/poll", Route::Poll(environment())),
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
            (Post, "/v1/environments/env_1/stop", Route::Deregister(environment())),
            (Get, "/v1/session_ingress/ws/session_1", Route::Ingress(session())),
            (Get, "/v2/session_ingress/ws/session_1", Route::Ingress(session())),
            (Get, "/v1/environments", Route::Environments),
            (Get, "/v1/environments/env_1", Route::Environment(environment())),
            (Post, "/v1/sessions", Route::CreateSession),
            (Post, "/v1/environments/env_1/healthcheck", Route::Healthcheck(environment())),
            (Get, "/v1/sessions", Route::Sessions),
            (Get, "/v1/sessions/session_1", Route::Session(session())),
            (Post, "/v1/sessions/session_1/messages", Route::Messages(session())),
            (Post, "/v1/sessions/session_1/permission", Route::Permission(session())),
            (Post, "/v1/sessions/session_1/interrupt", Route::Interrupt(session())),
            (Post, "/v1/sessions/session_1/stop", Route::StopSession(session())),
            (Get, "/v1/sessions/session_1/events", Route::Events(session())),
            (Get, "/v1/sessions/session_1/receipts", Route::Receipts(session())),
            (Get, "/v1/sessions/session_1/receipts/7", Route::Receipt(session(), 7)),
            (Get, "/v1/sessions/session_1/events/ws", Route::Subscribe(session())),
            (Get, "/v1/overview/ws", Route::Overview),
            (Get, "/", Route::Asset),
        ];
        for (method, path, route) in routes {
            assert_eq!(find(method, path), Ok(route), "{path}");
            assert_eq!(find(Method::Put, path), Err(RouteError::Method), "{path}");
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
            assert_eq!(find(Get, path), Err(RouteError::Path), "{path:?}");
        }
        for id in ["..", "a.b", "%2e%2e", "", "é"] {
            let path = alloc::format!("/v1/sessions/{id}");
            let bad = RouteError::Id(IdError { field: "session id" });
            assert_eq!(find(Get, &path), Err(bad), "{path:?}");
        }
    }
}
