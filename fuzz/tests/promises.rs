//! Many small worlds, and every run that once went wrong.

use std::sync::atomic::{AtomicU64, Ordering};

use footbridge_fuzz::{Options, run};

/// Runs the seeds of a range on all cores; returns the message of the first failure.
fn all_keep(seeds: u64, options: &(dyn Fn(u64) -> Options + Sync)) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let options = options(seed);
                    if let Some(broken) = run(&options).violation {
                        let words = format!(
                            "{broken:?}; replay it: cargo run -p footbridge-fuzz --release -- {options}"
                        );
                        failures.lock().expect("a lock").push(words);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("a lock");
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn without_faults_every_session_completes_and_every_promise_is_kept() {
    all_keep(20, &|seed| Options { minutes: Some(2), ..Options::new(seed).without_faults() });
}

#[test]
fn thousands_of_beginnings_keep_every_promise() {
    all_keep(4_000, &|seed| Options { steps: 1_200, ..Options::new(1_000_000 + seed) });
}

#[test]
fn whole_lives_keep_every_promise_and_come_to_rest() {
    all_keep(60, &|seed| Options { minutes: Some(4), ..Options::new(2_000_000 + seed) });
}

#[test]
fn what_once_went_wrong_does_not_again() {
    let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let options = |line: &str| {
        let (arguments, _) = line.split_once("::").expect("a line says why it is kept");
        let mut options =
            arguments.parse::<Options>().unwrap_or_else(|error| panic!("{line}: {error}"));
        // Those that say nothing of version 2, or of machines, were kept before there were any.
        options.code_sessions.get_or_insert(false);
        // Nor of streams of work.
        options.work_streams.get_or_insert(false);
        // Nor of a program with a bridge.
        options.embedded.get_or_insert(false);
        options.machines.get_or_insert(false);
        options
    };
    let kept: Vec<Options> = lines.map(options).collect();
    let count = u64::try_from(kept.len()).expect("few");
    all_keep(count, &|at| kept[usize::try_from(at).expect("few")].clone());
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for seed in 0..8 {
        let options = Options { trace: true, steps: 20_000, ..Options::new(seed) };
        let (one, other) = (run(&options), run(&options));
        assert!(one.trace == other.trace && !one.trace.is_empty(), "seed {seed}");
        assert_eq!((one.digest, one.events), (other.digest, other.events));
        // Whether it is traced makes no difference.
        let unwatched = run(&Options { trace: false, ..options });
        assert_eq!(unwatched.digest, one.digest);
    }
}

#[test]
fn a_failure_shrinks_to_a_smaller_run_that_fails_in_the_same_way() {
    let mutant = footbridge_fuzz::MUTANTS[0];
    let mutants =
        (0..mutant.seeds()).map(|seed| Options { mutant: Some(mutant), ..Options::new(seed) });
    let finds = |options: &Options| {
        run(options).violation.is_some_and(|broken| broken.promise == mutant.promise())
    };
    let options = mutants.into_iter().find(finds);
    let options = options.expect("one that fails");
    let smaller = footbridge_fuzz::shrink(&options);
    let broken = run(&smaller).violation.expect("it still fails");
    assert_eq!(broken.promise, mutant.promise());
    assert!(smaller.faults.is_some(), "the faults that it needs are named: {smaller}");
}
