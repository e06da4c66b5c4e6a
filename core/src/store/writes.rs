//! How much operations write: a store that could not keep something large has not recovered because
//! it can keep something small.

use alloc::string::String;

use super::transaction::{CallbackReply, PermissionReply, StoreOp};
use crate::base::text::Text;
use crate::wire::session::SessionResult;
use crate::wire::worktree::WorktreeNote;

impl StoreOp {
    /// About how many bytes it writes, apart from what any operation does; `None` if it only reads.
    pub fn writes(&self) -> Option<usize> {
        match self {
            Self::Post { messages, .. } => {
                Some(messages.iter().map(|message| message.line.len()).sum())
            }
            Self::Append { lines, .. } => Some(lines.iter().map(|line| line.line.len()).sum()),
            Self::AnswerPermission { reply, .. } | Self::AnswerByLink { reply, .. } => {
                Some(of_reply(reply))
            }
            Self::AnswerCallback { reply, .. } => Some(match reply {
                CallbackReply::Response(json) => json.len(),
                CallbackReply::Error(reason) => reason.len(),
            }),
            Self::StopWork { result, worktree, .. } => {
                let SessionResult { message, stderr, .. } = &**result;
                let note = worktree.as_ref().map_or(0, |note| of_note(note));
                Some(message.len() + stderr.len() + note)
            }
            Self::NoteWorker { result: Some(result), .. } => {
                Some(result.message.len() + result.stderr.len())
            }
            Self::NoteWorktree { note, .. } => Some(of_note(note)),
            Self::Prove { bytes } => Some(*bytes),
            Self::ReadReceipts { .. } | Self::ReadReceipt { .. } | Self::ReadInbound { .. } => None,
            op if op.is_read() => None,
            _ => Some(0),
        }
    }
}

/// Without the input of the question, which an *allow* may repeat.
fn of_reply(reply: &PermissionReply) -> usize {
    let (own, further) = match reply {
        PermissionReply::Allow { updated_input, further } => {
            (updated_input.as_ref().map_or(0, Text::len), further)
        }
        PermissionReply::Deny { message, further, .. } => (message.len(), further),
    };
    own + further.iter().map(|(name, json)| name.len() + json.len()).sum::<usize>()
}

fn of_note(note: &WorktreeNote) -> usize {
    let WorktreeNote { path, reason, branches, error, contents, .. } = note;
    let branches = branches.iter().map(String::len);
    let files = contents.files.iter().map(|file| file.path.len());
    let commits = contents.commits.iter().map(|commit| commit.id.len() + commit.subject.len());
    let lists: usize = branches.chain(files).chain(commits).sum();
    path.len() + reason.len() + error.len() + lists
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::collections::BTreeMap;
    use alloc::string::ToString;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::base::id::{EnvironmentId, SessionId, WorkId};
    use crate::store::{AccountId, Line, NewMessage, Origin, ended};
    use crate::wire::session::ResultStatus;
    use crate::wire::worktree::{KeptBecause, KeptFile, WorktreeState};

    /// What a person, an agent or a worker sends, with a body of this many bytes.
    fn operations(bytes: usize) -> Vec<StoreOp> {
        let owner = || AccountId("alice".to_string());
        let session = || SessionId::new("session_1").expect("an id");
        let environment = || EnvironmentId::new("env_1").expect("an id");
        let work = || WorkId::new("work_1").expect("an id");
        let body = "x".repeat(bytes);
        let text = || Text::from(body.clone());
        let person = |reply| StoreOp::AnswerPermission {
            owner: owner(),
            session: session(),
            request_id: "question".to_string(),
            seq: Some(1),
            reply,
        };
        let client = |reply| StoreOp::AnswerCallback {
            owner: owner(),
            session: session(),
            client: "client".to_string(),
            request_id: "hook".to_string(),
            seq: 1,
            reply,
        };
        let further = || BTreeMap::from([("updatedPermissions".to_string(), text())]);
        let mut note = WorktreeNote::new(&session(), "/".to_string(), WorktreeState::Kept);
        let what = KeptBecause::Untracked;
        note.contents.files.push(KeptFile { path: body.clone(), what, added: None, removed: None });
        let stop = |stderr: &str, worktree| {
            let mut result = ended(ResultStatus::Failed, "it broke");
            result.stderr = stderr.to_string();
            StoreOp::StopWork {
                environment: environment(),
                work: work(),
                fence: 1,
                result: Box::new(result),
                worktree,
            }
        };
        vec![
            StoreOp::Post {
                owner: owner(),
                session: session(),
                messages: vec![NewMessage { uuid: None, request_id: None, line: text() }],
                sender: None,
            },
            StoreOp::Append {
                session: session(),
                link: 1,
                first: 1,
                lines: vec![Line { origin: Origin::Agent, line: text() }],
            },
            person(PermissionReply::Allow {
                updated_input: Some(text()),
                further: BTreeMap::new(),
            }),
            person(PermissionReply::Allow { updated_input: None, further: further() }),
            person(PermissionReply::Deny {
                message: body.clone(),
                interrupt: false,
                further: BTreeMap::new(),
            }),
            person(PermissionReply::Deny {
                message: String::new(),
                interrupt: false,
                further: further(),
            }),
            client(CallbackReply::Response(text())),
            client(CallbackReply::Error(body.clone())),
            stop(&body, None),
            stop("", Some(Box::new(note.clone()))),
            StoreOp::NoteWorktree { environment: environment(), note: Box::new(note) },
        ]
    }

    #[test]
    fn whatever_carries_a_large_body_writes_as_much() {
        let large = 3_000_000;
        for (small, op) in operations(0).iter().zip(operations(large)) {
            let grown = op.writes().zip(small.writes()).map(|(with, without)| with - without);
            assert_eq!(grown, Some(large), "{small:?}");
        }
    }
}
