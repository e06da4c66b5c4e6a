//! What a viewer does that has declared a hook: it decides whether tools run, late, wrongly, or never.

use std::time::Duration;

use footbridge_core::contract::action::Method;
use serde_json::json;

use super::habits::Habit;
use super::notice::ViewerNotice;
use super::{Purpose, Task, Viewer};

/// What it says of a hook that failed.
pub(crate) const BROKEN: &str = "it broke";

impl Viewer {
    /// Its client id, if it declares hooks.
    pub(super) fn client(&self) -> Option<String> {
        self.habits.hooks.as_ref()?;
        Some(format!("client-of-{}-0123456789", self.config.name))
    }

    fn note_hook(&mut self, millis: std::ops::Range<u64>, habit: Habit) {
        let Some(rng) = &mut self.habits.hooks else { return };
        let wait = Duration::from_millis(rng.u64(millis));
        self.note(wait, Task::Habit(habit));
    }

    /// A subscription has begun.
    pub(super) fn consider_hooks(&mut self, session: &str) {
        if self.habits.hooks.as_mut().is_some_and(|rng| rng.u8(..) < 150) {
            self.note_hook(10..5_000, Habit::Declare { session: session.to_owned() });
        }
    }

    pub(super) fn declare_hook(&mut self, session: String) {
        let Some(client) = self.client().filter(|_| !self.is_over(&session)) else { return };
        self.habits.requests += 1;
        let name = format!("{}-declares-{}", self.config.name, self.habits.requests);
        let matcher = json!({"matcher": "Bash", "hookCallbackIds": ["hook_0"], "timeout": 40});
        let request = json!({"subtype": "initialize", "hooks": {"PreToolUse": [matcher]}});
        let message = json!({"type": "control_request", "request_id": name, "request": request});
        let body = json!({"client": client, "messages": [message]}).to_string();
        let path = format!("/v1/sessions/{session}/messages");
        let purpose = Purpose::Task(Task::Habit(Habit::Declare { session }));
        self.send(purpose, Method::Post, &path, body, "");
    }

    /// The agent asks.
    pub(super) fn hook_asked(&mut self, session: &str, request_id: &str, seq: u64) {
        let client = self.client();
        let Some(rng) = &mut self.habits.hooks else { return };
        let decision = rng.u8(..8);
        let deny = json!({"hookEventName": "PreToolUse", "permissionDecision": "deny"});
        let (key, answer) = match decision {
            0 => return,
            1 => ("error", json!(BROKEN)),
            2 | 3 => ("response", json!({"decision": "block"})),
            4 => ("response", json!({"hookSpecificOutput": deny})),
            _ => ("response", json!({"continue": true})),
        };
        let body = json!({"client": client, "request_id": request_id, "seq": seq, key: answer});
        let habit = Habit::Hook {
            session: session.to_owned(),
            request_id: request_id.to_owned(),
            body: body.to_string(),
            is_allow: decision > 4,
        };
        self.note_hook(10..60_000, habit);
    }

    pub(super) fn answer_hook(&mut self, habit: Habit) {
        let Habit::Hook { session, request_id, body, is_allow } = habit.clone() else { return };
        let path = format!("/v1/sessions/{session}/callback");
        self.tell(ViewerNotice::HookAnswering { session, request_id, is_allow });
        self.send(Purpose::Task(Task::Habit(habit)), Method::Post, &path, body, "");
    }
}
