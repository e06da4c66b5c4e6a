//! A relay that is killed again and again, at any moment, while people and agents talk through it.
//!
//! `FOOTBRIDGE_TEST_KILLS` says how often, `FOOTBRIDGE_TEST_WORKER` with which program as the worker, if
//! it is not `footbridge work`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{HandshakeError, Message};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge};

const SESSIONS: u64 = 6;
/// Longest time until everything has settled after the last kill.
const SETTLED: Duration = Duration::from_secs(60);

/// It repeats all that it is told, and asks a question after every fourth message.
const AGENT: &str = r#"
n=0
while read -r line; do
    case $line in
    *'"type":"user"'*)
        printf '%s\n' "{\"type\":\"echo\",\"of\":$line}"
        n=$((n + 1))
        if [ $((n % 4)) = 0 ]; then
            printf '%s\n' "{\"type\":\"control_request\",\"request_id\":\"q$n\",\"request\":{\"subtype\":\"can_use_tool\",\"tool_name\":\"T\",\"input\":{}}}"
        fi ;;
    *'"type":"control_response"'*)
        printf '%s\n' "{\"type\":\"told\",\"of\":$line}" ;;
    esac
done
"#;

fn start(home: &Path, listen: &str) -> Running {
    let args = ["relay", "--listen", listen, "--json", "--data", "data", "--token-file", "token"];
    Running::start(footbridge(home).args(args).args(["--log-level", "error"]))
}

/// How often something is killed.
pub(crate) fn kills(usually: u32) -> u32 {
    let told = std::env::var("FOOTBRIDGE_TEST_KILLS");
    told.ok().and_then(|kills| kills.parse().ok()).unwrap_or(usually)
}

/// A worker of `agent.sh`, which is quick to try again where it can be told to.
pub(crate) fn worker(home: &Path, relay: &str, transport: &str) -> Command {
    let mut command = footbridge(home);
    match std::env::var_os("FOOTBRIDGE_TEST_WORKER") {
        // It has the same environment: that without settings.
        Some(program) => {
            let variables: Vec<_> = command
                .get_envs()
                .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
                .collect();
            command = Command::new(program);
            for (name, value) in variables {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            command.current_dir(home);
        }
        None => {
            command.args(["work", "--conn-initial-ms", "30", "--conn-cap-ms", "100"]);
            command.args(["--general-initial-ms", "30", "--general-cap-ms", "100"]);
        }
    }
    command.args(["--relay", relay, "--transport", transport, "--token-file", "token"]);
    command.args(["--json", "--agent", "sh agent.sh", "--log-level", "error"]);
    command
}

/// One request; `None` if there was no answer, whatever became of it.
pub(crate) fn call(relay: &Ready, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let (_, address) = relay.url.split_once("://")?;
    let mut stream = TcpStream::connect(address).ok()?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        relay.token,
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

/// Posts messages, each until it is accepted. Returns what was accepted, with its number.
fn talk(relay: &Ready, session: &str, name: u64, is_over: &AtomicBool) -> BTreeMap<String, u64> {
    let path = format!("/v1/sessions/{session}/messages");
    let mut accepted = BTreeMap::new();
    for n in 0.. {
        let uuid = format!("00000000-0000-4000-8000-{name:04}{n:08}");
        let content = "x".repeat(200);
        let message =
            json!({"type": "user", "uuid": uuid, "message": {"role": "user", "content": content}});
        loop {
            match call(relay, "POST", &path, &json!({ "messages": [message] })) {
                Some((200, answer)) => {
                    let seq = answer["accepted"][0]["seq"].as_u64();
                    accepted.insert(uuid, seq.unwrap_or_else(|| panic!("no number: {answer}")));
                    break;
                }
                // Down, stopping, or the agent's line is full.
                None | Some((429 | 503, _)) => thread::sleep(Duration::from_millis(15)),
                Some(refused) => panic!("{refused:?}"),
            }
        }
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(Duration::from_millis(3));
    }
    accepted
}

/// Answers every question that it sees, in its own way; another one may have been first.
fn answer(relay: &Ready, session: &str, behavior: &str, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
        let path = format!("/v1/sessions/{session}");
        let Some((200, seen)) = call(relay, "GET", &path, &Value::Null) else { continue };
        for question in seen["pending_permissions"].as_array().into_iter().flatten() {
            let reply = json!({"request_id": question["request_id"], "behavior": behavior, "message": "no"});
            let path = format!("/v1/sessions/{session}/permission");
            let answered = call(relay, "POST", &path, &reply);
            let status = answered.as_ref().map(|(status, _)| *status);
            assert!(matches!(status, None | Some(200 | 409 | 429 | 503)), "{answered:?}");
        }
    }
}

/// Follows a session's log across all connections, without a gap.
pub(crate) fn watch(relay: &Ready, session: &str, is_over: &AtomicBool) -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let Some(mut socket) = subscribe(relay, session, events.len()) else {
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        while !is_over.load(Ordering::Relaxed) {
            match socket.read() {
                Ok(Message::Text(text)) => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    assert!(frame["type"] != "gap", "{frame}");
                    if frame["type"] == "event" {
                        assert_eq!(frame["seq"], events.len() + 1, "{frame}");
                        events.push(frame);
                    }
                }
                Err(tungstenite::Error::Io(error))
                    if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(Message::Close(_)) | Err(_) => break,
                Ok(_) => {}
            }
        }
    }
    events
}

fn subscribe(
    relay: &Ready,
    session: &str,
    after: usize,
) -> Option<tungstenite::WebSocket<TcpStream>> {
    let (_, address) = relay.url.split_once("://")?;
    let tcp = TcpStream::connect(address).ok()?;
    tcp.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let url = format!("ws://{address}/v1/sessions/{session}/events/ws?after={after}");
    let mut request = url.into_client_request().expect("a request");
    let protocols = format!("footbridge.viewer.v1, footbridge.bearer.{}", relay.token);
    request.headers_mut().insert("sec-websocket-protocol", protocols.parse().expect("a header"));
    match tungstenite::client(request, tcp) {
        Ok((socket, _)) => {
            socket.get_ref().set_read_timeout(Some(Duration::from_millis(200))).ok()?;
            Some(socket)
        }
        Err(HandshakeError::Failure(_) | HandshakeError::Interrupted(_)) => None,
    }
}

/// The whole log of a session.
pub(crate) fn log(relay: &Ready, session: &str) -> Option<Vec<Value>> {
    let mut events = Vec::new();
    loop {
        let path = format!("/v1/sessions/{session}/events?after={}&limit=1000", events.len());
        let (_, page) = call(relay, "GET", &path, &Value::Null)?;
        let page = page["events"].as_array()?;
        if page.is_empty() {
            return Some(events);
        }
        for event in page {
            assert_eq!(event["seq"], events.len() + 1, "{event}");
            events.push(event.clone());
        }
    }
}

/// How often each id occurs in the messages of one kind.
pub(crate) fn count(events: &[Value], kind: &str, id: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in events.iter().map(|event| &event["message"]) {
        let found = message.pointer(id).and_then(Value::as_str);
        if let Some(found) = found.filter(|_| message["type"] == kind) {
            *counts.entry(found.to_owned()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn a_relay_killed_at_any_moment_loses_and_doubles_nothing_that_it_accepted() {
    storm("v1", "127.94.0.1:0", kills(12));
}

#[test]
fn nor_does_one_whose_sessions_travel_as_version_2() {
    storm("v2", "127.94.0.2:0", kills(5));
}

fn storm(transport: &str, listen: &str, kills: u32) {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("agent.sh"), AGENT).expect("written");
    let mut program = start(home.path(), listen);
    let mut relay = ready(&mut program);
    let listen = relay.url.split_once("://").expect("a URL").1.to_owned();
    let mut worker = Running::start(&mut worker(home.path(), &relay.url, transport));
    relay.environment = ready(&mut worker).environment;
    let relay = Arc::new(relay);
    let sessions: Vec<_> = (0..SESSIONS).map(|_| relay.new_session()).collect();

    let (is_over, is_settled) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut talks = Vec::new();
    let mut watches = Vec::new();
    let mut answers = Vec::new();
    for (name, session) in sessions.iter().enumerate() {
        let (relay, session) = (Arc::clone(&relay), session.clone());
        let spawn =
            |is_over: &Arc<AtomicBool>| (Arc::clone(&relay), session.clone(), Arc::clone(is_over));
        let (r, s, over) = spawn(&is_over);
        talks.push(thread::spawn(move || talk(&r, &s, name as u64, &over)));
        let (r, s, settled) = spawn(&is_settled);
        watches.push(thread::spawn(move || watch(&r, &s, &settled)));
        for behavior in ["allow", "deny"] {
            let (r, s, settled) = spawn(&is_settled);
            answers.push(thread::spawn(move || answer(&r, &s, behavior, &settled)));
        }
    }

    let seed = u64::from(std::process::id());
    let state = AtomicU64::new(seed);
    let random = |below: u64| {
        let next = state.load(Ordering::Relaxed).wrapping_mul(6_364_136_223_846_793_005) + 1;
        state.store(next, Ordering::Relaxed);
        (next >> 33) % below
    };
    for _ in 0..kills {
        thread::sleep(Duration::from_millis(20 + random(500)));
        program.signal(Signal::KILL);
        assert_eq!(program.wait(), None);
        program = start(home.path(), &listen);
        ready(&mut program);
    }
    is_over.store(true, Ordering::Relaxed);
    let accepted: Vec<_> = talks.into_iter().map(|talk| talk.join().expect("no panic")).collect();

    // Everything arrives, and every question finds an answer.
    let began = Instant::now();
    let is_complete = |session: &String, accepted: &BTreeMap<String, u64>| {
        let events = log(&relay, session).unwrap_or_default();
        let asked = count(&events, "control_request", "/request_id");
        let told = count(&events, "told", "/of/response/request_id");
        count(&events, "echo", "/of/uuid").len() == accepted.len() && told.len() == asked.len()
    };
    while !sessions.iter().zip(&accepted).all(|(session, accepted)| is_complete(session, accepted))
    {
        if began.elapsed() > SETTLED {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    is_settled.store(true, Ordering::Relaxed);
    answers.into_iter().for_each(|answer| answer.join().expect("no panic"));
    let watched: Vec<_> =
        watches.into_iter().map(|watch| watch.join().expect("no panic")).collect();

    let (mut messages, mut questions) = (0, 0);
    for ((session, accepted), watched) in sessions.iter().zip(&accepted).zip(&watched) {
        let events = log(&relay, session).expect("it is up");
        let once = |counts: &BTreeMap<String, usize>| counts.values().all(|count| *count == 1);
        let (logged, echoed) =
            (count(&events, "user", "/uuid"), count(&events, "echo", "/of/uuid"));
        assert!(
            logged.keys().eq(accepted.keys()) && once(&logged),
            "seed {seed}: {session} lost or doubled a message"
        );
        assert!(
            echoed.keys().eq(accepted.keys()) && once(&echoed),
            "seed {seed}: the agent of {session} did not get each message once"
        );
        for (uuid, seq) in accepted {
            let at = usize::try_from(*seq).expect("a number") - 1;
            assert_eq!(events[at]["message"]["uuid"], **uuid, "it is where the answer said");
        }
        let asked = count(&events, "control_request", "/request_id");
        let told = count(&events, "told", "/of/response/request_id");
        assert!(
            told.keys().eq(asked.keys()) && once(&told),
            "seed {seed}: {session}: {asked:?} were answered {told:?}"
        );
        // The viewer has the same log, as far as it got.
        for (seen, event) in watched.iter().zip(&events) {
            assert_eq!((&seen["seq"], &seen["message"]), (&event["seq"], &event["message"]));
        }
        assert!(
            watched.len() + 2 > events.len(),
            "the viewer of {session} has {} of {}",
            watched.len(),
            events.len()
        );
        (messages, questions) = (messages + accepted.len(), questions + asked.len());
    }
    println!("{transport}: {kills} kills, {messages} messages, {questions} questions");
    assert!(messages > kills as usize && questions > 0);
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait(), Some(0));
}
