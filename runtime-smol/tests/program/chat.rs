//! `footbridge chat`: an agent in a terminal whose session viewers see and drive at the same time (B-1).

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, until, until_gone};

fn relay(home: &Path, listen: &str) -> (Running, Ready) {
    let mut command = footbridge(home);
    let mut program = Running::start(command.args(["relay", "--listen", listen, "--json"]));
    let relay = ready(&mut program);
    (program, relay)
}

/// A chat with the shell agent, and what it has printed.
struct Chat {
    program: Running,
    shown: String,
}

impl Chat {
    fn start(home: &Path, url: &str) -> Self {
        let mut command = footbridge(home);
        let program = Running::start(command.args(["chat", "--relay", url, "--title", "mine"]));
        Self { program, shown: String::new() }
    }

    /// What it prints until this, from here on.
    fn until(&mut self, words: &str) -> String {
        let mut shown = String::new();
        while !shown.contains(words) {
            let Some(line) = self.program.line() else {
                panic!("it ended without {words:?}: {}{shown}", self.shown);
            };
            shown += &line;
        }
        self.shown += &shown;
        shown
    }

    /// The session, once it is shared.
    fn session(&mut self) -> String {
        let line = self.until("· shared as ");
        let at = line.find("session_").expect("a session");
        line[at..].split(':').next().expect("its id").to_owned()
    }

    fn say(&mut self, line: &str) {
        self.program.type_line(line);
    }

    fn rest(&mut self) -> String {
        while let Some(line) = self.program.line() {
            self.shown += &line;
        }
        self.shown.clone()
    }
}

fn view(relay: &Ready, session: &str) -> Value {
    relay.call("GET", &format!("/v1/sessions/{session}"), &Value::Null).1
}

fn log(relay: &Ready, session: &str) -> Vec<Value> {
    let (_, log) =
        relay.call("GET", &format!("/v1/sessions/{session}/events?limit=1000"), &Value::Null);
    log["events"].as_array().expect("events").clone()
}

fn turns(relay: &Ready, session: &str) -> usize {
    log(relay, session).iter().filter(|event| event["message"]["type"] == "result").count()
}

fn from_phone(relay: &Ready, session: &str, text: &str) {
    let message = json!({"type": "user", "message": {"role": "user", "content": text}});
    let body = json!({"messages": [message]});
    let (status, answer) = relay.call("POST", &format!("/v1/sessions/{session}/messages"), &body);
    assert_eq!(status, 200, "{answer}");
}

fn allow_from_phone(relay: &Ready, session: &str) {
    let asked = until("a question", || {
        view(relay, session)["pending_permissions"].as_array()?.first().cloned()
    });
    let body = json!({"request_id": asked["request_id"], "behavior": "allow", "seq": asked["seq"]});
    let answer = relay.call("POST", &format!("/v1/sessions/{session}/permission"), &body);
    assert_eq!(answer.0, 200, "{}", answer.1);
}

/// The process with the agent.
fn host_of(terminal: u32) -> u32 {
    until("a host", || {
        let children =
            std::fs::read_to_string(format!("/proc/{terminal}/task/{terminal}/children"));
        children.ok()?.split_whitespace().next()?.parse().ok()
    })
}

#[test]
fn one_conversation_here_and_there_and_the_agent_goes_on_when_the_terminal_is_given_back() {
    let home = tempfile::tempdir().expect("a directory");
    let (_relay_program, relay) = relay(home.path(), "127.0.0.1:0");
    let mut chat = Chat::start(home.path(), &relay.url);
    let host = host_of(chat.program.pid());
    let session = chat.session();
    assert_eq!(view(&relay, &session)["title"], "mine");

    // Asked here and there, answered here.
    chat.say("echo here");
    chat.until("? Bash echo here");
    until("the question", || {
        view(&relay, &session)["pending_permissions"].as_array()?.first().cloned()
    });
    chat.say("y");
    chat.until("— done in");
    until("no question", || {
        view(&relay, &session)["pending_permissions"].as_array()?.is_empty().then_some(())
    });
    // Said there, asked here and there, answered there.
    from_phone(&relay, &session, "echo there");
    let shown = chat.until("? Bash echo there");
    assert!(shown.contains("> echo there\n"), "{shown}");
    allow_from_phone(&relay, &session);
    chat.until("that question is over");
    chat.until("— done in");

    // A turn is under way when the terminal is given back, and loses nothing.
    chat.say("sleep 1; echo late");
    chat.until("? Bash sleep 1");
    chat.say("/detach");
    chat.until("2 turns here, 2 at the relay: the same");
    assert_eq!(
        (chat.rest().contains(&format!("footbridge attach {session}")), chat.program.wait()),
        (true, Some(0))
    );
    allow_from_phone(&relay, &session);
    let mut attached = footbridge(home.path());
    let mut attached =
        Running::start(attached.args(["attach", "--relay", &relay.url, &session, "--plain"]));
    let mut shown = String::new();
    while shown.matches("— done in").count() < 3 {
        shown += &attached.line().expect("the session as it was and goes on");
    }
    for words in ["> echo here\n", "> echo there\n", "⎿ late\n"] {
        assert_eq!(shown.matches(words).count(), 1, "{words:?} in {shown}");
    }
    attached.type_line("echo back");
    allow_from_phone(&relay, &session);
    until("four turns", || (turns(&relay, &session) == 4).then_some(()));
    // Whoever ends it now, ends the agent.
    attached.type_line(":stop");
    assert_eq!(relay.ended(&session)["result"]["message"], "a person ended it");
    until_gone(host);
}

#[test]
fn without_its_relay_the_conversation_goes_on_and_the_relay_has_all_of_it_afterwards() {
    let home = tempfile::tempdir().expect("a directory");
    let listen = "127.95.0.1:8787";
    let (mut relay_program, there) = relay(home.path(), listen);
    let mut chat = Chat::start(home.path(), &there.url);
    let session = chat.session();
    chat.say("echo one");
    chat.until("? Bash");
    relay_program.signal(Signal::KILL);
    relay_program.wait();
    chat.until("· not connected to the relay");
    chat.say("/detach");
    chat.until("· not detached: nobody could reach the session");
    chat.say("y");
    chat.until("— done in");
    chat.say("echo two");
    chat.until("? Bash echo two");
    chat.say("y");
    chat.until("— done in");
    let (_again, there) = relay(home.path(), listen);
    chat.until(&format!("· shared as {session}"));
    until("both turns", || (turns(&there, &session) == 2).then_some(()));
    let said = log(&there, &session).into_iter().filter(|event| event["message"]["type"] == "user");
    let said: Vec<_> = said
        .filter_map(|it| Some(it["message"]["message"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(said, ["echo one", "echo two"]);
    // The end of what is typed is the end of the session, in order.
    chat.program.close_stdin();
    chat.rest();
    assert_eq!(chat.program.wait(), Some(0));
    let result = there.ended(&session)["result"].clone();
    assert_eq!(
        (&result["status"], &result["message"]),
        (&json!("completed"), &json!("the agent ended"))
    );
}

#[test]
fn a_terminal_that_is_killed_takes_its_agent_with_it_and_a_viewers_end_does_not() {
    let home = tempfile::tempdir().expect("a directory");
    let (_relay_program, relay) = relay(home.path(), "127.0.0.1:0");
    let mut chat = Chat::start(home.path(), &relay.url);
    let host = host_of(chat.program.pid());
    let session = chat.session();
    // It is one session, and no place for others.
    let other = footbridge(home.path())
        .args(["attach", "--relay", &relay.url, "--new", "--json"])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs");
    assert!(String::from_utf8_lossy(&other.stderr).contains("no machine is online there"));
    assert_eq!(relay.call("POST", &format!("/v1/sessions/{session}/stop"), &json!({})).0, 200);
    chat.until("· no longer shared: a person ended it");
    chat.say("echo alone");
    chat.until("? Bash echo alone");
    chat.say("y");
    chat.until("⎿ alone");
    chat.program.signal(Signal::KILL);
    until_gone(host);

    let missing = footbridge(home.path())
        .args(["chat", "--relay", &relay.url, "--agent", "no-such-agent"])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs");
    assert_eq!(missing.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-agent"));
}

#[test]
fn a_chat_that_is_killed_after_detach_is_taken_up_again_by_the_next_one_there() {
    let home = tempfile::tempdir().expect("a directory");
    let (_relay_program, relay) = relay(home.path(), "127.0.0.1:0");
    let mut chat = Chat::start(home.path(), &relay.url);
    let host = host_of(chat.program.pid());
    let session = chat.session();
    chat.say("echo one");
    chat.until("? Bash echo one");
    chat.say("y");
    chat.until("— done in");
    chat.say("/detach");
    chat.until("1 turns here, 1 at the relay: the same");
    chat.rest();
    let pid = rustix::process::Pid::from_raw(i32::try_from(host).expect("a number"));
    rustix::process::kill_process(pid.expect("a process"), Signal::KILL).expect("killed");
    until_gone(host);

    let mut again = Chat::start(home.path(), &relay.url);
    let shown = again.until("· taken up again");
    assert!(shown.contains("1 turns there, 1 at the relay: the same"), "{shown}");
    assert!(shown.contains("the agent begins anew"), "{shown}");
    again.say("echo two");
    again.until("? Bash echo two");
    again.say("y");
    again.until("— done in");
    until("both turns", || (turns(&relay, &session) == 2).then_some(()));
    again.say("/exit");
    again.rest();
    assert_eq!((again.program.wait(), turns(&relay, &session)), (Some(0), 2));
    relay.ended(&session);

    // Who ends in order leaves nothing to take up.
    let mut fresh = Chat::start(home.path(), &relay.url);
    assert_ne!(fresh.session(), session);
    fresh.say("/exit");
    assert!(!fresh.rest().contains("taken up"));
}
