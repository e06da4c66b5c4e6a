//! A worker that starts again where an earlier run of it was (W-13).

use super::*;
use crate::worker::config::AgentResume;

fn keep(config: &mut WorkerConfig) {
    config.state_directory = Some("/state".to_owned());
    let args = vec!["--resume={session}".to_owned()];
    config.agent_resume =
        Some(AgentResume { program: "agent".to_owned(), args, env: vec![], env_in_turn: vec![] });
}

const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"talk-1"}"#;

/// What a run leaves that was killed while its session talked; its files.
fn killed_while_talking() -> BTreeMap<String, Bytes> {
    let (mut bench, poll) = Bench::serving(keep);
    let Running { agent, .. } = bench.start_session(poll, 1);
    bench.handle(stdout(agent, &format!("{INIT}\n")));
    bench.files
}

/// The next run of that worker, which has its session again; its agent and its link.
fn next_run(change: impl FnOnce(&mut WorkerConfig)) -> (Bench, Running, Vec<String>) {
    let (mut bench, poll) = Bench::serving_on(killed_while_talking(), change);
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, r#"{"state":"acked"}"#);
    let (agent, args) = spawn(&mut bench);
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 3, from: 0, window: None }));
    (bench, Running { agent, link }, args)
}

fn spawn(bench: &mut Bench) -> (OpId, Vec<String>) {
    bench.take("spawn", |action| match action {
        Action::Spawn { op, command } => Some((*op, command.args.clone())),
        _ => None,
    })
}

fn logged(bench: &mut Bench, link: OpId, subtype: &str) -> bool {
    bench.sent(link).iter().any(|line| line.contains(subtype))
}

#[test]
fn it_registers_as_the_worker_and_for_the_environment_that_it_was() {
    let body = |bench: &mut Bench| {
        bench.answer_git();
        let (register, request) = bench.request("/bridge");
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        (register, body)
    };
    let mut first = Bench::new(keep);
    let (register, told) = body(&mut first);
    assert_eq!(told["environment_id"], serde_json::Value::Null);
    // Killed before the answer: the id is on disk all the same.
    let (_, again) = body(&mut Bench::on(first.files.clone(), |config| {
        keep(config);
        config.seed = 7;
    }));
    assert_eq!(told["worker_id"], again["worker_id"]);
    assert_eq!((&told["worker_run"], &again["worker_run"]), (&1.into(), &2.into()));
    first.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s"}"#);
    let (_, again) = body(&mut Bench::on(first.files, keep));
    assert_eq!(again["environment_id"], "env_1");
}

#[test]
fn an_agent_that_resumes_gets_messages_once_it_has_shown_that_it_is_there() {
    let (mut bench, Running { agent, link }, args) = next_run(keep);
    assert_eq!(args, ["--resume=talk-1"]);
    bench.handle(line(link, r#"{"type":"user","uuid":"1"}"#));
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    bench.handle(line(link, r#"{"type":"user","uuid":"2"}"#));
    let written = bench.written(agent);
    assert!(matches!(&written[..], [only] if only.contains("initialize")), "{written:?}");
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert!(!bench.sent(link).iter().any(|line| line.contains("\"ack\"")));
    bench.handle(stdout(agent, "{\"type\":\"control_response\"}\n"));
    assert_eq!(bench.written(agent).len(), 2);
    assert!(logged(&mut bench, link, "agent_resumed"));
    bench.handle(Event::Written { op: agent, writes: 2 });
    assert!(bench.sent(link).iter().any(|line| line.contains(r#""received":2"#)));
}

#[test]
fn an_agent_that_cannot_resume_is_replaced_and_no_message_goes_with_it() {
    let (mut bench, Running { agent, link }, _) = next_run(keep);
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    bench.handle(line(link, r#"{"type":"user","uuid":"1"}"#));
    bench.handle(stdout(agent, "{\"type\":\"result\",\"is_error\":true}\n"));
    bench.exit(agent, ExitStatus::Code(1));
    let (agent, args) = spawn(&mut bench);
    assert!(args.is_empty());
    assert!(bench.written(agent).iter().any(|line| line.contains("user")));
    bench.handle(Event::Spawned { op: agent, pid: 8 });
    assert!(logged(&mut bench, link, "agent_restarted"));
    assert!(bench.files.values().all(|file| !file.windows(6).any(|part| part == b"talk-1")));
}

#[test]
fn an_agent_that_says_nothing_when_it_resumes_gets_its_messages_after_a_while() {
    let (mut bench, Running { agent, link }, _) = next_run(keep);
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    bench.handle(line(link, r#"{"type":"user","uuid":"1"}"#));
    bench.written(agent);
    bench.pass(crate::base::limits::RESUME_TRIAL);
    bench.handle(Event::Tick);
    assert!(bench.written(agent).iter().any(|line| line.contains("user")));
    assert!(logged(&mut bench, link, "agent_resumed"));
}

#[test]
fn an_agent_that_cannot_resume_anything_starts_over_and_that_is_said() {
    let (mut bench, Running { agent, link }, args) = next_run(|config| {
        keep(config);
        config.agent_resume = None;
    });
    assert!(args.is_empty());
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    assert!(logged(&mut bench, link, "agent_restarted"));
}

#[test]
fn sessions_that_another_spawn_mode_moves_are_not_moved_without_a_word() {
    let is_told = |bench: &Bench| {
        let is_one = |notice: &_| matches!(notice, WorkerNotice::PlacesChanged { .. });
        bench.notices.iter().any(is_one)
    };
    let with = |spawn_mode: SpawnMode| {
        Bench::on(killed_while_talking(), |config| {
            keep(config);
            config.spawn_mode = spawn_mode;
        })
    };
    assert!(is_told(&with(SpawnMode::Worktree { root: "/trees".to_owned() })));
    assert!(!is_told(&with(SpawnMode::SingleSession)), "they stay where they were");
    assert!(!is_told(&Bench::new(keep)), "there are none");
}

#[test]
fn a_clean_end_leaves_nothing_to_take_up_but_only_once_the_relay_has_heard_of_it() {
    for (status, is_kept) in [(200, false), (404, false), (500, true)] {
        let (mut bench, _) = Bench::serving(keep);
        bench.command(WorkerCommand::Shutdown);
        let (stop, _) = bench.request("/environments/env_1/stop");
        match status {
            200 => bench.respond(stop, status, "{}"),
            _ => bench.refuse(stop, status, "later"),
        }
        assert_eq!(bench.files.contains_key("/state/worker.json"), is_kept, "{status}");
        assert_eq!(bench.outcome, Some(Ok(())));
    }
}

#[test]
fn a_result_that_a_dead_run_could_not_report_is_reported_when_its_item_comes_again() {
    let (mut bench, poll) = Bench::serving(keep);
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let (path, file) = bench.take("save", |action| match action {
        Action::Save { path, data, .. } => Some((path.clone(), data.clone())),
        _ => None,
    });
    let mut files = bench.files;
    files.insert(path.clone(), file);
    let (mut bench, poll) = Bench::serving_on(files, keep);
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.refuse(stop, 409, "lease_lost");
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Remove { .. })));
    let again = item(1, r#"{"version":1,"session_ingress_token":"t"}"#);
    bench.respond(poll, 200, &again.replace(r#""fence":1"#, r#""fence":3"#));
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, r#"{"state":"acked"}"#);
    let save = bench.take("save", |action| match action {
        Action::Save { op, .. } => Some(*op),
        _ => None,
    });
    bench.handle(Event::Saved { op: save });
    let (_, request) = bench.request("/work/work_1/stop");
    let body = core::str::from_utf8(&request.body).expect("text");
    assert!(body.contains(r#""fence":3"#) && body.contains("completed"), "{body}");
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
}

#[test]
fn a_session_that_was_lost_to_this_worker_and_comes_back_goes_on() {
    let (mut bench, poll) = Bench::serving(keep);
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(stdout(agent, &format!("{INIT}\n")));
    bench.handle(Event::Closed { op: link, code: Some(4409), failure: None });
    while bench.signals().is_empty() {
        bench.wait();
    }
    bench.exit(agent, ExitStatus::Signal(9));
    let (poll, _) = bench.request("/work/poll");
    let again = item(1, r#"{"version":1,"session_ingress_token":"t"}"#);
    bench.respond(poll, 200, &again.replace(r#""fence":1"#, r#""fence":2"#));
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, r#"{"state":"acked"}"#);
    let (_, args) = spawn(&mut bench);
    assert_eq!(args, ["--resume=talk-1"]);
    assert!(!bench.has_request("/work/work_1/stop"));
}

#[test]
fn a_state_file_that_cannot_be_read_now_is_waited_for_and_not_replaced() {
    let files = killed_while_talking();
    let mut bench = Bench::on_disk(files.clone(), true, keep);
    for _ in 0..3 {
        assert!(bench.actions.is_empty(), "it asks nobody: {:?}", bench.actions);
        bench.wait();
        bench.settle_files();
    }
    let is_said = |notice: &&_| matches!(notice, WorkerNotice::StateUnreadable { .. });
    assert_eq!(bench.notices.iter().filter(is_said).count(), 1);
    assert_eq!(bench.files, files);
    bench.is_disk_broken = false;
    bench.wait();
    bench.settle_files();
    bench.answer_git();
    let (_, request) = bench.request("/bridge");
    assert!(core::str::from_utf8(&request.body).expect("text").contains("env_1"));
}

#[test]
fn a_state_file_that_cannot_be_written_now_is_written_once_it_can_be() {
    let (mut bench, poll) = Bench::serving(keep);
    bench.is_disk_broken = true;
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(stdout(agent, &format!("{INIT}\n")));
    let state = |bench: &Bench| {
        let state = &bench.files["/state/worker.json"];
        core::str::from_utf8(state).expect("text").to_owned()
    };
    let wait = |bench: &mut Bench| {
        bench.handle(frame(link, &ControlFrame::Pong));
        bench.wait();
    };
    (0..5).for_each(|_| wait(&mut bench));
    assert!(bench.signals().is_empty() && bench.machine.sessions() == 1);
    assert!(!state(&bench).contains("session_1"));
    bench.is_disk_broken = false;
    while !state(&bench).contains("talk-1") {
        wait(&mut bench);
    }
    let count = |is: fn(&WorkerNotice) -> bool| bench.notices.iter().filter(|it| is(it)).count();
    assert_eq!(count(|notice| matches!(notice, WorkerNotice::StateNotSaved { .. })), 1);
    assert_eq!(count(|notice| matches!(notice, WorkerNotice::StateSaved)), 1);
}

#[test]
fn a_damaged_state_file_is_said_and_replaced() {
    let files = [("/state/worker.json".to_owned(), Bytes::from_static(b"{\"worker"))];
    let (bench, _) = Bench::serving_on(files.into(), keep);
    assert!(bench.notices.iter().any(|notice| matches!(notice, WorkerNotice::StateLost { .. })));
    assert!(bench.files["/state/worker.json"].ends_with(b"}"));
}

#[test]
fn a_worker_that_hands_over_ends_its_agents_and_reports_and_deregisters_nothing() {
    let (mut bench, poll) = Bench::serving(keep);
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(stdout(agent, &format!("{INIT}\n")));
    bench.command(WorkerCommand::HandOver);
    assert_eq!(bench.signals(), [Signal::Terminate]);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 3 }));
    assert_eq!(bench.outcome, Some(Ok(())));
    assert!(!bench.has_request("/stop"));
    let state = core::str::from_utf8(&bench.files["/state/worker.json"]).expect("text");
    assert!(state.contains("talk-1") && state.contains("env_1"), "{state}");
    let is_told = |notice: &_| matches!(notice, WorkerNotice::SessionHandedOver { .. });
    assert!(bench.notices.iter().any(is_told));
}

#[test]
fn a_pointer_names_a_session_that_is_up_and_is_touched_every_hour() {
    let (mut bench, poll) = Bench::serving(|config| config.keeps_pointer = true);
    let saved = |bench: &mut Bench| {
        let (op, path, data) = bench.take("save", |action| match action {
            Action::Save { op, path, data } => Some((*op, path.clone(), data.clone())),
            _ => None,
        });
        bench.handle(Event::Saved { op });
        (path, String::from_utf8(data.to_vec()).expect("text"))
    };
    let Running { agent, link } = bench.start_session(poll, 1);
    let (path, text) = saved(&mut bench);
    assert_eq!(path, "/w/bridge-pointer.json");
    let expected = r#"{"sessionId":"session_1","environmentId":"env_1","source":"standalone"}"#;
    assert_eq!(text, expected);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    bench.take("remove", |action| match action {
        Action::Remove { path, .. } if path == "/w/bridge-pointer.json" => Some(()),
        _ => None,
    });

    let (mut bench, poll) = Bench::serving(|config| config.keeps_pointer = true);
    bench.start_session(poll, 1);
    saved(&mut bench);
    bench.pass(Duration::from_secs(3600));
    bench.handle(Event::Tick);
    assert_eq!(saved(&mut bench).1, expected);
}
