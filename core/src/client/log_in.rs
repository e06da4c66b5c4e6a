//! Logs a device in by the device authorization grant (T-6, RFC 8628).
//!
//! ```text
//!   Beginning ──▶ Waiting ◀──▶ Fetching ──▶ Saving ──▶ done
//!       ▲ │          (the person approves)
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
use crate::wire::device::Scopes;
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
    /// It is logged in, and its file is written.
    LoggedIn(Box<LogIn>),
}

type Cx = runner::Cx<Purpose, (), LogInNotice>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Begin,
    Fetch,
    Save,
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
        let config = LogInConfig {
            relay: BaseUrl::parse("https://relay.example").expect("a URL"),
            name: "Eva's box".to_owned(),
            scopes: Scopes::WORK,
            file: "/state/log-in".to_owned(),
            seed: Secret::from("seed"),
        };
        let mut hand = Hand::new(DeviceLogIn::new(config), Now::default());
        let (op, request) = next(&mut hand);
        let body = core::str::from_utf8(&request.body).expect("text");
        assert_eq!(body, "client_id=footbridge&scope=work&device_name=Eva%27s%20box");
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
