//! `footbridge direct`, with its own client and with one that was written from the seeds alone.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::running::{PATIENCE, Running, footbridge, until_gone};

struct Served {
    program: Running,
    ready: Value,
}

impl Served {
    fn start(home: &Path, more: &[&str]) -> Self {
        let args = ["direct", "serve", "--json", "--quiet"];
        let mut program = Running::start(footbridge(home).args(args).args(more));
        let ready = serde_json::from_str(&program.line().expect("a line")).expect("JSON");
        Self { program, ready }
    }

    fn url(&self) -> &str {
        self.ready["url"].as_str().expect("a URL")
    }

    fn token(&self) -> String {
        let file = self.ready["token_file"].as_str().expect("a path");
        assert_eq!(std::fs::metadata(file).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(file).expect("text").trim().to_owned()
    }
}

/// A client as the seeds describe one: a WebSocket with a bearer header, NDJSON, and nothing else.
struct Seeds(WebSocket<TcpStream>);

impl Seeds {
    fn connect(url: &str, token: &str) -> Result<Self, u16> {
        let mut request = url.into_client_request().expect("a URL");
        let bearer = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let address = url.split('/').nth(2).expect("an address");
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string() + "\n")).expect("sent");
    }

    fn say(&mut self, text: &str) {
        self.send(&json!({"type": "user", "message": {"role": "user", "content": text}}));
    }

    /// The next message that is meant; `None` once the connection is closed.
    fn next(&mut self, is: impl Fn(&Value) -> bool) -> Option<Value> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => {
                    let message: Value = serde_json::from_str(&text).expect("one message");
                    assert!(message["type"].is_string() && message["type"] != "keep_alive");
                    if is(&message) {
                        return Some(message);
                    }
                }
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    fn asked(&mut self) -> Value {
        self.next(|message| message["type"] == "control_request").expect("a question")
    }

    fn answer(&mut self, question: &Value, behavior: &Value) {
        let response = json!({"subtype": "success", "request_id": question["request_id"],
            "response": behavior});
        self.send(&json!({"type": "control_response", "response": response}));
    }
}

fn has(message: &Value, text: &str) -> bool {
    message.to_string().contains(text)
}

#[test]
fn a_client_written_from_the_seeds_drives_the_agent() {
    let home = tempfile::tempdir().expect("a directory");
    let mut served = Served::start(home.path(), &[]);
    let (url, token) = (served.url().to_owned(), served.token());
    assert_eq!(Seeds::connect(&url, "a-wrong-token").err(), Some(401));
    let elsewhere = url.replace("session_", "session_x");
    assert_eq!(Seeds::connect(&elsewhere, &token).err(), Some(404));
    let mut one = Seeds::connect(&url, &token).expect("connected");
    let mut two = Seeds::connect(&url, &token).expect("connected");
    one.say("echo hello");
    let question = one.asked();
    assert_eq!(two.asked(), question);
    // One that comes later is asked too.
    let mut three = Seeds::connect(&url, &token).expect("connected");
    assert_eq!(three.asked(), question);
    two.answer(&question, &json!({"behavior": "allow", "updatedInput": {"command": "echo hello"}}));
    for other in [&mut one, &mut three] {
        let told = other.next(|message| message["type"] == "control_cancel_request");
        assert_eq!(told.expect("it is over")["request_id"], question["request_id"]);
    }
    one.answer(&question, &json!({"behavior": "deny", "message": "too late"}));
    for each in [&mut one, &mut two, &mut three] {
        let result = each.next(|message| message["type"] == "result").expect("an end");
        assert_eq!(result["is_error"], false, "{result}");
    }
    // A question outlives those who might have answered it, and nobody's leaving answers it.
    one.say("echo again");
    let question = one.asked();
    drop((one, two, three));
    let mut four = Seeds::connect(&url, &token).expect("connected");
    assert_eq!(four.asked(), question);
    four.answer(&question, &json!({"behavior": "deny", "message": "no"}));
    four.next(|message| message["type"] == "result").expect("an end");
    // What is no message goes nowhere, and is said.
    four.0.send(Message::text("hello\n")).expect("sent");
    four.next(|message| message["subtype"] == "input_refused").expect("it says so");
    served.program.signal(Signal::TERM);
    four.next(|message| message["subtype"] == "agent_exited").expect("it says why");
    assert!(four.next(|_| true).is_none(), "and closes");
    assert_eq!(served.program.wait(), Some(0));
    assert!(!Path::new(served.ready["token_file"].as_str().expect("a path")).exists());
}

#[test]
fn its_own_client_talks_answers_and_ends_with_the_agent() {
    let home = tempfile::tempdir().expect("a directory");
    let mut served = Served::start(home.path(), &[]);
    let connect = ["direct", "connect", "--quiet"];
    let mut person = Running::start(footbridge(home.path()).args(connect).arg(served.url()));
    let mut program =
        Running::start(footbridge(home.path()).args(connect).arg("--json").arg(served.url()));
    program.say(&json!({"type": "user", "uuid": "00000000-0000-4000-8000-000000000001",
        "message": {"role": "user", "content": "echo from-json"}}));
    let question = program.message("control_request");
    let mut shown = String::new();
    while !shown.contains("y, or n") {
        shown.push_str(&person.line().expect("it shows the question"));
    }
    assert!(shown.contains("> echo from-json") && shown.contains("? "), "{shown}");
    person.type_line("y");
    let told = program.message("control_cancel_request");
    assert_eq!(told["request_id"], question["request_id"]);
    let result = program.message("user");
    assert!(has(&result, "from-json"), "{result}");
    while !person.line().expect("it shows the result").contains("from-json") {}
    served.program.signal(Signal::TERM);
    assert_eq!((person.wait(), program.wait()), (Some(0), Some(0)));
    assert_eq!(served.program.wait(), Some(0));
}

#[test]
fn a_pipe_loses_no_line_however_fast_and_leaves_when_all_have_had_their_turn() {
    let home = tempfile::tempdir().expect("a directory");
    let agent =
        concat!(env!("CARGO_BIN_EXE_footbridge"), " agent --permission-mode bypassPermissions");
    let served = Served::start(home.path(), &["--agent", agent]);
    let mut pipe = footbridge(home.path());
    pipe.args(["direct", "connect", "--quiet", "--json"]).arg(served.url());
    let mut pipe = Running::start(&mut pipe);
    // More than the client would keep.
    let message = |number: usize| json!({"type": "user", "message": {"role": "user", "content": format!("#{number}")}});
    let saying = pipe.say_all((0..1_500).map(message).collect());
    let mut results = 0;
    while let Some(line) = pipe.line() {
        results += usize::from(line.contains(r#""type":"result""#));
    }
    saying.join().expect("no panic");
    assert_eq!((results, pipe.wait()), (1_500, Some(0)));

    let mut pipe = footbridge(home.path());
    pipe.args(["direct", "connect", "--quiet"]).arg(served.url());
    let mut pipe = Running::start(&mut pipe);
    pipe.type_line("echo from a pipe");
    pipe.close_stdin();
    let mut shown = String::new();
    while let Some(line) = pipe.line() {
        shown += &line;
    }
    assert!(shown.contains("\nfrom a pipe\n") && shown.ends_with("--\n"), "{shown}");
    assert_eq!(pipe.wait(), Some(0));

    // Who has nothing to say watches until the end.
    let mut watching = footbridge(home.path());
    watching.args(["direct", "connect", "--quiet", "--json"]).arg(served.url());
    let mut watching = Running::start(&mut watching);
    watching.close_stdin();
    let mut other = footbridge(home.path());
    other.args(["direct", "connect", "--quiet"]).arg(served.url());
    let mut other = Running::start(&mut other);
    other.type_line("echo to whoever watches");
    other.close_stdin();
    watching.message("result");
    served.program.signal(Signal::TERM);
    while watching.line().is_some() {}
    assert_eq!(watching.wait(), Some(0));
}

#[test]
fn what_ends_the_client_interrupts_nobody() {
    let home = tempfile::tempdir().expect("a directory");
    let agent =
        concat!(env!("CARGO_BIN_EXE_footbridge"), " agent --permission-mode bypassPermissions");
    let served = Served::start(home.path(), &["--agent", agent]);
    let mut seeds = Seeds::connect(served.url(), &served.token()).expect("it is let in");
    for signal in [Signal::TERM, Signal::HUP] {
        let mut client = footbridge(home.path());
        client.args(["direct", "connect", "--quiet"]).arg(served.url());
        let mut client = Running::start(&mut client);
        client.type_line("echo begun; sleep 1; echo done");
        seeds.next(|message| message["type"] == "assistant").expect("it has begun");
        client.signal(signal);
        assert_eq!(client.wait(), Some(0), "{signal:?}");
        let result = seeds.next(|message| message["type"] == "result").expect("a result");
        assert_eq!(result["subtype"], "success", "{signal:?}: {result}");
    }
}

#[test]
fn whatever_the_agent_started_ends_with_the_server_and_other_machines_are_not_let_in_by_default() {
    let home = tempfile::tempdir().expect("a directory");
    let script = "setsid sleep 1000 & echo $! > pid; exec cat";
    std::fs::File::create(home.path().join("agent.sh"))
        .and_then(|mut file| file.write_all(script.as_bytes()))
        .expect("written");
    let mut served = Served::start(home.path(), &["--agent", "sh agent.sh"]);
    let stray = crate::running::pid_in(&home.path().join("pid"));
    served.program.signal(Signal::TERM);
    assert_eq!(served.program.wait(), Some(0));
    until_gone(stray);
    for args in [
        &["serve", "--listen", "0.0.0.0:0"][..],
        &["connect", "ws://192.0.2.1/x"],
        &["connect"],
        &["serve", "--agent", "none-such"],
    ] {
        let output = crate::running::output(home.path(), &[&["direct"], args].concat());
        assert!(matches!(output.status.code(), Some(2 | 5)), "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
}
