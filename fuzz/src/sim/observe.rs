//! What can be observed on the wire: requests, responses, and what the relay reports about its
//! sessions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use footbridge_core::contract::action::{Action, Message, Response};
use footbridge_core::contract::event::Event;
use serde_json::Value;

use crate::fact::Fact;
use crate::ids::{Address, ConnId, Op, PartyId};
use crate::names::RELAY;
use crate::sim::cx::Cx;
use crate::sim::network::portal::is_foreign;

/// The outcome of a worker's requests, for the promises about patience.
pub(crate) fn answer(cx: &mut Cx, to: Address, op: Op, event: &Event) {
    if let Event::Refused { response, .. } = event
        && matches!(response.status, 404 | 410)
        && !is_foreign(event)
    {
        cx.fact(Fact::Unlinked { party: to.party });
    }
    if !matches!(op, Op::Request(_)) {
        return;
    }
    if let Some(asked) = cx.parties[to.party].asked.remove(&to.op) {
        note_report(cx, to.party, &asked, event);
    }
    let party = &mut cx.parties[to.party];
    let Some(what) = party.activities.remove(&to.op) else { return };
    let mono = cx.hosts[party.host].clock.now(cx.at).mono.since_origin();
    let fact = match event {
        Event::Response { response, .. } => Fact::Answered {
            party: to.party,
            what,
            status: response.status,
            is_relays: !is_foreign(event),
            retry_after: response.header("retry-after").and_then(|text| text.parse().ok()),
            mono,
        },
        Event::Failed { .. } => Fact::Failed { party: to.party, what, mono },
        _ => return,
    };
    cx.fact(fact);
}

/// Which of a worker's activities a request belongs to.
pub(crate) fn request_kind(label: &str) -> Option<&'static str> {
    let (label, query) = label.split_once('?').unwrap_or((label, ""));
    if label.ends_with("/v1/proof") {
        Some(if query.starts_with("of=env_") { "prove" } else { "prove to its owner" })
    } else if label.ends_with("/environments/bridge") {
        Some("register")
    } else if label.ends_with("/work/poll") {
        Some("poll")
    } else {
        None
    }
}
/// Whether a request takes a whole environment from the relay.
pub(crate) fn is_deregistration(label: &str) -> bool {
    let path = label.split('?').next().unwrap_or("");
    path.contains("/environments/") && path.ends_with("/stop") && !path.contains("/work/")
}

/// What a worker is told about its sessions and their results.
fn note_report(cx: &mut Cx, party: PartyId, label: &str, event: &Event) {
    let Event::Response { response, .. } = event else { return };
    if is_foreign(event) {
        return;
    }
    let status = response.status;
    if let Some(work) = reported_work(label) {
        let work = work.to_owned();
        return cx.fact(Fact::Reported { party, work, status });
    }
    if let Some(session) = redispatched_session(label) {
        let session = session.to_owned();
        return match status {
            401 => cx.fact(Fact::Denied { party, session }),
            404 | 410 => cx.fact(Fact::Unlinked { party }),
            _ => {}
        };
    }
    if status != 200 {
        return;
    }
    let is_poll = label.ends_with("/work/poll");
    if !is_poll && !label.ends_with("/environments/bridge") {
        return;
    }
    let Ok(body) = serde_json::from_slice::<Value>(&response.body) else { return };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if is_poll && let (Some(work), Some(session)) = (text(&body["id"]), text(&body["data"]["id"])) {
        cx.fact(Fact::Leased { work, session });
    } else if let Some(environment) = text(&body["environment_id"]) {
        cx.fact(Fact::Registered { party, environment });
    }
}

/// A piece of a stream of work has reached its worker; each event is one.
pub(crate) fn work_came(cx: &mut Cx, piece: &[u8]) {
    let piece = String::from_utf8_lossy(piece);
    let item = piece.lines().find_map(|line| line.strip_prefix("data: "));
    let item = item.filter(|_| piece.contains("event: work"));
    let Some(item) = item.and_then(|item| serde_json::from_str::<Value>(item).ok()) else { return };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let (Some(work), Some(session)) = (text(&item["id"]), text(&item["data"]["id"])) {
        cx.fact(Fact::Leased { work, session });
    }
}

/// A worker of version 2 has sent something, and the relay hears it.
pub(crate) fn worker_call(cx: &mut Cx, to: PartyId, target: &str) {
    let path = target.split('?').next().unwrap_or_default();
    if to == RELAY
        && let Some((_, rest)) = path.split_once("/code/sessions/")
        && let Some((session, _)) = rest.split_once("/worker")
    {
        cx.fact(Fact::LinkHeard { session: session.to_owned() });
    }
}

/// Which epochs the relay gives, and under which it accepts what a worker says.
pub(crate) fn epochs(
    cx: &mut Cx,
    id: PartyId,
    label: &str,
    bearer: Option<&str>,
    response: &Response,
) {
    if id != RELAY || response.status != 200 {
        return;
    }
    let Some((_, rest)) = label.split_once("/code/sessions/") else { return };
    let Some((session, call)) = rest.split_once('/') else { return };
    let session = session.to_owned();
    if call == "bridge" {
        let body = serde_json::from_slice::<Value>(&response.body).unwrap_or_default();
        let epoch = body["worker_epoch"].as_u64().unwrap_or_default();
        cx.fact(Fact::Bridged { session, epoch });
    } else if let Some(epoch) = bearer.and_then(epoch_of) {
        cx.fact(Fact::AcceptedUnder { session, epoch });
    }
}

/// The epoch in a worker's token.
fn epoch_of(token: &str) -> Option<u64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?["epoch"].as_u64()
}

/// The item whose result a request reports.
pub(crate) fn reported_work(label: &str) -> Option<&str> {
    let (_, work) = label.strip_suffix("/stop")?.split_once("/work/")?;
    Some(work)
}

/// The session for which a request asks for another lease.
fn redispatched_session(label: &str) -> Option<&str> {
    let (_, session) = label.strip_suffix("/redispatch")?.split_once("/sessions/")?;
    Some(session)
}

/// Records what an action of the relay says about its sessions.
pub(crate) fn relay_action(cx: &mut Cx, id: PartyId, action: &Action) {
    if id != RELAY {
        return;
    }
    match action {
        Action::Reply { response, .. } if response.status < 300 => {
            let body = std::str::from_utf8(&response.body).unwrap_or_default();
            if body.contains("\"connected\":") {
                note_said(cx, None, body);
            }
        }
        Action::Send { op, message: Message::Text(text) } => {
            let Some(Op::Stream(conn, _)) = cx.parties[id].ops.get(op).copied() else {
                return;
            };
            let text = text.as_str();
            if text.starts_with("{\"type\":\"alive\"") {
                cx.fact(Fact::SaidAlive { stream: conn });
            } else if ["session\"", "overview\"", "session_gone\""].iter().any(|kind| {
                text.strip_prefix("{\"type\":\"").is_some_and(|rest| rest.starts_with(kind))
            }) {
                note_said(cx, Some(conn), text);
            }
        }
        _ => {}
    }
}

fn note_said(cx: &mut Cx, stream: Option<ConnId>, json: &str) {
    let Ok(said) = serde_json::from_str::<Value>(json) else { return };
    // What is gone is not connected.
    if let (Some("session_gone"), Some(id)) = (said["type"].as_str(), said["id"].as_str()) {
        let session = id.to_owned();
        return cx.fact(Fact::SaidConnected { stream, session, is_connected: false });
    }
    let listed = said["sessions"].as_array().into_iter().flatten();
    for one in listed.chain([&said["session"], &said]) {
        if let (Some(id), Some(is_connected)) = (one["id"].as_str(), one["connected"].as_bool()) {
            let session = id.to_owned();
            cx.fact(Fact::SaidConnected { stream, session, is_connected });
        }
    }
}
