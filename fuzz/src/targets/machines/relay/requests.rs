//! Requests to the relay: mostly sensible ones, some of them corrupted.

use std::net::IpAddr;

use bytes::Bytes;
use footbridge_core::contract::action::Method;
use footbridge_core::contract::event::{Body, IncomingRequest};

use super::asking::{Asking, Lease};
use super::clients::Clients;
use crate::targets::input::Input;
use crate::targets::machines::answers::goes_well;
use crate::targets::machines::steps::TOKEN;

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A request with one credential.
pub(in crate::targets::machines) fn asked(
    method: Method,
    target: &str,
    credential: &str,
    body: impl Into<Bytes>,
) -> IncomingRequest {
    let headers =
        vec![header("authorization", &format!("Bearer {credential}")), header("host", "localhost")];
    IncomingRequest {
        method,
        target: target.to_owned(),
        headers,
        body: Body::Whole(body.into()),
        is_tls: false,
        peer: IpAddr::from([192, 0, 2, 1]),
    }
}

impl Clients {
    /// A request: mostly one that makes sense here.
    pub(super) fn request(&mut self, input: &mut Input<'_>) -> (IncomingRequest, Asking) {
        const ALL: [Asking; 20] = [
            Asking::Register,
            Asking::Create,
            Asking::Poll,
            Asking::Attach,
            Asking::Message,
            Asking::Ack,
            Asking::Heartbeat,
            Asking::StopWork,
            Asking::Redispatch,
            Asking::Deregister,
            Asking::Permission,
            Asking::Interrupt,
            Asking::StopSession,
            Asking::Read,
            Asking::Watch,
            Asking::Overview,
            Asking::Healthcheck,
            Asking::Message,
            Asking::Permission,
            Asking::Permission,
        ];
        // Nothing works without the first ones.
        let kind = match (self.environments.is_empty(), self.sessions.is_empty()) {
            (true, _) if goes_well(input) => Asking::Register,
            (false, true) if goes_well(input) => Asking::Create,
            (false, false) if self.leases.is_empty() && goes_well(input) => Asking::Poll,
            (false, false) if self.links.is_empty() && goes_well(input) => Asking::Attach,
            _ => input.choose(&ALL),
        };
        let mut asked = self.good(kind, input);
        if !goes_well(input) {
            self.spoil(&mut asked, input);
        }
        (asked, kind)
    }

    /// A request as it should be.
    pub(super) fn good(&self, kind: Asking, input: &mut Input<'_>) -> IncomingRequest {
        const MESSAGES: [&str; 6] = [
            r#"{"type":"user","uuid":"u1","message":{"role":"user","content":"ls"}}"#,
            r#"{"type":"user","message":{"role":"user","content":[{"type":"text","text":"x"}]}}"#,
            r#"{"type":"user","uuid":"u1"}"#,
            r#"{"type":"control_request","request_id":"r1","request":{"subtype":"set_model"}}"#,
            r#"{"type":"control_response","response":{"subtype":"success","request_id":"q"}}"#,
            r#"{"type":"x"}"#,
        ];
        const BEHAVIOURS: [&str; 4] = [
            r#""behavior":"allow""#,
            r#""behavior":"deny","message":"no""#,
            r#""behavior":"allow","updatedInput":{"a":1}"#,
            r#""behavior":"deny","message":"no","interrupt":true"#,
        ];
        let nothing = || Lease {
            environment: "env_0".into(),
            environment_secret: "env_0.x".into(),
            work: "work_0".into(),
            session: "session_0".into(),
            token: "sk-ant-si-x".into(),
            fence: 0,
        };
        let lease = of(&self.leases, input).cloned().unwrap_or_else(nothing);
        let environment = of(&self.environments, input).cloned();
        let (environment, secret) =
            environment.unwrap_or_else(|| ("env_0".to_owned(), "env_0.x".to_owned()));
        let session = of(&self.sessions, input).cloned().unwrap_or("session_0".to_owned());
        let worker = format!("/v1/environments/{}", lease.environment);
        let item = format!("{worker}/work/{}", lease.work);
        let viewer = format!("/v1/sessions/{session}");
        let fence = format!(r#"{{"fence":{}}}"#, lease.fence);
        let post = |path: String, credential: &str, body: String| {
            asked(Method::Post, &path, credential, body)
        };
        let get = |path: String, credential: &str| asked(Method::Get, &path, credential, "");
        let websocket = |mut asked: IncomingRequest, protocol: &str| {
            asked.headers.push(header("upgrade", "websocket"));
            asked.headers.push(header("connection", "upgrade"));
            asked.headers.push(header("sec-websocket-protocol", protocol));
            asked
        };
        match kind {
            Asking::Register => {
                let again = match input.byte().unwrap_or(0) % 4 {
                    1 => format!(r#","environment_id":"{environment}""#),
                    _ => String::new(),
                };
                let body = format!(
                    r#"{{"machine_name":"m","directory":"/","max_sessions":3,"metadata":{{}}{again}}}"#
                );
                post("/v1/environments/bridge".into(), TOKEN, body)
            }
            Asking::Poll => {
                let path = format!("/v1/environments/{environment}/work/poll");
                let mut asked = get(path, &secret);
                let wait =
                    input.choose(&["wait=0", "wait=0", "wait=50", "wait=18446744073709551615"]);
                asked.headers.push(header("prefer", wait));
                let key = input.choose(&["k1", "k2", "k3", "k4"]);
                asked.headers.push(header("idempotency-key", key));
                asked
            }
            Asking::Ack => post(format!("{item}/ack"), &lease.token, fence),
            Asking::Heartbeat => post(format!("{item}/heartbeat"), &lease.token, fence),
            Asking::StopWork => {
                let body = format!(
                    r#"{{"fence":{},"force":false,"result":{{"status":"completed","exit_code":0}}}}"#,
                    lease.fence
                );
                post(format!("{item}/stop"), &lease.environment_secret, body)
            }
            Asking::Redispatch => {
                let path = format!("{worker}/sessions/{}/redispatch", lease.session);
                post(path, &lease.environment_secret, "{}".into())
            }
            Asking::Deregister => {
                post(format!("/v1/environments/{environment}/stop"), &secret, "{}".into())
            }
            Asking::Attach => {
                let path = format!("/v1/session_ingress/ws/{}", lease.session);
                let mut asked = websocket(get(path, &lease.token), "footbridge.link.v1");
                let run = input.choose(&["run1", "run2"]);
                asked.headers.push(header("x-footbridge-agent-run", run));
                asked
            }
            Asking::Create => {
                let body = format!(r#"{{"environment_id":"{environment}","title":"t"}}"#);
                let mut asked = post("/v1/sessions".into(), TOKEN, body);
                if input.byte().is_some_and(|byte| byte < 100) {
                    asked.headers.push(header("idempotency-key", "k"));
                }
                asked
            }
            Asking::Message => {
                let one = input.choose(&MESSAGES);
                let two = input.choose(&MESSAGES);
                let body = match input.byte().unwrap_or(0) % 2 {
                    0 => format!(r#"{{"messages":[{one}]}}"#),
                    _ => format!(r#"{{"messages":[{one},{two}]}}"#),
                };
                post(format!("{viewer}/messages"), TOKEN, body)
            }
            Asking::Permission => {
                let behaviour = input.choose(&BEHAVIOURS);
                let body = format!(r#"{{"request_id":"q",{behaviour}}}"#);
                post(format!("{viewer}/permission"), TOKEN, body)
            }
            Asking::Interrupt => post(format!("{viewer}/interrupt"), TOKEN, "{}".into()),
            Asking::StopSession => post(format!("{viewer}/stop"), TOKEN, "{}".into()),
            Asking::Read => {
                let paths = [
                    viewer.clone(),
                    format!("{viewer}/events?after=1&limit=2"),
                    "/v1/sessions?limit=1".to_owned(),
                    "/v1/environments".to_owned(),
                    format!("/v1/environments/{environment}"),
                    "/health".to_owned(),
                ];
                let at = usize::from(input.byte().unwrap_or(0)) % paths.len();
                get(paths[at].clone(), TOKEN)
            }
            Asking::Watch => {
                let after = input.choose(&["", "?after=0", "?after=2"]);
                websocket(get(format!("{viewer}/events/ws{after}"), TOKEN), "footbridge.viewer.v1")
            }
            Asking::Overview => {
                websocket(get("/v1/overview/ws".into(), TOKEN), "footbridge.viewer.v1")
            }
            Asking::Healthcheck | Asking::Other => {
                let path = format!("/v1/environments/{environment}/healthcheck");
                post(path, TOKEN, "{}".into())
            }
        }
    }

    /// Makes one part of a request wrong.
    fn spoil(&self, asked: &mut IncomingRequest, input: &mut Input<'_>) {
        const METHODS: [Method; 5] =
            [Method::Get, Method::Post, Method::Put, Method::Head, Method::Other];
        const TARGETS: [&str; 6] =
            ["/", "//../%", "/v1/sessions?after=18446744073709551615&limit=0", "", "/v1", "*"];
        let any = |input: &mut Input<'_>| String::from_utf8_lossy(input.some()).into_owned();
        match input.byte().unwrap_or(0) % 8 {
            0 => asked.method = input.choose(&METHODS),
            1 => asked.target = any(input),
            2 => asked.target = input.choose(&TARGETS).to_owned(),
            3 => asked.target.push_str(&any(input)),
            4 => asked.body = Body::Unread { length: None },
            5 => asked.body = Body::Whole(Bytes::copy_from_slice(input.some())),
            6 => {
                let lease = of(&self.leases, input);
                let token = lease.map_or(TOKEN, |lease| lease.token.as_str());
                asked.headers[0] = header("authorization", &format!("Bearer {token}"));
            }
            _ => {
                let at = usize::from(input.byte().unwrap_or(0)) % asked.headers.len();
                asked.headers[at].1 = any(input);
            }
        }
    }
}

/// One of some things, mostly the last one.
fn of<'a, T>(all: &'a [T], input: &mut Input<'_>) -> Option<&'a T> {
    let back = usize::from(input.byte().unwrap_or(255));
    let at = if back < 64 { back % all.len().max(1) } else { all.len().checked_sub(1)? };
    all.get(at)
}
