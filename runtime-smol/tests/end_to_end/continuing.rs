//! The conversation of a session that has ended is continued in another one.

use serde_json::{Value, json};

use crate::page::send;
use crate::support::page::{Page, hook};
use crate::support::program::Program;

/// An agent that knows what was said in the conversation `c-1`, and in no other.
const AGENT: &str = r#"
case ${1:-new} in
  new) id=c-1 ;;
  c-1) id=c-1; said=$(cat said) ;;
  *) echo "No conversation found with session ID: $1" >&2; exit 1 ;;
esac
while read -r heard; do
  case $heard in *footbridge-check*) exit 0 ;; *'"user"'*) ;; *) continue ;; esac
  printf '%s\n' '{"type":"system","subtype":"init","session_id":"'$id'","cwd":"'"$PWD"'","permissionMode":"default"}'
  printf '%s\n' '{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"remembered: '"$said"'"}]}}'
  said="$said one"; printf '%s' "$said" >said
  printf '%s\n' '{"type":"result","subtype":"success","is_error":false,"result":"","session_id":"'$id'"}'
done"#;

#[test]
fn an_ended_conversation_is_continued_in_a_session_that_knows_it_and_it_is_said_what_that_means() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("agent.sh"), AGENT).expect("a file");
    let options = ["--agent", "sh ./agent.sh", "--agent-resume", "sh ./agent.sh {session}"];
    let program = Program::up(&directory, &options);
    let mut page = Page::open(program.page());
    page.click(&hook("new-session"));
    page.see("[data-testid=session-state][data-state=running]");
    send(&mut page, "something");
    page.see("[data-kind=result]");
    page.click(&hook("stop"));
    page.see_text("dialog[open]", "can continue the conversation afterwards");
    page.click(&hook("stop-confirm"));
    let first = page.evaluate("location.hash");
    page.see_text(&hook("way-on"), "The agent remembers this conversation");
    // Also for who comes later.
    page.reload();
    page.click(&hook("continue"));
    page.wait_for("another session", &format!("location.hash !== {first}"));
    page.see_text(&hook("transcript"), "started to continue an earlier conversation");
    page.see_text(".session-name h2", "something");
    send(&mut page, "more");
    page.see_text("[data-kind=assistant]", "remembered:  one");
    page.assert_no_complaints();

    // What the agent does not know, it says.
    let api = program.api();
    let (_, environments) = api.get("/v1/environments");
    let wanted = |id: &str| json!({"environment_id": environments["environments"][0]["id"], "claude_code_args": {"resume": id}});
    let failed = |id: &str| -> Value {
        let (status, session) = api.post("/v1/sessions", &wanted(id));
        assert_eq!(status, 201, "{session}");
        let result = api.result(session["id"].as_str().expect("an id"));
        assert_eq!(result["status"], "failed", "{result}");
        result
    };
    assert!(failed("c-2")["stderr"].to_string().contains("No conversation found"));
    assert!(failed("--version")["message"].to_string().contains("--resume"));
}

#[test]
fn a_conversation_whose_machine_is_gone_is_not_offered_to_be_continued() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("agent.sh"), AGENT).expect("a file");
    let relay = Program::start(&["relay", "--listen", "127.0.0.1:0"]);
    let place = crate::support::program::path(directory.path());
    let work = |more: &[&str]| {
        let common = ["work", "--relay", relay.url(), "--directory", place];
        Program::start(&[&common[..], &["--agent", "sh ./agent.sh"], more].concat())
    };
    let worker = work(&[]);
    let api = relay.api();
    let session = api.new_session();
    api.say(&session, "something");
    api.wait_for_event(&session, "a turn", |event| event["message"]["type"] == "result");
    worker.stop(rustix::process::Signal::TERM);
    let mut page = Page::open(&format!("{}/#token={}", relay.url(), api.token()));
    page.click(&format!("[data-session-id={session}] a"));
    page.see_text(&hook("way-on"), "its machine is no longer registered");
    assert_eq!(page.count(&hook("continue")), 0);
    // One that works in the same directory may be it; this one does not know how.
    let _worker = work(&[]);
    page.see_text(&hook("way-on"), "works in the same directory");
    page.click(&hook("continue"));
    page.see_text(".ending", "--agent-resume");
    page.assert_no_complaints();
}
