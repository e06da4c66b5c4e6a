//! `footbridge attach` for people: the transcript as it grows, and what they type.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_cli::uuid;
use footbridge_cli::value::Level;
use footbridge_core::base::text::Text;
use footbridge_core::remote::{
    Asked, RemoteCommand, RemoteConfig, RemoteNotice, Sent, Turns, Withdrawal,
};
use footbridge_core::wire::session::SessionState;
use footbridge_core::wire::viewer::{Behavior, PermissionPost, SessionView};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::json::said;
use super::transcript::{gap, safe, shown};
use super::{Place, follow, log_connection};
use crate::program::pressed::{Pressed, Presses};
use crate::program::printed::Printed;
use crate::program::question::{self, TOO_SOON, TakenAway};
use crate::program::typed::{self, Typed};

/// Lines that may be under way before more of standard input is read.
const UNDER_WAY: usize = 16;

const HELP: &str = "  :stop         end the session
  :mode MODE    default, acceptEdits, plan, …
  :model MODEL  another model
  :quit         leave; the session continues
";

/// The person's side.
struct Person {
    questions: VecDeque<Asked>,
    /// Those whose answer is on its way.
    answering: Vec<Asked>,
    /// Whether the first of them is on the screen.
    is_asked: bool,
    taken_away: TakenAway,
    is_terminal: bool,
    state: Option<SessionState>,
    is_connected: bool,
    is_draining: bool,
    /// Everything from before it came has been shown.
    is_live: bool,
    /// The agent is in the middle of a turn.
    is_working: bool,
    /// Nothing more comes from a pipe, so it leaves when there is nothing to wait for.
    ends_when_idle: bool,
    under_way: usize,
    turns: Turns,
    /// Something was said, or could not be.
    has_said: bool,
    /// What could not be said.
    unsaid: usize,
    /// The relay has refused something.
    is_refused: bool,
}

pub(super) fn run(place: &Place, config: RemoteConfig, log: EventLog) -> Result<(), Error> {
    let (commands, asked) = async_channel::unbounded();
    let (lines, taken) = typed::standard_input(UNDER_WAY);
    let is_terminal = io::stdin().is_terminal();
    let viewer_only = config.viewer_only;
    let person = RefCell::new(Person::new());
    let send = |command: RemoteCommand| drop(commands.try_send(command));
    let leave_if_idle = |person: &Person| {
        if person.ends_when_idle && person.is_idle(viewer_only) {
            send(RemoteCommand::Disconnect);
        }
    };
    let typing = async {
        while let Ok(line) = lines.recv().await {
            let mut person = person.borrow_mut();
            match line {
                Typed::Line(line) => match person.command(&line) {
                    Some(command) => {
                        person.under_way += 1;
                        send(command);
                    }
                    None => drop(taken.try_recv()),
                },
                Typed::Unreadable(why) => {
                    let _ = taken.try_recv();
                    (person.has_said, person.unsaid) = (true, person.unsaid + 1);
                    log.write(Level::Error, "unsent", &[], format_args!("not sent: {why}"));
                }
            }
        }
        // The end of its input.
        if is_terminal {
            send(RemoteCommand::Disconnect);
        } else {
            let mut person = person.borrow_mut();
            person.ends_when_idle = true;
            leave_if_idle(&person);
        }
        std::future::pending().await
    };
    let pressing = Presses::listen()?.forward(|pressed| match pressed {
        Pressed::Once if !viewer_only => {
            eprintln!("(interrupted; Ctrl-C again leaves)");
            person.borrow_mut().under_way += 1;
            send(RemoteCommand::Interrupt);
        }
        _ => send(RemoteCommand::Disconnect),
    });
    let both = smol::future::or(typing, pressing);
    let mut printed = Printed::default();
    follow(place, config, asked, both, |notice| {
        log_connection(log, &notice);
        use RemoteNotice::{Accepted, Refused, Unsent};
        let mut person = person.borrow_mut();
        if matches!(notice, Accepted { .. } | Refused { .. } | Unsent(_)) {
            let _ = taken.try_recv();
            person.under_way = person.under_way.saturating_sub(1);
        }
        if !printed.print(&person.told(&notice)) {
            send(RemoteCommand::Disconnect);
        }
        leave_if_idle(&person);
    })?;
    printed.outcome()?;
    person.borrow().outcome()
}

impl Person {
    fn new() -> Self {
        Self {
            questions: VecDeque::new(),
            answering: Vec::new(),
            is_asked: false,
            taken_away: TakenAway::default(),
            is_terminal: io::stdin().is_terminal(),
            state: None,
            is_connected: false,
            is_draining: false,
            is_live: false,
            is_working: false,
            ends_when_idle: false,
            under_way: 0,
            turns: Turns::default(),
            has_said: false,
            unsaid: 0,
            is_refused: false,
        }
    }

    /// A person has read what was not sent; a script learns it from the exit code.
    fn outcome(&self) -> Result<(), Error> {
        let why = if self.is_refused { ExitKind::Refused } else { ExitKind::Local };
        typed::unsent(if self.is_terminal { 0 } else { self.unsaid }, why)
    }

    /// Whether there is nothing to wait for: everything that was said has had its turn, or, if nothing
    /// was said, nothing is under way. Who only watches waits for the end of the session.
    fn is_idle(&self, viewer_only: bool) -> bool {
        let is_over = self.state == Some(SessionState::Ended);
        let is_done = match self.has_said {
            true => self.under_way == 0 && self.turns.is_empty(),
            false => !viewer_only && !self.is_working,
        };
        self.is_live && (is_over || is_done)
    }

    /// What a line asks for; `None` if it asks for nothing.
    fn command(&mut self, line: &str) -> Option<RemoteCommand> {
        self.has_said = true;
        if let Some(command) = line.trim().strip_prefix(':') {
            return colon(command);
        }
        if self.taken_away.may_mean(line) {
            return self.too_soon();
        }
        let answered = self.questions.front().and_then(|asked| answer(asked, line.trim()));
        if let Some(answer) = answered {
            // A pipe says what it says; a person has to have seen it.
            if self.is_terminal && !self.is_asked {
                return self.too_soon();
            }
            self.answering.extend(self.questions.pop_front());
            self.is_asked = false;
            return Some(RemoteCommand::Answer(answer));
        }
        // Its turn may be over before it is known that it was accepted, so it has its name by then.
        let Ok(uuid) = uuid() else { return Some(RemoteCommand::Send(said(line))) };
        self.turns.said(uuid.clone());
        let message = json!({"type": "user", "uuid": uuid,
            "message": {"role": "user", "content": line}});
        Some(RemoteCommand::Send(Text::from(message.to_string())))
    }

    fn too_soon(&mut self) -> Option<RemoteCommand> {
        self.unsaid += 1;
        Printed::default().print(TOO_SOON);
        None
    }

    /// A notice as text.
    fn told(&mut self, notice: &RemoteNotice) -> String {
        match notice {
            RemoteNotice::Event(event) => {
                self.turns.happened(event);
                shown(event)
            }
            RemoteNotice::Accepted { sent: Sent::Message { uuid, request_id: None }, seq } => {
                self.turns.accepted(uuid, *seq);
                String::new()
            }
            RemoteNotice::Refused { sent, .. } | RemoteNotice::Unsent(sent) => {
                self.unsaid += 1;
                self.is_refused |= matches!(notice, RemoteNotice::Refused { status: Some(_), .. });
                match sent {
                    Sent::Message { uuid, .. } => drop(self.turns.give_up(uuid)),
                    // It is as open as before.
                    Sent::Answer { request_id } => {
                        if let Some(asked) = self.answered(request_id) {
                            self.questions.push_front(asked);
                            return self.next();
                        }
                    }
                    _ => {}
                }
                String::new()
            }
            RemoteNotice::Live { .. } => {
                self.is_live = true;
                String::new()
            }
            RemoteNotice::Session(session) => self.session(session),
            RemoteNotice::Gap { after, resumes_after } => {
                format!("· {}\n", gap(*after, *resumes_after))
            }
            RemoteNotice::PermissionAsked(asked) => {
                self.questions.push_back(asked.clone());
                if self.questions.len() == 1 { self.next() } else { String::new() }
            }
            RemoteNotice::PermissionWithdrawn { request_id, why, .. } => {
                let before = self.questions.front().map(|asked| asked.request_id.clone());
                self.questions.retain(|asked| asked.request_id != *request_id);
                self.answered(request_id);
                let mut text = match why {
                    Withdrawal::Answered => "· somebody else has answered\n".to_owned(),
                    Withdrawal::Withdrawn { reason } if reason.is_empty() => {
                        "· the question was taken back\n".to_owned()
                    }
                    Withdrawal::Withdrawn { reason } => {
                        format!("· the question was taken back: {}\n", safe(reason))
                    }
                };
                if before.as_deref() == Some(request_id) {
                    self.taken_away.now();
                    text += &self.next();
                }
                text
            }
            RemoteNotice::Accepted { sent: Sent::Answer { request_id }, .. } => {
                self.answered(request_id);
                self.next()
            }
            _ => String::new(),
        }
    }

    /// The question whose answer is not on its way any more.
    fn answered(&mut self, request_id: &str) -> Option<Asked> {
        let at = self.answering.iter().position(|asked| asked.request_id == *request_id)?;
        Some(self.answering.remove(at))
    }

    /// Puts the next question on the screen.
    fn next(&mut self) -> String {
        self.is_asked = !self.questions.is_empty();
        self.questions.front().map(question).unwrap_or_default()
    }

    fn session(&mut self, session: &SessionView<'_>) -> String {
        self.is_working = session.working;
        let before = self.state.replace(session.state);
        let was_connected = std::mem::replace(&mut self.is_connected, session.connected);
        let words = match session.state {
            SessionState::Queued if session.worker_draining => {
                "waiting for its machine, which takes no more sessions now"
            }
            SessionState::Queued => "waiting for its machine",
            SessionState::Starting => "its agent is starting",
            SessionState::Running if !session.connected => {
                "its machine is away: footbridge chat or work, started there again in the same directory, takes it up"
            }
            SessionState::Running if before != Some(SessionState::Running) || !was_connected => {
                "its agent is there"
            }
            SessionState::Running | SessionState::Ended => return String::new(),
        };
        let was_draining = std::mem::replace(&mut self.is_draining, session.worker_draining);
        let is_new = before != Some(session.state)
            || was_connected != session.connected
            || was_draining != session.worker_draining;
        if is_new { format!("· {words}\n") } else { String::new() }
    }
}

pub(in crate::program) fn colon(command: &str) -> Option<RemoteCommand> {
    let (word, value) = command.split_once(' ').unwrap_or((command, ""));
    let request = |request: Value| {
        let line = json!({"type": "control_request", "request": request});
        Some(RemoteCommand::Send(Text::from(line.to_string())))
    };
    match (word, value.trim()) {
        ("quit" | "q", _) => Some(RemoteCommand::Disconnect),
        ("stop", _) => Some(RemoteCommand::Stop),
        ("mode", mode) if !mode.is_empty() => {
            request(json!({"subtype": "set_permission_mode", "mode": mode}))
        }
        ("model", model) if !model.is_empty() => {
            request(json!({"subtype": "set_model", "model": model}))
        }
        _ => {
            Printed::default().print(HELP);
            None
        }
    }
}

/// The request of a question.
fn request_of(asked: &Asked) -> Value {
    let message: Value = serde_json::from_str(asked.message.as_str()).unwrap_or_default();
    message["request"].clone()
}

/// A question, and how it is answered.
pub(in crate::program) fn question(asked: &Asked) -> String {
    let request = request_of(asked);
    let input = &request["input"];
    let text = match asked.tool_name.as_str() {
        "AskUserQuestion" => {
            let mut text = String::new();
            for one in input["questions"].as_array().into_iter().flatten() {
                text += &format!("? {}\n", one["question"].as_str().unwrap_or_default());
                for (at, option) in one["options"].as_array().into_iter().flatten().enumerate() {
                    let part = |name: &str| option[name].as_str().unwrap_or_default();
                    text += &format!("    {} {}  {}\n", at + 1, part("label"), part("description"));
                }
            }
            text + "  a number, several with commas, or your own words; \";\" between answers to several questions; n refuses\n"
        }
        "ExitPlanMode" => {
            let plan = input["plan"].as_str().unwrap_or_default();
            format!("{plan}\n? Is this plan good? y, or n and why not\n")
        }
        tool => {
            let suggested = request["permission_suggestions"].as_array();
            let mut text = question::asked(tool, input);
            for always in suggested.into_iter().flatten() {
                text += &question::detail("always", always);
            }
            let always =
                if suggested.is_some_and(|all| !all.is_empty()) { ", a always" } else { "" };
            text + &format!("  y allows, n denies (n and why){always}\n")
        }
    };
    safe(&text)
}

/// What a line answers to a question; `None` if it is no answer.
pub(in crate::program) fn answer(asked: &Asked, line: &str) -> Option<PermissionPost> {
    let request = request_of(asked);
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let mut answer = PermissionPost {
        request_id: asked.request_id.clone(),
        seq: Some(asked.seq),
        behavior: Behavior::Allow,
        updated_input: None,
        message: None,
        interrupt: false,
        further: std::collections::BTreeMap::default(),
    };
    match word {
        "n" | "no" => {
            answer.behavior = Behavior::Deny;
            let why = rest.trim();
            answer.message =
                Some(if why.is_empty() { "the person said no" } else { why }.to_owned());
            Some(answer)
        }
        _ if asked.tool_name == "AskUserQuestion" => {
            answer.updated_input = Some(chosen(&request["input"], line)?);
            Some(answer)
        }
        "y" | "yes" if rest.is_empty() => Some(answer),
        "a" | "always" if rest.is_empty() => {
            let suggestions = request["permission_suggestions"].as_array()?;
            if !suggestions.is_empty() {
                let all = to_raw_value(suggestions).ok()?;
                answer.further.insert("updatedPermissions".to_owned(), all);
            }
            Some(answer)
        }
        _ => None,
    }
}

/// The input of `AskUserQuestion` with the answers that a line gives.
fn chosen(input: &Value, line: &str) -> Option<Box<RawValue>> {
    let mut answers = serde_json::Map::new();
    let questions = input["questions"].as_array()?;
    let mut parts = line.split(';');
    for question in questions {
        let given = if questions.len() == 1 { line } else { parts.next().unwrap_or_default() };
        let options = question["options"].as_array();
        let labels = given.split(',').map(|part| {
            let number = part.trim().parse::<usize>().ok();
            let option = number.and_then(|number| options?.get(number.checked_sub(1)?));
            option.and_then(|option| option["label"].as_str()).unwrap_or(part.trim())
        });
        let labels = labels.collect::<Vec<_>>().join(", ");
        answers.insert(question["question"].as_str()?.to_owned(), labels.into());
    }
    let mut input = input.clone();
    input["answers"] = Value::Object(answers);
    to_raw_value(&input).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(tool: &str, request: &str) -> Asked {
        let message = format!(
            r#"{{"type":"control_request","request_id":"P","request":{{"subtype":"can_use_tool","tool_name":"{tool}",{request}}}}}"#
        );
        Asked {
            request_id: "P".to_owned(),
            seq: 7,
            tool_use_id: None,
            tool_name: tool.to_owned(),
            message: Text::from(message),
        }
    }

    #[test]
    fn a_question_is_answered_by_a_letter_and_anything_else_is_a_message() {
        let bash = asked(
            "Bash",
            r#""input":{"command":"ls"},"permission_suggestions":[{"type":"addRules"}]"#,
        );
        let shown = "? Bash ls\n  │ always: {\"type\":\"addRules\"}\n  y allows, n denies (n and why), a always\n";
        assert_eq!(question(&bash), shown);
        let yes = answer(&bash, "y").expect("an answer");
        assert_eq!((yes.behavior, yes.seq), (Behavior::Allow, Some(7)));
        let no = answer(&bash, "n not there").expect("an answer");
        assert_eq!((no.behavior, no.message.as_deref()), (Behavior::Deny, Some("not there")));
        let always = answer(&bash, "a").expect("an answer");
        assert_eq!(always.further["updatedPermissions"].get(), r#"[{"type":"addRules"}]"#);
        for message in ["yes please", "what is it for?", "always do that"] {
            assert!(answer(&bash, message).is_none(), "{message}");
        }
    }

    #[test]
    fn a_question_whose_answer_was_refused_is_asked_again() {
        let mut person = Person::new();
        person.is_terminal = true;
        let bash = asked("Bash", r#""input":{"command":"ls"}"#);
        assert!(person.told(&RemoteNotice::PermissionAsked(bash)).starts_with("? Bash ls"));
        assert!(matches!(person.command("y"), Some(RemoteCommand::Answer(_))));
        let sent = Sent::Answer { request_id: "P".to_owned() };
        let refused = RemoteNotice::Refused { sent, status: Some(403), reason: "no".to_owned() };
        assert!(person.told(&refused).starts_with("? Bash ls"));
        assert!(matches!(person.command("y"), Some(RemoteCommand::Answer(_))));
    }

    #[test]
    fn choices_are_numbers_or_words() {
        let input = r#""input":{"questions":[{"question":"Which?","options":[{"label":"A"},{"label":"B"}]},{"question":"Why?","options":[{"label":"C"}]}]}"#;
        let ask = asked("AskUserQuestion", input);
        let answer = answer(&ask, "1,2; because").expect("an answer");
        let input: Value =
            serde_json::from_str(answer.updated_input.expect("an input").get()).expect("JSON");
        assert_eq!(input["answers"], json!({"Which?": "A, B", "Why?": "because"}));
    }
}
