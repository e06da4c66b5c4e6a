//! One question of the agent, and how it is answered.

use std::time::Duration;

use footbridge_core::remote::Asked;
use footbridge_core::wire::viewer::{Behavior, PermissionPost};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::choices::{Choices, Choosing};
use super::editor::{Edited, Editor};
use super::keys::Key;
use super::limits::{SUGGESTION_CHARS, SUGGESTIONS};
use super::line::{Flow, Line, Span};
use super::style::{ASK, CHOSEN, KEY, PLAIN};
use super::text::exact;
use super::{markdown, tools};

/// What kind of question it is.
#[derive(Debug)]
enum Kind {
    /// Whether a tool may be used.
    Tool,
    /// Whether a plan is good.
    Plan(String),
    /// A choice.
    Choices(Choices),
}

/// What the agent suggests to allow from now on.
#[derive(Debug)]
struct Always {
    words: Vec<String>,
    updates: Box<RawValue>,
}

/// A question.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) asked: Asked,
    request: Value,
    kind: Kind,
    always: Option<Always>,
    /// When a person could first see it.
    pub(super) appeared: Option<Duration>,
    /// How far it is scrolled, and whether its end was in view.
    pub(super) scrolled: usize,
    pub(super) is_seen: bool,
    /// Words to deny it with.
    why: Option<Editor>,
    /// The answer that Enter gives, by its key, once the arrows have gone to one.
    marked: Option<char>,
}

/// What a key has done.
#[derive(Debug)]
pub(super) enum Answering {
    Taken,
    Untaken,
    /// It has to be seen to its end first.
    Unseen,
    Answer(PermissionPost),
}

impl Question {
    pub(super) fn new(asked: Asked) -> Self {
        let message: Value = serde_json::from_str(asked.message.as_str()).unwrap_or_default();
        let request = message["request"].clone();
        let input = &request["input"];
        let kind = match asked.tool_name.as_str() {
            "AskUserQuestion" => Choices::of(input).map_or(Kind::Tool, Kind::Choices),
            "ExitPlanMode" => match &input["plan"] {
                Value::String(plan) => Kind::Plan(plan.clone()),
                Value::Null => Kind::Plan("*The agent gives no plan with this.*".to_owned()),
                _ => Kind::Tool,
            },
            _ => Kind::Tool,
        };
        let always = always(&request["permission_suggestions"]);
        // Choices are made one by one, where they stand.
        let is_seen = matches!(kind, Kind::Choices(_));
        Self {
            asked,
            request,
            kind,
            always,
            appeared: None,
            scrolled: 0,
            is_seen,
            why: None,
            marked: None,
        }
    }

    /// What it is about, whole; and the cursor, if words are typed in it.
    pub(super) fn body(&self, width: usize) -> (Vec<Line>, Option<(usize, usize)>) {
        let render = |flows: Vec<Flow>| flows.iter().flat_map(|flow| flow.lines(width)).collect();
        match &self.kind {
            Kind::Choices(choices) => choices.lines(width),
            Kind::Plan(plan) => {
                let mut lines = markdown::lines(plan, width);
                let rest: Vec<Line> = render(tools::fields(&self.request["input"], &["plan"]));
                lines.extend(rest);
                (lines, None)
            }
            Kind::Tool => {
                let mut flows = tools::whole(&self.asked.tool_name, &self.request["input"]);
                if let Some(path) = self.request["blocked_path"].as_str() {
                    let words = format!("it concerns {}", exact(path));
                    flows.push(Flow::words(words, ASK));
                }
                if let Some(reason) = self.request["decision_reason"].as_str() {
                    flows.push(Flow::words(exact(reason), ASK));
                }
                (render(flows), None)
            }
        }
    }

    /// What it asks, on one line.
    pub(super) fn title(&self) -> String {
        let agent = if self.request["agent_id"].is_string() { "a sub-agent" } else { "the agent" };
        match &self.kind {
            Kind::Choices(_) => format!("{agent} asks you"),
            Kind::Plan(_) => format!("{agent} has a plan"),
            Kind::Tool => format!("{agent} wants to use {}", tools::name(&self.asked.tool_name)),
        }
    }

    /// The keys, and what each does; words that are typed, and the cursor in them.
    pub(super) fn answers(&self, width: usize) -> (Vec<Line>, Option<(usize, usize)>) {
        if let Some(editor) = &self.why {
            let mut lines =
                Flow::words("Why not? Enter denies it with these words, Esc goes back.", ASK)
                    .lines(width);
            let (rows, (row, column)) = editor.rows(width.saturating_sub(2).max(2));
            let cursor = (lines.len() + row, column + 2);
            for (_, row) in rows {
                lines.push(Line { spans: vec![Span::new("› ", KEY), Span::new(row, PLAIN)] });
            }
            return (lines, Some(cursor));
        }
        let mut keys: Vec<(&str, String)> = Vec::new();
        match &self.kind {
            Kind::Choices(choices) => {
                return (Flow::words(choices.hint(), KEY).lines(width), None);
            }
            Kind::Plan(_) => {
                keys.push(("y", "yes, and ask before each edit".to_owned()));
                keys.push(("e", "yes, and edit files without asking".to_owned()));
                keys.push(("n", "no, go on planning".to_owned()));
            }
            Kind::Tool => {
                keys.push(("y", "allow".to_owned()));
                if let Some(Always { words, .. }) = &self.always {
                    match &words[..] {
                        [one] => keys.push(("a", format!("always allow: {one}"))),
                        all => {
                            keys.push(("a", "always allow:".to_owned()));
                            keys.extend(all.iter().map(|one| ("  •", one.clone())));
                        }
                    }
                }
                keys.push(("n", "deny".to_owned()));
            }
        }
        keys.push(("w", "deny, and say why".to_owned()));
        let lines = keys.into_iter().flat_map(|(key, words)| {
            let is_marked = self.marked.is_some_and(|marked| key.starts_with(marked));
            let style = if is_marked { CHOSEN } else { PLAIN };
            Flow::words(words, style).after(&format!("{key} "), KEY).lines(width)
        });
        (lines.collect(), None)
    }

    /// The keys that answer it, as they are listed; none where choices are made one by one.
    fn keys(&self) -> &'static [char] {
        match &self.kind {
            Kind::Choices(_) => &[],
            Kind::Plan(_) => &['y', 'e', 'n', 'w'],
            Kind::Tool if self.always.is_some() => &['y', 'a', 'n', 'w'],
            Kind::Tool => &['y', 'n', 'w'],
        }
    }

    /// Marks the next answer, or the one before; the first of all is the uppermost, or the last.
    fn mark(&mut self, is_down: bool) {
        let keys = self.keys();
        let at = keys.iter().position(|key| self.marked == Some(*key));
        let at = match (at, is_down) {
            (None, true) => 0,
            (None, false) => keys.len() - 1,
            (Some(at), true) => (at + 1) % keys.len(),
            (Some(at), false) => (at + keys.len() - 1) % keys.len(),
        };
        self.marked = keys.get(at).copied();
    }

    /// Whether words are typed in it.
    pub(super) fn is_typing(&self) -> bool {
        let chooses = matches!(&self.kind, Kind::Choices(choices) if choices.is_typing());
        self.why.is_some() || chooses
    }

    pub(super) fn key(&mut self, key: &Key) -> Answering {
        if let Some(editor) = &mut self.why {
            match editor.key(key) {
                Edited::Entered => {
                    let why = editor.take();
                    return Answering::Answer(self.deny(why.trim()));
                }
                Edited::Untaken if *key == Key::Esc => self.why = None,
                _ => {}
            }
            return Answering::Taken;
        }
        if let Kind::Choices(choices) = &mut self.kind {
            match choices.key(key) {
                Choosing::Taken => return Answering::Taken,
                Choosing::Done(input) => {
                    let mut answer = self.allow();
                    answer.updated_input = input;
                    return Answering::Answer(answer);
                }
                Choosing::Untaken => {}
            }
        }
        let is_choice = matches!(self.kind, Kind::Choices(_));
        let is_plan = matches!(self.kind, Kind::Plan(_));
        match key {
            Key::Up | Key::Down if !is_choice => {
                self.mark(*key == Key::Down);
                Answering::Taken
            }
            Key::Enter if !is_choice && let Some(marked) = self.marked => {
                self.key(&Key::Char(marked))
            }
            Key::Char('n') => Answering::Answer(self.deny("")),
            Key::Char('w') => {
                self.why = Some(Editor::default());
                Answering::Taken
            }
            Key::Char('y') if is_choice => Answering::Untaken,
            Key::Char('y' | 'a' | 'e') if !self.is_seen => Answering::Unseen,
            Key::Char('y') => Answering::Answer(self.allow()),
            Key::Char('e') if is_plan => {
                let update = serde_json::json!([
                    {"type": "setMode", "mode": "acceptEdits", "destination": "session"}
                ]);
                Answering::Answer(self.with_updates(to_raw_value(&update).ok()))
            }
            Key::Char('a') if !is_plan && self.always.is_some() => {
                let updates = self.always.as_ref().map(|always| always.updates.clone());
                Answering::Answer(self.with_updates(updates))
            }
            _ => Answering::Untaken,
        }
    }

    fn with_updates(&self, updates: Option<Box<RawValue>>) -> PermissionPost {
        let mut answer = self.allow();
        answer.further.extend(updates.map(|updates| ("updatedPermissions".to_owned(), updates)));
        answer
    }

    fn allow(&self) -> PermissionPost {
        PermissionPost {
            request_id: self.asked.request_id.clone(),
            seq: Some(self.asked.seq),
            behavior: Behavior::Allow,
            updated_input: None,
            message: None,
            interrupt: false,
            further: std::collections::BTreeMap::default(),
        }
    }

    fn deny(&self, why: &str) -> PermissionPost {
        let why = match (why, &self.kind) {
            ("", Kind::Choices(_)) => "The user declined to answer.",
            ("", _) => "the person said no",
            (why, _) => why,
        };
        PermissionPost { behavior: Behavior::Deny, message: Some(why.to_owned()), ..self.allow() }
    }
}

/// What an agent suggests, in words; `None` if it suggests nothing, or something that cannot be put into
/// words: nobody should agree to what is not understood here.
fn always(suggestions: &Value) -> Option<Always> {
    let updates = suggestions.as_array().filter(|all| !all.is_empty())?;
    if updates.len() > SUGGESTIONS {
        return None;
    }
    let mut words = Vec::new();
    for update in updates {
        words.extend(words_of(update)?);
    }
    if words.is_empty() || words.len() > SUGGESTIONS {
        return None;
    }
    Some(Always { words, updates: to_raw_value(suggestions).ok()? })
}

fn words_of(update: &Value) -> Option<Vec<String>> {
    let place = match update["destination"].as_str()? {
        "session" => "until this session ends",
        "localSettings" => "in this project, for you",
        "projectSettings" => "in this project, for everyone who works on it",
        "userSettings" => "in all your projects",
        _ => return None,
    };
    match update["type"].as_str()? {
        "addRules" => {
            let is_known = has_only(update, &["type", "rules", "behavior", "destination"]);
            if update["behavior"] != "allow" || !is_known {
                return None;
            }
            let rules = update["rules"].as_array().filter(|rules| !rules.is_empty())?;
            rules.iter().map(|rule| rule_in_words(rule, place)).collect()
        }
        "addDirectories" => {
            if !has_only(update, &["type", "directories", "destination"]) {
                return None;
            }
            let folders = update["directories"].as_array().filter(|folders| !folders.is_empty())?;
            let folders = folders.iter();
            folders.map(|folder| Some(format!("work in {}, {place}", named(folder)?))).collect()
        }
        "setMode" => {
            let words = match update["mode"].as_str()? {
                "acceptEdits" => "edit files in its folders without asking",
                "default" => "ask before each edit",
                "plan" => "only plan, and change nothing",
                _ => return None,
            };
            let is_known = has_only(update, &["type", "mode", "destination"]);
            is_known.then(|| vec![format!("{words}, {place}")])
        }
        _ => None,
    }
}

fn rule_in_words(rule: &Value, place: &str) -> Option<String> {
    if !has_only(rule, &["toolName", "ruleContent"]) {
        return None;
    }
    let tool = named(&rule["toolName"])?;
    if rule["ruleContent"].is_null() {
        return Some(format!("every use of {tool}, {place}"));
    }
    Some(format!("{tool}: {} ({place})", named(&rule["ruleContent"])?))
}

/// A name that can be shown as it is.
fn named(value: &Value) -> Option<&str> {
    let name = value.as_str().filter(|name| !name.trim().is_empty())?;
    let is_plain = name.chars().count() <= SUGGESTION_CHARS && exact(name) == name;
    (is_plain && !name.contains('\n')).then_some(name)
}

/// Whether it says nothing that is not understood.
fn has_only(value: &Value, names: &[&str]) -> bool {
    value.as_object().is_some_and(|fields| fields.keys().all(|name| names.contains(&name.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_would_be_allowed_from_now_on_is_said_in_words_or_not_offered() {
        let rule = |content: Value| {
            json!([{"type": "addRules", "behavior": "allow", "destination": "session",
                "rules": [{"toolName": "Bash", "ruleContent": content}]}])
        };
        let words = |suggestions: &Value| always(suggestions).map(|always| always.words);
        assert_eq!(
            words(&rule(json!("npm test:*"))),
            Some(vec!["Bash: npm test:* (until this session ends)".to_owned()])
        );
        assert_eq!(
            words(&rule(json!(null))),
            Some(vec!["every use of Bash, until this session ends".to_owned()])
        );
        let mut odd = rule(json!("ls"));
        odd[0]["rules"][0]["until"] = json!("for ever");
        let hidden = rule(json!("ls\u{202e}x"));
        let deny = json!([{"type": "addRules", "behavior": "deny", "destination": "session", "rules": [{"toolName": "Bash"}]}]);
        let bypass =
            json!([{"type": "setMode", "mode": "bypassPermissions", "destination": "session"}]);
        for suggestions in [odd, hidden, deny, bypass, json!([]), json!(null)] {
            assert_eq!(words(&suggestions), None, "{suggestions}");
        }
    }
}
