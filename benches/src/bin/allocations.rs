//! How often the decisions of worker and relay take memory, and how much a session keeps: counts, which
//! are the same on every machine. What the harness itself takes is not counted.
//!
//! `allocations`: as tables. `--check` compares with what is checked in (`counts/allocations.txt`), which
//! this program's test does too; `--accept` puts these in its place.

use std::alloc::System;
use std::time::Duration;

use bytes::Bytes;
use footbridge_benches::counts::{Counts, Record};
use footbridge_benches::relay::RelayByHand;
use footbridge_benches::running::Result;
use footbridge_benches::worker::{ByHand, IDLE_CYCLES, Running, item};
use footbridge_core::base::id::EnvironmentId;
use footbridge_core::base::secret::Secret;
use footbridge_core::client::worker_api::{self, ClaimKey, EnvironmentKey};
use footbridge_core::contract::event::Event;
use footbridge_core::wire::url::BaseUrl;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RECORD: Record = Record::new("allocations");
/// How many sessions a worker has.
const SESSIONS: [u32; 4] = [1, 32, 1_000, 10_000];
/// How many viewers a session has.
const VIEWERS: [usize; 3] = [1, 10, 100];
/// How often each thing is done.
const TIMES: u64 = 1_000;
/// A message of about 1 kB.
const TEXT: usize = 830;

fn main() -> Result<()> {
    let counts = counted(&SESSIONS);
    match std::env::args().nth(1).as_deref() {
        Some("--accept") => RECORD.accept(&counts),
        Some("--check") => RECORD.check(&counts),
        _ => {
            show(&counts);
            Ok(())
        }
    }
}

fn counted(sizes: &[u32]) -> Counts {
    let mut counts = Counts::new();
    counts.insert("worker.poll_request".into(), poll_request());
    for &sessions in sizes {
        let (mut worker, mut running, kept) = with_sessions(sessions);
        let session = &mut running[sessions as usize / 2];
        let from_agent = from_agent(&mut worker, session);
        let to_agent = to_agent(&mut worker, session);
        let idle = idle(&mut worker);
        let rows = [
            ("bytes_kept", kept),
            ("from_agent", from_agent),
            ("to_agent", to_agent),
            ("idle_poll", idle),
        ];
        for (name, count) in rows {
            counts.insert(format!("worker {name} {sessions}").replace(' ', "."), count);
        }
    }
    for viewers in VIEWERS {
        counts.insert(format!("relay.from_agent.{viewers}"), relayed(viewers));
    }
    counts
}

fn show(counts: &Counts) {
    let at = |name: &str, number: String| counts[&format!("{name}.{number}")];
    println!(
        "Allocations of the worker for one message of 1 kB, and for an idle cycle; the request"
    );
    println!("of a poll alone takes {}.\n", counts["worker.poll_request"]);
    println!("| sessions | bytes kept by each | from the agent | to the agent | idle poll |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for sessions in SESSIONS {
        let at = |name| at(&format!("worker.{name}"), sessions.to_string());
        println!(
            "| {sessions} | {:.0} | {:.2} | {:.2} | {:.2} |",
            at("bytes_kept"),
            at("from_agent"),
            at("to_agent"),
            at("idle_poll")
        );
    }
    println!(
        "\nAllocations of the relay for one message of 1 kB from the agent, but for its store's:\n"
    );
    println!("| viewers | all | for each more |");
    println!("| ---: | ---: | ---: |");
    let mut before: Option<(usize, f64)> = None;
    for viewers in VIEWERS {
        let all = at("relay.from_agent", viewers.to_string());
        let each = before.map_or(String::new(), |(fewer, less)| {
            format!("{:.2}", (all - less) / (viewers - fewer) as f64)
        });
        println!("| {viewers} | {all:.2} | {each} |");
        before = Some((viewers, all));
    }
}

/// A worker with so many sessions, and how many bytes each of them keeps.
fn with_sessions(count: u32) -> (ByHand, Vec<Running>, f64) {
    let mut worker = ByHand::with_room(count + 1);
    let mut running = Vec::with_capacity(count as usize);
    let region = Region::new(MEMORY);
    for work in 0..count {
        let mut session = worker.dispatch(&item(work), work);
        worker.bring_up(&mut session);
        running.push(session);
    }
    let stats = region.change();
    let grown = stats.bytes_allocated as f64 - stats.bytes_deallocated as f64;
    (worker, running, grown / f64::from(count))
}

/// How often memory was taken in `act`.
fn allocations(act: impl FnOnce()) -> f64 {
    let region = Region::new(MEMORY);
    act();
    let stats = region.change();
    (stats.allocations + stats.reallocations) as f64
}

/// What the worker takes for each event; making the event is not counted.
fn each(
    worker: &mut ByHand,
    times: u64,
    mut next: impl FnMut(&mut ByHand, u64) -> Vec<Event>,
) -> f64 {
    let mut actions = Vec::with_capacity(64);
    let mut all = 0.0;
    for n in 0..times {
        for event in next(worker, n) {
            all += allocations(|| worker.apply(event, &mut actions));
        }
        actions.clear();
    }
    all / times as f64
}

fn line() -> String {
    let text = "x".repeat(TEXT);
    format!(
        r#"{{"type":"assistant","message":{{"role":"assistant","content":[{{"type":"text","text":"{text}"}}]}},"session_id":"S","uuid":"U"}}"#
    )
}

/// It prints a line, and the relay acknowledges that.
fn from_agent(worker: &mut ByHand, session: &mut Running) -> f64 {
    let chunk = Bytes::from(line() + "\n");
    each(worker, TIMES, |worker, _| {
        let printed = worker.printed(session, chunk.clone());
        vec![printed, worker.acknowledged(session, 1)]
    })
}

/// A message arrives, and the agent's pipe has taken it.
fn to_agent(worker: &mut ByHand, session: &mut Running) -> f64 {
    let text = "x".repeat(TEXT);
    each(worker, TIMES, |worker, n| {
        let line = format!(
            r#"{{"type":"user","message":{{"role":"user","content":"{text}"}},"uuid":"00000000-0000-4000-8000-{n:012}"}}"#
        );
        vec![worker.from_viewer(session, &line), worker.written(session)]
    })
}

/// A poll is answered with nothing, and the next one asked.
fn idle(worker: &mut ByHand) -> f64 {
    each(worker, IDLE_CYCLES, |worker, _| vec![worker.nothing_to_do()])
}

/// What the request of a poll takes by itself.
fn poll_request() -> f64 {
    let relay = BaseUrl::parse("http://127.0.0.1:1").expect("a URL");
    let (id, secret) = (EnvironmentId::new("env_1").expect("an id"), Secret::from("s"));
    let key = EnvironmentKey { id: &id, secret: &secret };
    let mut request = None;
    let wait = Duration::from_secs(50);
    allocations(|| request = Some(worker_api::poll(&relay, key, ClaimKey::Single(u128::MAX), wait)))
}

/// What the relay takes for a line from the agent, until it is stored, acknowledged, and with every
/// viewer.
fn relayed(viewers: usize) -> f64 {
    let mut relay = RelayByHand::with_viewers(viewers);
    let line = Bytes::from(line());
    let mut actions = Vec::with_capacity(4 * viewers + 16);
    let times = TIMES / 10;
    let mut all = 0.0;
    // With the first line, viewers are told more.
    for round in 0..=times {
        if round == 1 {
            all = 0.0;
        }
        let mut events = vec![relay.from_agent(&line)];
        while !events.is_empty() {
            for event in events.drain(..) {
                all += allocations(|| relay.apply(event, &mut actions));
            }
            (events, _) = relay.results(&mut actions);
        }
    }
    all / times as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_memory_as_often_as_is_checked_in() {
        // The largest takes too long for a build that is not optimised.
        if let Err(error) = RECORD.check_part(&counted(&SESSIONS[..3])) {
            panic!("{error}");
        }
    }
}
