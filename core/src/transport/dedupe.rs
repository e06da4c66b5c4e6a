//! Each uuid once, with bounded memory (M-4).

use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;

use crate::engine::uuid;

/// An id. Most are UUIDs, which need no memory of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Uuid(u128),
    Other(Arc<str>),
}

impl Name {
    fn of(text: &str) -> Self {
        uuid::number(text).map_or_else(|| Self::Other(Arc::from(text)), Self::Uuid)
    }
}

/// Remembers the most recent ids of one kind and forgets the oldest.
#[derive(Debug)]
pub(crate) struct Recent {
    limit: usize,
    known: BTreeSet<Name>,
    order: VecDeque<Name>,
}

impl Recent {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, known: BTreeSet::new(), order: VecDeque::new() }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.known.contains(&Name::of(name))
    }

    /// Remembers an id; `false` if it was already known.
    pub(crate) fn insert(&mut self, name: &str) -> bool {
        let name = Name::of(name);
        if !self.known.insert(name.clone()) {
            return false;
        }
        self.order.push_back(name);
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
