//! What is sent and received over links, and what agents and workers say on them.

use alloc::format;
use alloc::string::{String, ToString};

use super::Walk;
use crate::base::text::Text;
use crate::store::conformance::model::Model;
use crate::store::{Line, Origin, StoreOp};

impl Walk {
    /// An operation on a session's link, usually the current one.
    pub(super) fn link(&mut self, model: &Model) -> StoreOp {
        let (_, session) = self.session(model);
        let known = model.sessions.get(&session);
        let fence = model.subjects.get(session.as_str()).map_or(0, |subject| subject.fence);
        let (link, received, until, acked) = known.map_or((0, 0, 0, 0), |known| {
            (known.link, known.received, known.inbound.len() as u64, known.acked)
        });
        let link = if self.one_in(20) { link.saturating_sub(1) } else { link };
        let ack = if self.one_in(40) { until + 1 } else { self.rng.u64(acked.min(until)..=until) };
        match self.rng.u32(..12) {
            0..2 => {
                let fence = if self.one_in(10) { fence + 1 } else { fence };
                let agent_run = (!self.one_in(6)).then(|| format!("run_{}", self.rng.u32(..3)));
                StoreOp::AttachLink { session, fence, agent_run }
            }
            2..4 => {
                let lost = if self.one_in(8) { self.rng.u64(1..4) } else { 0 };
                let from = received + lost;
                StoreOp::ResumeLink { session, link, received: ack, from, last: None }
            }
            4..8 => {
                let first = received + 1;
                let back = self.rng.u64(..3).min(received);
                let first = if self.one_in(20) { first + 2 } else { first - back };
                let has_hooks = known.is_some_and(|known| known.callbacks.answerer().is_some());
                let lines = (0..self.rng.u64(1..5)).map(|at| self.line(first + at, has_hooks));
                let lines = lines.collect();
                StoreOp::Append { session, link, first, lines }
            }
            8..10 => {
                // A worker that speaks plainly says nothing but that it is connected.
                let delivered = if self.one_in(4) { 0 } else { ack };
                let with_worker = self.rng.u64(delivered.min(until)..=until);
                let (received, last) = (ack, None);
                StoreOp::AckInbound { session, link, received, delivered, with_worker, last }
            }
            _ => {
                let after = self.rng.u64(..=until);
                let (max_lines, max_bytes) = (self.rng.usize(1..9), self.rng.usize(..400));
                StoreOp::ReadInbound { session, after, max_lines, max_bytes }
            }
        }
    }

    fn line(&mut self, number: u64, has_hooks: bool) -> Line {
        if self.one_in(if has_hooks { 4 } else { 20 }) {
            return self.hook_line(number);
        }
        let (origin, line) = match self.rng.u32(..24) {
            0..7 => {
                let id = self.question();
                let request = r#"{"subtype":"can_use_tool","tool_name":"T","input":{"asked":1}}"#;
                let line = format!(
                    r#"{{"type":"control_request","request_id":"{id}","request":{request},"n":{number}}}"#
                );
                (Origin::Agent, line)
            }
            7 => {
                let id = self.question();
                let line = format!(r#"{{"type":"control_cancel_request","request_id":"{id}"}}"#);
                (Origin::Agent, line)
            }
            8..11 => {
                let response =
                    format!(r#"{{"subtype":"success","request_id":"{}"}}"#, self.request());
                let line = format!(r#"{{"type":"control_response","response":{response}}}"#);
                (Origin::Agent, line)
            }
            11 => {
                let most = if self.one_in(3) { 0 } else { 12 };
                let delivered = self.rng.u64(..=most);
                let attempted = delivered + self.rng.u64(..3);
                let known = format!(r#","delivered":{delivered},"attempted":{attempted}"#);
                let known = if most == 0 { String::new() } else { known };
                let line = format!(r#"{{"type":"footbridge","subtype":"agent_exited"{known}}}"#);
                (Origin::Worker, line)
            }
            12 => (Origin::Agent, r#"{"type":"result"}"#.to_string()),
            13 => (Origin::Agent, r#"{"type":"assistant"}"#.to_string()),
            14 => {
                let uuid = self.rng.u32(..40);
                (Origin::Agent, format!(r#"{{"type":"user","uuid":"uuid_{uuid}"}}"#))
            }
            16 => {
                let id = self.question();
                let line = format!(
                    r#"{{"type":"footbridge","subtype":"permission_withdrawn","request_id":"{id}"}}"#
                );
                (Origin::Worker, line)
            }
            15 => {
                let (lost, subtype) = (self.rng.u64(..12), "messages_undelivered");
                let names = format!(r#""uuids":[],"lines":[{lost}],"reason":"stale""#);
                let line = format!(r#"{{"type":"footbridge","subtype":"{subtype}",{names}}}"#);
                (Origin::Worker, line)
            }
            _ => {
                let pad = "x".repeat(self.rng.usize(..60));
                (Origin::Agent, format!(r#"{{"type":"x","n":{number},"pad":"{pad}"}}"#))
            }
        };
        Line { origin, line: Text::from(line) }
    }
}
