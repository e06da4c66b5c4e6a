//! `footbridge attach` for people: the transcript as it grows, and what they type.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::mpsc;

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_core::base::text::Text;
use footbridge_core::remote::{Asked, RemoteCommand, RemoteConfig, RemoteNotice, Sent, Withdrawal};
use footbridge_core::wire::session::SessionState;
use footbridge_core::wire::viewer::{Behavior, PermissionPost, SessionView};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::json::said;
use super::transcript::{safe, shown, subject};
use super::{Place, Pressed, follow, log_connection, signals};

/// Lines that may be under way before more of standard input is read.
const UNDER_WAY: usize = 16;

const HELP: &str = "  :stop         end the session
  :mode MODE    default, acceptEdits, plan, …
  :model MODEL  another model
  :quit         leave; the session continues
";

/// What standard input brings.
enum Typed {
    Line(String),
    End,
}

/// The person's side.
struct Person {
    questions: VecDeque<Asked>,
    state: Option<SessionState>,
    is_connected: bool,
    /// Messages whose turn is not over, once nothing more comes from a pipe.
    ends_when_idle: bool,
    under_way: usize,
    /// The event of the last message that was accepted.
    last_said: u64,
    /// That of the last result.
    last_result: u64,
}

pub(super) fn run(place: &Place, config: RemoteConfig, log: EventLog) -> Result<(), Error> {
    let (commands, asked) = async_channel::unbounded();
    let (typed, lines) = async_channel::unbounded();
    let (permits, taken) = mpsc::sync_channel::<()>(UNDER_WAY);
    let is_terminal = io::stdin().is_terminal();
    std::thread::spawn(move || read(&typed, &permits));
    let viewer_only = config.viewer_only;
    let person = RefCell::new(Person {
        questions: VecDeque::new(),
        state: None,
        is_connected: false,
        ends_when_idle: false,
        under_way: 0,
        last_said: 0,
        last_result: 0,
    });
    let send = |command: RemoteCommand| drop(commands.try_send(command));
    let typing = async {
        while let Ok(line) = lines.recv().await {
            match line {
                Typed::Line(line) => {
                    let command = person.borrow_mut().command(&line);
                    match command {
                        Some(command) => {
                            person.borrow_mut().under_way += 1;
                            send(command);
                        }
                        None => drop(taken.try_recv()),
                    }
                }
                Typed::End if is_terminal => send(RemoteCommand::Disconnect),
                Typed::End => {
                    let mut person = person.borrow_mut();
                    person.ends_when_idle = true;
                    if person.is_idle() {
                        send(RemoteCommand::Disconnect);
                    }
                }
            }
        }
        std::future::pending().await
    };
    let pressing = async {
        let pressed = signals::<()>(|pressed| match pressed {
            Pressed::Once if !viewer_only => {
                eprintln!("(interrupted; Ctrl-C again leaves)");
                person.borrow_mut().under_way += 1;
                send(RemoteCommand::Interrupt);
            }
            _ => send(RemoteCommand::Disconnect),
        });
        // Without signals it still ends with its session, or by :quit.
        let _ = pressed.await;
        std::future::pending().await
    };
    let both = smol::future::or(typing, pressing);
    follow(place, config, asked, both, |notice| {
        log_connection(log, &notice);
        use RemoteNotice::{Accepted, Refused, Unsent};
        let mut person = person.borrow_mut();
        if matches!(notice, Accepted { .. } | Refused { .. } | Unsent(_)) {
            let _ = taken.try_recv();
            person.under_way = person.under_way.saturating_sub(1);
        }
        let is_shown = print(&person.told(&notice));
        if !is_shown || (person.ends_when_idle && person.is_idle()) {
            send(RemoteCommand::Disconnect);
        }
    })
}

/// Whether it could be written.
fn print(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

fn read(typed: &async_channel::Sender<Typed>, permits: &mpsc::SyncSender<()>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if !line.trim().is_empty()
            && (permits.send(()).is_err() || typed.try_send(Typed::Line(line)).is_err())
        {
            return;
        }
    }
    let _ = typed.try_send(Typed::End);
}

impl Person {
    /// Whether everything that was said has had its turn.
    fn is_idle(&self) -> bool {
        let is_over = self.state == Some(SessionState::Ended);
        is_over || (self.under_way == 0 && self.last_result >= self.last_said)
    }

    /// What a line asks for; `None` if it asks for nothing.
    fn command(&mut self, line: &str) -> Option<RemoteCommand> {
        if let Some(command) = line.trim().strip_prefix(':') {
            return colon(command);
        }
        let answered = self.questions.front().and_then(|asked| answer(asked, line.trim()));
        if let Some(answer) = answered {
            self.questions.pop_front();
            return Some(RemoteCommand::Answer(answer));
        }
        Some(RemoteCommand::Send(said(line)))
    }

    /// A notice as text.
    fn told(&mut self, notice: &RemoteNotice) -> String {
        match notice {
            RemoteNotice::Event(event) => {
                if event.message.as_str().contains(r#""type":"result""#)
                    && event.from == footbridge_core::wire::viewer::Origin::Agent
                {
                    self.last_result = event.seq;
                }
                shown(event)
            }
            RemoteNotice::Accepted { sent: Sent::Message { request_id: None, .. }, seq } => {
                self.last_said = *seq;
                String::new()
            }
            RemoteNotice::Session(session) => self.session(session),
            RemoteNotice::Gap { after, resumes_after } => {
                format!("· events {} to {resumes_after} are not kept any more\n", after + 1)
            }
            RemoteNotice::PermissionAsked(asked) => {
                self.questions.push_back(asked.clone());
                if self.questions.len() == 1 { question(asked) } else { String::new() }
            }
            RemoteNotice::PermissionWithdrawn { request_id, why, .. } => {
                let before = self.questions.front().map(|asked| asked.request_id.clone());
                self.questions.retain(|asked| asked.request_id != *request_id);
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
                    text += &self.next();
                }
                text
            }
            RemoteNotice::Accepted { sent: Sent::Answer { .. }, .. } => self.next(),
            _ => String::new(),
        }
    }

    fn next(&self) -> String {
        self.questions.front().map(question).unwrap_or_default()
    }

    fn session(&mut self, session: &SessionView<'_>) -> String {
        let before = self.state.replace(session.state);
        let was_connected = std::mem::replace(&mut self.is_connected, session.connected);
        let words = match session.state {
            SessionState::Queued => "waiting for its machine",
            SessionState::Starting => "its agent is starting",
            SessionState::Running if !session.connected => "its machine is away",
            SessionState::Running if before != Some(SessionState::Running) || !was_connected => {
                "its agent is there"
            }
            SessionState::Running | SessionState::Ended => return String::new(),
        };
        let is_new = before != Some(session.state) || was_connected != session.connected;
        if is_new { format!("· {words}\n") } else { String::new() }
    }
}

fn colon(command: &str) -> Option<RemoteCommand> {
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
            print(HELP);
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
fn question(asked: &Asked) -> String {
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
            let detail = match input["command"].as_str() {
                Some(command) => command.to_owned(),
                None => subject(input),
            };
            let always = match request["permission_suggestions"].as_array() {
                Some(all) if !all.is_empty() => ", a always",
                _ => "",
            };
            format!("? {tool} {detail}\n  y allows, n denies (n and why){always}\n")
        }
    };
    safe(&text)
}

/// What a line answers to a question; `None` if it is no answer.
fn answer(asked: &Asked, line: &str) -> Option<PermissionPost> {
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
        assert!(question(&bash).starts_with("? Bash ls\n") && question(&bash).contains("a always"));
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
    fn choices_are_numbers_or_words() {
        let input = r#""input":{"questions":[{"question":"Which?","options":[{"label":"A"},{"label":"B"}]},{"question":"Why?","options":[{"label":"C"}]}]}"#;
        let ask = asked("AskUserQuestion", input);
        let answer = answer(&ask, "1,2; because").expect("an answer");
        let input: Value =
            serde_json::from_str(answer.updated_input.expect("an input").get()).expect("JSON");
        assert_eq!(input["answers"], json!({"Which?": "A, B", "Why?": "because"}));
    }
}
