//! How a row is kept: as JSON, beside a checksum and the columns that it is found by.
//!
//! A field that is added to a row later needs `#[serde(default)]`, and the rows that are there
//! stay readable without a migration.

use std::fmt::Display;

use footbridge_core::store::TableError;
use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A row as it is kept.
pub(crate) struct Body {
    pub(crate) sum: u32,
    pub(crate) json: String,
}

impl Body {
    pub(crate) fn of<R: Serialize>(row: &R) -> Result<Self, TableError> {
        // Rows are made of types that all have a JSON form.
        let json = serde_json::to_string(row)
            .map_err(|error| TableError::Damaged { detail: format!("a row: {error}") })?;
        Ok(Self { sum: crc32fast::hash(json.as_bytes()), json })
    }

    /// Reads the columns `sum` and `body`, which come first.
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { sum: row.get(0)?, json: row.get(1)? })
    }

    /// The row, if it is what was written. `what` names it, for people.
    pub(crate) fn parse<R: DeserializeOwned>(&self, what: impl Display) -> Result<R, TableError> {
        if crc32fast::hash(self.json.as_bytes()) != self.sum {
            return Err(damaged(format!("{what} has changed since it was written")));
        }
        serde_json::from_str(&self.json).map_err(|error| damaged(format!("{what}: {error}")))
    }
}

/// What is kept is not what was written.
pub(crate) fn damaged(detail: impl Into<String>) -> TableError {
    TableError::Damaged { detail: detail.into() }
}
