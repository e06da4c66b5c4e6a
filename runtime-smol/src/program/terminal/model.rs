//! What a terminal shows of a session, and what its keys ask for.

use std::collections::VecDeque;
use std::time::Duration;

use footbridge_core::base::text::Text;
use footbridge_core::remote::{RemoteCommand, RemoteEvent, RemoteNotice, Sent, Withdrawal};
use footbridge_core::wire::viewer::Origin;
use serde_json::{Value, json};

use super::completion::{Completion, own_commands};
use super::editor::{Edited, Editor};
use super::facts::Facts;
use super::keys::Key;
use super::known::{Doing, Known};
use super::limits::TWICE;
use super::line::{Line, Span, width};
use super::paint::Frame;
use super::panel::{Came, Height, Panel, Pressed};
use super::standing::Standing;
use super::status::{self, Part};
use super::style::{ASK, BAD, CHOSEN, DIM, GOOD, KEY, PERSON, PLAIN, STRONG, WARN};
use super::text::one_line;
use super::transcript::Transcript;

/// Rows of a message that are shown while it is typed.
const INPUT_ROWS: usize = 8;
/// Lines of one turn of a wheel.
const WHEEL: usize = 3;

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::program) struct Size {
    pub(in crate::program) columns: usize,
    pub(in crate::program) rows: usize,
}

/// What a person wants done.
#[derive(Debug)]
pub(in crate::program) enum Wish {
    /// By whoever follows the session.
    Command(RemoteCommand),
    /// Events before this one are to be fetched.
    Older { before: u64 },
    /// The agent is to go on without this terminal.
    Detach,
    /// The terminal is given back for a while.
    Suspend,
    /// The screen is to be painted again.
    Repaint,
    /// The mouse is for this screen, or the terminal's own.
    Mouse { is_ours: bool },
}

/// Where keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    Input,
    Question(Came),
    /// Cards are chosen.
    Cards,
}

/// Whether the session is being followed.
#[derive(Debug)]
enum Connection {
    Connecting,
    Up,
    Lost { reason: String },
}

/// The screen.
#[derive(Debug)]
pub(in crate::program) struct Model {
    size: Size,
    standing: Standing,
    transcript: Transcript,
    facts: Facts,
    editor: Editor,
    completion: Completion,
    panel: Panel,
    focus: Focus,
    session: Option<Known>,
    machine: String,
    directory: String,
    connection: Connection,
    /// Said until the next key.
    hint: String,
    interrupted: Option<Duration>,
    has_mouse: bool,
    wishes: VecDeque<Wish>,
}

impl Model {
    pub(in crate::program) fn new(size: Size, standing: Standing) -> Self {
        Self {
            size,
            standing,
            transcript: Transcript::new(),
            facts: Facts::default(),
            editor: Editor::default(),
            completion: Completion::default(),
            panel: Panel::default(),
            focus: Focus::Input,
            session: None,
            machine: String::new(),
            directory: String::new(),
            connection: Connection::Connecting,
            hint: String::new(),
            interrupted: None,
            has_mouse: true,
            wishes: VecDeque::new(),
        }
    }

    /// What is wanted by now.
    pub(in crate::program) fn next_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    pub(in crate::program) const fn resize(&mut self, size: Size) {
        self.size = size;
    }

    /// Where it runs.
    pub(in crate::program) fn machine(&mut self, name: &str, directory: &str) {
        (self.machine, self.directory) = (one_line(name), one_line(directory));
    }

    /// Older events have come.
    pub(in crate::program) fn older(
        &mut self,
        events: &[RemoteEvent],
        after: u64,
        first_kept: u64,
    ) {
        self.transcript.older(events, after, first_kept);
        for event in events {
            self.facts.take(event);
        }
        self.editor.remember_older(self.transcript.sayings());
    }

    /// They could not be had.
    pub(in crate::program) fn no_older(&mut self, reason: &str) {
        self.transcript.no_older();
        self.hint = format!("older events cannot be read: {}", one_line(reason));
    }

    /// What is said of the session.
    pub(in crate::program) fn notice(&mut self, notice: &RemoteNotice) {
        match notice {
            RemoteNotice::Connected => self.connection = Connection::Up,
            RemoteNotice::Disconnected { reason } | RemoteNotice::Reconnecting { reason, .. } => {
                self.connection = Connection::Lost { reason: one_line(reason) };
            }
            RemoteNotice::Session(session) => {
                self.transcript.receipts(session.receipts);
                self.transcript.first_kept(session.first_seq);
                self.session = Some(Known::from(&**session));
            }
            RemoteNotice::Event(event) => self.event(event),
            RemoteNotice::Gap { after, resumes_after } => {
                self.transcript.gap(*after, *resumes_after);
            }
            RemoteNotice::Live { .. } => {
                self.editor.remember_older(self.transcript.sayings());
            }
            RemoteNotice::PermissionAsked(asked) => {
                self.panel.asked(asked.clone());
                if self.editor.is_empty() && !matches!(self.focus, Focus::Question(_)) {
                    self.focus = Focus::Question(Came::ByItself);
                    self.transcript.choose_none();
                }
            }
            RemoteNotice::PermissionWithdrawn { request_id, why, .. } => {
                if self.panel.withdrawn(request_id) {
                    self.withdrawn(why);
                }
            }
            RemoteNotice::Receipts(receipts) => self.transcript.receipts(*receipts),
            RemoteNotice::Accepted { sent, seq } => self.accepted(sent, *seq),
            RemoteNotice::Refused { sent, reason, .. } => self.refused(sent, reason),
            RemoteNotice::Unsent(sent) => self.refused(sent, "this terminal has left"),
            RemoteNotice::CredentialUnsaved { reason } => {
                let words = format!("· cannot keep the renewed log-in: {}", one_line(reason));
                self.transcript.note(words, BAD);
            }
            // What is of a stand-in.
            RemoteNotice::AgentStderr { .. } | RemoteNotice::AgentFailed { .. } => {}
            RemoteNotice::CallbackAsked { .. } | RemoteNotice::CallbackWithdrawn { .. } => {}
        }
        if !self.panel.is_open() && matches!(self.focus, Focus::Question(_)) {
            self.focus = Focus::Input;
        }
    }

    fn event(&mut self, event: &RemoteEvent) {
        self.transcript.take(event);
        self.facts.take(event);
        if event.from == Origin::Viewer
            && let Some(said) = self.transcript.sayings().next()
        {
            self.editor.remember(said);
        }
    }

    fn withdrawn(&mut self, why: &Withdrawal) {
        let words = match why {
            Withdrawal::Answered => "· somebody else has answered".to_owned(),
            Withdrawal::Withdrawn { reason } if reason.is_empty() => {
                "· the question was taken back".to_owned()
            }
            Withdrawal::Withdrawn { reason } => {
                format!("· the question was taken back: {}", one_line(reason))
            }
        };
        self.transcript.note(words, DIM);
    }

    fn accepted(&mut self, sent: &Sent, seq: u64) {
        match sent {
            Sent::Message { request_id: None, .. } => self.transcript.stored(seq),
            Sent::Answer { request_id } => self.panel.answered(request_id),
            Sent::Interrupt { .. } => self.transcript.note("· interrupted".to_owned(), DIM),
            Sent::Message { .. } | Sent::Callback { .. } | Sent::Stop | Sent::Unreadable => {}
        }
    }

    fn refused(&mut self, sent: &Sent, reason: &str) {
        match sent {
            Sent::Message { request_id: None, .. } => self.transcript.failed(reason),
            Sent::Answer { request_id } => {
                self.panel.not_answered(request_id);
                self.transcript.note(format!("· not answered: {}", one_line(reason)), BAD);
            }
            _ => self.transcript.note(format!("· not done: {}", one_line(reason)), BAD),
        }
    }

    fn wish(&mut self, command: RemoteCommand) {
        self.wishes.push_back(Wish::Command(command));
    }

    fn is_working(&self) -> bool {
        self.panel.is_open()
            || self.session.as_ref().is_some_and(|session| session.doing.is_in_turn())
    }

    /// Ctrl-C, or a signal that means the same.
    pub(in crate::program) fn interrupt(&mut self, now: Duration) {
        let is_again = self.interrupted.is_some_and(|last| now < last + TWICE);
        self.interrupted = Some(now);
        if is_again || self.standing == Standing::LooksOn {
            return self.leave();
        }
        self.hint = format!("Ctrl-C again {}", self.standing.on_leaving());
        if self.is_working() {
            self.hint = format!("interrupted; {}", self.hint);
            self.wish(RemoteCommand::Interrupt);
        } else if !self.editor.is_empty() {
            self.editor.take();
            self.completion.update(&self.editor, &self.facts, self.standing);
        }
    }

    /// What the program knows of the session, where no relay says it.
    pub(in crate::program) fn know(&mut self, session: Known) {
        self.session = Some(session);
    }

    /// Something that the program has to say beside the conversation.
    pub(in crate::program) fn say(&mut self, words: &str) {
        self.transcript.note(format!("· {}", one_line(words)), DIM);
    }

    /// It is to end; what is on its way is sent first.
    pub(in crate::program) fn leave(&mut self) {
        self.hint = "leaving".to_owned();
        self.wish(RemoteCommand::Disconnect);
    }

    /// A key.
    pub(in crate::program) fn key(&mut self, now: Duration, key: &Key) {
        self.hint.clear();
        let page = self.size.rows.saturating_sub(6).max(2);
        match key {
            Key::Ctrl('c') => return self.interrupt(now),
            // Twice is without anything between.
            _ => self.interrupted = None,
        }
        match key {
            Key::Ctrl('z') => return self.wishes.push_back(Wish::Suspend),
            Key::Ctrl('l') => return self.wishes.push_back(Wish::Repaint),
            Key::Ctrl('o') => return self.transcript.fold_all(),
            Key::Help => return self.help(),
            Key::WheelUp => return self.transcript.scroll_up(WHEEL),
            Key::WheelDown => return self.transcript.scroll_down(WHEEL),
            _ => {}
        }
        if let Focus::Question(came) = self.focus
            && self.question_key(now, key, came)
        {
            return;
        }
        match key {
            Key::PageUp => return self.transcript.scroll_up(page),
            Key::PageDown => return self.transcript.scroll_down(page),
            Key::ScrollUp => return self.transcript.scroll_up(1),
            Key::ScrollDown => return self.transcript.scroll_down(1),
            _ => {}
        }
        match self.focus {
            Focus::Question(_) => {}
            Focus::Cards => self.card_key(key),
            Focus::Input => self.input_key(key),
        }
    }

    /// Whether it was for the question.
    fn question_key(&mut self, now: Duration, key: &Key, came: Came) -> bool {
        match self.panel.key(now, key, came) {
            Pressed::Taken => {
                // No letter of a message: somebody reads the question.
                if !matches!(key, Key::Char(_)) {
                    self.focus = Focus::Question(Came::ByKey);
                }
                return true;
            }
            Pressed::No(why) => self.hint = why.to_owned(),
            Pressed::Answer(answer) => {
                self.focus = Focus::Question(Came::ByKey);
                self.wish(RemoteCommand::Answer(answer));
            }
            Pressed::Early => {
                self.focus = Focus::Input;
                self.hint = "a question has come: Tab goes to it".to_owned();
                return false;
            }
            Pressed::Untaken if matches!(key, Key::Esc | Key::Tab) => {
                self.focus = Focus::Input;
                return true;
            }
            Pressed::Untaken => return false,
        }
        if !self.panel.is_open() {
            self.focus = Focus::Input;
        }
        true
    }

    fn card_key(&mut self, key: &Key) {
        match key {
            Key::Up | Key::Char('k') => drop(self.transcript.choose_before()),
            Key::Down | Key::Char('j') if self.transcript.choose_after() => {}
            Key::Down | Key::Char('j') => self.focus_input(),
            Key::Enter | Key::Char(' ') => self.transcript.fold_chosen(),
            Key::Esc | Key::Tab => self.focus_input(),
            Key::End => {
                self.focus_input();
                self.transcript.follow();
            }
            // Somebody types.
            Key::Char(_) | Key::Paste(_) => {
                self.focus_input();
                self.input_key(key);
            }
            _ => {}
        }
    }

    const fn focus_input(&mut self) {
        self.transcript.choose_none();
        self.focus = Focus::Input;
    }

    fn input_key(&mut self, key: &Key) {
        if self.completion.key(key, &mut self.editor) {
            if !matches!(key, Key::Up | Key::Down) {
                self.completion.update(&self.editor, &self.facts, self.standing);
            }
            return;
        }
        match key {
            Key::Ctrl('d') if self.editor.is_empty() => return self.leave(),
            Key::Tab if self.panel.is_open() => {
                self.focus = Focus::Question(Came::ByKey);
                return;
            }
            Key::Tab if self.editor.is_empty() => {
                if self.transcript.choose_before() {
                    self.focus = Focus::Cards;
                }
                return;
            }
            Key::End | Key::Esc if self.editor.is_empty() || *key == Key::Esc => {
                return self.transcript.follow();
            }
            _ => {}
        }
        if self.editor.key(key) == Edited::Entered {
            self.enter();
        }
        // What was fetched back is not completed.
        if !matches!(key, Key::Up | Key::Down) {
            self.completion.update(&self.editor, &self.facts, self.standing);
        }
    }

    fn enter(&mut self) {
        if self.editor.text().trim().is_empty() {
            return;
        }
        let text = self.editor.take();
        self.editor.remember(&text);
        match (text.trim().strip_prefix(':'), text.trim()) {
            (Some(command), _) => self.own_command(command),
            (None, "/detach") if self.standing == Standing::Owns => self.own_command("detach"),
            (None, "/exit" | "/quit") if self.standing == Standing::Owns => self.leave(),
            (None, _) => {
                let message = json!({"role": "user", "content": text.trim_end()});
                let line = json!({"type": "user", "message": message, "parent_tool_use_id": null});
                self.transcript.said(text.trim_end());
                self.wish(RemoteCommand::Send(Text::from(line.to_string())));
            }
        }
    }

    fn own_command(&mut self, command: &str) {
        let (word, value) = command.split_once(' ').unwrap_or((command, ""));
        let value = value.trim();
        match (word, value) {
            ("stop", "") => self.wish(RemoteCommand::Stop),
            ("quit" | "q" | "exit", "") => self.leave(),
            ("detach", "") if self.standing == Standing::Owns => {
                self.wishes.push_back(Wish::Detach);
            }
            ("mouse", "") => {
                self.has_mouse = !self.has_mouse;
                let is_ours = self.has_mouse;
                self.hint = match is_ours {
                    true => "the wheel scrolls here; with Shift the mouse selects".to_owned(),
                    false => "the mouse is the terminal's own".to_owned(),
                };
                self.wishes.push_back(Wish::Mouse { is_ours });
            }
            ("mode", mode) if !mode.is_empty() => {
                self.request(&json!({"subtype": "set_permission_mode", "mode": mode}));
                self.transcript.note(format!("· mode: {}", one_line(mode)), DIM);
            }
            ("model", model) if !model.is_empty() => {
                self.request(&json!({"subtype": "set_model", "model": model}));
                self.transcript.note(format!("· model: {}", one_line(model)), DIM);
            }
            _ => self.help(),
        }
    }

    fn request(&mut self, request: &Value) {
        let line = json!({"type": "control_request", "request": request});
        self.wish(RemoteCommand::Send(Text::from(line.to_string())));
    }

    fn help(&mut self) {
        const KEYS: [(&str, &str); 8] = [
            ("Enter", "sends; Alt-Enter, Ctrl-J or \\ Enter begins a new line"),
            ("Up, Down", "what was said before"),
            ("PgUp, wheel", "what is above; Esc goes back to the end"),
            ("Tab", "chooses a card: Up, Down, and Enter unfolds it"),
            ("Ctrl-O", "unfolds all, or folds them again"),
            ("/", "the agent's commands; @ files that it has used"),
            ("Ctrl-C", "interrupts; twice as Ctrl-D"),
            ("Ctrl-Z, Ctrl-L", "suspends; paints the screen again"),
        ];
        let leave = [("Ctrl-D", self.standing.on_leaving())];
        let own = own_commands(self.standing);
        let lines = KEYS
            .into_iter()
            .chain(leave)
            .chain(own)
            .map(|(key, does)| format!("? {key:<15} {does}\n"));
        self.transcript.note(lines.collect(), PLAIN);
        self.transcript.follow();
    }

    /// What is to be seen.
    pub(in crate::program) fn frame(&mut self, now: Duration) -> Frame {
        let Size { columns, rows } = self.size;
        let columns = columns.max(2);
        let (foot, cursor) = self.foot(now, columns, rows.max(1));
        let above = rows.saturating_sub(foot.len());
        let mut lines = self.transcript.frame(columns, above);
        if let Some(before) = self.transcript.wants_older() {
            self.wishes.push_back(Wish::Older { before });
        }
        let blank = above.saturating_sub(lines.len());
        let mut all = vec![Line::default(); blank];
        all.append(&mut lines);
        all.extend(foot);
        all.truncate(rows.max(1));
        let cursor = cursor.map(|(row, column)| (row + above, column.min(columns - 1)));
        Frame { lines: all, cursor }
    }

    /// What stands below the transcript, and the cursor in it.
    fn foot(
        &mut self,
        now: Duration,
        columns: usize,
        rows: usize,
    ) -> (Vec<Line>, Option<(usize, usize)>) {
        let is_focused = matches!(self.focus, Focus::Question(_));
        let (mut below, input_cursor) =
            if is_focused { (Vec::new(), None) } else { self.input(columns, rows) };
        if !self.hint.is_empty() {
            below.push(Line::new(self.hint.clone(), WARN).cut(columns));
        }
        below.push(self.status(columns));
        let (mut lines, mut cursor) = (Vec::new(), None);
        if self.panel.is_open() {
            // Something of the transcript stays in view, if there is room.
            let most = if is_focused { rows.saturating_sub(4) } else { rows / 2 };
            let height = Height { most: most.max(4), drawn: rows.saturating_sub(below.len()) };
            let shown = self.panel.frame(now, columns, height, is_focused);
            (lines, cursor) = (shown.lines, shown.cursor);
        }
        cursor = input_cursor.map(|(row, column)| (row + lines.len(), column)).or(cursor);
        lines.extend(below);
        // The end of it is what is needed most.
        let over = lines.len().saturating_sub(rows);
        lines.drain(..over);
        let cursor = cursor.and_then(|(row, column)| Some((row.checked_sub(over)?, column)));
        (lines, cursor)
    }

    fn input(&self, columns: usize, rows: usize) -> (Vec<Line>, Option<(usize, usize)>) {
        let words = match (self.transcript.is_following(), self.transcript.is_fetching()) {
            (true, _) => "",
            (false, true) => "─ reading older events … ",
            (false, false) => "─ Esc goes to the end ",
        };
        let rest = columns.saturating_sub(width(words));
        let rule = format!("{words}{}", "─".repeat(rest));
        let mut lines = vec![Line::new(rule, DIM).cut(columns)];
        for (at, offer) in self.completion.offers.iter().enumerate() {
            let style = if at == self.completion.chosen { CHOSEN } else { STRONG };
            let mut line = Line::new(format!(" {} ", offer.word), style);
            line.push(&format!(" {}", offer.about), DIM);
            lines.push(line.cut(columns));
        }
        if self.editor.is_empty() {
            let words = match self.focus {
                Focus::Cards => "Up, Down choose · Enter unfolds · Esc back",
                _ if self.is_ended() => "the session has ended · Ctrl-D leaves",
                _ => "say something · F1 help",
            };
            let cursor = (self.focus == Focus::Input).then_some((lines.len(), 2));
            let spans = vec![Span::new("> ", PERSON), Span::new(words, DIM)];
            lines.push(Line { spans }.cut(columns));
            return (lines, cursor);
        }
        let (all, (row, column)) = self.editor.rows(columns.saturating_sub(2));
        let most = INPUT_ROWS.min(rows / 2).max(1);
        let from = row.saturating_sub(most - 1).min(all.len().saturating_sub(most));
        let cursor = (lines.len() + row - from, column + 2);
        for (at, (_, text)) in all.iter().enumerate().skip(from).take(most) {
            let mark = if at == 0 { "> " } else { "  " };
            let spans = vec![Span::new(mark, PERSON), Span::new(text.clone(), PLAIN)];
            lines.push(Line { spans });
        }
        let cursor = (self.focus == Focus::Input).then_some(cursor);
        (lines, cursor)
    }

    fn is_ended(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.doing == Doing::Ended)
    }

    fn state(&self) -> (&'static str, anstyle::Style) {
        let Some(session) = &self.session else { return ("", PLAIN) };
        match session.doing {
            Doing::Queued => ("waits for its machine", WARN),
            Doing::Held => ("waits: its machine takes no more sessions", WARN),
            Doing::Starting => ("starting", WARN),
            Doing::Ended => ("ended", DIM),
            Doing::Away { .. } => ("its machine is away", BAD),
            Doing::Ending => ("ending", WARN),
            Doing::Working | Doing::Waiting if self.panel.is_open() => ("waits for you", ASK),
            Doing::Working => ("working", GOOD),
            Doing::Waiting => ("your turn", STRONG),
        }
    }

    fn status(&self, columns: usize) -> Line {
        let part = |text: String, style, rank| Part { text, style, rank };
        let (state, style) = self.state();
        let mut parts = Vec::new();
        match &self.connection {
            Connection::Up => {}
            Connection::Connecting => parts.push(part("connecting …".to_owned(), WARN, 0)),
            Connection::Lost { reason } => {
                parts.push(part("not connected, trying again".to_owned(), BAD, 0));
                parts.push(part(reason.clone(), DIM, 9));
            }
        }
        parts.push(part(state.to_owned(), style, 1));
        let is_away = |session: &Known| matches!(session.doing, Doing::Away { .. });
        if self.session.as_ref().is_some_and(is_away) {
            let place = Some(self.directory.as_str()).filter(|directory| !directory.is_empty());
            let place = place.map_or_else(String::new, |directory| format!(" in {directory}"));
            let words = format!("footbridge chat or work, started there again{place}, takes it up");
            parts.push(part(words, WARN, 3));
        }
        let questions = self.panel.count();
        if questions > 1 {
            parts.push(part(format!("{questions} questions"), ASK, 3));
        }
        let waiting = self.transcript.on_their_way() + self.panel.on_their_way();
        if waiting > 0 {
            parts.push(part(format!("{waiting} to send"), WARN, 2));
        }
        let unseen = self.transcript.unseen();
        if unseen > 0 {
            parts.push(part(format!("{unseen} not read yet"), DIM, 4));
        }
        parts.push(part(self.machine.clone(), DIM, 5));
        parts.push(part(self.facts.mode.clone(), KEY, 4));
        parts.push(part(self.facts.model.clone(), DIM, 6));
        if let Some(session) = &self.session {
            let name = one_line(&session.name);
            parts.push(part(Line::new(name, DIM).cut(40).text(), DIM, 7));
        }
        if self.standing == Standing::LooksOn {
            parts.push(part("only looks on".to_owned(), DIM, 3));
        }
        status::line(parts, columns)
    }

    /// The frame as plain text.
    #[cfg(test)]
    pub(super) fn text(&mut self, now: Duration) -> String {
        let frame = self.frame(now);
        let lines = frame.lines.iter().map(|line| line.text().trim_end().to_owned() + "\n");
        lines.collect()
    }

    #[cfg(test)]
    pub(super) const fn transcript(&self) -> &Transcript {
        &self.transcript
    }
}
