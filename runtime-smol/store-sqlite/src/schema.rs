//! The database's tables, and the steps from one version of them to the next.
//!
//! Everything but logs and lines is a row of JSON beside the columns that it is found by, so most
//! changes to rows need no step here: a new field has a default. What belongs to a session goes by
//! the session's number.
//!
//! # To change a table
//!
//! The files in `schema/` are frozen: databases with those tables are on people's disks, and nothing
//! would tell them apart from those of a changed file. So:
//!
//! 1. Write the next one: the statements that turn the tables of the version before into those of the
//!    new one, with what is in them. It runs in one transaction, together with all that come after it.
//! 2. Append it to [`STEPS`], and its checksum to `FROZEN` in the tests below.
//! 3. Bring the list of tables in `salvage.rs` up to date; a test there compares the two. It reads
//!    a damaged file by that list, before anything is migrated: keep what it needs to read the
//!    columns of each version.
//! 4. Say in the change log that there is no way back: an older program refuses a newer database.
//!    Whoever wants one makes a `footbridge backup` first.

use std::path::Path;

use rusqlite::Connection;

use crate::error::OpenError;

/// Marks the database as a relay's: "fbrg".
const APPLICATION: i64 = 0x6662_7267;

/// What leads from each version to the next; the first is of an empty database. A step that has
/// been released is never changed.
const STEPS: [&str; 4] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

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

    /// The checksums of the steps, as they are on people's disks. A line is added, never changed.
    const FROZEN: [(&str, u32); 4] = [
        ("1.sql", 1_982_125_187),
        ("2.sql", 510_126_321),
        ("3.sql", 2_429_835_124),
        ("4.sql", 3_434_975_568),
    ];

    #[test]
    fn no_step_is_changed_once_there_are_databases_that_it_has_made() {
        for (step, (name, sum)) in STEPS.iter().zip(FROZEN) {
            let now = crc32fast::hash(step.as_bytes());
            assert_eq!(now, sum, "schema/{name} is frozen; see the top of schema.rs");
        }
        assert_eq!(STEPS.len(), FROZEN.len());
    }

    #[test]
    fn a_database_of_version_1_is_migrated_with_what_is_in_it() {
        let mut db = Connection::open_in_memory().expect("a database");
        let path = Path::new("store.db");
        prepare_to(&mut db, path, &STEPS[..1]).expect("version 1");
        db.execute_batch(
            "INSERT INTO queue (environment, position, work) VALUES ('env_1', 1, 'work_1');
             INSERT INTO environment (id, owner, sum, body) VALUES ('env_1', 'alice', 7, '{}');",
        )
        .expect("filled");
        let second = "ALTER TABLE queue ADD COLUMN urgency INTEGER NOT NULL DEFAULT 3;
             UPDATE environment SET owner = 'account ' || owner;";
        prepare_to(&mut db, path, &[STEPS[0], second]).expect("migrated");
        assert_eq!(version(&db), 2);
        let queued = db.query_row("SELECT work, urgency FROM queue", [], |row| row.try_into());
        assert_eq!(queued, Ok(("work_1".to_owned(), 3)));
        let known =
            db.query_row("SELECT id, owner, sum FROM environment", [], |row| row.try_into());
        assert_eq!(known, Ok(("env_1".to_owned(), "account alice".to_owned(), 7)));
        let refused = prepare_to(&mut db, path, &STEPS[..1]).expect_err("newer");
        assert!(matches!(refused, OpenError::Newer { found: 2, known: 1, .. }), "{refused}");
        assert_eq!(version(&db), 2, "it is left as it is");
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
