//! How deep a target's inputs get: a harness that random bytes cannot drive anywhere finds nothing,
//! and would not tell.

use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static REACHED: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Records that an input has reached an interesting place.
pub(super) fn reach(place: &'static str) {
    REACHED.with_borrow_mut(|reached| *reached.entry(place).or_default() += 1);
}

/// The places that this thread's inputs have reached since the last call, and how often.
pub fn reached() -> BTreeMap<&'static str, u64> {
    REACHED.take()
}
