//! A worker is killed again and again, with its relay at the same time or alone, at any moment, while
//! people and agents talk through them.
//!
//! `FOOTBRIDGE_TEST_KILLS` says how often, as in `storm`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, until};
use crate::storm::{call, count, kills, log, watch, worker};

const SESSIONS: u64 = 4;

/// It notes each message that it reads before it repeats it, and asks a question after every fourth.
const AGENT: &str = r#"
n=0
while read -r line; do
    case $line in
    *'"type":"user"'*)
        printf '%s\n' "$line" | sed 's/.*"uuid":"\([^"]*\)".*/\1/' >> given
        printf '%s\n' "{\"type\":\"echo\",\"of\":$line}"
        n=$((n + 1))
        if [ $((n % 4)) = 0 ]; then
            printf '%s\n' "{\"type\":\"control_request\",\"request_id\":\"q$$-$n\",\"request\":{\"subtype\":\"can_use_tool\",\"tool_name\":\"T\",\"input\":{}}}"
        fi ;;
    *'"type":"control_response"'*)
        printf '%s\n' "{\"type\":\"told\",\"of\":$line}" ;;
    esac
done
"#;

fn relay(home: &Path, listen: &str) -> Running {
    let args = ["relay", "--listen", listen, "--json", "--data", "data", "--token-file", "token"];
    Running::start(footbridge(home).args(args).args(["--log-level", "error"]))
}

fn start_worker(home: &Path, url: &str, transport: &str) -> Running {
    Running::start(&mut worker(home, url, transport))
}

/// Posts one message until it is accepted; its number.
fn post(relay: &Ready, session: &str, uuid: &str) -> u64 {
    let message =
        json!({"type": "user", "uuid": uuid, "message": {"role": "user", "content": "x"}});
    let body = json!({ "messages": [message] });
    until("a message is accepted", || {
        match call(relay, "POST", &format!("/v1/sessions/{session}/messages"), &body) {
            Some((200, answer)) => answer["accepted"][0]["seq"].as_u64(),
            None | Some((429 | 503, _)) => None,
            Some(refused) => panic!("{refused:?}"),
        }
    })
}

/// Posts messages until it is over. Returns their numbers.
fn talk(relay: &Ready, session: &str, name: u64, is_over: &AtomicBool) -> BTreeMap<String, u64> {
    let mut accepted = BTreeMap::new();
    for n in 0.. {
        let uuid = format!("00000000-0000-4000-8000-{name:04}{n:08}");
        let seq = post(relay, session, &uuid);
        accepted.insert(uuid, seq);
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    accepted
}

/// Answers every question that it sees. Some are withdrawn by then: whoever asked was killed.
fn answer(relay: &Ready, session: &str, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
        let path = format!("/v1/sessions/{session}");
        let Some((200, seen)) = call(relay, "GET", &path, &Value::Null) else { continue };
        for question in seen["pending_permissions"].as_array().into_iter().flatten() {
            let reply = json!({"request_id": question["request_id"], "behavior": "allow"});
            let answered = call(relay, "POST", &format!("{path}/permission"), &reply);
            let status = answered.as_ref().map(|(status, _)| *status);
            assert!(matches!(status, None | Some(200 | 409 | 410 | 429 | 503)), "{answered:?}");
        }
    }
}

/// How often an agent has read each message.
fn given(home: &Path) -> BTreeMap<String, usize> {
    let mut given = BTreeMap::new();
    for uuid in std::fs::read_to_string(home.join("given")).unwrap_or_default().lines() {
        *given.entry(uuid.to_owned()).or_default() += 1;
    }
    given
}

/// How many processes run agents in this directory.
fn agents(home: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").expect("a proc file system").filter_map(Result::ok);
    let is_agent = |process: &std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let place = std::fs::read_link(process.path().join("cwd")).ok();
        line == b"sh\0agent.sh\0" && place.is_some_and(|place| place == home)
    };
    processes.filter(is_agent).count()
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victims {
    Both,
    Worker,
}

#[test]
fn a_relay_and_its_worker_killed_at_once_lose_double_and_leave_nothing() {
    storm("v1", "127.95.0.1:0", Victims::Both, kills(4));
}

#[test]
fn nor_do_they_where_sessions_travel_as_version_2() {
    storm("v2", "127.95.0.2:0", Victims::Both, kills(2));
}

#[test]
fn a_worker_of_version_2_killed_alone_takes_its_sessions_up_again() {
    storm("v2", "127.95.0.3:0", Victims::Worker, kills(2));
}

fn storm(transport: &str, listen: &str, victims: Victims, kills: u32) {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path().canonicalize().expect("there");
    std::fs::write(home.join("agent.sh"), AGENT).expect("written");
    let mut program = relay(&home, listen);
    let mut known = ready(&mut program);
    let listen = known.url.split_once("://").expect("a URL").1.to_owned();
    let mut work = start_worker(&home, &known.url, transport);
    known.environment = ready(&mut work).environment;
    let known = Arc::new(known);
    let sessions: Vec<_> = (0..SESSIONS).map(|_| known.new_session()).collect();
    let (is_over, is_settled) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (mut talks, mut watches, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for (name, session) in sessions.iter().enumerate() {
        let (r, s, over) = (Arc::clone(&known), session.clone(), Arc::clone(&is_over));
        talks.push(thread::spawn(move || talk(&r, &s, name as u64, &over)));
        let (r, s, settled) = (Arc::clone(&known), session.clone(), Arc::clone(&is_settled));
        watches.push(thread::spawn(move || watch(&r, &s, &settled)));
        let (r, s, settled) = (Arc::clone(&known), session.clone(), Arc::clone(&is_settled));
        answers.push(thread::spawn(move || answer(&r, &s, &settled)));
    }

    let mut rng = fastrand::Rng::new();
    let seed = rng.u64(..);
    rng.seed(seed);
    for _ in 0..kills {
        thread::sleep(Duration::from_millis(rng.u64(20..900)));
        if victims == Victims::Worker {
            work.signal(Signal::KILL);
            assert_eq!(work.wait(), None);
            thread::sleep(Duration::from_millis(rng.u64(0..100)));
            work = start_worker(&home, &known.url, transport);
            continue;
        }
        let mut both = [&mut program, &mut work];
        rng.shuffle(&mut both);
        for one in both {
            one.signal(Signal::KILL);
            assert_eq!(one.wait(), None);
        }
        if rng.bool() {
            work = start_worker(&home, &known.url, transport);
            thread::sleep(Duration::from_millis(rng.u64(0..100)));
            program = relay(&home, &listen);
        } else {
            program = relay(&home, &listen);
            work = start_worker(&home, &known.url, transport);
        }
    }
    if victims == Victims::Both {
        ready(&mut program);
    }
    assert_eq!(ready(&mut work).environment, known.environment, "seed {seed}");
    is_over.store(true, Ordering::Relaxed);
    let mut accepted: Vec<_> = talks.into_iter().map(|talk| talk.join().expect("ok")).collect();
    // The last message of each arrives, and with it all that was to arrive.
    for ((name, session), accepted) in sessions.iter().enumerate().zip(&mut accepted) {
        let uuid = format!("00000000-0000-4000-8001-{name:012}");
        accepted.insert(uuid.clone(), post(&known, session, &uuid));
        until("the last message is read", || given(&home).contains_key(&uuid).then_some(()));
    }
    let stage = |session: &str, seq: u64| {
        let path = format!("/v1/sessions/{session}/receipts/{seq}");
        let (_, receipt) = known.call("GET", &path, &Value::Null);
        receipt["stage"].as_str().unwrap_or_default().to_owned()
    };
    let is_open = |session: &str| {
        let path = format!("/v1/sessions/{session}");
        let (_, now) = known.call("GET", &path, &Value::Null);
        now["pending_permissions"].as_array().is_some_and(|open| !open.is_empty())
    };
    until("no question is open", || (!sessions.iter().any(|one| is_open(one))).then_some(()));
    is_settled.store(true, Ordering::Relaxed);
    answers.into_iter().for_each(|answer| answer.join().expect("ok"));
    let watched: Vec<_> = watches.into_iter().map(|watch| watch.join().expect("ok")).collect();

    let given = given(&home);
    assert!(given.values().all(|times| *times == 1), "seed {seed}: given twice: {given:?}");
    let mut stages: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for ((session, accepted), watched) in sessions.iter().zip(&accepted).zip(&watched) {
        let events = log(&known, session).expect("it is up");
        for (uuid, seq) in accepted {
            let at = usize::try_from(*seq).expect("a number") - 1;
            assert_eq!(events[at]["message"]["uuid"], **uuid, "seed {seed}: it is where it was");
            let (stage, is_given) = (stage(session, *seq), given.contains_key(uuid));
            let is_true = match stage.as_str() {
                "seen" | "delivered" | "indeterminate" => true,
                "undelivered" => !is_given,
                _ => false,
            };
            assert!(is_true, "seed {seed}: {uuid} is {stage:?}, given: {is_given}");
            *stages.entry((stage, is_given)).or_default() += 1;
        }
        let logged = count(&events, "user", "/uuid");
        let once = |counts: &BTreeMap<String, usize>| counts.values().all(|count| *count == 1);
        assert!(logged.keys().eq(accepted.keys()) && once(&logged), "seed {seed}: {session}");
        let asked = count(&events, "control_request", "/request_id");
        let told = count(&events, "told", "/of/response/request_id");
        assert!(once(&told), "seed {seed}: {session}: answered twice: {told:?}");
        assert!(told.keys().all(|question| asked.contains_key(question)), "seed {seed}: {told:?}");
        for (seen, event) in watched.iter().zip(&events) {
            assert_eq!((&seen["seq"], &seen["message"]), (&event["seq"], &event["message"]));
        }
    }
    work.signal(Signal::TERM);
    assert_eq!(work.wait(), Some(0), "seed {seed}");
    until("no agent is left", || (agents(&home) == 0).then_some(()));
    let all: usize = accepted.iter().map(BTreeMap::len).sum();
    println!(
        "{transport}: {kills} kills of {victims:?}, {all} messages, by stage and whether given: {stages:?}"
    );
}
