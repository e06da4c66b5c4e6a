//! A worker is killed again and again at random moments while its sessions are busy (K-3).
//! `WORKER_KILLS` and `WORKER_SESSIONS` say how often and how busy.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::stage::program::Program;
use super::stage::{Relay, Session, until};
use crate::Runtime;

/// An agent that writes down each message that it reads before it answers.
const AGENT: &str = r#"
while read -r line; do
  case $line in *'"user"'*)
    text=$(printf %s "$line" | sed 's/.*"content":"\([^"]*\)".*/\1/')
    echo "$text" >> given
    echo '{"type":"assistant","message":{"content":"'$text'"}}';;
  esac
done
"#;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Messages that were accepted, by text: their session and number.
type Accepted = BTreeMap<String, (usize, u64)>;

fn post(sessions: &[Session<'_>], round: u64, accepted: &mut Accepted) {
    for (at, session) in sessions.iter().enumerate() {
        let text = format!("m-{at}-{round}");
        let message = json!({"type": "user", "message": {"role": "user", "content": text}});
        let (status, answer) = session.post("/messages", &json!({ "messages": [message] }));
        assert_eq!(status, 200, "{answer}");
        let seq = answer["accepted"][0]["seq"].as_u64().expect("a number");
        accepted.insert(text, (at, seq));
    }
}

/// How far a message has come.
fn stage(session: &Session<'_>, seq: u64) -> String {
    let receipt = session.get(&format!("/receipts/{seq}"));
    receipt["stage"].as_str().unwrap_or_default().to_owned()
}

/// What the agents have read, and how often.
fn given(home: &Path) -> BTreeMap<String, usize> {
    let mut given = BTreeMap::new();
    for line in fs::read_to_string(home.join("given")).unwrap_or_default().lines() {
        *given.entry(line.to_owned()).or_default() += 1;
    }
    given
}

/// How many processes run this home's agent.
fn agents(home: &Path) -> usize {
    let script = home.join("agent.sh");
    let processes = fs::read_dir("/proc").expect("a proc file system").filter_map(Result::ok);
    let commands = processes.filter_map(|one| fs::read(one.path().join("cmdline")).ok());
    let script = script.to_str().expect("text").to_owned();
    let is_agent = |line: &[u8]| {
        let mut words = line.split(|byte| *byte == 0);
        words.next() == Some(b"sh") && words.next() == Some(script.as_bytes())
    };
    commands.filter(|line| is_agent(line)).count()
}

pub fn killed_again_and_again_a_worker_loses_doubles_and_leaves_nothing<R: Runtime>() {
    storm::<R>(&[], 4);
}

/// With these options of the worker's, and this many kills unless told otherwise.
pub(super) fn storm<R: Runtime>(further: &[&str], kills: u64) {
    let (kills, count) = (setting("WORKER_KILLS", kills), setting("WORKER_SESSIONS", 3));
    let mut rng = fastrand::Rng::new();
    let seed = rng.u64(..);
    rng.seed(seed);
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    fs::write(home.path().join("agent.sh"), AGENT).expect("written");
    let line = format!("sh {}", home.path().join("agent.sh").display());
    let options = [&["--agent", &line, "--quiet"], further].concat();
    let start = || Program::start::<R>(&relay.address, home.path(), "", &options);
    let mut worker = start();
    let sessions: Vec<_> = (0..count).map(|_| relay.session()).collect();
    let (mut accepted, mut round) = (Accepted::new(), 0);
    for _ in 0..kills {
        for _ in 0..rng.u64(0..8) {
            round += 1;
            post(&sessions, round, &mut accepted);
        }
        std::thread::sleep(Duration::from_millis(rng.u64(0..400)));
        worker.kill();
        worker = start();
    }
    round += 1;
    post(&sessions, round, &mut accepted);
    for (at, session) in sessions.iter().enumerate() {
        session.echo(&format!("m-{at}-{round}"));
    }

    let (_, all) = relay.api.get("/v1/environments");
    assert_eq!(all["environments"].as_array().map_or(0, Vec::len), 1, "seed {seed}");
    let given = given(home.path());
    let twice: Vec<_> = given.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "seed {seed}: given twice: {twice:?}");
    let mut stages: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for (text, (at, seq)) in &accepted {
        let (stage, is_given) = (stage(&sessions[*at], *seq), given.contains_key(text));
        // What was delivered and never read went with the agent that had it in its pipe.
        let is_true = match stage.as_str() {
            "seen" | "delivered" | "indeterminate" => true,
            "undelivered" => !is_given,
            _ => false,
        };
        assert!(is_true, "seed {seed}: {text} is {stage:?}, given: {is_given}");
        *stages.entry((stage, is_given)).or_default() += 1;
    }
    assert_eq!(worker.end(), Some(0));
    until("no agent is left", || (agents(home.path()) == 0).then_some(()));
    assert!(sessions.iter().all(|session| session.now()["result"]["status"] == "interrupted"));
    println!("{kills} kills, {} messages, by stage and whether given: {stages:?}", accepted.len());
}
