//! The worker is killed, or leaves for good, and is started again in the same directory.

use std::path::Path;

use serde_json::{Value, json};

use super::stage::process::until_gone;
use super::stage::program::Program;
use super::stage::{Relay, Session, until};
use crate::Runtime;

/// An agent that names its conversation and answers with what it was started with. `fail` stands
/// for one that finds no conversation to resume.
pub(super) const AGENT: &str = r#"
if [ "$1" = fail ]; then echo 'no conversation found' >&2; exit 1; fi
while read -r line; do
  case $line in
    *'"initialize"'*)
      id=$(printf %s "$line" | sed 's/.*"request_id":"\([^"]*\)".*/\1/')
      echo '{"type":"control_response","response":{"subtype":"success","request_id":"'$id'"}}';;
    *'"user"'*)
      text=$(printf %s "$line" | sed 's/.*"content":"\([^"]*\)".*/\1/')
      echo '{"type":"system","subtype":"init","session_id":"talk-1"}'
      echo '{"type":"assistant","message":{"content":"'$1: $text'"}}';;
  esac
done
"#;

/// A worker whose agent is [`AGENT`], and resumes with `resume`.
fn resumable<R: Runtime>(relay: &Relay, home: &Path, resume: &str) -> Program {
    std::fs::write(home.join("agent.sh"), AGENT).expect("written");
    let options = ["--agent", "sh agent.sh new", "--agent-resume", resume];
    Program::start::<R>(&relay.address, home, "", &options)
}

/// Waits until a conversation is on the worker's disk.
fn keeps_conversation(home: &Path) {
    let workers = home.join(".local/state/footbridge/workers");
    until("the conversation is kept", || {
        let mut own = std::fs::read_dir(&workers).ok()?.filter_map(Result::ok);
        let read = |state: &Path| std::fs::read_to_string(state.join("worker.json"));
        own.any(|state| read(&state.path()).is_ok_and(|text| text.contains("talk-1"))).then_some(())
    });
}

/// A session of this worker, which is killed once the conversation is on its disk, and the agent
/// that went with it.
pub(super) fn killed_in_conversation<'a>(
    worker: Program,
    relay: &'a Relay,
    home: &Path,
) -> (Session<'a>, u32) {
    let session = relay.session();
    let agent = session.running();
    session.say("one");
    session.echo("new: one");
    keeps_conversation(home);
    worker.kill();
    until_gone(agent);
    (session, agent)
}

pub(super) fn subtype(name: &'static str) -> impl Fn(&Value) -> bool {
    move |message| message["subtype"] == name
}

/// How many environments the relay has, online or not.
pub(super) fn environments(relay: &Relay) -> usize {
    let (_, all) = relay.api.get("/v1/environments");
    all["environments"].as_array().map_or(0, Vec::len)
}

/// Waits for the agent that follows another; its process id.
pub(super) fn next_agent(session: &Session<'_>, before: u32) -> u32 {
    until("another agent", || {
        let started = session.from("worker").into_iter().rfind(subtype("agent_started"))?;
        let pid = u32::try_from(started["pid"].as_u64()?).ok()?;
        (pid != before).then_some(pid)
    })
}

pub fn a_killed_worker_takes_its_environment_up_again_and_its_session_goes_on<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = Program::start::<R>(&relay.address, home.path(), "", &[]);
    let session = relay.session();
    let agent = session.running();
    session.say("echo o''ne");
    session.answer(json!({"behavior": "allow"}));
    session.turn(1);
    session.say("echo t''wo");
    let asked = session.question();
    worker.kill();
    until_gone(agent);
    session.say("echo th''ree");

    let mut worker = Program::start::<R>(&relay.address, home.path(), "", &[]);
    next_agent(&session, agent);
    session.event("it is said", subtype("agent_restarted"));
    let withdrawn = session.event("the question is closed", subtype("permission_withdrawn"));
    assert_eq!(withdrawn["request_id"], *asked);
    assert!(withdrawn["reason"].as_str().expect("text").contains("restarted"), "{withdrawn}");
    let answer = json!({"behavior": "allow", "request_id": asked});
    assert_eq!(session.post("/permission", &answer).0, 410, "nobody is left to be told");
    session.answer(json!({"behavior": "allow"}));
    session.turn(2);
    assert_eq!(session.tool_results(), ["one\n", "three\n"]);
    assert_eq!(environments(&relay), 1);
    assert_eq!(worker.end(), Some(0));
    assert_eq!(session.result()["status"], "interrupted");
    assert_eq!(environments(&relay), 0, "a clean end leaves nothing to take up");
}

pub fn an_agent_that_can_resume_is_given_the_id_of_its_conversation<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = resumable::<R>(&relay, home.path(), "sh agent.sh again-{session}");
    let (session, agent) = killed_in_conversation(worker, &relay, home.path());
    session.say("two");

    let worker = resumable::<R>(&relay, home.path(), "sh agent.sh again-{session}");
    let resumed = session.event("it is said", subtype("agent_resumed"));
    assert_eq!(resumed["conversation"], "talk-1");
    session.echo("again-talk-1: two");
    let agent = next_agent(&session, agent);
    worker.kill();
    until_gone(agent);

    // The second time as the first.
    let mut worker = resumable::<R>(&relay, home.path(), "sh agent.sh again-{session}");
    next_agent(&session, agent);
    session.say("three");
    session.echo("again-talk-1: three");
    assert_eq!(worker.end(), Some(0));
}

pub fn an_agent_that_fails_to_resume_is_followed_by_a_new_one_that_gets_every_message<
    R: Runtime,
>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = resumable::<R>(&relay, home.path(), "sh agent.sh fail {session}");
    let (session, _) = killed_in_conversation(worker, &relay, home.path());
    session.say("two");

    let mut worker = resumable::<R>(&relay, home.path(), "sh agent.sh fail {session}");
    let restarted = session.event("it is said", subtype("agent_restarted"));
    let why = restarted["message"].as_str().expect("text");
    assert!(why.contains("no conversation found"), "{why}");
    session.echo("new: two");
    assert_eq!(worker.end(), Some(0));
}

pub fn a_second_worker_for_a_directory_is_refused_unless_it_has_another_name<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let mut first = Program::start::<R>(&relay.address, home.path(), "", &[]);
    until("it is registered", || (environments(&relay) == 1).then_some(()));
    let mut second = Program::start::<R>(&relay.address, home.path(), "", &[]);
    assert_eq!(second.wait(), Some(6));
    assert!(second.printed().contains("already serves"), "{}", second.printed());
    let mut named = Program::start::<R>(&relay.address, home.path(), "", &["--name", "other"]);
    until("it is registered", || (environments(&relay) == 2).then_some(()));
    assert_eq!((first.end(), named.end()), (Some(0), Some(0)));
}

pub fn a_worker_that_hands_over_leaves_its_sessions_to_the_next_one<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let options = ["--hand-over"];
    let mut worker = Program::start::<R>(&relay.address, home.path(), "", &options);
    let session = relay.session();
    let agent = session.running();
    session.say("echo o''ne");
    session.answer(json!({"behavior": "allow"}));
    session.turn(1);
    assert_eq!(worker.end(), Some(0));
    until_gone(agent);
    assert_eq!(session.now()["result"], Value::Null, "it has not ended");
    session.say("echo t''wo");

    let mut worker = Program::start::<R>(&relay.address, home.path(), "", &[]);
    next_agent(&session, agent);
    session.answer(json!({"behavior": "allow"}));
    session.turn(2);
    assert_eq!(session.tool_results(), ["one\n", "two\n"]);
    assert_eq!(environments(&relay), 1);
    assert_eq!(worker.end(), Some(0));
}

pub fn a_pointer_shows_a_running_session_and_goes_with_it<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let pointer = home.path().join("bridge-pointer.json");
    let read = || {
        let text = std::fs::read_to_string(&pointer).ok()?;
        serde_json::from_str::<Value>(&text).ok()
    };
    let mut worker = Program::start::<R>(&relay.address, home.path(), "", &[]);
    let sessions = [relay.session(), relay.session()];
    for session in &sessions {
        session.running();
    }
    let shown = until("a pointer", read);
    assert_eq!(shown["source"], "standalone");
    assert_eq!(shown["environmentId"], relay.api.environments()[0]["id"]);
    let [first, second] = &sessions;
    let (named, other) =
        if shown["sessionId"] == *first.id { (first, second) } else { (second, first) };
    named.stop();
    named.result();
    until("it names the other", || read().filter(|shown| shown["sessionId"] == *other.id));
    assert_eq!(worker.end(), Some(0));
    assert!(!pointer.exists(), "a clean end leaves none");
}
