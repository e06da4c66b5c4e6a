//! Asks a relay for a code that signs a browser in.

use core::convert::Infallible;

use super::answer::answer;
use super::request::{Empty, post};
use crate::base::secret::Secret;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::engine::runner::{self, Role, Runner, delegate_machine};
use crate::wire::url::BaseUrl;
use crate::wire::viewer::SignInCode;

type Cx = runner::Cx<(), (), SignInCode>;

/// The machine that asks, reports the code, and finishes.
#[derive(Debug)]
pub struct AskForCode {
    runner: Runner<Asking>,
}

delegate_machine!(AskForCode, Infallible, SignInCode);

impl AskForCode {
    /// Asks with its first step.
    pub fn new(relay: BaseUrl, access_token: &Secret) -> Self {
        let mut cx = Cx::new();
        let request = post(&relay, "/v1/sign-in/codes", Some(access_token), &Empty {});
        cx.fx.start((), |op| Action::Request { op, request });
        Self { runner: Runner::new(Asking { relay }, cx) }
    }
}

#[derive(Debug)]
struct Asking {
    relay: BaseUrl,
}

impl Role for Asking {
    type Command = Infallible;
    type Notice = SignInCode;
    type Purpose = ();
    type Timer = ();

    fn on_command(&mut self, _: &mut Cx, command: Infallible) {
        match command {}
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        let Some(op) = event.op().filter(|op| cx.fx.purpose(*op).is_some()) else { return };
        cx.fx.finish(op);
        let asked = answer::<SignInCode>(event);
        let outcome = asked.map(|code| cx.fx.notify(code));
        cx.fx.end(outcome.map_err(|error| error.fault("ask for a sign-in code", &self.relay)));
    }

    fn on_timer(&mut self, _: &mut Cx, (): ()) {}

    fn settle(&mut self, _: &mut Cx) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Now;
    use crate::contract::action::{Method, Response};
    use crate::contract::machine::MachineErrorKind;
    use crate::testing::Hand;
    use alloc::vec::Vec;
    use bytes::Bytes;

    fn asked(status: u16, body: &'static str) -> Hand<AskForCode> {
        let relay = BaseUrl::parse("http://127.0.0.1:8787").expect("a URL");
        let ask = AskForCode::new(relay, &Secret::from("the-token"));
        let mut hand = Hand::new(ask, Now::default());
        let Some(Action::Request { op, request }) = hand.actions.pop_front() else {
            panic!("no request")
        };
        assert_eq!(
            (request.method, &*request.url),
            (Method::Post, "http://127.0.0.1:8787/v1/sign-in/codes")
        );
        let response = Response { status, headers: Vec::new(), body: Bytes::from(body) };
        hand.handle(Event::Response { op, response });
        hand
    }

    #[test]
    fn it_reports_the_code_and_ends() {
        let hand = asked(201, r#"{"code":"fbcode-1","expires_at":"2026-01-01T00:00:00.000Z"}"#);
        assert_eq!(hand.notices[0].code.reveal(), "fbcode-1");
        assert_eq!(hand.outcome, Some(Ok(())));
    }

    #[test]
    fn a_refusal_is_an_error_that_shows_no_secret() {
        let hand = asked(401, r#"{"error":{"type":"authentication_failed","message":"no"}}"#);
        let error = hand.outcome.expect("an end").expect_err("an error");
        assert_eq!(error.kind, MachineErrorKind::Unauthorized);
        assert!(!error.message.contains("the-token"), "{}", error.message);
    }
}
