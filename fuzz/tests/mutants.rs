//! Each promise finds out whoever breaks it.

use footbridge_fuzz::{MUTANTS, Options, run};

#[test]
fn every_mutant_is_found_out_by_its_promise_within_its_seeds() {
    let mut missed = Vec::new();
    for mutant in MUTANTS {
        let found = (0..mutant.seeds()).find_map(|seed| {
            let options = Options { mutant: Some(*mutant), ..Options::new(seed) };
            let broken = run(&options).broken?;
            (broken.promise == mutant.promise()).then_some(seed)
        });
        match found {
            Some(seed) => println!("{} found at seed {seed}", mutant.name()),
            None => missed.push(mutant.name()),
        }
    }
    assert!(missed.is_empty(), "nobody found out {missed:?}");
}
