//! Each promise catches whoever breaks it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use footbridge_fuzz::{MUTANTS, Mutant, Options, run};

/// The first seed with which a mutant's own promise catches it.
fn finding_seed(mutant: Mutant) -> Option<u64> {
    (0..mutant.seeds()).find(|seed| {
        let options = Options { mutant: Some(mutant), ..Options::new(*seed) };
        run(&options).violation.is_some_and(|broken| broken.promise == mutant.promise())
    })
}

#[test]
fn every_mutant_is_found_out_by_its_promise_within_its_seeds() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(mutant) = MUTANTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match finding_seed(*mutant) {
                        Some(seed) => println!("{} found at seed {seed}", mutant.name()),
                        None => missed.lock().expect("a lock").push(mutant.name()),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().expect("a lock");
    assert!(missed.is_empty(), "nobody found out {missed:?}");
}
