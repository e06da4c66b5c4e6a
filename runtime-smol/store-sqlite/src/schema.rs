//! The database's tables, and the steps from one version of them to the next.
//!
//! Everything but logs and lines is a row of JSON beside the columns that it is found by, so most
//! changes to rows need no step here: a new field has a default. What belongs to a session goes by
//! the session's number.

use std::path::Path;

use rusqlite::Connection;

use crate::error::OpenError;

/// Marks the database as a relay's: "fbrg".
const APPLICATION: i64 = 0x6662_7267;

/// What leads from each version to the next; the first is of an empty database. A step that has
/// been released is never changed.
const STEPS: [&str; 1] = [include_str!("schema/1.sql")];

/// Brings a database up to date; one that was never used gets its tables.
pub(crate) fn prepare(db: &mut Connection, path: &Path) -> Result<(), OpenError> {
    prepare_to(db, path, &STEPS)
}

fn prepare_to(db: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let failed = |error| OpenError::sqlite(path, &error);
    let number = |db: &Connection, sql| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let found = number(db, "PRAGMA user_version").map_err(failed)?;
    let application = number(db, "PRAGMA application_id").map_err(failed)?;
    let tables = number(db, "SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    if application != APPLICATION && (tables > 0 || found != 0 || application != 0) {
        return Err(OpenError::Foreign { path: path.into() });
    }
    let known = steps.len() as i64;
    let Some(missing) = usize::try_from(found).ok().and_then(|found| steps.get(found..)) else {
        return Err(OpenError::Newer { path: path.into(), found, known });
    };
    if missing.is_empty() {
        return Ok(());
    }
    // All or nothing: a crash in between leaves the version that there was.
    let transaction = db.transaction().map_err(failed)?;
    for step in missing {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(failed)?;
    transaction.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(db: &Connection) -> i64 {
        db.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version")
    }

    #[test]
    fn each_version_is_migrated_and_a_newer_one_refused() {
        let mut db = Connection::open_in_memory().expect("a database");
        let path = Path::new("store.db");
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x)", "DROP TABLE a"];
        for until in [1, 1, 3] {
            prepare_to(&mut db, path, &steps[..until]).expect("prepared");
            assert_eq!(version(&db), until as i64);
        }
        let refused = prepare_to(&mut db, path, &steps[..2]).expect_err("newer");
        assert!(matches!(refused, OpenError::Newer { found: 3, known: 2, .. }), "{refused}");
        assert!(refused.to_string().contains("written by a newer Footbridge"), "{refused}");
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_that_there_was() {
        let mut db = Connection::open_in_memory().expect("a database");
        let path = Path::new("store.db");
        prepare_to(&mut db, path, &["CREATE TABLE a (x)"]).expect("prepared");
        let broken = ["CREATE TABLE a (x)", "CREATE TABLE b (x)", "no SQL"];
        prepare_to(&mut db, path, &broken).expect_err("broken");
        assert_eq!(version(&db), 1);
        let left = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0));
        assert_eq!(left, Ok(1), "table b is not there");
    }

    #[test]
    fn a_database_of_another_program_is_left_alone() {
        let mut db = Connection::open_in_memory().expect("a database");
        db.execute_batch("CREATE TABLE theirs (x)").expect("made");
        let refused = prepare(&mut db, Path::new("store.db")).expect_err("foreign");
        assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
    }
}
