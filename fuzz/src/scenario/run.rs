//! One run, from its seed to its report.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use crate::faults::FaultKind;
use crate::scenario::cast;
use crate::scenario::options::Options;
use crate::sim::world::{Violation, World};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first promise that was not kept.
    pub broken: Option<Violation>,
    /// How many things happened.
    pub events: u64,
    /// How much virtual time went by.
    pub time: Duration,
    /// Whether it came to its end rather than to its limit of events.
    pub is_complete: bool,
    /// What happened, if that was to be kept.
    pub trace: String,
    /// Who said what to whom, as a Mermaid sequence diagram, if a trace was to be kept.
    pub diagram: String,
    /// A number that is the same only if the same has happened.
    pub digest: u64,
}

thread_local! {
    static RUNNING: RefCell<String> = const { RefCell::new(String::new()) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Says with every panic which run it was: in a build that aborts, nobody else could.
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

/// Runs a world from its beginning to its end. A panic of a machine is a broken promise too.
pub fn run(options: &Options) -> Report {
    note_panics();
    RUNNING.set(options.to_string());
    let mut world = World::new(options);
    let ended = catch_unwind(AssertUnwindSafe(|| play(&mut world)));
    RUNNING.take();
    if ended.is_err() {
        let words = PANIC.take();
        world.break_promise("no panic", words);
    }
    let digest = world.rng.u64(..) ^ world.happened.rotate_left(32);
    let (trace, diagram) = world.trace.into_texts();
    Report {
        broken: world.broken,
        events: world.happened,
        time: world.at,
        is_complete: world.happened < options.steps,
        digest,
        trace,
        diagram,
    }
}

fn play(world: &mut World) {
    while world.happened < world.options.steps {
        let end = cast::end_of(world);
        if !world.advance(end) {
            break;
        }
    }
    if world.happened < world.options.steps {
        world.judge_the_end();
    }
}

/// What goes wrong in a run.
pub(crate) fn faults_of(options: &Options) -> BTreeSet<FaultKind> {
    World::new(options).weather.kinds()
}
