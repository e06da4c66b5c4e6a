//! The hot paths of the core, one by one.

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use fastrand::Rng;
use footbridge_benches::paths::{Routes, line, memchr_line, typed, value};
use footbridge_benches::worker::{ByHand, IDLE_CYCLES, item};
use footbridge_core::base::limits::MAX_LINE_BYTES;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::Instant;
use footbridge_core::engine::backoff::{Backoff, BackoffConfig, FailureTrack};
use footbridge_core::wire::message::Head;
use footbridge_core::wire::ndjson::{Line, Splitter};

fn main() {
    divan::main();
}

/// 64 KiB of complete 1 kB lines: about what one read from a pipe returns.
fn chunk() -> Bytes {
    Bytes::from((line(1_000) + "\n").repeat(64))
}

#[divan::bench]
fn backoff_failure(bencher: Bencher<'_, '_>) {
    let mut rng = Rng::with_seed(7);
    let mut backoff = Backoff::new(BackoffConfig::default());
    let mut failures = 0u32;
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        failures = failures.wrapping_add(1);
        let track = if failures.is_multiple_of(16) {
            FailureTrack::General
        } else {
            FailureTrack::Connection
        };
        black_box(backoff.fail(Instant::ORIGIN, track, None, &mut rng))
    });
}

/// A chunk split into pieces of at most this many bytes: whole, by the page, in crumbs.
#[divan::bench(args = [1 << 20, 4096, 100])]
fn ndjson_split(bencher: Bencher<'_, '_>, piece: usize) {
    let chunk = chunk();
    bencher.counter(BytesCount::new(chunk.len())).bench_local(|| {
        let mut splitter = Splitter::new(MAX_LINE_BYTES);
        let mut lines = 0;
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            splitter.push(rest.split_to(piece.min(rest.len())), |line| {
                lines += usize::from(matches!(line, Line::Whole(_)));
            });
        }
        assert_eq!(lines, 64);
    });
}

#[divan::bench(args = [200, 1_000, 100_000])]
fn head_parse(bencher: Bencher<'_, '_>, bytes: usize) {
    let line = Text::from(line(bytes));
    let counter = BytesCount::new(line.as_str().len());
    bencher.counter(counter).bench_local(|| Head::parse(black_box(&line)).is_ok());
}

/// From the poll's response through the acknowledgement to the actions that start agent and link.
#[divan::bench]
fn worker_dispatch(bencher: Bencher<'_, '_>) {
    let item = item(1);
    bencher
        .counter(ItemsCount::new(1u32))
        .with_inputs(ByHand::new)
        .bench_local_refs(|worker| worker.dispatch(&item, 1));
}

/// A whole session: dispatched, up, ended, reported.
#[divan::bench]
fn worker_session(bencher: Bencher<'_, '_>) {
    let item = item(1);
    bencher.counter(ItemsCount::new(1u32)).with_inputs(ByHand::new).bench_local_refs(|worker| {
        let mut session = worker.dispatch(&item, 1);
        worker.bring_up(&mut session);
        worker.end(session);
    });
}

/// An agent's output passing through outbox and link, acknowledged chunk by chunk.
#[divan::bench]
fn worker_pump(bencher: Bencher<'_, '_>) {
    let chunk = chunk();
    let mut worker = ByHand::new();
    let mut session = worker.dispatch(&item(1), 1);
    worker.bring_up(&mut session);
    bencher
        .counter(ItemsCount::new(64u32))
        .counter(BytesCount::new(chunk.len()))
        .bench_local(|| worker.pump(&mut session, chunk.clone()));
}

/// How many sessions a worker has; few where each bench is only run once to see that it works.
fn sizes() -> &'static [u32] {
    let is_measured = std::env::args().any(|arg| arg == "--bench");
    if is_measured { &[1, 32, 1_000, 10_000] } else { &[1, 32] }
}

/// The least that can be done with a line of 1 kB; what `route_from_agent` and `route_to_agent` are
/// compared with.
#[divan::bench]
fn line_memchr(bencher: Bencher<'_, '_>) {
    let line = line(1_000);
    bencher.bench_local(|| memchr_line(black_box(line.as_bytes())));
}

/// The same line, read into its type.
#[divan::bench]
fn line_typed(bencher: Bencher<'_, '_>) {
    let line = line(1_000);
    bencher.bench_local(|| typed(black_box(&line)));
}

/// The same line, read into a tree of values.
#[divan::bench]
fn line_value(bencher: Bencher<'_, '_>) {
    let line = line(1_000);
    bencher.bench_local(|| value(black_box(&line)));
}

/// That line from an agent to the relay, with its acknowledgement, at a worker with so many sessions.
#[divan::bench(args = sizes(), sample_count = 20)]
fn route_from_agent(bencher: Bencher<'_, '_>, sessions: u32) {
    let mut routes = Routes::new(sessions, 1_000);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| routes.from_agent());
}

/// One like it from the relay to the agent.
#[divan::bench(args = sizes(), sample_count = 20)]
fn route_to_agent(bencher: Bencher<'_, '_>, sessions: u32) {
    let mut routes = Routes::new(sessions, 1_000);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| routes.to_agent());
}

/// A poll that brings nothing, and the next one.
#[divan::bench(args = sizes(), sample_count = IDLE_CYCLES as u32, sample_size = 1)]
fn idle_cycle(bencher: Bencher<'_, '_>, sessions: u32) {
    let mut routes = Routes::new(sessions, 1_000);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| routes.idle());
}
