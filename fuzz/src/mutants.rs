//! Parties and stores that are broken on purpose, each of which a promise must find out: a judge that
//! never finds anybody guilty is worth nothing.
//!
//! A mutant stands between a machine and the world. It drops, doubles or changes what goes by; the
//! machines themselves know nothing of it.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::action::{Action, Message, Response};
use footbridge_core::event::{Body, Event};
use footbridge_core::id::OpId;
use footbridge_core::relay::store::Call;
use footbridge_core::wire::text::Text;
use serde_json::value::RawValue;

use crate::agents::Kind;
use crate::cast::RELAY;
use crate::fact::Fact;
use crate::party::{Op, PartyId, Role};
use crate::skew::FUTURE;
use crate::tokens::TOKEN_FILE;
use crate::world::World;

macro_rules! mutants {
    ($($(#[$doc:meta])* $mutant:ident = $name:literal found by $promise:literal within $seeds:literal,)*) => {
        /// One way to be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])* $mutant,)*
        }

        /// All of them.
        pub const MUTANTS: &[Mutant] = &[$(Mutant::$mutant,)*];

        impl Mutant {
            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$mutant => $name,)*
                }
            }

            /// The promise that it breaks.
            pub const fn promise(self) -> &'static str {
                match self {
                    $(Self::$mutant => $promise,)*
                }
            }

            /// Within how many seeds it must be found out.
            pub const fn seeds(self) -> u64 {
                match self {
                    $(Self::$mutant => $seeds,)*
                }
            }
        }
    };
}

mutants! {
    /// A worker writes something else in place of a message, and calls it delivered.
    LostWrite = "lost-write" found by "no acknowledged loss" within 10,
    /// A store says *stored* before it is durable.
    EarlyStored = "early-stored" found by "no acknowledged loss" within 40,
    /// A worker loses a line of its agent and counts on.
    LostLine = "lost-line" found by "no acknowledged loss" within 20,
    /// A worker writes every message twice.
    TwiceWritten = "twice-written" found by "one hand-off" within 10,
    /// A relay leaves events out.
    SkippedEvent = "skipped-event" found by "whole log" within 10,
    /// A relay tells two viewers different things under one number.
    BentEvent = "bent-event" found by "whole log" within 20,
    /// A relay tells everybody that their answer counts.
    EveryAnswer = "every-answer" found by "one answer" within 40,
    /// A worker turns *deny* into *allow*.
    AllowAll = "allow-all" found by "fail closed" within 40,
    /// A relay hides questions from those who could answer them.
    HiddenQuestion = "hidden-question" found by "nothing stuck" within 40,
    /// A relay counts every session as connected.
    AlwaysConnected = "always-connected" found by "honest status" within 80,
    /// A relay counts a silent worker as connected for a minute longer.
    Lenient = "lenient" found by "honest status" within 60,
    /// A relay tells nobody that a worker has gone.
    SilentLoss = "silent-loss" found by "honest status" within 60,
    /// A worker takes *try again later* for a final refusal.
    Impatient = "impatient" found by "patience" within 60,
    /// A worker does not read `Retry-After`.
    Pushy = "pushy" found by "patience" within 60,
    /// A worker starts every agent twice.
    TwoAgents = "two-agents" found by "one agent" within 10,
    /// A relay takes for sent what it has only just asked to be sent.
    Hoarder = "hoarder" found by "bounded memory" within 150,
    /// A worker takes a word that it does not know for a broken one.
    StrictWorker = "strict-worker" found by "two versions" within 60,
    /// A relay refuses a body with a field that it does not know.
    StrictRelay = "strict-relay" found by "two versions" within 60,
    /// A relay loses track of what it wanted to let go of.
    LosesTrack = "loses-track" found by "no leaks" within 20,
    /// A worker waits for what has passed.
    BusyLoop = "busy-loop" found by "contract" within 5,
    /// A worker uses the name of an operation twice.
    SameName = "same-name" found by "contract" within 5,
    /// A store does not know the name of a request again.
    Keyless = "keyless" found by "one agent" within 200,
    /// A store does not know a message again.
    Nameless = "nameless" found by "no acknowledged loss" within 60,
    /// A worker removes worktrees with `--force`.
    ForcedRemoval = "forced-removal" found by "worktrees" within 60,
    /// A worker lets git overlook new files where a person's settings say so.
    BlindRemoval = "blind-removal" found by "worktrees" within 60,
    /// A worker never looks for commits that only a session's branch has.
    CommitBlind = "commit-blind" found by "worktrees" within 20,
    /// A worker detaches `HEAD` before it removes a worktree.
    Detacher = "detacher" found by "worktrees" within 60,
    /// A worker deletes a session's branch wherever it is by then.
    AnyTip = "any-tip" found by "worktrees" within 60,
    /// A worker takes every other worker for dead.
    GraveRobber = "grave-robber" found by "worktrees" within 80,
    /// A worker says that it has removed worktrees, and does not.
    Litterer = "litterer" found by "worktrees" within 20,
    /// A runtime says that a worker's file is saved, and saves it some seconds later.
    EarlySaved = "early-saved" found by "safe restart" within 60,
    /// A runtime leaves half a file behind when the worker dies.
    TornFile = "torn-file" found by "safe restart" within 60,
    /// A worker removes a result from its disk as soon as it is on its way.
    HastyRemoval = "hasty-removal" found by "safe restart" within 20,
    /// A worker reads its token's file twice at once.
    TwiceRead = "twice-read" found by "fresh tokens" within 60,
    /// A worker does not take the token that it has read.
    OldToken = "old-token" found by "fresh tokens" within 60,
    /// A worker takes a refusal of its token for a passing failure.
    Stubborn = "stubborn" found by "fresh tokens" within 60,
    /// A worker gives a session up when its secret is revoked.
    Revoked = "revoked" found by "fresh tokens" within 60,
    /// A worker keeps what viewers ask of the agent to itself, and calls it delivered.
    LostRequest = "lost-request" found by "nobody waits" within 60,
    /// A worker takes healthchecks and never says that it is there.
    LostCheck = "lost-check" found by "nobody waits" within 60,
    /// A relay leaves a session out of a list.
    ShortList = "short-list" found by "whole list" within 60,
    /// A relay leaves events out of a page.
    ShortPage = "short-page" found by "whole log" within 60,
    /// A relay does not tell everybody of a change.
    StaleOverview = "stale-overview" found by "one view" within 150,
    /// A relay tells a session's title as it likes.
    BentTitle = "bent-title" found by "one view" within 60,
}

impl Mutant {
    /// The kind of agent with which it has the most to do.
    pub(crate) const fn agent(self) -> Option<Kind> {
        match self {
            // It is seen only where sessions end by themselves.
            Self::Litterer => Some(Kind::Brief),
            _ => None,
        }
    }
}

impl World {
    fn role(&self, id: PartyId) -> Role {
        self.parties[id].role
    }

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
            (Mutant::Pushy, Event::Response { op, mut response }) if is_worker => {
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
            (Mutant::StrictRelay, Event::Asked { op, mut asked }) if id == RELAY => {
                if matches!(&asked.body, Body::Whole(body) if holds(body, FUTURE)) {
                    asked.body = Body::Whole(Bytes::from_static(b"["));
                }
                Some(Event::Asked { op, asked })
            }
            // It was told so before.
            (Mutant::Hoarder, Event::Sent { .. }) if id == RELAY => None,
            (_, event) => Some(event),
        }
    }

    /// What a broken party does in place of an action.
    pub(crate) fn mutated_action(&mut self, id: PartyId, action: Action) -> Vec<Action> {
        let Some(mutant) = self.options.mutant else { return vec![action] };
        let role = self.role(id);
        let is_seldom = self.rng.u8(..) < 16;
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
            (Mutant::TwiceWritten, Role::Worker, action @ Action::Write { .. }) => {
                vec![action.clone(), action]
            }
            (Mutant::SkippedEvent, Role::Relay, Action::Send { message, .. })
                if is_seldom && says(&message, "{\"type\":\"event\"") =>
            {
                Vec::new()
            }
            (Mutant::BentEvent, Role::Relay, Action::Send { op, message })
                if is_seldom && says(&message, "{\"type\":\"event\"") =>
            {
                vec![Action::Send { op, message: bent(&message, "\"type\":\"", "\"type\":\"x") }]
            }
            (Mutant::HiddenQuestion, Role::Relay, Action::Send { op, message })
                if says(&message, "{\"type\":\"session\"") =>
            {
                let message = bent(
                    &message,
                    "\"pending_permissions\":[",
                    "\"pending_permissions\":[],\"x\":[",
                );
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
                if says(&message, "{\"type\":\"session\"") =>
            {
                let message = bent(&message, "\"connected\":false", "\"x\":false");
                vec![Action::Send { op, message }]
            }
            (Mutant::AlwaysConnected, Role::Relay, Action::Send { op, message })
                if says(&message, "{\"type\":\"session\"") =>
            {
                let message = bent(&message, "\"connected\":false", "\"connected\":true");
                vec![Action::Send { op, message }]
            }
            (Mutant::AlwaysConnected, Role::Relay, Action::Reply { op, mut response }) => {
                let body = String::from_utf8_lossy(&response.body);
                response.body =
                    Bytes::from(body.replace("\"connected\":false", "\"connected\":true"));
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
                if is_seldom && says(&message, "{\"type\":\"session\"") =>
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
            (Mutant::Keyless, Role::Relay, Action::Store { op, mut operation }) => {
                if let Call::CreateSession { key, .. } = &mut *operation.call {
                    *key = None;
                }
                vec![Action::Store { op, operation }]
            }
            (Mutant::Nameless, Role::Relay, Action::Store { op, mut operation }) => {
                if let Call::Post { messages, .. } = &mut *operation.call {
                    messages.iter_mut().for_each(|message| message.uuid = None);
                }
                vec![Action::Store { op, operation }]
            }
            (Mutant::Hoarder, Role::Relay, Action::Send { op, message }) => {
                // The relay hears at once that the message is gone.
                self.pretend_sent(id, op);
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
                self.remove_early(id, &action);
                vec![action]
            }
            (_, _, action) => vec![action],
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

    fn pretend_sent(&mut self, id: PartyId, op: OpId) {
        let now = self.hosts[self.parties[id].host].clock.now(self.at);
        if let Some(machine) = &mut self.parties[id].machine {
            machine.handle(now, Event::Sent { op, messages: 1 });
        }
    }

    /// Removes the file of a result that a request brings to the relay.
    fn remove_early(&mut self, id: PartyId, action: &Action) {
        let Action::Request { request, .. } = action else { return };
        let Some(work) = crate::files::reported_work(&request.url) else { return };
        let path = format!("/state/results/{work}.json");
        let host = self.parties[id].host;
        self.hosts[host].disk.remove(&path);
        self.fact(Fact::FileGone { party: id, path });
    }

    /// Whether a party is broken in that it never rests.
    pub(crate) fn is_busy(&mut self, id: PartyId) -> bool {
        self.options.mutant == Some(Mutant::BusyLoop)
            && self.role(id) == Role::Worker
            && self.rng.u8(..) < 16
    }
}

fn holds(bytes: &[u8], what: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(what)
}

fn says(message: &Message, beginning: &str) -> bool {
    matches!(message, Message::Text(text) if text.as_str().starts_with(beginning))
}

/// An answer with something in its body replaced.
fn reworded(response: Response, what: &str, by: &str) -> Response {
    let body = String::from_utf8_lossy(&response.body).replace(what, by);
    Response { body: Bytes::from(body), ..response }
}

/// An answer with a list that has more than one entry, without the second of them.
fn shortened(response: Response, list: &str) -> Response {
    let Ok(mut body) = serde_json::from_slice::<BTreeMap<&str, &RawValue>>(&response.body) else {
        return response;
    };
    let all = body.get(list).and_then(|all| serde_json::from_str::<Vec<&RawValue>>(all.get()).ok());
    let Some(mut all) = all.filter(|all| all.len() > 1) else { return response };
    all.remove(1);
    let Ok(fewer) = serde_json::value::to_raw_value(&all) else { return response };
    body.insert(list, &fewer);
    let Ok(body) = serde_json::to_vec(&body) else { return response };
    Response { body: Bytes::from(body), ..response }
}

/// A text message with its last occurrence of something replaced.
fn bent(message: &Message, what: &str, by: &str) -> Message {
    let Message::Text(text) = message else { return message.clone() };
    let text = text.as_str();
    let Some(at) = text.rfind(what) else { return message.clone() };
    let (head, tail) = text.split_at(at);
    let bent = format!("{head}{by}{}", tail.get(what.len()..).unwrap_or_default());
    Message::Text(Text::from(bent))
}
