//! What a broken party makes of an event.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::contract::action::{Message, Response};
use footbridge_core::contract::event::{Body, Event};

use super::Mutant;
use super::actions::forgotten;
use super::words::holds;
use crate::fact::Fact;
use crate::ids::{Op, PartyId, Role};
use crate::names::{FUTURE, RELAY};
use crate::sim::cx::Cx;
use crate::sim::network::Network;
use crate::sim::network::portal::is_foreign;

/// An event as a broken party would see it.
pub(crate) fn mutated(cx: &mut Cx, network: &Network, id: PartyId, event: Event) -> Option<Event> {
    let Some(mutant) = cx.mutant else { return Some(event) };
    let is_worker = cx.parties[id].role == Role::Worker;
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
        (Mutant::Gullible, event) if is_worker && is_foreign(&event) => Some(believed(event)),
        (Mutant::OldToken, Event::Loaded { op, data, modified }) if is_worker => {
            let is_token = data.as_deref().is_some_and(|data| data.starts_with(b"alice-has"));
            Some(Event::Loaded { op, data: data.filter(|_| !is_token), modified })
        }
        (Mutant::Forgetful, Event::Loaded { op, data, modified }) if is_worker => {
            let is_state = data.as_deref().is_some_and(|data| data.starts_with(b"{\"worker_id\""));
            Some(Event::Loaded { op, data: data.filter(|_| !is_state), modified })
        }
        (Mutant::Stubborn, Event::Response { op, mut response }) if is_worker => {
            if response.status == 401 {
                response.status = 503;
            }
            Some(Event::Response { op, response })
        }
        (Mutant::Revoked, Event::Response { op, mut response }) if is_worker => {
            if cx.is_seen(|fact| matches!(fact, Fact::Denied { party, .. } if *party == id)) {
                response.status = 403;
            }
            Some(Event::Response { op, response })
        }
        (Mutant::Lenient, Event::Tick) if id == RELAY => {
            pretend_heard(cx, network, Duration::from_secs(45 + 60));
            Some(Event::Tick)
        }
        (Mutant::StrictWorker, Event::Received { op, message: Message::Binary(word) })
            if is_worker && holds(&word, &format!("\"type\":\"{FUTURE}\"")) =>
        {
            let message = Message::Binary(Bytes::from_static(b"no word"));
            Some(Event::Received { op, message })
        }
        (Mutant::StrictRelay, Event::BodyRead { op, body: Body::Whole(body) }) if id == RELAY => {
            let is_strange = holds(&body, FUTURE);
            let body = if is_strange { Bytes::from_static(b"[") } else { body };
            Some(Event::BodyRead { op, body: Body::Whole(body) })
        }
        (Mutant::AllowOnInterrupt | Mutant::AllowOnEnd, Event::Stdout { op, data })
            if is_worker =>
        {
            if let Some(asked) = last_question(&data) {
                cx.questions.insert((id, op), asked);
            }
            Some(Event::Stdout { op, data })
        }
        (Mutant::TwiceStreamed, Event::Received { op, message: Message::Binary(bytes) })
            if is_worker && cx.rng.u8(..) < 40 =>
        {
            let message = Message::Binary(streamed_twice(bytes));
            Some(Event::Received { op, message })
        }
        (Mutant::ForgetsBatch, Event::Response { op, mut response }) if is_worker => {
            let last = cx.questions.remove(&(id, op));
            let last = last.as_deref().and_then(|last| last.split_once(' '));
            if let (401, Some((last, events))) = (response.status, last) {
                cx.questions.insert((id, forgotten(events)), last.to_owned());
                response.status = 200;
                response.body = Bytes::from(format!("{{\"received\":{last}}}"));
            }
            Some(Event::Response { op, response })
        }
        // It was told so before.
        (Mutant::Hoarder, Event::Sent { .. }) if id == RELAY => None,
        (_, event) => Some(event),
    }
}

/// The last line of a stream once more, as if it were the next one.
fn streamed_twice(bytes: Bytes) -> Bytes {
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let again = text.rsplit("\n\n").nth(1).and_then(|event| {
        let (number, data) = event.strip_prefix("id: ")?.split_once('\n')?;
        let next = number.parse::<u64>().ok()? + 1;
        Some(format!("{text}id: {next}\n{data}\n\n"))
    });
    again.map_or(bytes, Bytes::from)
}

/// An answer that no relay gives, as if the relay gave it.
fn believed(event: Event) -> Event {
    let body = Bytes::from_static(br#"{"error":{"type":"later","message":"simulated"}}"#);
    match event {
        Event::Response { op, response } => {
            Event::Response { op, response: Response { body, ..response } }
        }
        Event::Refused { op, response } => {
            Event::Refused { op, response: Response { body, ..response } }
        }
        other => other,
    }
}

/// The last question in what an agent has printed.
fn last_question(data: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(data);
    let line = text.lines().rfind(|line| line.contains("\"can_use_tool\""))?;
    let message = serde_json::from_str::<serde_json::Value>(line).ok()?;
    Some(message["request_id"].as_str()?.to_owned())
}

/// The relay believes that every link that has been silent for less than this was just heard.
fn pretend_heard(cx: &mut Cx, network: &Network, limit: Duration) {
    let links = cx.parties[RELAY].ops.iter().filter_map(|(op, kind)| {
        let Op::Stream(conn, _) = kind else { return None };
        let conn = network.conns.get(conn)?;
        let is_link = conn.label.contains("/session_ingress/");
        (is_link && cx.at < conn.heard_at + limit).then_some(*op)
    });
    let links: Vec<_> = links.collect();
    let now = cx.hosts[cx.parties[RELAY].host].clock.now(cx.at);
    for op in links {
        let message = Message::Binary(Bytes::from_static(b"{\"type\":\"pong\"}"));
        if let Some(machine) = &mut cx.parties[RELAY].machine {
            machine.handle(now, Event::Received { op, message });
        }
    }
}

/// Whether a party is broken in that it never waits.
pub(crate) fn is_busy(cx: &mut Cx, id: PartyId) -> bool {
    cx.mutant == Some(Mutant::BusyLoop) && cx.parties[id].role == Role::Worker && cx.rng.u8(..) < 16
}
