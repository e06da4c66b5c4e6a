//! The worker is stopped for a while and then continues, as under a debugger, by a frozen
//! container, or on a machine that swaps. `STOPPED_FOR` says for how many seconds; without it, for
//! as long as a short lease needs to run out.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::stage::program::Program;
use super::stage::{Relay, until};
use crate::Runtime;

fn stopped_for() -> Option<Duration> {
    std::env::var("STOPPED_FOR").ok().and_then(|text| text.parse().ok()).map(Duration::from_secs)
}

/// Meanwhile its leases run out, and the relay hands its sessions out again: to the same worker,
/// whose poll is still there.
pub fn a_worker_that_was_stopped_keeps_the_agents_of_its_sessions<R: Runtime>() {
    let long = stopped_for();
    let (lease, ack) = if long.is_some() { (60, 30) } else { (2, 2) };
    let relay = Relay::with_times(Duration::from_secs(lease), Duration::from_secs(ack));
    let home = tempfile::tempdir().expect("a directory");
    let mut worker = Program::start::<R>(&relay.address, home.path(), "", &[]);
    let sessions = [relay.session(), relay.session(), relay.session()];
    let agents = sessions.each_ref().map(super::stage::Session::running);
    sessions[0].say("echo o''ne");
    let asked = sessions[0].question();
    for round in 1..=2 {
        worker.signal(Signal::STOP);
        match long {
            Some(time) => std::thread::sleep(time),
            None => {
                for session in &sessions {
                    session.until("its lease has run out", |now| now["state"] != "running");
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        sessions[1].say(&format!("echo wh''ile {round}"));
        worker.signal(Signal::CONT);
        let patience = std::time::Instant::now() + Duration::from_secs(60);
        for session in &sessions {
            let is_well = || {
                let now = session.now();
                now["state"] == "running" && now["connected"] == true
            };
            while !is_well() {
                assert!(std::time::Instant::now() < patience, "{}", session.now());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        sessions[1].answer(json!({"behavior": "allow"}));
        sessions[1].turn(round);
    }
    assert_eq!(sessions[0].question(), asked, "it is still open");
    sessions[0].answer(json!({"behavior": "allow"}));
    sessions[0].turn(1);
    assert_eq!(sessions[0].tool_results(), ["one\n"]);
    assert_eq!(sessions[1].tool_results(), ["while 1\n", "while 2\n"]);
    // Longer than it takes to find out that another worker has a lease.
    if long.is_some() {
        std::thread::sleep(Duration::from_secs(35));
    }
    for (session, agent) in sessions.iter().zip(agents) {
        let started =
            session.from("worker").into_iter().filter(|m| m["subtype"] == "agent_started");
        assert_eq!(started.count(), 1, "{}", worker.printed());
        assert_eq!(session.running(), agent);
    }
    assert_eq!(worker.end(), Some(0));
    until("their ends", || {
        sessions.iter().all(|it| it.now()["result"]["status"] == "interrupted").then_some(())
    });
}

/// By SIGUSR1: what runs comes to its own end, and what is asked for meanwhile stays with the relay.
pub fn a_worker_that_drains_ends_with_its_last_session<R: Runtime>() {
    let relay = Relay::start();
    let home = tempfile::tempdir().expect("a directory");
    let mut worker = Program::start::<R>(&relay.address, home.path(), "", &[]);
    let session = relay.session();
    session.running();
    worker.signal(Signal::USR1);
    until("it says so", || worker.printed().contains("taking no more sessions").then_some(()));
    let other = relay.session();
    until("it says why it waits", || (other.now()["worker_draining"] == true).then_some(()));
    session.say("echo still he''re");
    session.question();
    session.answer(json!({"behavior": "allow"}));
    session.turn(1);
    assert_eq!(session.tool_results(), ["still here\n"]);
    assert_eq!(other.now()["state"], "queued");
    session.stop();
    assert_eq!(worker.wait(), Some(0), "{}", worker.printed());
    assert_eq!(session.now()["result"]["status"], "interrupted");
}
