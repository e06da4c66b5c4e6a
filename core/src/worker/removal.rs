//! Files of the worker's own that are being removed.

use alloc::string::String;

use super::cx::{Cx, Purpose};
use crate::contract::action::Action;

/// Counts them, because a shutdown waits until they are gone.
#[derive(Debug, Default)]
pub(super) struct Removals {
    open: usize,
}

impl Removals {
    pub(super) const fn is_empty(&self) -> bool {
        self.open == 0
    }

    pub(super) fn remove(&mut self, cx: &mut Cx<'_>, path: String) {
        self.open += 1;
        cx.fx.start(Purpose::Remove, |op| Action::Remove { op, path });
    }

    /// One was removed, or could not be: a result whose file stays is reported again by the next
    /// run, which is harmless.
    pub(super) const fn removed(&mut self) {
        self.open -= 1;
    }
}
