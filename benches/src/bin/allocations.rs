//! How often the worker's decisions take memory, and how much a session keeps: counts, which are the
//! same on every machine. What the harness itself takes is not counted.
//!
//! `allocations`

use std::alloc::System;

use bytes::Bytes;
use footbridge_benches::worker::{ByHand, Running, item};
use footbridge_core::contract::event::Event;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often each thing is done.
const TIMES: u64 = 1_000;
/// A message of about 1 kB.
const TEXT: usize = 830;

/// What a number of events took.
#[derive(Clone, Copy)]
struct Cost {
    allocations: f64,
    bytes: f64,
}

fn main() {
    println!("| sessions | kept by each | from the agent | to the agent | idle poll |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for sessions in [1, 32, 1_000, 10_000] {
        let (mut worker, mut running, kept) = with_sessions(sessions);
        let session = &mut running[sessions as usize / 2];
        let from_agent = from_agent(&mut worker, session);
        let to_agent = to_agent(&mut worker, session);
        let idle = idle(&mut worker);
        println!(
            "| {sessions} | {kept} B | {} | {} | {} |",
            shown(from_agent),
            shown(to_agent),
            shown(idle)
        );
    }
}

fn shown(Cost { allocations, bytes }: Cost) -> String {
    format!("{allocations:.2} ({bytes:.0} B)")
}

/// A worker with so many sessions, and how many bytes each of them keeps.
fn with_sessions(count: u32) -> (ByHand, Vec<Running>, i64) {
    let mut worker = ByHand::with_room(count + 1);
    let mut running = Vec::with_capacity(count as usize);
    let region = Region::new(MEMORY);
    for work in 0..count {
        let mut session = worker.dispatch(&item(work), work);
        worker.bring_up(&mut session);
        running.push(session);
    }
    let stats = region.change();
    let grown = stats.bytes_allocated as i64 - stats.bytes_deallocated as i64;
    (worker, running, grown / i64::from(count))
}

/// Counts what the machine takes for each event; making the event is not counted.
fn counted(worker: &mut ByHand, mut next: impl FnMut(&mut ByHand, u64) -> Vec<Event>) -> Cost {
    let mut actions = Vec::with_capacity(64);
    let (mut allocations, mut bytes) = (0, 0);
    for n in 0..TIMES {
        for event in next(worker, n) {
            let region = Region::new(MEMORY);
            worker.apply(event, &mut actions);
            let stats = region.change();
            allocations += stats.allocations + stats.reallocations;
            bytes += stats.bytes_allocated;
        }
        actions.clear();
    }
    let each = |total: usize| total as f64 / TIMES as f64;
    Cost { allocations: each(allocations), bytes: each(bytes) }
}

fn from_agent(worker: &mut ByHand, session: &mut Running) -> Cost {
    let text = "x".repeat(TEXT);
    let line = format!(
        r#"{{"type":"assistant","message":{{"role":"assistant","content":[{{"type":"text","text":"{text}"}}]}},"session_id":"S","uuid":"U"}}"#
    );
    let chunk = Bytes::from(line + "\n");
    counted(worker, |worker, _| {
        let printed = worker.printed(session, chunk.clone());
        vec![printed, worker.acknowledged(session, 1)]
    })
}

fn to_agent(worker: &mut ByHand, session: &mut Running) -> Cost {
    let text = "x".repeat(TEXT);
    counted(worker, |worker, n| {
        let line = format!(
            r#"{{"type":"user","message":{{"role":"user","content":"{text}"}},"uuid":"00000000-0000-4000-8000-{n:012}"}}"#
        );
        vec![worker.from_viewer(session, &line), worker.written(session)]
    })
}

fn idle(worker: &mut ByHand) -> Cost {
    counted(worker, |worker, _| vec![worker.nothing_to_do()])
}
