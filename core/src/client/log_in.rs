//! Logs a device in by the device authorization grant (T-6, RFC 8628).
//!
//! ```text
//!   Beginning ──▶ Waiting ◀──▶ Fetching ──▶ Saving ──▶ Enrolling ──▶ Saving ──▶ done
//!       ▲ │          (the person approves)     └────────────┴── not trusted ──▶ done
//!       └─┘ after a failure that may pass
//! ```

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::convert::Infallible;
use core::time::Duration;

use super::answer::answer;
use super::device::{self, TokenError};
use super::error::RequestError;
use crate::auth::LogIn;
use crate::base::limits::{LOG_IN_INTERVAL, LOG_IN_LIFE, MAX_LOG_IN_BEGINNINGS};
use crate::base::secret::Secret;
use crate::base::time::Instant;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::runner::{self, Role, Runner, delegate_machine};
use crate::wire::device::{Scope, Scopes, Trusted};
use crate::wire::oauth::{DeviceAuthorization, OAuthErrorType};
use crate::wire::url::BaseUrl;

/// What is needed to log in.
#[derive(Clone, Debug)]
pub struct LogInConfig {
    /// The relay.
    pub relay: BaseUrl,
    /// What the person who is asked sees as the device's name.
    pub name: String,
    /// What it is to be allowed.
    pub scopes: Scopes,
    /// The file that the log-in is written to.
    pub file: String,
    /// Known to nobody, and never used again.
    pub seed: Secret,
    /// What people see as its name if it is to be enrolled as a trusted device (D-1). One that may
    /// neither answer nor drive has no use for that.
    pub trusted_as: Option<String>,
}

/// What a program is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogInNotice {
    /// The person is to open an address and approve the code.
    Approve(DeviceAuthorization),
    /// A request failed, and is repeated.
    Retrying {
        /// Why.
        reason: String,
        /// After this pause.
        retry_in: Duration,
    },
    /// It was not enrolled as a trusted device, and is logged in all the same.
    NotTrusted {
        /// Why.
        reason: String,
    },
    /// It is logged in, and its file is written.
    LoggedIn(Box<LogIn>),
}

type Cx = runner::Cx<Purpose, (), LogInNotice>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Begin,
    Fetch,
    Save,
    Trust,
    SaveTrust,
}

/// The machine that logs in, and finishes.
#[derive(Debug)]
pub struct DeviceLogIn {
    runner: Runner<LoggingIn>,
}

delegate_machine!(DeviceLogIn, Infallible, LogInNotice);

impl DeviceLogIn {
    /// Begins with its first step.
    pub fn new(config: LogInConfig) -> Self {
        let mut cx = Cx::new();
        let role = LoggingIn { config, tries: 0, waiting: None, done: None };
        role.begin(&mut cx);
        Self { runner: Runner::new(role, cx) }
    }
}

#[derive(Debug)]
struct LoggingIn {
    config: LogInConfig,
    /// Beginnings that failed.
    tries: u32,
    waiting: Option<Waiting>,
    done: Option<LogIn>,
}

#[derive(Debug)]
struct Waiting {
    device_code: Secret,
    interval: Duration,
    until: Instant,
}

impl LoggingIn {
    fn begin(&self, cx: &mut Cx) {
        let LogInConfig { relay, name, scopes, .. } = &self.config;
        let request = device::begin(relay, *scopes, name);
        cx.fx.start(Purpose::Begin, |op| Action::Request { op, request });
    }

    fn begun(&mut self, cx: &mut Cx, event: Event) {
        let begun = match answer::<DeviceAuthorization>(event) {
            Ok(begun) => begun,
            Err(error) if error.track().is_some() && self.tries < MAX_LOG_IN_BEGINNINGS => {
                self.tries += 1;
                return Self::retry(cx, &error, LOG_IN_INTERVAL);
            }
            Err(error) => return cx.fx.end(Err(error.fault("log in", &self.config.relay))),
        };
        let interval =
            Duration::from_secs(begun.interval).clamp(Duration::from_secs(1), LOG_IN_LIFE);
        let life = Duration::from_secs(begun.expires_in).min(2 * LOG_IN_LIFE);
        let until = cx.fx.now().mono + life;
        let device_code = begun.device_code.clone();
        self.waiting = Some(Waiting { device_code, interval, until });
        cx.set_timer((), interval);
        cx.fx.notify(LogInNotice::Approve(begun));
    }

    fn retry(cx: &mut Cx, error: &RequestError, retry_in: Duration) {
        let reason = format!("{error}");
        cx.fx.notify(LogInNotice::Retrying { reason, retry_in });
        cx.set_timer((), retry_in);
    }

    fn fetched(&mut self, cx: &mut Cx, event: Event) {
        let Some(waiting) = &mut self.waiting else { return };
        match device::tokens(event) {
            Ok(tokens) => {
                let log_in = LogIn::new(&self.config.relay, tokens, &self.config.seed);
                let (path, data) = (self.config.file.clone(), log_in.to_file());
                self.done = Some(log_in);
                cx.fx.start(Purpose::Save, |op| Action::Save { op, path, data });
            }
            Err(TokenError::Refused { kind: OAuthErrorType::AuthorizationPending, .. }) => {
                cx.set_timer((), waiting.interval);
            }
            Err(TokenError::Refused { kind: OAuthErrorType::SlowDown, .. }) => {
                waiting.interval += LOG_IN_INTERVAL;
                cx.set_timer((), waiting.interval);
            }
            Err(TokenError::Refused { description, .. }) => {
                let message =
                    format!("could not log in at {}: {description}; try again", self.config.relay);
                cx.fx.end(Err(MachineError { kind: MachineErrorKind::Unauthorized, message }));
            }
            // As RFC 8628 says, less often from now on.
            Err(TokenError::Request(error))
                if error.track().is_some() && cx.fx.now().mono < waiting.until =>
            {
                waiting.interval = (waiting.interval * 2).min(6 * LOG_IN_INTERVAL);
                let interval = waiting.interval;
                Self::retry(cx, &error, interval);
            }
            Err(TokenError::Request(error)) => {
                cx.fx.end(Err(error.fault("log in", &self.config.relay)));
            }
        }
    }

    fn saved(&mut self, cx: &mut Cx, event: &Event) {
        if let Event::Failed { failure, .. } = event {
            let message = format!(
                "logged in, but could not write {}: {}; make room, and log in again",
                self.config.file, failure.detail
            );
            return cx.fx.end(Err(MachineError { kind: MachineErrorKind::Local, message }));
        }
        let LogInConfig { relay, scopes, trusted_as, .. } = &self.config;
        let Some(log_in) = &self.done else { return cx.fx.end(Ok(())) };
        let scopes = log_in.scope().unwrap_or(*scopes);
        let has_use = scopes.name(Scope::Answer) || scopes.name(Scope::Drive);
        match trusted_as.as_ref().filter(|_| has_use) {
            Some(name) => {
                let request = device::trust(relay, log_in.access_token(), name);
                cx.fx.start(Purpose::Trust, |op| Action::Request { op, request });
            }
            None => self.finish(cx),
        }
    }

    /// Whatever comes of it, it is logged in.
    fn trusted(&mut self, cx: &mut Cx, event: Event) {
        match (answer::<Trusted>(event), &mut self.done) {
            (Ok(trusted), Some(log_in)) => {
                log_in.trust(trusted.device_token);
                let (path, data) = (self.config.file.clone(), log_in.to_file());
                cx.fx.start(Purpose::SaveTrust, |op| Action::Save { op, path, data });
            }
            (Err(error), _) => {
                cx.fx.notify(LogInNotice::NotTrusted { reason: format!("{error}") });
                self.finish(cx);
            }
            (Ok(_), None) => cx.fx.end(Ok(())),
        }
    }

    fn trust_saved(&mut self, cx: &mut Cx, event: &Event) {
        if let Event::Failed { failure, .. } = event {
            cx.fx.notify(LogInNotice::NotTrusted { reason: failure.detail.clone() });
        }
        self.finish(cx);
    }

    fn finish(&mut self, cx: &mut Cx) {
        if let Some(log_in) = self.done.take() {
            cx.fx.notify(LogInNotice::LoggedIn(Box::new(log_in)));
        }
        cx.fx.end(Ok(()));
    }
}

impl Role for LoggingIn {
    type Command = Infallible;
    type Notice = LogInNotice;
    type Purpose = Purpose;
    type Timer = ();

    fn on_command(&mut self, _: &mut Cx, command: Infallible) {
        match command {}
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        match event.op().and_then(|op| cx.fx.finish(op)) {
            None => {}
            Some(Purpose::Begin) => self.begun(cx, event),
            Some(Purpose::Fetch) => self.fetched(cx, event),
            Some(Purpose::Save) => self.saved(cx, &event),
            Some(Purpose::Trust) => self.trusted(cx, event),
            Some(Purpose::SaveTrust) => self.trust_saved(cx, &event),
        }
    }

    fn on_timer(&mut self, cx: &mut Cx, (): ()) {
        match &self.waiting {
            None => self.begin(cx),
            Some(waiting) => {
                let request = device::fetch(&self.config.relay, &waiting.device_code);
                cx.fx.start(Purpose::Fetch, |op| Action::Request { op, request });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::OpId;
    use crate::base::io_error::{IoError, IoErrorKind};
    use crate::base::time::Now;
    use crate::contract::action::{Request, Response};
    use crate::testing::Hand;
    use alloc::borrow::ToOwned;
    use alloc::vec::Vec;
    use bytes::Bytes;

    type Logging = Hand<DeviceLogIn>;

    fn begun() -> Logging {
        begun_with("work")
    }

    fn begun_with(scope: &str) -> Logging {
        let config = LogInConfig {
            relay: BaseUrl::parse("https://relay.example").expect("a URL"),
            name: "Eva's box".to_owned(),
            scopes: Scopes::parse(scope).expect("scopes"),
            file: "/state/log-in".to_owned(),
            seed: Secret::from("seed"),
            trusted_as: Some("Footbridge on box".to_owned()),
        };
        let mut hand = Hand::new(DeviceLogIn::new(config), Now::default());
        let (op, request) = next(&mut hand);
        let body = core::str::from_utf8(&request.body).expect("text");
        let scope = scope.replace(' ', "%20");
        let expected = format!("client_id=footbridge&scope={scope}&device_name=Eva%27s%20box");
        assert_eq!(body, expected);
        let body = r#"{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://relay.example/device","expires_in":600,"interval":5}"#;
        respond(&mut hand, op, 200, body);
        assert!(matches!(hand.notices.pop(), Some(LogInNotice::Approve(_))));
        hand
    }

    fn next(hand: &mut Logging) -> (OpId, Request) {
        match hand.actions.pop_front() {
            Some(Action::Request { op, request }) => (op, request),
            other => panic!("no request, but {other:?}"),
        }
    }

    fn respond(hand: &mut Logging, op: OpId, status: u16, body: &'static str) {
        let body = Bytes::from_static(body.as_bytes());
        hand.handle(Event::Response {
            op,
            response: Response { status, headers: Vec::new(), body },
        });
    }

    /// Waits for the next question, and returns how long that took.
    fn asked(hand: &mut Logging) -> (u64, OpId) {
        let waited = hand.wait().as_secs();
        (waited, next(hand).0)
    }

    const TOKENS: &str = r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":"work"}"#;

    #[test]
    fn it_asks_as_often_as_it_may_until_it_is_approved_and_keeps_what_it_gets() {
        let mut hand = begun();
        for (body, expected) in [
            (r#"{"error":"authorization_pending"}"#, 5),
            (r#"{"error":"slow_down"}"#, 5),
            (r#"{"error":"authorization_pending"}"#, 10),
        ] {
            let (waited, op) = asked(&mut hand);
            assert_eq!(waited, expected);
            respond(&mut hand, op, 400, body);
        }
        let (_, op) = asked(&mut hand);
        respond(&mut hand, op, 200, TOKENS);
        let Some(Action::Save { op, path, data }) = hand.actions.pop_front() else { panic!() };
        assert_eq!(path, "/state/log-in");
        let kept = LogIn::parse(&data).expect("a log-in");
        assert_eq!(kept.access_token().reveal(), "a");
        assert!(hand.notices.is_empty(), "not before it is kept");
        hand.handle(Event::Saved { op });
        assert_eq!(hand.notices.pop(), Some(LogInNotice::LoggedIn(Box::new(kept))));
        assert_eq!(hand.outcome, Some(Ok(())));
    }

    /// What was granted is kept, and the device enrols itself.
    fn enrolling() -> (Logging, OpId) {
        let mut hand = begun_with("answer drive");
        let (_, op) = asked(&mut hand);
        let granted = r#"{"access_token":"a","token_type":"Bearer","refresh_token":"r"}"#;
        respond(&mut hand, op, 200, granted);
        let Some(Action::Save { op, .. }) = hand.actions.pop_front() else { panic!() };
        hand.handle(Event::Saved { op });
        let (op, request) = next(&mut hand);
        assert_eq!(request.url, "https://relay.example/api/auth/trusted_devices");
        assert_eq!(request.timeout, Duration::from_secs(10));
        assert_eq!(request.body, r#"{"display_name":"Footbridge on box"}"#);
        assert!(hand.notices.is_empty());
        (hand, op)
    }

    #[test]
    fn one_that_may_answer_or_drive_is_enrolled_and_shows_it_from_then_on() {
        let (mut hand, op) = enrolling();
        respond(&mut hand, op, 201, r#"{"device_id":"device_1","device_token":"fbtrusted-x"}"#);
        let Some(Action::Save { op, data, .. }) = hand.actions.pop_front() else { panic!() };
        hand.handle(Event::Saved { op });
        let kept = LogIn::parse(&data).expect("a log-in");
        assert_eq!(hand.notices.pop(), Some(LogInNotice::LoggedIn(Box::new(kept.clone()))));
        assert_eq!(hand.outcome, Some(Ok(())));
        let mut request = device::who_am_i(&hand_relay(), kept.access_token());
        let credential = crate::auth::Credential::from_log_in(kept, "/f".to_owned());
        credential.show_trust(&mut request);
        let shown = |request: &Request| {
            let (_, token) = request.headers.last().expect("headers").clone();
            token.reveal().to_owned()
        };
        assert_eq!(shown(&request), "fbtrusted-x");
        // One from the environment comes first.
        credential.on_trusted_device(Some(Secret::from("given"))).show_trust(&mut request);
        assert_eq!(shown(&request), "given");
    }

    fn hand_relay() -> BaseUrl {
        BaseUrl::parse("https://relay.example").expect("a URL")
    }

    #[test]
    fn an_enrolment_that_fails_in_any_way_breaks_no_log_in() {
        let ways: [fn(&mut Logging, OpId); 5] = [
            |hand, op| respond(hand, op, 404, "{}"),
            |hand, op| respond(hand, op, 403, r#"{"error":{"type":"ELEVATED"}}"#),
            |hand, op| respond(hand, op, 200, "<html>"),
            |hand, op| {
                let failure = IoError { kind: IoErrorKind::TimedOut, detail: "slow".to_owned() };
                hand.handle(Event::Failed { op, failure });
            },
            |hand, op| {
                respond(hand, op, 201, r#"{"device_id":"device_1","device_token":"x"}"#);
                let Some(Action::Save { op, .. }) = hand.actions.pop_front() else { panic!() };
                let failure = IoError { kind: IoErrorKind::Full, detail: "full".to_owned() };
                hand.handle(Event::Failed { op, failure });
            },
        ];
        for way in ways {
            let (mut hand, op) = enrolling();
            way(&mut hand, op);
            assert!(matches!(hand.notices.pop(), Some(LogInNotice::LoggedIn(_))));
            assert!(matches!(hand.notices.pop(), Some(LogInNotice::NotTrusted { .. })));
            assert_eq!(hand.outcome, Some(Ok(())));
        }
    }

    #[test]
    fn a_relay_that_is_away_is_asked_less_often_and_a_refusal_ends_it() {
        let mut hand = begun();
        for expected in [5, 10, 20] {
            let (waited, op) = asked(&mut hand);
            assert_eq!(waited, expected);
            let failure = IoError { kind: IoErrorKind::Other, detail: "away".to_owned() };
            hand.handle(Event::Failed { op, failure });
            assert!(matches!(hand.notices.pop(), Some(LogInNotice::Retrying { .. })));
        }
        let (_, op) = asked(&mut hand);
        respond(&mut hand, op, 400, r#"{"error":"access_denied","error_description":"refused"}"#);
        let error = hand.outcome.expect("an end").expect_err("an error");
        assert!(error.message.contains("refused"), "{}", error.message);
    }
}
