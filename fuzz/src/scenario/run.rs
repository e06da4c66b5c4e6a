//! One run, from its seed to its report.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use crate::faults::FaultKind;
use crate::scenario::life::Life;
use crate::scenario::options::Options;
use crate::sim::cx::Violation;

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// How many events happened.
    pub events: u64,
    /// How much virtual time passed.
    pub time: Duration,
    /// Whether it reached its end rather than its limit of events.
    pub is_complete: bool,
    /// The trace, if it was to be kept.
    pub trace: String,
    /// Who sent what to whom, as a Mermaid sequence diagram, if a trace was to be kept.
    pub diagram: String,
    /// A number that is the same only if the same things have happened.
    pub digest: u64,
}

thread_local! {
    static RUNNING: RefCell<String> = const { RefCell::new(String::new()) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Names the run with every panic: in a build that aborts, nothing else could.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let running = RUNNING.with_borrow(Clone::clone);
            if running.is_empty() {
                return usual(info);
            }
            let words = info.to_string().replace('\n', " ");
            if cfg!(panic = "abort") {
                eprintln!("{words}\nreplay it: cargo run -p footbridge-fuzz -- {running}");
            }
            PANIC.set(words);
        }));
    });
}

/// Runs a world from beginning to end. A panic of a machine is a broken promise too.
pub fn run(options: &Options) -> Report {
    note_panics();
    RUNNING.set(options.to_string());
    let mut life = Life::new(options);
    let ended = catch_unwind(AssertUnwindSafe(|| life.play()));
    RUNNING.take();
    if ended.is_err() {
        let words = PANIC.take();
        life.world.cx.break_promise("no panic", words);
    }
    let is_complete = life.is_complete();
    let cx = &mut life.world.cx;
    let digest = cx.rng.u64(..) ^ life.happened.rotate_left(32);
    let (trace, diagram) = life.world.cx.trace.into_texts();
    Report {
        violation: life.world.cx.violation,
        events: life.happened,
        time: life.world.cx.at,
        is_complete,
        digest,
        trace,
        diagram,
    }
}

/// What goes wrong in a run.
pub(crate) fn faults_of(options: &Options) -> BTreeSet<FaultKind> {
    Life::new(options).world.cx.plan.kinds()
}
