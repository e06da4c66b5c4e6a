//! Sessions on one machine: `footbridge ps`, `send` and `mcp` (A-1 to A-4).

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{self, Ready};
use crate::running::{Running, footbridge, output, until};

/// It says what it is told, and keeps its environment's session for the test.
const AGENT: &str = r#"
echo "$FOOTBRIDGE_SESSION_ID" > id
while read -r line; do
  printf '%s\\n' "$line" >> told
  case $line in *'pass it on'*) env -u FOOTBRIDGE_SESSION_ID PROGRAM send one 'without its name' ;; esac
done
"#;

fn serve(home: &Path, name: &str) -> Running {
    std::fs::create_dir(home.join(name)).expect("made");
    let agent = AGENT.replace("PROGRAM", env!("CARGO_BIN_EXE_footbridge"));
    std::fs::write(home.join("agent.sh"), agent).expect("written");
    let args = ["direct", "serve", "--json", "--quiet", "--directory", name];
    let agent = format!("sh {}", home.join("agent.sh").display());
    let mut program = Running::start(footbridge(home).args(args).args(["--agent", &agent]));
    program.line().expect("it listens");
    program
}

fn ps(home: &Path) -> Vec<Value> {
    let output = output(home, &["ps", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    all.as_array().expect("a list").clone()
}

/// All of these sessions take messages.
fn ready(home: &Path, number: usize) -> Vec<Value> {
    until("the sessions", || {
        let all = ps(home);
        let is_ready = all.len() == number
            && all.iter().all(|peer| peer["can_send"] == true && peer["status"] == "running");
        is_ready.then_some(all)
    })
}

fn told(home: &Path, name: &str) -> String {
    until("it was told", || std::fs::read_to_string(home.join(name).join("told")).ok())
}

#[test]
fn sessions_find_and_reach_each_other_and_vanish_with_their_processes() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    assert!(ps(home).is_empty());
    let (mut one, mut two) = (serve(home, "one"), serve(home, "two"));
    let all = ready(home, 2);
    let of =
        |name: &str| all.iter().find(|peer| peer["name"] == name).expect("it is there").clone();
    assert_eq!(of("one")["pid"], one.pid());
    let address = of("one")["addresses"][0].as_str().expect("an address").to_owned();

    // A person is nobody's session.
    let sent = output(home, &["send", "two", "hello from", "a terminal"]);
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    let text = told(home, "two");
    assert!(
        text.contains("hello from a terminal") && text.contains("another session, person"),
        "{text}"
    );

    // What runs in a session has that session's address.
    let id = until("its id", || {
        std::fs::read_to_string(home.join("two/id")).ok().filter(|id| id.ends_with('\n'))
    });
    let in_two = |args: &[&str]| {
        let mut command = footbridge(home);
        command.args(args).env("FOOTBRIDGE_SESSION_ID", id.trim()).output().expect("it runs")
    };
    assert_eq!(in_two(&["send", &address, "from two"]).status.code(), Some(0));
    let text = told(home, "one");
    let from = of("two")["addresses"][0].as_str().expect("an address").to_owned();
    assert!(text.contains("from two") && text.contains(&from), "{text}");

    // Also without the variable: an agent is no person.
    assert_eq!(output(home, &["send", "two", "pass it on"]).status.code(), Some(0));
    let text = until("it arrives", || {
        Some(told(home, "one")).filter(|text| text.contains("without its name"))
    });
    assert!(text.matches(&from).count() == 2 && !text.contains("person"), "{text}");

    // The same by MCP.
    let mut mcp = footbridge(home);
    let mut mcp = Running::start(mcp.arg("mcp").env("FOOTBRIDGE_SESSION_ID", id.trim()));
    let mut ask = |request: Value| -> Value {
        mcp.say(&request);
        serde_json::from_str(&mcp.line().expect("an answer")).expect("JSON")
    };
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(ask(list.clone())["result"]["tools"].as_array().map(Vec::len), Some(2));
    let call = |arguments: Value| {
        let params = json!({"name": "send_message", "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params})
    };
    let answer = ask(call(json!({"to": "one", "message": "by MCP"})));
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    until("it arrives", || told(home, "one").contains("by MCP").then_some(()));

    // A name that is nobody's, and a bare id, which is a name.
    let session = of("one")["session_id"].as_str().expect("an id").to_owned();
    for nobody in ["three", &session, "bridge:"] {
        let refused = output(home, &["send", nobody, "x"]);
        assert_eq!(refused.status.code(), Some(3), "{nobody}: {refused:?}");
    }

    // An agent that has no session is not the person.
    let mut stranger = Running::start(footbridge(home).arg("mcp"));
    stranger.say(&list);
    let tools: Value = serde_json::from_str(&stranger.line().expect("tools")).expect("JSON");
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(1), "{tools}");

    // Who cannot see these processes, in a container with the same home, leaves their records alone.
    let program = footbridge(home);
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--pid", "--fork", "--mount-proc"]).arg(program.get_program()).args(["ps"]);
    elsewhere.env("HOME", home).env_remove("XDG_RUNTIME_DIR");
    match elsewhere.output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("one") && text.contains("two"), "{text}");
        }
        _ => eprintln!("skipped: no process namespace of its own is allowed here"),
    }
    assert_eq!(ps(home).len(), 2);

    // Its host is killed: its record and its socket are nobody's, and nothing leaves in its name.
    two.signal(Signal::KILL);
    two.wait();
    let refused = in_two(&["send", &address, "from a ghost"]);
    assert_ne!(refused.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no true sender"), "{refused:?}");
    assert_eq!(ask(list)["result"]["tools"].as_array().map(Vec::len), Some(1), "it is not offered");
    assert_eq!(ask(call(json!({"to": "one", "message": "x"})))["result"]["isError"], true);
    assert_eq!(ready(home, 1)[0]["name"], "one");
    assert!(!told(home, "one").contains("ghost"));
    one.signal(Signal::TERM);
    assert_eq!(one.wait(), Some(0));
    assert!(ps(home).is_empty());
    let left = std::fs::read_dir(home.join(".local/state/footbridge/run/peers")).expect("there");
    assert_eq!(left.count(), 0, "no record and no socket is left");
}

/// A program of another machine, which has a home of its own and whatever opens the relay.
fn at(home: &Path, relay: &Ready) -> Command {
    let mut command = footbridge(home);
    command.env("FOOTBRIDGE_RELAY", &relay.url).env("FOOTBRIDGE_TOKEN", &relay.token);
    command
}

/// A worker, and its session.
fn worker(home: &Path, relay: &Ready, agent: Option<&str>) -> (Running, String) {
    let mut command = at(home, relay);
    command.args(["work", "--json", "--quiet"]);
    let mut program = Running::start(match agent {
        Some(agent) => command.args(["--agent", agent]),
        None => &mut command,
    });
    let environment = client::ready(&mut program).environment;
    let body = json!({"environment_id": environment});
    let (status, session) = relay.call("POST", "/v1/sessions", &body);
    assert_eq!(status, 201, "{session}");
    (program, session["id"].as_str().expect("an id").to_owned())
}

fn status(home: &Path, session: &str) -> Value {
    let all = ps(home);
    let found = all.iter().find(|peer| peer["session_id"] == session);
    found.map_or(Value::Null, |peer| json!([peer["status"], peer["waiting_for"]]))
}

#[test]
fn a_session_on_another_machine_is_reached_by_the_relay_and_a_workers_says_what_it_waits_for() {
    let (here, there) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let listen = ["relay", "--listen", "127.0.0.1:0", "--json"];
    let mut relay_program = Running::start(footbridge(here.path()).args(listen));
    let relay = client::ready(&mut relay_program);
    std::fs::write(here.path().join("agent.sh"), AGENT).expect("written");
    let agent = format!("sh {}", here.path().join("agent.sh").display());
    let (_one_program, one) = worker(here.path(), &relay, Some(&agent));
    let (mut two_program, two) = worker(there.path(), &relay, None);
    until("both", || {
        let runs = json!(["running", null]);
        let both = (status(here.path(), &one), status(there.path(), &two));
        (both == (runs.clone(), runs)).then_some(())
    });

    // What waits for a person, and no longer.
    relay.send(&two, "echo hi");
    until("it waits", || {
        (status(there.path(), &two) == json!(["waiting", "permission"])).then_some(())
    });
    relay.allow(&two);
    until("it runs", || (status(there.path(), &two) == json!(["running", null])).then_some(()));

    // Nobody here has it, so it goes by the relay, from whoever that is there.
    let address = format!("bridge:{one}");
    let send = |session: &str, text: &str| {
        let mut command = at(there.path(), &relay);
        command.args(["send", &address, text]).env("FOOTBRIDGE_SESSION_ID", session);
        command.output().expect("it runs")
    };
    let sent = send(&two, "from two");
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    let told = || {
        let told = std::fs::read_to_string(here.path().join("told"));
        told.ok().filter(|text| text.contains("from two"))
    };
    let text = until("it was told", told);
    assert!(text.contains(&format!("another session, bridge:{two}")), "{text}");
    let by_person = send("", "from a person");
    assert_eq!(by_person.status.code(), Some(0), "{by_person:?}");
    until("it was told", || {
        told().filter(|text| text.contains("from a person") && text.contains("session, person"))
    });
    let mut nobody = at(there.path(), &relay);
    let nobody = nobody.args(["send", "bridge:session_1", "x"]).output().expect("it runs");
    assert_ne!(nobody.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("session"), "{nobody:?}");

    // Its host is killed: nothing leaves in its name, by the relay either.
    two_program.signal(Signal::KILL);
    two_program.wait();
    let ghost = send(&two, "from a ghost");
    assert_ne!(ghost.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&ghost.stderr).contains("no true sender"), "{ghost:?}");
    assert!(!told().expect("as before").contains("ghost"));
}
