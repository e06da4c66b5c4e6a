//! What a broken party makes of an event.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::{Body, Event};

use super::Mutant;
use super::words::holds;
use crate::fact::Fact;
use crate::scenario::cast::RELAY;
use crate::sim::party::{Op, PartyId, Role};
use crate::sim::skew::FUTURE;
use crate::sim::world::World;

impl World {
    /// An event as a broken party would take it.
    pub(crate) fn mutated_event(&mut self, id: PartyId, event: Event) -> Option<Event> {
        let Some(mutant) = self.options.mutant else { return Some(event) };
        let is_worker = self.role(id) == Role::Worker;
        match (mutant, event) {
            (Mutant::Impatient, Event::Response { op, mut response }) if is_worker => {
                if response.status == 503 {
                    response.status = 403;
                }
                Some(Event::Response { op, response })
            }
            (Mutant::IgnoresRetryAfter, Event::Response { op, mut response }) if is_worker => {
                response.headers.retain(|(name, _)| name != "retry-after");
                Some(Event::Response { op, response })
            }
            (Mutant::OldToken, Event::Loaded { op, data }) if is_worker => {
                let is_token = data.as_deref().is_some_and(|data| data.starts_with(b"alice-has"));
                Some(Event::Loaded { op, data: data.filter(|_| !is_token) })
            }
            (Mutant::Stubborn, Event::Response { op, mut response }) if is_worker => {
                if response.status == 401 {
                    response.status = 503;
                }
                Some(Event::Response { op, response })
            }
            (Mutant::Revoked, Event::Response { op, mut response }) if is_worker => {
                if self.is_seen(|fact| matches!(fact, Fact::Denied { party, .. } if *party == id)) {
                    response.status = 403;
                }
                Some(Event::Response { op, response })
            }
            (Mutant::Lenient, Event::Tick) if id == RELAY => {
                self.pretend_heard(Duration::from_secs(45 + 60));
                Some(Event::Tick)
            }
            (Mutant::StrictWorker, Event::Received { op, message: Message::Binary(word) })
                if is_worker && holds(&word, &format!("\"type\":\"{FUTURE}\"")) =>
            {
                let message = Message::Binary(Bytes::from_static(b"no word"));
                Some(Event::Received { op, message })
            }
            (Mutant::StrictRelay, Event::Requested { op, mut request }) if id == RELAY => {
                if matches!(&request.body, Body::Whole(body) if holds(body, FUTURE)) {
                    request.body = Body::Whole(Bytes::from_static(b"["));
                }
                Some(Event::Requested { op, request })
            }
            // It was told so before.
            (Mutant::Hoarder, Event::Sent { .. }) if id == RELAY => None,
            (_, event) => Some(event),
        }
    }

    /// Every link that was silent for less than this has just been heard, as the relay thinks.
    fn pretend_heard(&mut self, limit: Duration) {
        let links = self.parties[RELAY].ops.iter().filter_map(|(op, kind)| {
            let Op::Stream(conn, _) = kind else { return None };
            let conn = self.network.conns.get(conn)?;
            let is_link = conn.label.contains("/session_ingress/");
            (is_link && self.at < conn.heard_at + limit).then_some(*op)
        });
        let links: Vec<_> = links.collect();
        let now = self.hosts[self.parties[RELAY].host].clock.now(self.at);
        for op in links {
            let message = Message::Binary(Bytes::from_static(b"{\"type\":\"pong\"}"));
            if let Some(machine) = &mut self.parties[RELAY].machine {
                machine.handle(now, Event::Received { op, message });
            }
        }
    }
}
