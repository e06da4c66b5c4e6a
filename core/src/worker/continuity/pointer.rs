//! `bridge-pointer.json`: which session was running in a project's directory (K-1).
//!
//! It exists from when a session is up until the last one has ended, and is rewritten every hour
//! meanwhile, so its age shows how long ago a crash was. With several sessions it names one of
//! them; the state file knows all.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::id::{EnvironmentId, SessionId};
use crate::base::limits::{
    MAX_ID_BYTES, MAX_POINTER_BYTES, POINTER_FRESH_FOR, POINTER_TOUCHED_EVERY,
};
use crate::base::time::UnixTime;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::wire::to_json;
use crate::worker::cx::{Cx, Purpose, Timer};

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::worker) struct Pointer {
    pub(in crate::worker) session_id: SessionId,
    pub(in crate::worker) environment_id: EnvironmentId,
    source: Source,
    /// The name of its worker's part of the state directory, which knows all else about the
    /// session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::worker) worker: Option<String>,
}

/// What kind of program wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    /// An agent that a person was talking to in a terminal.
    Repl,
    /// A worker.
    Standalone,
}

/// What a pointer file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::worker) enum Found {
    Nothing,
    /// It is broken, or from too long ago: it goes.
    Useless,
    Fresh {
        pointer: Pointer,
        age: Duration,
    },
}

/// The file of a directory.
pub(in crate::worker) fn path_in(directory: &str) -> String {
    format!("{}/bridge-pointer.json", directory.trim_end_matches('/'))
}

/// What a worker's part of the state directory is called.
fn name_of(state_directory: &str) -> Option<String> {
    state_directory.rsplit('/').next().filter(|name| is_name(name)).map(String::from)
}

/// Whether this can only name something within a directory: anybody may have written a pointer.
pub(in crate::worker) fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= MAX_ID_BYTES && text.bytes().all(is_allowed)
}

/// Reads a pointer file.
pub(in crate::worker) fn load(op: crate::base::id::OpId, path: String) -> Action {
    Action::Load { op, path, limit: MAX_POINTER_BYTES }
}

/// What was read. A file from the future is as fresh as can be: clocks are set.
pub(in crate::worker) fn read(event: &Event, now: UnixTime) -> Found {
    let (data, modified) = match event {
        Event::Loaded { data: Some(data), modified, .. } => (data, modified),
        Event::Loaded { data: None, .. } => return Found::Nothing,
        // It cannot be read, so most likely it cannot be removed either.
        _ => return Found::Nothing,
    };
    let age = modified.map(|modified| now.saturating_since(modified));
    match (serde_json::from_slice(data), age) {
        (Ok(pointer), Some(age)) if age < POINTER_FRESH_FOR => Found::Fresh { pointer, age },
        _ => Found::Useless,
    }
}

/// The pointer that a running worker keeps.
#[derive(Debug)]
pub(in crate::worker) struct PointerFile {
    /// `None` if it keeps none.
    path: Option<String>,
    current: Option<Pointer>,
}

impl PointerFile {
    pub(in crate::worker) fn new(directory: &str, is_kept: bool) -> Self {
        Self { path: is_kept.then(|| path_in(directory)), current: None }
    }

    /// A session is up.
    pub(in crate::worker) fn show(
        &mut self,
        cx: &mut Cx<'_>,
        session: &SessionId,
        environment: &EnvironmentId,
    ) {
        let pointer = Pointer {
            session_id: session.clone(),
            environment_id: environment.clone(),
            source: match cx.config.own_session {
                Some(_) => Source::Repl,
                None => Source::Standalone,
            },
            worker: cx.config.state_directory.as_deref().and_then(name_of),
        };
        if self.current.as_ref() != Some(&pointer) {
            self.current = Some(pointer);
            self.touch(cx);
        }
    }

    /// Writes it, now and every hour.
    pub(in crate::worker) fn touch(&mut self, cx: &mut Cx<'_>) {
        let (Some(path), Some(pointer)) = (self.path.clone(), &self.current) else { return };
        let data = to_json(pointer);
        cx.fx.start(Purpose::Pointer, |op| Action::Save { op, path, data });
        cx.set_timer(Timer::Pointer, POINTER_TOUCHED_EVERY);
    }

    /// A session has ended. Another one may be shown instead; otherwise the file to remove is
    /// returned.
    pub(in crate::worker) fn end(
        &mut self,
        cx: &mut Cx<'_>,
        session: &SessionId,
        other: Option<(SessionId, EnvironmentId)>,
    ) -> Option<String> {
        if self.current.as_ref().is_none_or(|current| current.session_id != *session) {
            return None;
        }
        match other {
            Some((session, environment)) => {
                self.show(cx, &session, &environment);
                None
            }
            None => self.clear(cx),
        }
    }

    /// Nothing is left to point at.
    fn clear(&mut self, cx: &mut Cx<'_>) -> Option<String> {
        cx.timers.clear(&Timer::Pointer);
        self.current.take().and_then(|_| self.path.clone())
    }

    /// The environment that a person wanted to continue is gone, and with it what its pointer
    /// names: the file to remove.
    pub(in crate::worker) fn reject(&self) -> Option<String> {
        self.path.clone().filter(|_| self.current.is_none())
    }

    /// It stays for the next run, as fresh as can be (B-4).
    pub(in crate::worker) fn leave(&mut self, cx: &mut Cx<'_>) {
        self.touch(cx);
        cx.timers.clear(&Timer::Pointer);
        self.path = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::OpId;
    use bytes::Bytes;

    fn found(text: &str, age: Duration) -> Found {
        let now = UnixTime::from_millis(1_000_000_000);
        let age = u64::try_from(age.as_millis()).expect("small");
        let modified = Some(UnixTime::from_millis(now.as_millis() - age));
        let data = Some(Bytes::from(String::from(text)));
        read(&Event::Loaded { op: OpId::FIRST, data, modified }, now)
    }

    #[test]
    fn a_pointer_is_fresh_for_four_hours_and_anything_else_is_useless() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        for source in ["repl", "standalone"] {
            let text = format!(
                r#"{{"sessionId":"session_1","environmentId":"env_1","source":"{source}"}}"#
            );
            assert!(matches!(found(&text, hours(3)), Found::Fresh { age, .. } if age == hours(3)));
            assert_eq!(found(&text, hours(4)), Found::Useless);
        }
        for broken in [
            "",
            "{",
            "{}",
            r#"{"sessionId":"../x","environmentId":"env_1","source":"repl"}"#,
            r#"{"sessionId":"session_1","environmentId":"env_1","source":"other"}"#,
        ] {
            assert_eq!(found(broken, hours(0)), Found::Useless, "{broken}");
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let pointer = Pointer {
            session_id: SessionId::new("session_1").expect("an id"),
            environment_id: EnvironmentId::new("env_1").expect("an id"),
            source: Source::Standalone,
            worker: None,
        };
        let text = r#"{"sessionId":"session_1","environmentId":"env_1","source":"standalone"}"#;
        assert_eq!(to_json(&pointer), text);
    }
}
