//! Parties and stores that are broken on purpose, each of which a promise must find out.

use footbridge_core::action::Action;
use footbridge_core::event::Event;
use footbridge_core::relay::store::Outcome;

use crate::party::PartyId;
use crate::world::World;

/// One way to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Nothing yet.
    None,
}

impl Mutant {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        "none"
    }
}

impl World {
    pub(crate) fn mutated_event(&mut self, _: PartyId, event: Event) -> Option<Event> {
        Some(event)
    }

    pub(crate) fn mutated_action(&mut self, _: PartyId, action: Action) -> Vec<Action> {
        vec![action]
    }

    pub(crate) fn mutated_outcome(&mut self, outcome: Outcome) -> Outcome {
        outcome
    }
}
