//! Every decision about what is stored, written once over [`Tables`].
//!
//! An operation reads the rows that it needs, decides, and writes. What it denies, it denies before
//! it has written anything but the sign of life of the worker that asked; what fails, fails as a
//! whole, because its transaction is rolled back. A row that a rule holds is written back before
//! another rule may read it.
//!
//! | file | what it decides |
//! | --- | --- |
//! | `environments`, `presence` | who is there, and for how long |
//! | `healthcheck` | whether a worker is asked if it is there |
//! | `queue`, `work` | which item waits, who holds it, and for how long |
//! | `sessions` | which sessions there are |
//! | `conversation` | what is logged and for how long, and what waits for the agent |
//! | `questions`, `requests` | what waits for an answer: of a person, of the agent |
//! | `messages` | what a person says, and what is read of a log |
//! | `links` | what comes and goes by a session's link |
//! | `title` | what a session is called that nobody gave a name |

mod conversation;
mod cx;
mod environments;
mod healthcheck;
mod links;
mod messages;
mod operation;
mod presence;
mod questions;
mod queue;
mod requests;
mod result;
mod sessions;
mod title;
mod work;

use alloc::boxed::Box;

use self::cx::{Cx, Halt};
pub(crate) use self::result::ended;
use super::committed::{Changes, Committed};
use super::rows::MetaRow;
use super::tables::{TableError, Tables};
use super::transaction::Transaction;

/// Decides one operation, in the transaction that is open.
pub(super) fn decide<T: Tables>(
    tables: &mut T,
    meta: &mut MetaRow,
    transaction: &Transaction,
) -> Result<Committed, TableError> {
    let Transaction { at, policy, op } = transaction;
    let now = meta.clock.advance(at);
    let changes = Changes::default();
    let mut cx = Cx { tables, meta, policy, wall: at.wall, now, changes };
    let answer = match operation::carry_out(&mut cx, op) {
        Ok(answer) => Ok(answer),
        Err(Halt::Denied(denied)) => Err(denied),
        Err(Halt::Failed(error)) => return Err(error),
    };
    let due = cx.tables.first_due()?;
    let mut changes = Box::new(cx.changes);
    changes.due = due.map(|due| due.at.saturating_since(now));
    Ok(Committed { answer, changes })
}
