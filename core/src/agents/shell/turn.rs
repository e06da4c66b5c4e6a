//! A turn: from a message to its result.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use super::child::{Child, Place, millis_since};
use super::cx::Cx;
use super::input::Prompt;
use super::permission::{PermissionMode, Verdict};
use super::printer::{Account, Ending, Printer, denial, permission_request};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::event::{Event, Output};
use crate::wire::{control, to_json};

/// Why a question is refused once the host has closed its side.
const NOBODY_TO_ASK: &str = "The input has ended, so nobody can be asked whether this may run.";

/// The reason given when a turn was ended from outside.
const INTERRUPTED: &str = "The turn was interrupted.";

/// One turn.
#[derive(Debug)]
pub(super) struct Turn {
    tool_use_id: String,
    command: String,
    stage: Stage,
    /// Whether it was ended from outside.
    is_aborted: bool,
    started: Instant,
    user_message_uuid: Option<String>,
    permission_denials: Vec<Value>,
}

/// What a turn is waiting for.
#[derive(Debug)]
enum Stage {
    /// The host's answer.
    Asking { request_id: String },
    /// The command's end.
    Running(Child),
    /// Nothing: its result has been printed.
    Over,
}

impl Turn {
    /// Starts the turn of a message; `None` if it is already over.
    pub(super) fn begin(
        cx: &mut Cx,
        printer: &mut Printer,
        prompt: Prompt,
        mode: PermissionMode,
    ) -> Option<Self> {
        printer.print_init(cx, mode);
        let Prompt { uuid: user_message_uuid, command } = prompt;
        let command = match command {
            Ok(command) => command,
            Err(reason) => {
                let text = reason.to_string();
                printer.print_text(cx, &text);
                let account =
                    Account { duration_ms: 0, user_message_uuid, permission_denials: Vec::new() };
                printer.print_result(cx, Ending::Completed { text, is_error: true }, account);
                return None;
            }
        };
        let tool_use_id = ["toolu_", &printer.uuid()].concat();
        printer.print_tool_use(cx, &tool_use_id, &command);
        Some(Self {
            tool_use_id,
            command,
            stage: Stage::Asking { request_id: printer.uuid() },
            is_aborted: false,
            started: cx.fx.now().mono,
            user_message_uuid,
            permission_denials: Vec::new(),
        })
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Asks the host whether the command may run.
    pub(super) fn ask(&self, cx: &mut Cx, printer: &mut Printer) {
        if let Some(question) = self.question() {
            let line = Text::from_utf8(to_json(&question)).unwrap_or_default();
            printer.print_control(cx, &line);
        }
    }

    /// The open question, if there is one.
    pub(super) fn question(&self) -> Option<Value> {
        let Stage::Asking { request_id } = &self.stage else { return None };
        Some(permission_request(request_id, &self.tool_use_id, &self.command))
    }

    fn is_open_question(&self, id: &str) -> bool {
        matches!(&self.stage, Stage::Asking { request_id } if request_id == id)
    }

    /// Starts the command.
    pub(super) fn run(&mut self, cx: &mut Cx, place: &Place) {
        self.stage = Stage::Running(Child::start(cx, place, &self.command));
    }

    /// Handles the answer to a question; ignored if the question is not open.
    pub(super) fn answered(
        &mut self,
        cx: &mut Cx,
        printer: &mut Printer,
        place: &Place,
        (id, verdict): (&str, Verdict),
    ) {
        if !self.is_open_question(id) {
            return;
        }
        match verdict {
            Verdict::Allow(command) => {
                if let Some(command) = command {
                    self.command = command;
                }
                self.run(cx, place);
            }
            Verdict::Deny { message, interrupt: false } => {
                self.refuse(cx, printer, &format!("Permission was denied: {message}"));
            }
            Verdict::Deny { message, interrupt: true } => {
                self.note_denial();
                self.abort(cx, printer, &format!("Permission was denied: {message}"));
            }
            Verdict::Broken(reason) => {
                self.refuse(cx, printer, &format!("Permission was not given: {reason}"));
            }
        }
    }

    /// The host withdraws one of its own requests, which was answered long ago; or one of the
    /// agent's questions, which amounts to a *deny*.
    pub(super) fn withdrawn(&mut self, cx: &mut Cx, printer: &mut Printer, id: &str) {
        if self.is_open_question(id) {
            let reason = "Permission was not given: the question was withdrawn.";
            self.refuse(cx, printer, reason);
        }
    }

    /// The host will not answer any more.
    pub(super) fn input_ended(&mut self, cx: &mut Cx, printer: &mut Printer) {
        match &self.stage {
            Stage::Asking { .. } => self.refuse(cx, printer, NOBODY_TO_ASK),
            Stage::Running(_) => self.terminate(cx),
            Stage::Over => {}
        }
    }

    /// Withdraws the open question, if there is one.
    pub(super) fn withdraw_question(&self, cx: &mut Cx, printer: &mut Printer) {
        if let Stage::Asking { request_id } = &self.stage {
            printer.print_control(cx, &control::cancel_request(request_id));
        }
    }

    /// Ends it from outside.
    pub(super) fn stop(&mut self, cx: &mut Cx, printer: &mut Printer) {
        match &self.stage {
            Stage::Asking { .. } => self.abort(cx, printer, INTERRUPTED),
            Stage::Running(_) => self.terminate(cx),
            Stage::Over => {}
        }
    }

    /// Asks the running command to end, once.
    fn terminate(&mut self, cx: &mut Cx) {
        if let Stage::Running(child) = &self.stage
            && !child.has_exited()
            && !core::mem::replace(&mut self.is_aborted, true)
        {
            child.terminate(cx);
        }
    }

    pub(super) fn kill(&self, cx: &mut Cx) {
        if let Stage::Running(child) = &self.stage {
            child.kill(cx);
        }
    }

    /// What remains of the command is no longer waited for.
    pub(super) fn let_go(&mut self, cx: &mut Cx, printer: &mut Printer) {
        if let Stage::Running(child) = &self.stage
            && child.let_go(cx)
        {
            self.command_ended(cx, printer);
        }
    }

    /// Stops reading the command's output while the host is behind.
    pub(super) fn balance(&mut self, cx: &mut Cx, printer: &Printer) {
        if let Stage::Running(child) = &mut self.stage {
            child.balance(cx, printer);
        }
    }

    /// Handles an event of the command.
    pub(super) fn on_command(
        &mut self,
        cx: &mut Cx,
        printer: &mut Printer,
        place: &Place,
        event: Event,
    ) {
        let Stage::Running(child) = &mut self.stage else { return };
        let is_over = match event {
            Event::Stdout { data, .. } | Event::Stderr { data, .. } => {
                child.printed(cx, printer, &data);
                false
            }
            Event::OutputEnded { output: Output::Stdout, .. } => child.output_ended(),
            Event::Exited { status, .. } => child.exited(cx, status),
            Event::Failed { failure, .. } => {
                let reason = child.not_started(cx, place, &failure);
                return self.fail(cx, printer, &reason);
            }
            _ => false,
        };
        if is_over {
            self.command_ended(cx, printer);
        }
    }

    fn command_ended(&mut self, cx: &mut Cx, printer: &mut Printer) {
        let Stage::Running(child) = &mut self.stage else { return };
        let mut ended = child.end(cx, printer);
        if self.is_aborted {
            printer.print_tool_result(cx, &self.tool_use_id, &ended.interrupted(), true);
            return self.finish(cx, printer, Ending::Aborted(INTERRUPTED.to_owned()));
        }
        let (content, is_error) = ended.tool_result();
        printer.print_tool_result(cx, &self.tool_use_id, &content, is_error);
        self.complete(cx, printer, ended.summary());
    }

    /// Ends it because its command may not run.
    pub(super) fn refuse(&mut self, cx: &mut Cx, printer: &mut Printer, reason: &str) {
        self.note_denial();
        self.fail(cx, printer, reason);
    }

    /// Ends it because its command did not run.
    fn fail(&mut self, cx: &mut Cx, printer: &mut Printer, reason: &str) {
        printer.print_tool_result(cx, &self.tool_use_id, reason, true);
        self.complete(cx, printer, reason.to_owned());
    }

    /// Ends it because it was stopped before its command ran.
    fn abort(&mut self, cx: &mut Cx, printer: &mut Printer, reason: &str) {
        printer.print_tool_result(cx, &self.tool_use_id, reason, true);
        self.finish(cx, printer, Ending::Aborted(reason.to_owned()));
    }

    fn note_denial(&mut self) {
        self.permission_denials.push(denial(&self.tool_use_id, &self.command));
    }

    fn complete(&mut self, cx: &mut Cx, printer: &mut Printer, text: String) {
        printer.print_text(cx, &text);
        self.finish(cx, printer, Ending::Completed { text, is_error: false });
    }

    /// Prints its result.
    fn finish(&mut self, cx: &mut Cx, printer: &mut Printer, ending: Ending) {
        self.stage = Stage::Over;
        let account = Account {
            duration_ms: millis_since(cx, self.started),
            user_message_uuid: self.user_message_uuid.take(),
            permission_denials: core::mem::take(&mut self.permission_denials),
        };
        printer.print_result(cx, ending, account);
    }
}
