//! The real Claude Code, with a stand-in for its model: `REAL_AGENT` says that `claude` is
//! it, and that whatever it is asked costs nothing. Elsewhere these tests are skipped.
//!
//! The stand-in repeats what it is told, drips words for half a minute when told `SLOW`, and asks for
//! a tool when told `TOOL Name {input}`.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::page::{Page, hook};
use crate::support::poll;
use crate::support::program::{Program, path, processes};

/// Whether it is here; says so if it is not.
pub(crate) fn is_here() -> bool {
    let is_here = std::env::var_os("REAL_AGENT").is_some();
    if !is_here {
        eprintln!("skipped: REAL_AGENT does not say that the real Claude Code is here");
    }
    is_here
}

/// What of a machine outlives its programs.
pub(crate) struct Disk {
    state: TempDir,
    pub(crate) directory: TempDir,
    /// Each has a port of its own, which no connection takes while the program is away.
    listen: String,
}

impl Disk {
    pub(crate) fn new(host: u8) -> Self {
        let directory = || tempfile::tempdir().expect("a directory");
        let listen = format!("127.92.0.{host}:8787");
        Self { state: directory(), directory: directory(), listen }
    }

    pub(crate) fn up(&self) -> Program {
        let directory = path(self.directory.path());
        let args = ["up", "--listen", &self.listen, "--agent", "claude", "--directory", directory];
        Program::start_on(self.state.path(), &args)
    }

    pub(crate) fn relay(&self) -> Program {
        Program::start_on(self.state.path(), &["relay", "--listen", &self.listen])
    }

    pub(crate) fn work(&self, relay: &str) -> Program {
        let directory = path(self.directory.path());
        let args = ["work", "--relay", relay, "--agent", "claude", "--directory", directory];
        Program::start_on(self.state.path(), &args)
    }
}

fn is_result(event: &Value, text: &str) -> bool {
    event["message"]["type"] == "result"
        && event["message"]["result"].as_str().is_some_and(|result| result.contains(text))
}

/// A session whose agent has answered once, and works on something long now.
fn in_mid_turn(api: &Api) -> String {
    let session = api.new_session();
    api.say(&session, "the first words");
    api.wait_for_event(&session, "an answer", |event| is_result(event, "the first words"));
    api.say(&session, "SLOW");
    let is_taken = |event: &Value| {
        event["message"]["type"] == "command_lifecycle" && event["message"]["state"] == "started"
    };
    let count = |api: &Api| api.log(&session).iter().filter(|event| is_taken(event)).count();
    assert!(poll(|| (count(api) > 1).then_some(())).is_some(), "{:?}", api.log(&session));
    session
}

/// The ids that the agent has given its conversation.
fn conversations(log: &[Value]) -> Vec<&str> {
    let is_init = |event: &&Value| event["message"]["subtype"] == "init";
    let mut ids: Vec<_> = log
        .iter()
        .filter(is_init)
        .filter_map(|one| one["message"]["session_id"].as_str())
        .collect();
    ids.dedup();
    ids
}

/// The session goes on in the same conversation, and the log and the page say what happened.
fn goes_on(program: &Program, session: &str) {
    let api = program.api();
    let is_resumed = |event: &Value| event["message"]["subtype"] == "agent_resumed";
    api.wait_for_event(session, "a word about the restart", is_resumed);
    api.say(session, "the last words");
    api.wait_for_event(session, "an answer", |event| is_result(event, "the last words"));
    let log = api.log(session);
    assert_eq!(conversations(&log).len(), 1, "{log:?}");
    assert_eq!(api.session(session)["state"], "running");
    let mut page = Page::open(program.page());
    page.click(&format!("[data-session-id={session}] a"));
    page.see_text(&hook("transcript"), "The worker restarted, and the agent continues.");
    page.see_text(&hook("transcript"), "the first words");
    page.see_text(&hook("transcript"), "the last words");
}

#[test]
fn the_conversation_goes_on_when_the_machine_loses_its_power_in_mid_turn() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(1);
    let program = disk.up();
    let session = in_mid_turn(&program.api());
    program.crash();
    goes_on(&disk.up(), &session);
}

#[test]
fn the_conversation_goes_on_when_the_worker_is_killed_in_mid_turn() {
    if !is_here() {
        return;
    }
    let (relay, machine) = (Disk::new(2), Disk::new(3));
    let relay = relay.relay();
    let worker = machine.work(relay.url());
    let session = in_mid_turn(&relay.api());
    worker.kill();
    let _worker = machine.work(relay.url());
    goes_on(&relay, &session);
}

#[test]
fn a_command_that_ran_when_the_worker_was_killed_is_not_run_again_unasked() {
    if !is_here() {
        return;
    }
    let (relay, machine) = (Disk::new(40), Disk::new(41));
    let directory = machine.directory.path();
    std::fs::create_dir_all(directory.join(".claude")).expect("made");
    let settings = json!({"permissions": {"allow": ["Bash"]}}).to_string();
    std::fs::write(directory.join(".claude/settings.local.json"), settings).expect("written");
    let relay = relay.relay();
    let worker = machine.work(relay.url());
    let api = relay.api();
    let session = api.new_session();
    api.say(&session, "the first words");
    api.wait_for_event(&session, "an answer", |event| is_result(event, "the first words"));
    let call = json!({"command": "echo ordered >> orders; sleep 600", "description": "an order"});
    api.say(&session, &format!("TOOL Bash {call}"));
    let orders = || std::fs::read_to_string(directory.join("orders")).unwrap_or_default();
    assert!(poll(|| (!orders().is_empty()).then_some(())).is_some(), "{:?}", api.log(&session));
    worker.kill();
    let _worker = machine.work(relay.url());
    goes_on(&relay, &session);
    assert_eq!(orders(), "ordered\n");
    let said = api.log(&session);
    let told = said.iter().find(|event| event["message"]["subtype"] == "agent_resumed");
    let told = told.expect("a word about it")["message"]["message"].to_string();
    assert!(told.contains("may have taken effect"), "{told}");
}

#[test]
fn the_agent_does_not_notice_that_the_relay_is_killed_and_a_question_stays_open() {
    if !is_here() {
        return;
    }
    let (disk, machine) = (Disk::new(4), Disk::new(5));
    let relay = disk.relay();
    let _worker = machine.work(relay.url());
    let api = relay.api();
    let session = api.new_session();
    let call = json!({"command": "touch allowed", "description": "a file"});
    api.say(&session, &format!("TOOL Bash {call}"));
    api.wait_for(&session, "a question", |one| one["pending_permissions"][0].is_object());
    relay.kill();
    let relay = disk.relay();
    let api = relay.api();
    api.allow(&session);
    api.wait_for_event(&session, "a result", |event| event["message"]["type"] == "result");
    assert!(machine.directory.path().join("allowed").exists());
    let log = api.log(&session);
    let started = log.iter().filter(|event| event["message"]["subtype"] == "agent_started").count();
    assert_eq!((started, conversations(&log).len()), (1, 1), "{log:?}");
    let seqs: Vec<_> = log.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert!(seqs.iter().zip(1..).all(|(seq, expected)| *seq == expected), "{seqs:?}");
}

fn command_line(about: &Path) -> String {
    let line = std::fs::read(about.join("cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    words.join(" ").trim_end().to_owned()
}

/// The processes that run this command line.
fn running(command: &str) -> Vec<i32> {
    processes(|about| command_line(about) == command)
}

/// What a tool runs that does not end by itself; `number` tells the tests' own apart.
fn endless(number: u32) -> String {
    format!("tail -s {number} -f /dev/null")
}

/// A running Bash tool of a session, started in a process group of its own, as the agent does it.
fn with_a_running_tool(api: &Api, number: u32) -> String {
    let session = api.new_session();
    let command = endless(number);
    let call = json!({"command": command, "description": "wait"});
    api.say(&session, &format!("TOOL Bash {call}"));
    api.allow(&session);
    let has_begun = poll(|| (!running(&command).is_empty()).then_some(()));
    assert!(has_begun.is_some(), "the tool never ran: {:?}", api.log(&session));
    session
}

fn is_over(number: u32, how: &str) {
    let command = endless(number);
    let is_gone = poll(|| running(&command).is_empty().then_some(()));
    assert!(is_gone.is_some(), "the tool outlived its session: {how}");
}

/// The agent's own process, below a program of this test.
fn agent_in(directory: &Path) -> Vec<i32> {
    processes(|about| {
        let (line, cwd) = (command_line(about), std::fs::read_link(about.join("cwd")));
        line.contains("claude")
            && line.contains("stream-json")
            && cwd.is_ok_and(|cwd| cwd.starts_with(directory))
    })
}

#[test]
fn a_running_tool_ends_with_its_session_however_that_ends() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(6);
    let program = disk.up();
    let api = program.api();

    let session = with_a_running_tool(&api, 86_401);
    let (status, _) = api.post(&format!("/v1/sessions/{session}/stop"), &json!({}));
    assert!(status < 300, "{status}");
    is_over(86_401, "a person stopped it");

    let session = with_a_running_tool(&api, 86_402);
    for pid in agent_in(disk.directory.path()).into_iter().filter_map(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
    is_over(86_402, "its agent was killed");
    assert_eq!(api.result(&session)["status"], "failed");

    with_a_running_tool(&api, 86_403);
    program.stop(Signal::TERM);
    is_over(86_403, "the program was ended");

    let program = disk.up();
    with_a_running_tool(&program.api(), 86_404);
    program.kill();
    is_over(86_404, "the program was killed");

    let other = Disk::new(7);
    let (relay, directory) = (other.relay(), path(other.directory.path()));
    let args = ["work", "--relay", relay.url(), "--agent", "claude", "--directory", directory];
    let _worker = Program::start(&[&args[..], &["--session-limit", "20s"]].concat());
    let session = with_a_running_tool(&relay.api(), 86_405);
    is_over(86_405, "its time was up");
    assert_eq!(relay.api().result(&session)["status"], "timed_out");
}

/// The page, with a session that has been told this.
#[track_caller]
fn page_of(program: &Program, session: &str, words: &str) -> Page {
    program.api().say(session, words);
    let mut page = Page::open(program.page());
    page.click(&format!("[data-session-id={session}] a"));
    page.see(&hook("permission-card"));
    page
}

#[test]
fn the_agent_gets_the_answers_to_its_questions_as_it_expects_them() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(8);
    let program = disk.up();
    let api = program.api();
    let session = api.new_session();
    let option = |label: &str| json!({"label": label, "description": "d"});
    let question = |words: &str, is_multiple: bool| json!({"question": words, "header": "H", "multiSelect": is_multiple, "options": [option("A"), option("B")]});
    let input =
        json!({"questions": [question("Which one?", false), question("Which ones?", true)]});
    let mut page = page_of(&program, &session, &format!("TOOL AskUserQuestion {input}"));
    let choice = |question: u32, choice: u32| {
        format!("[data-testid=question]:nth-child({question}) .choice:nth-of-type({choice})")
    };
    page.click(&choice(1, 2));
    page.click(&choice(2, 1));
    page.click(&choice(2, 3));
    page.fill("[data-testid=question]:nth-child(2) .own", "mine, too");
    page.click(&hook("allow"));
    let said = "\"Which one?\"=\"B\", \"Which ones?\"=\"A, mine, too\"";
    api.wait_for_event(&session, "the answers", |event| is_result(event, said));
    page.assert_no_complaints();
}

#[test]
fn the_agent_asks_no_more_once_it_is_always_allowed() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(9);
    let program = disk.up();
    let api = program.api();
    let session = api.new_session();
    let write = |name: &str| {
        let path = disk.directory.path().join(name);
        (
            path.clone(),
            format!("TOOL Write {}", json!({"file_path": path, "content": "one\ntwo\n"})),
        )
    };
    let (first, words) = write("first");
    let mut page = page_of(&program, &session, &words);
    page.see_text("[data-testid=permission-card] [data-testid=diff]", "+ two");
    page.click(&hook("allow-always"));
    page.see("[data-testid=message][data-kind=result]");
    assert!(first.exists());
    let (second, words) = write("second");
    api.say(&session, &words);
    assert!(poll(|| second.exists().then_some(())).is_some(), "{:?}", api.log(&session));
    let asked = |event: &&Value| event["message"]["request"]["subtype"] == "can_use_tool";
    assert_eq!(api.log(&session).iter().filter(asked).count(), 1);
    page.assert_no_complaints();
}

#[test]
fn an_ended_conversation_is_continued_with_all_that_was_said() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(10);
    let program = disk.up();
    let api = program.api();
    let session = api.new_session();
    api.say(&session, "the first words");
    api.wait_for_event(&session, "an answer", |event| is_result(event, "the first words"));
    let mut page = Page::open(program.page());
    page.click(&format!("[data-session-id={session}] a"));
    page.click(&hook("stop"));
    page.click(&hook("stop-confirm"));
    page.see_text(&hook("way-on"), "The agent remembers this conversation");
    page.click(&hook("continue"));
    page.wait_for("another session", &format!("!location.hash.includes('{session}')"));
    let next = page.evaluate("location.hash.split('/session/')[1]");
    let next = next.as_str().expect("an id").to_owned();
    page.see_text(&hook("transcript"), "started to continue an earlier conversation");
    api.say(&next, "the last words");
    let answer = |event: &Value| is_result(event, "the last words");
    let turn = api.wait_for_event(&next, "an answer", answer);
    assert_eq!(
        turn["message"]["session_id"].as_str(),
        conversations(&api.log(&session)).first().copied()
    );
    // What it has in mind is in the file that it keeps of its conversation.
    let home = std::env::var("CLAUDE_CONFIG_DIR").expect("where the agent keeps it");
    let id = turn["message"]["session_id"].as_str().expect("an id");
    let kept = file_below(Path::new(&home), &format!("{id}.jsonl")).expect("a transcript");
    let kept = std::fs::read_to_string(kept).expect("text");
    assert!(kept.contains("the first words") && kept.contains("the last words"), "{kept}");
    page.assert_no_complaints();
}

fn file_below(directory: &Path, name: &str) -> Option<std::path::PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { file_below(&path, name) } else { path.ends_with(name).then_some(path) }
    })
}
