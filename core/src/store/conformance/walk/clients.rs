//! Clients that declare hooks, and answer what the agent asks because of them (M-6).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Walk;
use crate::base::text::Text;
use crate::store::conformance::model::Model;
use crate::store::{CallbackReply, Line, NewMessage, Origin, Sender, StoreOp};

impl Walk {
    /// A request that declares a client's hooks, or takes them back.
    pub(super) fn declaration(&mut self) -> NewMessage {
        let id = self.request();
        let hooks = match self.rng.u32(..4) {
            0 => "{}".to_owned(),
            n => format!(r#"{{"PreToolUse":[{{"hookCallbackIds":["hook_{n}"]}}]}}"#),
        };
        let line = format!(
            r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"initialize","hooks":{hooks}}}}}"#
        );
        NewMessage { uuid: None, request_id: Some(id), line: Text::from(line) }
    }

    /// A client, usually one that is connected.
    pub(super) fn sender(&mut self) -> Sender {
        let client = self.one_of("client", 3);
        let mut connected: Vec<_> =
            (0..3).filter(|_| self.one_in(3)).map(|n| format!("client_{n}")).collect();
        if !self.one_in(8) {
            connected.push(client.clone());
        }
        Sender { client, connected }
    }

    pub(super) fn answer_callback(&mut self, model: &Model) -> StoreOp {
        let asked = self.asked(model, true).filter(|_| !self.one_in(6));
        let (owner, session, request_id) = asked.unwrap_or_else(|| {
            let (owner, session) = self.session(model);
            (owner, session, self.hook())
        });
        let known = model.sessions.get(&session);
        let answerer = known.and_then(|known| known.callbacks.answerer().cloned());
        let client =
            answerer.filter(|_| !self.one_in(6)).unwrap_or_else(|| self.one_of("client", 3));
        let asked_at = known.and_then(|known| known.questions.asked_at(&request_id)).unwrap_or(1);
        let seq = if self.one_in(6) { asked_at.saturating_sub(1) } else { asked_at };
        let response = |json: &str| CallbackReply::Response(Text::from(json.to_owned()));
        let reply = match self.rng.u32(..6) {
            0 => response(r#"{"decision":"unclear"}"#),
            1..3 => response(r#"{"continue":true}"#),
            3..5 => response(r#"{"decision":"block"}"#),
            _ => CallbackReply::Error("it broke".to_owned()),
        };
        StoreOp::AnswerCallback { owner, session, client, request_id, seq, reply }
    }

    /// What an agent says about hooks, or its worker in its place.
    pub(super) fn hook_line(&mut self, number: u64) -> Line {
        let id = self.hook();
        let (origin, line) = match self.rng.u32(..10) {
            0 => {
                let line = format!(r#"{{"type":"control_cancel_request","request_id":"{id}"}}"#);
                (Origin::Agent, line)
            }
            1 => {
                let line = format!(
                    r#"{{"type":"footbridge","subtype":"callback_withdrawn","request_id":"{id}"}}"#
                );
                (Origin::Worker, line)
            }
            _ => {
                let input = r#"{"hook_event_name":"PreToolUse"}"#;
                let request = format!(r#"{{"subtype":"hook_callback","input":{input}}}"#);
                let line = format!(
                    r#"{{"type":"control_request","request_id":"{id}","request":{request},"n":{number}}}"#
                );
                (Origin::Agent, line)
            }
        };
        Line { origin, line: Text::from(line) }
    }

    /// The id of what an agent asks a client: seldom one that it uses for people as well.
    fn hook(&mut self) -> String {
        if self.one_in(8) { self.question() } else { format!("hook_{}", self.rng.u32(..4)) }
    }
}
