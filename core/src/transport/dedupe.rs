//! Each uuid once, with bounded memory (M-4).

use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;

/// Remembers the most recent ids of one kind and forgets the oldest.
#[derive(Debug)]
pub(crate) struct Recent {
    limit: usize,
    known: BTreeSet<String>,
    order: VecDeque<String>,
}

impl Recent {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, known: BTreeSet::new(), order: VecDeque::new() }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    /// Remembers an id; `false` if it was already known.
    pub(crate) fn insert(&mut self, name: &str) -> bool {
        if !self.known.insert(String::from(name)) {
            return false;
        }
        self.order.push_back(String::from(name));
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_and_the_oldest_is_forgotten_first() {
        let mut recent = Recent::new(2);
        assert!(recent.insert("a"));
        assert!(!recent.insert("a"));
        assert!(recent.insert("b"));
        assert!(recent.insert("c"));
        assert!(!recent.contains("a"));
        assert!(recent.contains("b") && recent.contains("c"));
        assert_eq!(recent.known.len(), recent.order.len());
    }
}
