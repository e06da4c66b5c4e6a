//! Links that answer one question: a walk of their own over one session, with a model that says which of
//! them work.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::ensure;
use crate::base::id::{EnvironmentId, IdError, SessionId};
use crate::base::limits::MAX_ANSWER_LINKS;
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::store::{
    AccountId, Answer, AnswerLinkRow, Committed, Line, Origin, PermissionReply, RelayRun,
    RelayTime, StoreError, StoreOp, StorePolicy, Transaction,
};
use crate::wire::worker_api::environment::{Metadata, Registration};

const START: u64 = 1_767_225_600_000;
/// Questions that are open at once.
const OPEN: usize = 4;

struct Link {
    question: String,
    expires_at: UnixTime,
}

#[derive(Default)]
struct Model {
    open: BTreeSet<String>,
    /// All that were ever made, and those of an open question in order.
    links: BTreeMap<String, Link>,
    of_question: BTreeMap<String, Vec<String>>,
}

impl Model {
    fn works(&self, digest: &str, now: UnixTime) -> bool {
        let Some(link) = self.links.get(digest) else { return false };
        let kept = self.of_question.get(&link.question);
        let is_kept = kept.is_some_and(|kept| kept.iter().any(|known| known == digest));
        is_kept && self.open.contains(&link.question) && link.expires_at > now
    }

    fn close(&mut self, question: &str) {
        self.open.remove(question);
        self.of_question.remove(question);
    }
}

fn registration() -> Registration {
    Registration {
        machine_name: "a machine".to_owned(),
        directory: "/".to_owned(),
        branch: None,
        git_repo_url: None,
        max_sessions: 1,
        metadata: Metadata::default(),
        environment_id: None,
        worker_id: None,
        worker_run: None,
    }
}

/// Runs random operations about the links of one session's questions against a store: each works once,
/// for its question, until its time is over. Returns what is wrong, if anything is.
///
/// # Errors
///
/// The promise that was broken, and by which operation.
pub fn check_answer_links(
    seed: u64,
    operations: usize,
    mut store: impl FnMut(Transaction) -> Committed,
) -> Result<(), String> {
    let bad = |error: IdError| format!("{error}");
    let session = SessionId::new("session_linked").map_err(bad)?;
    let environment = EnvironmentId::new("env_linked").map_err(bad)?;
    let owner = AccountId("alice".to_owned());
    let (policy, mut running) = (Arc::new(StorePolicy::default()), 0);
    let mut apply = |running: u64, op: StoreOp| {
        let wall = UnixTime::from_millis(START + running * 1000);
        let at = RelayTime { wall, run: RelayRun(1), running: Duration::from_secs(running) };
        let op = Box::new(op);
        store(Transaction { at, policy: policy.clone(), op, by: None }).answer
    };
    let create = StoreOp::CreateCodeSession {
        owner: owner.clone(),
        environment,
        id: session.clone(),
        title: None,
        key: None,
        registration: Box::new(registration()),
        device: None,
    };
    let created = apply(running, create);
    ensure(created.is_ok(), || format!("no session: {created:?}"))?;
    let (device, agent_run) = (None, None);
    let bridge =
        StoreOp::Bridge { owner: owner.clone(), device, session: session.clone(), agent_run };
    let Ok(Answer::Attached { link, .. }) = apply(running, bridge) else {
        return Err("it cannot be bridged".to_owned());
    };
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut model, mut asked) = (Model::default(), 0_u32);
    for step in 0..operations {
        running += rng.u64(0..120);
        let now = UnixTime::from_millis(START + running * 1000);
        let says = |line: String| StoreOp::Append {
            session: session.clone(),
            link,
            first: 0,
            lines: vec![Line { origin: Origin::Agent, line: Text::from(line) }],
        };
        let any_question = rng.choice(model.open.iter()).cloned();
        let any_link = rng.choice(model.links.keys()).cloned();
        let digest = any_link.unwrap_or_else(|| "none".to_owned());
        let allow = || PermissionReply::Allow { updated_input: None, further: BTreeMap::new() };
        let holds = match (rng.u8(..10), any_question) {
            (0..2, _) if model.open.len() < OPEN => {
                asked += 1;
                let id = format!("q{asked}");
                let line = format!(
                    r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{"command":"{id}"}}}}}}"#
                );
                model.open.insert(id);
                apply(running, says(line)).is_ok()
            }
            (2, Some(id)) => {
                model.close(&id);
                let line = format!(r#"{{"type":"control_cancel_request","request_id":"{id}"}}"#);
                apply(running, says(line)).is_ok()
            }
            (3, Some(request_id)) => {
                model.close(&request_id);
                let (owner, session) = (owner.clone(), session.clone());
                let reply = allow();
                let answer =
                    StoreOp::AnswerPermission { owner, session, request_id, seq: None, reply };
                matches!(apply(running, answer), Ok(Answer::Answered { .. }))
            }
            (4..7, Some(request_id)) => {
                let is_others = rng.u8(..6) == 0;
                let owner = AccountId(if is_others { "bob" } else { "alice" }.to_owned());
                let digest = format!("digest {step}");
                let expires_at = now + Duration::from_secs(rng.u64(1..2_000));
                let row = AnswerLinkRow { digest: digest.clone(), expires_at, device: None };
                let (session, request, link) = (session.clone(), request_id.clone(), Box::new(row));
                let made = apply(
                    running,
                    StoreOp::MakeAnswerLink { owner, session, request_id, seq: None, link },
                );
                if is_others {
                    made == Err(StoreError::SessionUnknown)
                } else {
                    let kept = model.of_question.entry(request.clone()).or_default();
                    kept.retain(|known| {
                        model.links.get(known).is_some_and(|link| link.expires_at > now)
                    });
                    let surplus = (kept.len() + 1).saturating_sub(MAX_ANSWER_LINKS);
                    kept.drain(..surplus);
                    kept.push(digest.clone());
                    model.links.insert(digest, Link { question: request, expires_at });
                    made == Ok(Answer::Done)
                }
            }
            (7, _) => {
                let (session, reply) = (session.clone(), allow());
                let used = StoreOp::AnswerByLink { session, digest: digest.clone(), reply };
                let works = model.works(&digest, now);
                let answer = apply(running, used);
                if works {
                    let question = model.links.get(&digest).map(|link| link.question.clone());
                    model.close(&question.unwrap_or_default());
                    matches!(answer, Ok(Answer::Answered { .. }))
                } else {
                    answer == Err(StoreError::AnswerLinkOver)
                }
            }
            _ => {
                let session = session.clone();
                let read = StoreOp::ReadAnswerLink { session, digest: digest.clone() };
                match (apply(running, read), model.works(&digest, now)) {
                    (Ok(Answer::LinkedQuestion(shown)), true) => {
                        let question = model.links.get(&digest).map(|link| &*link.question);
                        question
                            .is_some_and(|id| shown.input.as_str().contains(&format!("\"{id}\"")))
                    }
                    (answer, works) => !works && answer == Err(StoreError::AnswerLinkOver),
                }
            }
        };
        ensure(holds, || format!("seed {seed}, operation {step}: a link works, or does not"))?;
    }
    Ok(())
}
