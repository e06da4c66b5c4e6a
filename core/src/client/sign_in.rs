//! Asks a relay for a code that signs a browser in.
//!
//! What answers has to prove first that it is a relay that knows the access token: the one that wrote
//! the token down may have ended, and something else may have its port (Y-4).

use core::convert::Infallible;

use fastrand::Rng;

use super::answer::answer;
use super::proof::{ask_for_proof, proved};
use super::request::{Empty, post};
use crate::base::secret::Secret;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::engine::runner::{self, Role, Runner, delegate_machine};
use crate::wire::url::BaseUrl;
use crate::wire::viewer::SignInCode;

type Cx = runner::Cx<Purpose, (), SignInCode>;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Proof,
    Code,
}

/// The machine that asks, reports the code, and finishes.
#[derive(Debug)]
pub struct AskForCode {
    runner: Runner<Asking>,
}

delegate_machine!(AskForCode, Infallible, SignInCode);

impl AskForCode {
    /// Asks with its first step. `seed` is any number that was not used before.
    pub fn new(relay: BaseUrl, access_token: Secret, seed: u64) -> Self {
        let mut cx = Cx::new();
        let number = Rng::with_seed(seed).u128(..);
        let request = ask_for_proof(&relay, &access_token, number);
        cx.fx.start(Purpose::Proof, |op| Action::Request { op, request });
        Self { runner: Runner::new(Asking { relay, access_token, number }, cx) }
    }
}

#[derive(Debug)]
struct Asking {
    relay: BaseUrl,
    access_token: Secret,
    number: u128,
}

impl Asking {
    fn ask(&self, cx: &mut Cx) {
        let request = post(&self.relay, "/v1/sign-in/codes", Some(&self.access_token), &Empty {});
        cx.fx.start(Purpose::Code, |op| Action::Request { op, request });
    }
}

impl Role for Asking {
    type Command = Infallible;
    type Notice = SignInCode;
    type Purpose = Purpose;
    type Timer = ();

    fn on_command(&mut self, _: &mut Cx, command: Infallible) {
        match command {}
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        let asked = match event.op().and_then(|op| cx.fx.finish(op)) {
            None => return,
            Some(Purpose::Proof) => match proved(event, &self.access_token, self.number) {
                Ok(()) => return self.ask(cx),
                Err(error) => Err(error),
            },
            Some(Purpose::Code) => answer::<SignInCode>(event),
        };
        let outcome = asked.map(|code| cx.fx.notify(code));
        cx.fx.end(outcome.map_err(|error| error.fault("ask for a sign-in code", &self.relay)));
    }

    fn on_timer(&mut self, _: &mut Cx, (): ()) {}

    fn settle(&mut self, _: &mut Cx) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AccountKey;
    use crate::auth::proof::answer as answer_to;
    use crate::base::id::OpId;
    use crate::base::time::Now;
    use crate::contract::action::{Method, Request, Response};
    use crate::contract::machine::MachineErrorKind;
    use crate::testing::Hand;
    use alloc::borrow::ToOwned;
    use alloc::format;
    use alloc::vec::Vec;
    use bytes::Bytes;

    /// It has asked for a proof.
    fn asking() -> (Hand<AskForCode>, OpId, Request) {
        let relay = BaseUrl::parse("http://127.0.0.1:8787").expect("a URL");
        let mut hand =
            Hand::new(AskForCode::new(relay, Secret::from("the-token"), 7), Now::default());
        let (op, request) = next(&mut hand);
        assert!(request.headers.iter().all(|(name, _)| *name != "authorization"));
        (hand, op, request)
    }

    fn next(hand: &mut Hand<AskForCode>) -> (OpId, Request) {
        let Some(Action::Request { op, request }) = hand.actions.pop_front() else {
            panic!("no request")
        };
        (op, request)
    }

    fn asked(status: u16, body: &'static str) -> Hand<AskForCode> {
        let (mut hand, op, request) = asking();
        let part = |name: &str| {
            let (_, query) = request.url.split_once('?').expect("a query");
            query
                .split('&')
                .find_map(|part| part.strip_prefix(name))
                .expect("it is there")
                .to_owned()
        };
        let key = AccountKey::new(&Secret::from("the-token"));
        let proof = answer_to(&key, &part("nonce="), &part("mac=")).expect("it knows it");
        let body_of_proof = Bytes::from(format!(r#"{{"proof":"{proof}"}}"#));
        let response = Response { status: 200, headers: Vec::new(), body: body_of_proof };
        hand.handle(Event::Response { op, response });
        let (op, request) = next(&mut hand);
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
    fn whatever_cannot_prove_that_it_knows_the_token_is_not_sent_it() {
        for (status, body) in [(200, r#"{"proof":"AAAA"}"#), (401, ""), (404, ""), (200, "<html>")]
        {
            let (mut hand, op, _) = asking();
            let response = Response { status, headers: Vec::new(), body: Bytes::from(body) };
            hand.handle(Event::Response { op, response });
            assert!(hand.actions.is_empty());
            hand.outcome.expect("an end").expect_err("an error");
        }
    }

    #[test]
    fn a_refusal_is_an_error_that_shows_no_secret() {
        let hand = asked(401, r#"{"error":{"type":"authentication_failed","message":"no"}}"#);
        let error = hand.outcome.expect("an end").expect_err("an error");
        assert_eq!(error.kind, MachineErrorKind::Unauthorized);
        assert!(!error.message.contains("the-token"), "{}", error.message);
    }
}
