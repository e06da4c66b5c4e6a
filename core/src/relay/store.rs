//! Store operations as data.

/// One atomic operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {}
