//! One run, from its seed to its report.

use std::time::Duration;

use crate::cast;
use crate::options::Options;
use crate::world::{Broken, World};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first promise that was not kept.
    pub broken: Option<Broken>,
    /// How many things happened.
    pub events: u64,
    /// How much virtual time went by.
    pub time: Duration,
    /// Whether it came to its end rather than to its limit of events.
    pub is_complete: bool,
    /// What happened, if that was to be kept.
    pub trace: String,
    /// A number that is the same only if the same has happened.
    pub digest: u64,
}

/// Runs a world from its beginning to its end.
pub fn run(options: &Options) -> Report {
    let mut world = World::new(options);
    while world.happened < options.steps {
        let end = cast::end_of(&world);
        if !world.advance(end) {
            break;
        }
    }
    let is_complete = world.happened < options.steps;
    if is_complete {
        world.judge_the_end();
    }
    let digest = world.rng.u64(..) ^ world.happened.rotate_left(32);
    Report {
        broken: world.broken.clone(),
        events: world.happened,
        time: world.at,
        is_complete,
        digest,
        trace: world.trace.into_text(),
    }
}
