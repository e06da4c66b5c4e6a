//! A list of what mostly is one thing.

use alloc::vec::{IntoIter, Vec};
use core::iter::Chain;

/// A list that takes memory only from its second entry on: an event mostly leads to one thing.
#[derive(Debug)]
pub(crate) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Few<T> {
    pub(crate) const fn new() -> Self {
        Self { first: None, rest: Vec::new() }
    }

    pub(crate) fn push(&mut self, entry: T) {
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.rest.push(entry),
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = Chain<core::option::IntoIter<T>, IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_in_order() {
        for count in 0..4 {
            let mut few = Few::new();
            (0..count).for_each(|entry| few.push(entry));
            assert!(few.into_iter().eq(0..count));
        }
    }
}
