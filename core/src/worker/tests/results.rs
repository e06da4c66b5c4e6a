//! Results, until the relay has them.

use super::*;

#[test]
fn a_result_is_reported_again_after_doubling_pauses_until_it_arrives() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    for secs in [1, 2, 4, 8] {
        let (stop, _) = bench.request("/work/work_1/stop");
        bench.fail(stop, IoErrorKind::Refused);
        assert_eq!(bench.wait(), Duration::from_secs(secs));
    }
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.respond(stop, 200, "{}");
    assert!(bench.reports().is_empty());
}

#[test]
fn a_result_is_in_a_file_from_before_it_is_sent_until_it_has_arrived() {
    let keep = |config: &mut WorkerConfig| config.state_directory = Some("/state".to_owned());
    let (mut bench, poll) = Bench::serving(keep);
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    assert!(!bench.has_request("/work/work_1/stop"));
    let (save, file) = bench.take("save", |action| match action {
        Action::Save { op, path, data } if path == "/state/results/work_1.json" => {
            Some((*op, data.clone()))
        }
        _ => None,
    });
    bench.handle(Event::Saved { op: save });
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.respond(stop, 200, "{}");
    bench.take("remove", |action| match action {
        Action::Remove { path, .. } if path == "/state/results/work_1.json" => Some(()),
        _ => None,
    });

    // What a crash would leave behind is reported by the next run, with its own credential.
    let names = ["work_1.json", "../x.json", "notes.txt"];
    let files = names.map(|name| (format!("/state/results/{name}"), file.clone()));
    let (mut bench, _) = Bench::serving_on(files.into(), keep);
    let (_, request) = bench.request("/environments/env_1/work/work_1/stop");
    assert_eq!(request.headers[0].1.reveal(), "Bearer s");
}

/// A session has ended on a worker that keeps results in files; returns the save of its result.
fn ended_with_spool() -> (Bench, OpId) {
    let keep = |config: &mut WorkerConfig| config.state_directory = Some("/state".to_owned());
    let (mut bench, poll) = Bench::serving(keep);
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let save = bench.take("save", |action| match action {
        Action::Save { op, .. } => Some(*op),
        _ => None,
    });
    (bench, save)
}

/// The relay does not accept the result for as long as the worker tries, then refuses it with
/// `last`.
fn give_up(bench: &mut Bench, last: u16) {
    let began = bench.now.mono;
    loop {
        let (stop, _) = bench.request("/work/work_1/stop");
        if bench.now.mono > began + Duration::from_secs(600) {
            return bench.refuse(stop, last, "no");
        }
        bench.refuse(stop, 503, "no");
        while !bench.has_request("/work/work_1/stop") {
            bench.wait();
        }
    }
}

#[test]
fn a_full_disk_does_not_hold_a_result_back() {
    let (mut bench, save) = ended_with_spool();
    bench.fail(save, IoErrorKind::Full);
    assert!(bench.has_request("/work/work_1/stop"));
    assert!(bench.notices.iter().any(|n| matches!(n, WorkerNotice::ReportAtRisk { .. })));
}

#[test]
fn a_result_not_reported_in_time_is_kept_for_the_next_run_whatever_the_last_answer() {
    for last in [503, 401] {
        let (mut bench, save) = ended_with_spool();
        bench.handle(Event::Saved { op: save });
        give_up(&mut bench, last);
        assert!(bench.notices.iter().any(|n| matches!(n, WorkerNotice::ReportLost { .. })));
        let removes = bench.actions.iter().any(|action| matches!(action, Action::Remove { .. }));
        assert!(!removes, "{last}");
    }
}

#[test]
fn a_damaged_spool_file_is_removed_and_reported() {
    let keep = |config: &mut WorkerConfig| config.state_directory = Some("/state".to_owned());
    let file = Bytes::from_static(b"{\"rel");
    let files = [("/state/results/work_1.json".to_owned(), file)];
    let (bench, _) = Bench::serving_on(files.into(), keep);
    assert!(bench.actions.iter().any(|action| matches!(action, Action::Remove { .. })));
    assert!(!bench.has_request("/stop"));
}

/// The answers to a poll and to the ack: the item of a session is handed out again.
fn handed_out_again(bench: &mut Bench, poll: OpId, fence: u64) {
    let again = item(1, r#"{"version":1,"session_ingress_token":"t"}"#);
    let again = again.replace(r#""fence":1"#, &format!(r#""fence":{fence}"#));
    bench.respond(poll, 200, &again);
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, r#"{"state":"acked"}"#);
}

#[test]
fn a_result_that_the_relay_did_not_get_in_time_is_repeated_under_the_next_lease() {
    // Its first report is still in flight, is waiting for a retry, or was too late.
    for answer in [None, Some(503), Some(409)] {
        let (mut bench, poll) = Bench::serving(|_| {});
        let Running { agent, link } = bench.start_session(poll, 1);
        bench.exit(agent, ExitStatus::Code(3));
        bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
        let (late, _) = bench.request("/work/work_1/stop");
        if let Some(status) = answer {
            bench.refuse(late, status, "lease_lost");
        }
        let (poll, _) = bench.request("/work/poll");
        handed_out_again(&mut bench, poll, 2);
        let (stop, request) = bench.request("/work/work_1/stop");
        let body = core::str::from_utf8(&request.body).expect("text");
        assert!(body.contains(r#""fence":2"#), "{answer:?}: {body}");
        assert!(body.contains(r#""status":"failed""#), "{answer:?}: {body}");
        // The outcome of the first one says nothing about this one.
        let lost = r#"{"error":{"type":"lease_lost","message":"m"}}"#;
        bench.respond_again(late, 409, lost);
        assert_eq!(bench.reports().len(), 1, "{answer:?}");
        bench.respond(stop, 200, "{}");
        assert!(bench.reports().is_empty(), "{answer:?}");
        assert!(!bench.has_request("/stop"), "{answer:?}");
    }
}

#[test]
fn a_result_that_was_given_up_is_still_reported_when_its_item_comes_again() {
    for last in [503, 401] {
        let (mut bench, save) = ended_with_spool();
        bench.handle(Event::Saved { op: save });
        let (mut poll, _) = bench.request("/work/poll");
        give_up(&mut bench, last);
        if last == 401 {
            let (register, _) = bench.request("/bridge");
            let renewed = r#"{"environment_id":"env_1","environment_secret":"s2"}"#;
            bench.respond(register, 200, renewed);
            (poll, _) = bench.request("/work/poll");
        }
        assert!(bench.reports().is_empty(), "{last}");
        handed_out_again(&mut bench, poll, 2);
        // The file, which the next run would need, does not lose the result either.
        let (save, file) = bench.take("save", |action| match action {
            Action::Save { op, data, .. } => Some((*op, data.clone())),
            _ => None,
        });
        assert!(core::str::from_utf8(&file).expect("text").contains(r#""status":"completed""#));
        bench.handle(Event::Saved { op: save });
        let (_, request) = bench.request("/work/work_1/stop");
        let body = core::str::from_utf8(&request.body).expect("text");
        assert!(body.contains(r#""fence":2"#), "{last}: {body}");
        assert!(body.contains(r#""status":"completed""#), "{last}: {body}");
    }
}

#[test]
fn a_result_refused_because_of_its_secret_is_reported_again_with_the_next_one() {
    let keep = |config: &mut WorkerConfig| config.state_directory = Some("/state".to_owned());
    let (mut bench, poll) = Bench::serving(keep);
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let saved = |bench: &mut Bench| {
        let save = bench.take("save", |action| match action {
            Action::Save { op, data, .. } => Some((*op, data.clone())),
            _ => None,
        });
        bench.handle(Event::Saved { op: save.0 });
        save.1
    };
    saved(&mut bench);
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.refuse(stop, 401, "authentication_failed");
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s2"}"#);
    // Its file has the new secret too: the next run may need it.
    let file = saved(&mut bench);
    assert!(core::str::from_utf8(&file).expect("text").contains(r#""s2""#));
    let (stop, request) = bench.request("/work/work_1/stop");
    assert_eq!(request.headers[0].1.reveal(), "Bearer s2");
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Remove { .. })));
    bench.respond(stop, 200, "{}");
    assert!(bench.actions.iter().any(|action| matches!(action, Action::Remove { .. })));
}
