//! Hooks and MCP servers of a client: it decides whether a tool runs, and nobody does in its place
//! (M-6).

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::stage::client::Client;
use super::stage::process::until_gone;
use super::stage::program::Program;
use super::stage::warp::Clock;
use super::stage::worker::{config, script};
use super::stage::{Relay, Worker, until};
use crate::Runtime;

/// Asks its hook, if it was told of one, before it touches `marker-N` for the Nth message. As the real
/// ones, it takes an error, or what it does not understand, for a yes.
const AGENT: &str = r#"
n=0; hooks=no
while read -r line; do
  case $line in
    *'"initialize"'*)
      case $line in *hook_0*) hooks=yes;; esac
      id=$(printf %s "$line" | sed 's/.*"request_id":"\([^"]*\)".*/\1/')
      echo '{"type":"control_response","response":{"subtype":"success","request_id":"'$id'"}}';;
    *'"user"'*)
      n=$((n+1))
      echo '{"type":"system","subtype":"init","session_id":"talk-1"}'
      if [ $hooks = yes ]; then
        echo '{"type":"control_request","request_id":"hook-'$$-$n'","request":{"subtype":"hook_callback","callback_id":"hook_0","input":{"hook_event_name":"PreToolUse"}}}'
      else
        touch unguarded; echo '{"type":"assistant","message":{"content":"unguarded"}}'
      fi;;
    *'"control_response"'*'"deny"'*) echo '{"type":"assistant","message":{"content":"denied '$n'"}}';;
    *'"control_response"'*) touch marker-$n; echo '{"type":"assistant","message":{"content":"ran '$n'"}}';;
  esac
done
"#;

const ONE: &str = "client-one-0123456789";
const TWO: &str = "client-two-0123456789";

fn hooks() -> serde_json::Value {
    json!({"hooks": {"PreToolUse": [{"matcher": "Bash", "hookCallbackIds": ["hook_0"]}]}})
}

fn deny() -> serde_json::Value {
    json!({"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny"}})
}

fn exists(home: &Path, name: &str) -> bool {
    home.join(name).exists()
}

pub fn a_client_that_has_declared_a_hook_decides_whether_the_tool_runs<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = Worker::start::<R>(config(&relay.address, home.path(), script(AGENT)));
    let session = relay.session();
    session.running();
    let (mut client, other) =
        (Client::connect(&relay, &session, ONE), Client::connect(&relay, &session, TWO));
    client.declare(&session, &hooks());
    session.say("one");
    let asked = client.asked();
    assert_eq!(asked.request["callback_id"], "hook_0");
    let (status, _) = other.answer(&session, &asked, &json!({}));
    assert_eq!(status, 403, "it was not asked");
    let (status, body) = client.answer(&session, &asked, &json!({"decision": "deny"}));
    assert_eq!(status, 400, "the agent would take that for a yes: {body}");
    assert_eq!(client.answer(&session, &asked, &deny()).0, 200);
    session.echo("denied 1");
    session.say("two");
    let asked = client.asked();
    assert_eq!(client.answer(&session, &asked, &json!({"continue": true})).0, 200);
    session.echo("ran 2");
    assert!(!exists(home.path(), "marker-1") && exists(home.path(), "marker-2"));
    other.hears_nothing(Duration::from_millis(300));
    worker.shut_down();
}

/// With clocks that run twenty times as fast: the time limit is 60 s.
pub fn a_tool_does_not_run_because_its_client_is_gone_or_silent<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker =
        Worker::on::<R>(config(&relay.address, home.path(), script(AGENT)), Clock::fast(20));
    let session = relay.session();
    session.running();
    let mut client = Client::connect(&relay, &session, ONE);
    client.declare(&session, &hooks());
    session.say("one");
    let asked = client.asked();
    session.echo("denied 1");
    let (status, late) = client.answer(&session, &asked, &json!({"continue": true}));
    assert_eq!((status, &late["error"]["type"]), (410, &json!("callback_withdrawn")));
    drop(client);
    session.say("two");
    session.echo("denied 2");
    assert!(!exists(home.path(), "marker-1") && !exists(home.path(), "marker-2"));
    session.event("what became of it", |event| event["subtype"] == "callback_withdrawn");
    worker.shut_down();
}

pub fn the_next_run_of_an_agent_is_told_of_the_hooks_before_it_works<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    std::fs::write(home.path().join("agent.sh"), AGENT).expect("written");
    let options = ["--agent", "sh agent.sh"];
    let start = |address: &str| Program::start::<R>(address, home.path(), "", &options);
    let worker = start(&relay.address);
    let session = relay.session();
    let agent = session.running();
    let mut client = Client::connect(&relay, &session, ONE);
    client.declare(&session, &hooks());
    session.say("one");
    let asked = client.asked();
    assert_eq!(client.answer(&session, &asked, &deny()).0, 200);
    session.echo("denied 1");
    let first = asked.seq;
    drop(client);
    worker.kill();
    until_gone(agent);
    // It waits before the next agent is there, and before what that one is told.
    session.say("two");
    let worker = start(&relay.address);
    let mut client = Client::connect(&relay, &session, ONE);
    let asked = client.asked();
    assert!(asked.seq > first, "{asked:?}");
    assert_eq!(client.answer(&session, &asked, &deny()).0, 200);
    until("what the next agent says", || {
        let said = session.from("agent").into_iter();
        let denied = said.filter(|event| event["message"]["content"] == "denied 1");
        (denied.count() == 2).then_some(())
    });
    assert!(!exists(home.path(), "unguarded") && !exists(home.path(), "marker-1"));
    drop(worker);
}

pub fn an_mcp_server_of_a_client_answers_the_agent<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let agent = r#"
while read -r line; do
  case $line in
    *'"user"'*) echo '{"type":"control_request","request_id":"M","request":{"subtype":"mcp_message","server_name":"calc","message":{"jsonrpc":"2.0","id":7,"method":"tools/list"}}}';;
    *mcp_response*) echo '{"type":"assistant","message":{"content":"got the tools"}}';;
  esac
done
"#;
    let worker = Worker::start::<R>(config(&relay.address, home.path(), script(agent)));
    let session = relay.session();
    session.running();
    let mut client = Client::connect(&relay, &session, ONE);
    client.declare(&session, &json!({"sdkMcpServers": ["calc"]}));
    session.say("one");
    let asked = client.asked();
    assert_eq!(asked.request["message"]["method"], "tools/list");
    let answer = json!({"mcp_response": {"jsonrpc": "2.0", "id": 7, "result": {"tools": []}}});
    assert_eq!(client.answer(&session, &asked, &answer).0, 200);
    session.echo("got the tools");
    worker.shut_down();
}
