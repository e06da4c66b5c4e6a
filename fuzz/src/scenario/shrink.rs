//! Shrinks a failing run to a smaller one that fails in the same way: fewer faults, fewer parties,
//! less time, no more events than needed.

use crate::scenario::options::Options;
use crate::scenario::run::{faults_of, run};

/// Runs that a search may take.
const BUDGET: u32 = 120;

/// Looks for the smallest run that breaks the same promise.
pub fn shrink(options: &Options) -> Options {
    let mut best = Options { trace: false, ..options.clone() };
    let Some(broken) = run(&best).violation else { return options.clone() };
    let mut left = BUDGET;
    let mut still_breaks = |smaller: &Options| {
        left = left.saturating_sub(1);
        left > 0 && run(smaller).violation.is_some_and(|found| found.promise == broken.promise)
    };
    let all = Options { faults: Some(faults_of(&best)), ..best.clone() };
    if still_breaks(&all) {
        best = all;
    }
    for (workers, viewers) in [(Some(1), None), (None, Some(1)), (None, Some(2))] {
        let mut smaller = best.clone();
        smaller.workers = workers.or(smaller.workers);
        smaller.viewers = viewers.or(smaller.viewers);
        if (viewers.is_none() || best.viewers != Some(1)) && still_breaks(&smaller) {
            best = smaller;
        }
    }
    for kind in best.faults.clone().unwrap_or_default() {
        let mut smaller = best.clone();
        if let Some(faults) = &mut smaller.faults {
            faults.remove(&kind);
        }
        if still_breaks(&smaller) {
            best = smaller;
        }
    }
    for minutes in [1, 2, 4, 8, 16] {
        let smaller = Options { minutes: Some(minutes), ..best.clone() };
        if still_breaks(&smaller) {
            best = smaller;
            break;
        }
    }
    // Nothing after the broken promise matters, unless it was only detected at the end.
    let cut_short = Options { steps: run(&best).events + 1, ..best.clone() };
    if run(&cut_short).violation.is_some_and(|found| found.promise == broken.promise) {
        best = cut_short;
    }
    Options { trace: options.trace, ..best }
}
