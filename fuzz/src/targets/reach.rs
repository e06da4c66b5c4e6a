//! How deep the inputs of a target get: a harness that random bytes cannot drive anywhere finds
//! nothing, and would not say so.

use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static REACHED: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes that an input got to a place worth getting to.
pub(super) fn reach(place: &'static str) {
    REACHED.with_borrow_mut(|reached| *reached.entry(place).or_default() += 1);
}

/// The places that the inputs of this thread got to since it was asked last, and how often.
pub fn reached() -> BTreeMap<&'static str, u64> {
    REACHED.take()
}
