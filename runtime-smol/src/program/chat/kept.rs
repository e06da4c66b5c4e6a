//! What a chat keeps for the next one in its directory, in case that it is killed: which session it was,
//! and what its agent calls the conversation. Who ends in order leaves nothing to take up.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use footbridge_cli::lock::Lock;
use footbridge_cli::worker::chat_state;
use footbridge_core::worker::{AgentProgram, AgentResume};
use serde::{Deserialize, Serialize};

use crate::program::attach::Place;

/// The most that is read of what was kept.
const MOST_BYTES: u64 = 64 << 10;
/// Stands for the id of a conversation, in how an agent resumes it.
const CONVERSATION: &str = "{session}";

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The agent's command line.
    agent: Vec<String>,
    /// What the agent calls its conversation.
    #[serde(default)]
    pub(super) conversation: Option<String>,
    /// The session, at the relay.
    #[serde(default)]
    pub(super) session: Option<String>,
    /// How many turns have ended.
    #[serde(default)]
    pub(super) turns: u64,
}

/// A chat's own part of the state directory, which nobody else has.
pub(super) struct Kept {
    state: String,
    file: PathBuf,
    before: Option<Note>,
    note: RefCell<Note>,
    _lock: Lock,
}

impl Kept {
    /// `None` where another chat has this directory, or nothing can be kept: a chat works without.
    pub(super) fn open(place: &Place, directory: &str, agent: &AgentProgram) -> Option<Self> {
        let state = chat_state(place.state().as_deref(), &place.relay, directory)?;
        if Lock::holder(&state, Duration::ZERO).is_some() {
            return None;
        }
        let lock = Lock::take(&state, "another chat").ok()?;
        let file = Path::new(&state).join("chat.json");
        let is_small = fs::metadata(&file).is_ok_and(|file| file.len() <= MOST_BYTES);
        let found = if is_small { fs::read(&file).ok() } else { None };
        let before = found.and_then(|text| serde_json::from_slice(&text).ok());
        let agent = [std::slice::from_ref(&agent.program), &agent.args].concat();
        let note = RefCell::new(Note { agent, ..Note::default() });
        Some(Self { state, file, before, note, _lock: lock })
    }

    /// Where the bridge keeps what it needs to go on.
    pub(super) fn state(&self) -> &str {
        &self.state
    }

    /// What the chat before has left, which was killed.
    pub(super) const fn before(&self) -> Option<&Note> {
        self.before.as_ref()
    }

    /// How the agent takes up the conversation of the chat before, if it is the same and knows it.
    pub(super) fn resumed(&self, resume: Option<AgentResume>) -> Option<AgentProgram> {
        let before = self.before.as_ref().filter(|it| it.agent == self.note.borrow().agent)?;
        let conversation = before.conversation.as_ref()?;
        let AgentResume { program, args, env, env_in_turn } = resume?;
        // Nobody knows what it was at: nothing is done a second time.
        let env = [env, env_in_turn].concat();
        let args = args.into_iter().map(|arg| arg.replace(CONVERSATION, conversation)).collect();
        self.note.borrow_mut().conversation = Some(conversation.clone());
        Some(AgentProgram { program, args, env })
    }

    /// Changes what the next chat would find. Where that is not possible, it finds nothing.
    pub(super) fn change(&self, change: impl FnOnce(&mut Note)) {
        let mut note = self.note.borrow_mut();
        let before = note.clone();
        change(&mut note);
        if *note != before && self.write(&note).is_err() {
            let _ = fs::remove_file(&self.file);
        }
    }

    fn write(&self, note: &Note) -> io::Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(note)?)?;
        fs::rename(&new, &self.file)
    }

    /// It has ended in order.
    pub(super) fn remove(&self) {
        let _ = fs::remove_file(&self.file);
    }
}
