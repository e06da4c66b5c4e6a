//! What a broken party does instead of an action.

use std::num::NonZeroU64;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::UnixTime;
use footbridge_core::contract::action::{Action, Message};
use footbridge_core::contract::event::Event;
use footbridge_core::store::{Origin, StoreOp};
use serde_json::Value;

use super::Mutant;
use super::words::{all_seen, begins_with, bent, holds, reworded, shortened};
use crate::fact::Fact;
use crate::ids::{PartyId, Role};
use crate::names::TOKEN_FILE;
use crate::sim::cx::Cx;

/// What a broken party does instead of an action.
pub(crate) fn mutated(cx: &mut Cx, id: PartyId, action: Action) -> Vec<Action> {
    let Some(mutant) = cx.mutant else { return vec![action] };
    let role = cx.parties[id].role;
    let is_seldom = cx.rng.u8(..) < 16;
    match (mutant, role, action) {
        (Mutant::LostWrite, Role::Worker, Action::Write { op, data })
            if is_seldom && holds(&data, "\"user\"") =>
        {
            vec![Action::Write { op, data: Bytes::from_static(b"{\"type\":\"other\"}\n") }]
        }
        (Mutant::LostLine, Role::Worker, Action::Send { message: Message::Text(_), op })
            if is_seldom =>
        {
            let text = Text::from("{\"type\":\"other\"}");
            vec![Action::Send { op, message: Message::Text(text) }]
        }
        (Mutant::TwiceAsked, Role::Worker, action @ Action::Write { .. }) => {
            let is_request = matches!(&action, Action::Write { data, .. }
                if holds(data, "\"control_request\""));
            if is_request { vec![action.clone(), action] } else { vec![action] }
        }
        (
            Mutant::AllowOnInterrupt | Mutant::AllowOnEnd,
            Role::Worker,
            Action::Write { op, data },
        ) if cx.questions.get(&(id, op)).is_some_and(|asked| holds(&data, asked)) => {
            // Somebody has answered.
            cx.questions.remove(&(id, op));
            vec![Action::Write { op, data }]
        }
        (Mutant::AllowOnInterrupt, Role::Worker, Action::Write { op, data })
            if holds(&data, "\"subtype\":\"interrupt\"") =>
        {
            let mut actions = allow_open_question(cx, id, op);
            actions.insert(0, Action::Write { op, data });
            actions
        }
        (Mutant::AllowOnEnd, Role::Worker, Action::Signal { op, signal }) => {
            let mut actions = allow_open_question(cx, id, op);
            actions.push(Action::Signal { op, signal });
            actions
        }
        (Mutant::SilentEnd, Role::Relay, Action::Send { op, message: Message::Text(text) }) => {
            let text = Text::from(text.as_str().replace("\"messages_", "\"messages__"));
            vec![Action::Send { op, message: Message::Text(text) }]
        }
        (Mutant::SilentEnd, Role::Relay, Action::Reply { op, response }) => {
            let response = reworded(response, "\"messages_", "\"messages__");
            vec![Action::Reply { op, response }]
        }
        (Mutant::FalseSeen, Role::Relay, Action::Send { op, message: Message::Text(text) }) => {
            let text = Text::from(all_seen(text.as_str()));
            vec![Action::Send { op, message: Message::Text(text) }]
        }
        (Mutant::BoldEnd, Role::Relay, Action::Send { op, message: Message::Text(text) }) => {
            let bold = text.as_str().replace("messages_indeterminate", "messages_undelivered");
            vec![Action::Send { op, message: Message::Text(Text::from(bold)) }]
        }
        (Mutant::BoldEnd, Role::Relay, Action::Reply { op, response }) => {
            let bold = reworded(response, "messages_indeterminate", "messages_undelivered");
            vec![Action::Reply { op, response: bold }]
        }
        (Mutant::DeafToReports, Role::Relay, Action::Store { op, mut transaction }) => {
            if let StoreOp::Append { lines, .. } = &mut *transaction.op {
                for line in lines.iter_mut().filter(|line| line.origin == Origin::Worker) {
                    line.line = Text::from(line.line.as_str().replace("\"lines\":[", "\"x\":["));
                }
            }
            vec![Action::Store { op, transaction }]
        }
        (Mutant::TwiceWritten, Role::Worker, action @ Action::Write { .. }) => {
            vec![action.clone(), action]
        }
        (Mutant::SkippedEvent, Role::Relay, Action::Send { message, .. })
            if is_seldom && begins_with(&message, "{\"type\":\"event\"") =>
        {
            Vec::new()
        }
        (Mutant::DivergentEvent, Role::Relay, Action::Send { op, message })
            if is_seldom && begins_with(&message, "{\"type\":\"event\"") =>
        {
            vec![Action::Send { op, message: bent(&message, "\"type\":\"", "\"type\":\"x") }]
        }
        (Mutant::OpenHook, Role::Worker, Action::Write { op, data })
            if holds(&data, "\"permissionDecision\":\"deny\"") =>
        {
            let line = String::from_utf8_lossy(&data).replace("\"deny\"", "\"DENY\"");
            vec![Action::Write { op, data: Bytes::from(line) }]
        }
        (
            Mutant::ForgetsHooks,
            Role::Relay,
            Action::Send { message: Message::Binary(frame), .. },
        ) if holds(&frame, "\"declared\"") => Vec::new(),
        (Mutant::HiddenQuestion, Role::Relay, Action::Send { op, message })
            if begins_with(&message, "{\"type\":\"session\"") =>
        {
            let message =
                bent(&message, "\"pending_permissions\":[", "\"pending_permissions\":[],\"x\":[");
            vec![Action::Send { op, message }]
        }
        (Mutant::HiddenQuestion, Role::Relay, Action::Reply { op, mut response }) => {
            let body = String::from_utf8_lossy(&response.body);
            let hidden = "\"pending_permissions\":[],\"x\":[";
            response.body = Bytes::from(body.replace("\"pending_permissions\":[", hidden));
            vec![Action::Reply { op, response }]
        }
        (Mutant::LosesTrack, Role::Relay, Action::Cancel { .. }) => Vec::new(),
        (Mutant::SilentLoss, Role::Relay, Action::Send { op, message })
            if begins_with(&message, "{\"type\":\"session\"") =>
        {
            let message = bent(&message, "\"connected\":false", "\"x\":false");
            vec![Action::Send { op, message }]
        }
        (Mutant::AlwaysConnected, Role::Relay, Action::Send { op, message })
            if begins_with(&message, "{\"type\":\"session\"") =>
        {
            let message = bent(&message, "\"connected\":false", "\"connected\":true");
            vec![Action::Send { op, message }]
        }
        (Mutant::AlwaysConnected, Role::Relay, Action::Reply { op, mut response }) => {
            let body = String::from_utf8_lossy(&response.body);
            response.body = Bytes::from(body.replace("\"connected\":false", "\"connected\":true"));
            vec![Action::Reply { op, response }]
        }
        (Mutant::EveryAnswer, Role::Relay, Action::Reply { op, mut response })
            if response.status == 409 && holds(&response.body, "permission_conflict") =>
        {
            response.status = 200;
            response.body = Bytes::from_static(b"{\"seq\":1}");
            vec![Action::Reply { op, response }]
        }
        (Mutant::LostRequest, Role::Worker, Action::Write { op, data })
            if holds(&data, "\"control_request\"") =>
        {
            vec![Action::Write { op, data: Bytes::from_static(b"{\"type\":\"other\"}\n") }]
        }
        (Mutant::LostCheck, Role::Worker, Action::Request { request, .. })
            if request.url.contains("/work/")
                && request.url.ends_with("/stop")
                && !holds(&request.body, "\"result\"") =>
        {
            Vec::new()
        }
        (Mutant::ShortList, Role::Relay, Action::Reply { op, response }) => {
            let fewer = shortened(response, "sessions");
            vec![Action::Reply { op, response: fewer }]
        }
        (Mutant::ShortPage, Role::Relay, Action::Reply { op, response }) => {
            let fewer = shortened(response, "events");
            vec![Action::Reply { op, response: fewer }]
        }
        (Mutant::StaleOverview, Role::Relay, Action::Send { message, .. })
            if is_seldom && begins_with(&message, "{\"type\":\"session\"") =>
        {
            Vec::new()
        }
        (Mutant::BentTitle, Role::Relay, Action::Reply { op, response }) if is_seldom => {
            let bent = "\"title\":\"x";
            vec![Action::Reply { op, response: reworded(response, "\"title\":\"", bent) }]
        }
        (Mutant::AllowAll, Role::Worker, Action::Write { op, data }) => {
            let line = String::from_utf8_lossy(&data);
            let allow = "\"behavior\":\"allow\",\"updatedInput\":{},\"x\"";
            let line = line.replace("\"behavior\":\"deny\",\"message\"", allow);
            vec![Action::Write { op, data: Bytes::from(line) }]
        }
        (Mutant::TwoAgents, Role::Worker, Action::Spawn { op, command }) => {
            let other = NonZeroU64::MIN.saturating_add((1 << 40) + op.get());
            let twin = Action::Spawn { op: OpId::new(other), command: command.clone() };
            vec![Action::Spawn { op, command }, twin]
        }
        (Mutant::SameName, Role::Worker, action @ Action::Request { .. }) if is_seldom => {
            vec![action.clone(), action]
        }
        (mutant, Role::Worker, Action::Run { op, mut command, timeout, limit }) => {
            crate::git::misuse(mutant, &mut command.args);
            vec![Action::Run { op, command, timeout, limit }]
        }
        (Mutant::Keyless, Role::Relay, Action::Store { op, mut transaction }) => {
            if let StoreOp::CreateSession { key, .. } = &mut *transaction.op {
                *key = None;
            }
            vec![Action::Store { op, transaction }]
        }
        (Mutant::Nameless, Role::Relay, Action::Store { op, mut transaction }) => {
            if let StoreOp::Post { messages, .. } = &mut *transaction.op {
                messages.iter_mut().for_each(|message| message.uuid = None);
            }
            vec![Action::Store { op, transaction }]
        }
        (Mutant::Hoarder, Role::Relay, Action::Send { op, message }) => {
            // The relay learns immediately that the message was sent.
            pretend_sent(cx, id, op);
            vec![Action::Send { op, message }]
        }
        (Mutant::TwiceRead, Role::Worker, Action::Load { op, path, limit })
            if path == TOKEN_FILE =>
        {
            let other = NonZeroU64::MIN.saturating_add((1 << 40) + op.get());
            let twin = Action::Load { op: OpId::new(other), path: path.clone(), limit };
            vec![Action::Load { op, path, limit }, twin]
        }
        (Mutant::HastyRemoval, Role::Worker, action @ Action::Request { .. }) => {
            remove_early(cx, id, &action);
            vec![action]
        }
        (Mutant::OldEpoch, Role::Relay, Action::Store { op, mut transaction }) => {
            take_newest_link(cx, id, &mut transaction.op);
            vec![Action::Store { op, transaction }]
        }
        (Mutant::BelievesTokens, Role::Relay, Action::Store { op, mut transaction }) => {
            if let StoreOp::CheckDevice { .. } = &*transaction.op {
                *transaction.op = StoreOp::Find { environment: None, session: None };
            }
            vec![Action::Store { op, transaction }]
        }
        (Mutant::LongWindow, Role::Relay, Action::Store { op, mut transaction }) => {
            if let StoreOp::TrustDevice { .. } = &*transaction.op {
                transaction.at.wall = UnixTime::from_millis(0);
            }
            vec![Action::Store { op, transaction }]
        }
        (Mutant::ForgetsBatch, Role::Worker, Action::Request { op, request })
            if request.url.ends_with("/worker/events") =>
        {
            if let Ok(batch) = serde_json::from_slice::<Value>(&request.body) {
                let count = batch["events"].as_array().map_or(0, Vec::len) as u64;
                let last = batch["first_sequence_num"].as_u64().unwrap_or(1) - 1 + count;
                cx.questions.insert((id, op), format!("{last} {}", request.url));
            }
            vec![Action::Request { op, request }]
        }
        // Nor does it hold what it has forgotten.
        (Mutant::ForgetsBatch, Role::Worker, Action::Request { op, mut request }) => {
            if let Some((events, query)) = request.url.split_once("/stream?")
                && let Some(last) = cx.questions.get(&(id, forgotten(events)))
                && let Some((rest, holds)) = query.rsplit_once('=')
            {
                let [holds, last] = [holds, last].map(|n| n.parse::<u64>().unwrap_or(0));
                request.url = format!("{events}/stream?{rest}={}", holds.max(last));
            }
            vec![Action::Request { op, request }]
        }
        (_, _, action) => vec![action],
    }
}

/// Where is noted what was forgotten of the batches that go to a URL.
pub(super) fn forgotten(events: &str) -> OpId {
    let mix = |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte));
    OpId::new(NonZeroU64::MIN.saturating_add(events.bytes().fold(7, mix)))
}

/// Puts the newest link of a session in the place of an older one.
fn take_newest_link(cx: &mut Cx, id: PartyId, op: &mut StoreOp) {
    let (StoreOp::AttachLink { session, .. }
    | StoreOp::Append { session, .. }
    | StoreOp::AckInbound { session, .. }
    | StoreOp::NoteWorker { session, .. }) = &*op
    else {
        return;
    };
    let number = session
        .as_str()
        .bytes()
        .fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let key = OpId::new(NonZeroU64::MIN.saturating_add(number));
    let known = cx.questions.entry((id, key)).or_default();
    let newest = known.parse::<u64>().unwrap_or_default();
    match op {
        StoreOp::AttachLink { .. } => *known = (newest + 1).to_string(),
        StoreOp::Append { link, .. }
        | StoreOp::AckInbound { link, .. }
        | StoreOp::NoteWorker { link, .. } => *link = newest.max(*link),
        _ => {}
    }
}

/// Allows what the agent of a process has asked last.
fn allow_open_question(cx: &Cx, id: PartyId, op: OpId) -> Vec<Action> {
    let Some(asked) = cx.questions.get(&(id, op)) else { return Vec::new() };
    let answer = r#"{"behavior":"allow","updatedInput":{}}"#;
    let response = format!(r#"{{"subtype":"success","request_id":"{asked}","response":{answer}}}"#);
    let line = format!("{{\"type\":\"control_response\",\"response\":{response}}}\n");
    vec![Action::Write { op, data: Bytes::from(line) }]
}

fn pretend_sent(cx: &mut Cx, id: PartyId, op: OpId) {
    let now = cx.hosts[cx.parties[id].host].clock.now(cx.at);
    if let Some(machine) = &mut cx.parties[id].machine {
        machine.handle(now, Event::Sent { op, messages: 1 });
    }
}

/// Removes the file of a result that a request reports to the relay.
fn remove_early(cx: &mut Cx, id: PartyId, action: &Action) {
    let Action::Request { request, .. } = action else { return };
    let Some(work) = crate::sim::observe::reported_work(&request.url) else { return };
    let path = format!("/state/results/{work}.json");
    let host = cx.parties[id].host;
    cx.hosts[host].disk.remove(&path);
    cx.fact(Fact::FileGone { party: id, path });
}
