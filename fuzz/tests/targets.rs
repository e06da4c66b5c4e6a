//! Every fuzz target on its corpus, and on random changes of it for a few seconds.
//!
//! `FUZZ_SECONDS=60` gives each target more time. `FUZZ_TARGET=name FUZZ_INPUT=file` runs one target
//! on one file, which is how to look at a failure; `FUZZ_TRACE=1` prints what a machine is told and
//! what it does.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use footbridge_fuzz::targets::corpus::{Changes, inputs};
use footbridge_fuzz::targets::{TARGETS, Target, reached};

/// For each target, unless `FUZZ_SECONDS` is set.
const TIME: Duration = Duration::from_secs(2);

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Runs a target; a failure says how to reproduce it.
fn run(target: &Target, data: &[u8]) -> Result<(), String> {
    let Err(_) = catch_unwind(AssertUnwindSafe(|| (target.run)(data))) else { return Ok(()) };
    let name = target.name;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.input"));
    let hex = data.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let kept = std::fs::write(&file, data);
    Err(format!(
        "{name} fails on these {} bytes: {hex}\nin {} ({kept:?}); once more:\n  FUZZ_TARGET={name} FUZZ_INPUT={} cargo test -p footbridge-fuzz --test targets",
        data.len(),
        file.display(),
        file.display(),
    ))
}

/// Runs a target for some time, and returns the outcome.
fn run_for(target: &Target, time: Duration) -> Result<String, String> {
    // What another target of this thread has reached does not count for this one.
    drop(reached());
    let corpus: Vec<_> = inputs(target.name).into_iter().map(|(_, data)| data).collect();
    corpus.iter().try_for_each(|data| run(target, data))?;
    let mut changes = Changes::of(corpus, 7);
    let (start, mut runs) = (Instant::now(), 0_u64);
    while start.elapsed() < time {
        run(target, changes.next_input())?;
        runs += 1;
    }
    let reached = reached();
    if let Some(missed) = target.places.iter().find(|place| !reached.contains_key(*place)) {
        return Err(format!("{}: never in {runs} runs: {missed}; but {reached:?}", target.name));
    }
    let depth: Vec<_> = reached.iter().map(|(place, times)| format!("{place} {times}×")).collect();
    Ok(format!("{}: {runs} runs; {}", target.name, depth.join(", ")))
}

#[test]
fn every_target_takes_its_corpus_and_random_changes_of_it() {
    if let Some(file) = variable("FUZZ_INPUT") {
        let wanted = variable("FUZZ_TARGET").expect("FUZZ_TARGET names the target");
        let target = TARGETS.iter().find(|target| target.name == wanted);
        let data = std::fs::read(&file).expect("FUZZ_INPUT is a file");
        let outcome = run(target.expect("FUZZ_TARGET is a target"), &data);
        return assert_eq!(outcome, Ok(()));
    }
    let seconds = variable("FUZZ_SECONDS").map(|text| text.parse().expect("a number"));
    let time = seconds.map_or(TIME, Duration::from_secs);
    let waiting: Mutex<VecDeque<_>> = Mutex::new(TARGETS.iter().collect());
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no panic while it is held").pop_front();
                    let Some(target) = next else { return };
                    match run_for(target, time) {
                        Ok(words) => println!("{words}"),
                        Err(words) => failures.lock().expect("the same").push(words),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("the same");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
