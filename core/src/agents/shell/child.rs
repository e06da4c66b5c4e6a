//! One running command: started, listened to, ended.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::output::{Decoder, Kept};
use super::say::Ending;
use super::turn::{INTERRUPTED, Stage};
use super::{Agent, Notice, Purpose, Timer, Turn};
use crate::base::id::OpId;
use crate::base::limits::{COMMAND_ABANDON_AFTER, COMMAND_GRACE, COMMAND_LINGER};
use crate::base::time::Instant;
use crate::contract::action::{self, Action, Signal};
use crate::contract::event::{ExitStatus, IoError};

/// The shell that commands are for.
const SHELL: &str = "/bin/sh";

/// Runs the command line `$1` with an empty stdin and its stderr among its stdout, in the order in
/// which it writes them.
///
/// Beside it a watcher waits for the end of the pipe that the agent holds. That comes when the agent
/// lets go of the command, and also when the agent itself is killed: then the whole process group
/// goes, with whatever the command left behind. Being one of the group, the watcher cannot hit
/// another group that was given the same number later.
const WRAPPER: &str = r#"exec 3<&0 </dev/null
{ trap '' TERM INT HUP; read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 &
exec /bin/sh -c "$1" 2>&1 3<&-"#;

/// A command under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) op: OpId,
    /// Whether its output is not read at present, because the reader is behind.
    pub(super) paused: bool,
    started: Instant,
    decoder: Decoder,
    kept: Kept,
    /// Whether live output was told.
    streaming: bool,
    exit: Option<ExitStatus>,
    output_ended: bool,
}

impl Agent {
    fn running(&mut self) -> Option<&mut Running> {
        match &mut self.turn {
            Some(Turn { stage: Stage::Running(running), .. }) => Some(running),
            _ => None,
        }
    }

    /// Starts the command of the turn.
    pub(super) fn run(&mut self) {
        let started = self.fx.now().mono;
        let Some(turn) = &mut self.turn else { return };
        let command = action::ProcessSpec {
            program: SHELL.to_owned(),
            args: ["-c", WRAPPER, "sh", &turn.command].map(ToOwned::to_owned).to_vec(),
            env: Vec::new(),
            env_remove: self.env_remove.clone(),
            directory: Some(self.directory.clone()),
        };
        let op = self.fx.start(Purpose::Command, |op| Action::Spawn { op, command });
        turn.stage = Stage::Running(Running {
            op,
            paused: false,
            started,
            decoder: Decoder::default(),
            kept: Kept::default(),
            streaming: false,
            exit: None,
            output_ended: false,
        });
    }

    pub(super) fn not_started(&mut self, failure: &IoError) {
        if let Some(Running { op, .. }) = self.running() {
            let op = *op;
            self.fx.finish(op);
        }
        self.clear_command_timers();
        let directory = &self.directory;
        self.fail(&format!("{SHELL} could not be started in {directory}: {failure}"));
    }

    pub(super) fn output(&mut self, data: &[u8]) {
        let Some(running) = self.running() else { return };
        let text = running.decoder.push(data);
        self.tell(&text);
    }

    fn tell(&mut self, text: &str) {
        let Some(running) = self.running().filter(|_| !text.is_empty()) else { return };
        running.kept.push(text);
        if !core::mem::replace(&mut running.streaming, true) {
            self.say_stream_start();
        }
        self.say_stream_text(text);
    }

    pub(super) fn output_ended(&mut self) {
        if let Some(running) = self.running() {
            running.output_ended = true;
            if running.exit.is_some() {
                self.command_ended();
            }
        }
    }

    /// The shell has ended; what it left behind may still hold the output open.
    pub(super) fn exited(&mut self, status: ExitStatus) {
        let Some(running) = self.running() else { return };
        running.exit = Some(status);
        if running.output_ended {
            return self.command_ended();
        }
        self.clear_command_timers();
        self.timers.set(Timer::LetGo, self.fx.now().mono + COMMAND_LINGER);
    }

    /// Asks the running command to end, and sees to it that it does.
    pub(super) fn stop_command(&mut self) {
        let Some(turn) = &mut self.turn else { return };
        let Stage::Running(running) = &turn.stage else { return };
        let op = running.op;
        if running.exit.is_some() || core::mem::replace(&mut turn.aborted, true) {
            return;
        }
        self.fx.act(op, |op| Action::Signal { op, signal: Signal::Terminate });
        self.timers.set(Timer::Kill, self.fx.now().mono + COMMAND_GRACE);
    }

    pub(super) fn kill_command(&mut self) {
        let Some(Running { op, exit: None, .. }) = self.running() else { return };
        let op = *op;
        if self.timers.is_set(&Timer::LetGo) {
            // It was killed before: who asks again and again waits no longer for that.
            return;
        }
        self.fx.act(op, |op| Action::Signal { op, signal: Signal::Kill });
        self.timers.clear(&Timer::Kill);
        self.timers.set(Timer::LetGo, self.fx.now().mono + COMMAND_ABANDON_AFTER);
    }

    /// What remains of the command is not waited for, unless its output waits for the reader.
    pub(super) fn let_go(&mut self) {
        let Some(running) = self.running() else { return };
        if running.exit.is_some() && running.paused {
            self.timers.set(Timer::LetGo, self.fx.now().mono + COMMAND_LINGER);
            return;
        }
        if running.exit.is_none() {
            self.fx.notify(Notice::Abandoned);
        }
        self.command_ended();
    }

    fn clear_command_timers(&mut self) {
        self.timers.clear(&Timer::Kill);
        self.timers.clear(&Timer::LetGo);
    }

    /// Lets go of the command, which ends whatever it left behind, and tells what came of it.
    fn command_ended(&mut self) {
        self.clear_command_timers();
        let rest = self.running().map_or("", |running| running.decoder.finish());
        self.tell(rest);
        let Some(Running { op, started, kept, streaming, exit, .. }) = self.running() else {
            return;
        };
        let (op, started, streaming, exit) = (*op, *started, *streaming, *exit);
        let output = core::mem::take(kept).into_text();
        let aborted = self.turn.as_ref().is_some_and(|turn| turn.aborted);
        self.fx.cancel(op);
        if streaming {
            self.say_stream_stop();
        }
        if aborted {
            self.tool_result(&with_note(output, "Interrupted"), true);
            return self.finish(Ending::Aborted(INTERRUPTED.to_owned()));
        }
        let how = exit.map_or_else(|| "did not end".to_owned(), |exit| format!("{exit}"));
        let is_error = !exit.is_some_and(ExitStatus::is_success);
        let content = match (is_error, output.is_empty()) {
            (true, _) => with_note(output, &how),
            (false, true) => "(no output)".to_owned(),
            (false, false) => output,
        };
        self.tool_result(&content, is_error);
        let millis = self.millis_since(started);
        let time = format!("{}.{} s", millis / 1000, millis % 1000 / 100);
        let text = match is_error {
            true => format!("Failed with {how} after {time}."),
            false => format!("Done in {time}."),
        };
        self.complete(text, false);
    }
}

/// The output, and below it in a line of its own what is to be said of it.
fn with_note(mut output: String, note: &str) -> String {
    if !output.is_empty() && !output.ends_with('\n') {
        output.push('\n');
    }
    output.push('[');
    output.push_str(note);
    output.push(']');
    output
}
