//! Networks, relays and agents that go away, and how that shows.

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::page::send;
use crate::support::page::{Page, hook};
use crate::support::program::Program;

const OUTPUT: &str = "[data-testid=message][data-part=result]";

#[test]
fn a_lost_network_is_shown_and_what_was_missed_is_fetched_later() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let api = program.api();
    let session = api.new_session();
    let mut page = Page::open(program.page());
    page.click(&format!("[data-session-id={session}] a"));
    page.see("[data-testid=session-state][data-state=running]");
    page.see("[data-testid=connection][data-state=connected]");

    page.set_offline(true);
    page.evaluate("window.dispatchEvent(new Event('offline'))");
    api.say(&session, "echo mis''sed");
    api.allow(&session);
    api.wait_for_event(&session, "a result", |event| event["message"]["type"] == "result");
    page.set_offline(false);
    page.see_text(OUTPUT, "missed");
    page.see("[data-testid=connection][data-state=connected]");
}

/// A captive portal: the page has been loaded before, and is still signed in afterwards.
#[test]
fn a_page_of_somebody_else_in_the_relays_place_signs_nobody_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let mut page = Page::open(program.page());
    page.see(&hook("new-session"));
    for status in [401, 403, 404] {
        page.evaluate(&format!(
            "window.relayFetch ??= window.fetch; window.fetch = () => Promise.resolve(\
             new Response('<html>', {{ status: {status} }})); 0"
        ));
        page.click(&hook("new-session"));
        page.see_text(
            ".environment [role=alert]",
            &format!("Something else than the relay has answered (HTTP {status})"),
        );
    }
    page.evaluate("window.fetch = window.relayFetch; 0");
    page.click(&hook("new-session"));
    page.see("[data-testid=session-state][data-state=running]");
}

#[test]
fn a_relay_that_comes_back_without_its_data_finds_its_page_and_its_worker_again() {
    let directory = tempfile::tempdir().expect("a directory");
    // A port of 127.0.0.1 that is free for a moment may be taken by any connection.
    let relay = Program::start(&["relay", "--listen", "127.91.0.1:0"]);
    let listen = relay.listen().to_owned();
    let worker = Program::work(relay.url(), &directory);
    let mut page = Page::open(relay.page());
    page.click(&hook("new-session"));
    page.see("[data-testid=session-state][data-state=running]");
    send(&mut page, "echo bef''ore");
    page.click(&hook("allow"));
    page.see_text(OUTPUT, "before");

    relay.kill();
    page.see("[data-testid=connection][data-state=reconnecting]");
    page.see_text(OUTPUT, "before");

    let relay = Program::start(&["relay", "--in-memory", "--listen", &listen]);
    page.see("[data-testid=connection][data-state=connected]");
    worker.hear("registered again");
    // This relay knows nothing about them: the page says so instead of waiting forever.
    page.see(&hook("session-gone"));
    page.go(&format!("{}/#/", relay.url()));
    page.click("[data-testid=environment][data-online=true] [data-testid=new-session]");
    page.see("[data-testid=session-state][data-state=running]");
    send(&mut page, "echo af''ter");
    page.click(&hook("allow"));
    page.see_text(OUTPUT, "after");
    worker.stop(Signal::TERM);
    relay.stop(Signal::TERM);
}

#[test]
fn an_agent_that_was_killed_with_its_worker_is_not_shown_as_working_for_ever() {
    let [directory, state] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let relay = Program::start(&["relay", "--listen", "127.0.0.1:0"]);
    let place = directory.path().to_str().expect("text");
    let options = ["work", "--relay", relay.url(), "--directory", place];
    let worker = Program::start_on(state.path(), &options);
    let mut page = Page::open(relay.page());
    page.click(&hook("new-session"));
    page.see("[data-testid=session-state][data-state=running]");
    send(&mut page, "sleep 1000");
    page.click(&hook("allow"));
    page.wait_for("the work", "!document.querySelector('p.working').hidden");
    worker.crash();

    let worker = Program::start_on(state.path(), &options);
    page.see_text(&hook("transcript"), "a new agent has started");
    page.see("[data-testid=session-state]:is([data-detail=working],[data-detail=idle])");
    page.wait_for("its end", "document.querySelector('p.working').hidden");
    worker.stop(Signal::TERM);
    relay.stop(Signal::TERM);
}

#[test]
fn two_sessions_have_separate_logs_and_one_agents_death_does_not_affect_the_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let api = program.api();
    let (doomed, other) = (api.new_session(), api.new_session());
    for (session, text) in [(&doomed, "echo do''omed"), (&other, "echo ot''her")] {
        api.say(session, text);
        api.allow(session);
        api.wait_for_event(session, "a result", |event| event["message"]["type"] == "result");
    }
    let mut page = Page::open(program.page());
    page.click(&format!("[data-session-id={doomed}] a"));
    page.see_text(OUTPUT, "doomed");
    assert_eq!(page.evaluate("document.body.innerText.includes('other')"), false);

    let started = api.wait_for_event(&doomed, "its start", |event| {
        event["from"] == "worker" && event["message"]["subtype"] == "agent_started"
    });
    let pid = started["message"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    let group = Pid::from_raw(pid.expect("a pid")).expect("a pid");
    kill_process_group(group, Signal::KILL).expect("it runs");

    page.see("[data-testid=session-state][data-state=ended][data-detail=failed]");
    page.see(&format!("[data-session-id={doomed}][data-detail=failed]"));
    let result = api.result(&doomed);
    assert_eq!((&result["status"], &result["signal"]), (&Value::from("failed"), &Value::from(9)));
    page.click(&format!("[data-session-id={other}] a"));
    page.see_text(OUTPUT, "other");
    send(&mut page, "echo still the''re");
    page.click(&hook("allow"));
    page.see_text(OUTPUT, "still there");
    page.assert_no_complaints();
}
