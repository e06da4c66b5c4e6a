//! Every decision about what is stored, made in one place over [`Tables`].
//!
//! An operation reads the rows that it needs, decides, and writes. It is denied before it has
//! written anything but a sign of life from the worker that sent it. If it fails, it fails as a
//! whole, because its transaction is rolled back. A rule writes a row back before another rule may
//! read it.
//!
//! | file | what it decides |
//! | --- | --- |
//! | `environments`, `presence` | which environments exist, and whether they are online |
//! | `devices` | which log-ins there are, and which refresh token of each is in use |
//! | `accounts` | what ends with an account |
//! | `pushes` | which browsers are sent notifications |
//! | `audit` | who did what, of which a person or a device was the cause |
//! | `takeover` | what becomes of the previous run of a worker that has restarted |
//! | `worktrees` | what viewers see of worktrees that were kept, and what is asked about them |
//! | `healthcheck` | whether to ask a worker if it is there |
//! | `queue`, `work` | which items are queued, who holds the others, and for how long |
//! | `retention` | what is kept of sessions that have ended |
//! | `sessions` | which sessions exist |
//! | `conversation` | what is logged and for how long, and which lines wait for the agent |
//! | `questions`, `permissions`, `callbacks` | what the agent asks, and what people and clients answer |
//! | `answer_links` | which links answer which open question |
//! | `requests` | what waits for an answer from the agent |
//! | `receipts` | how far what a person sent has come, and how it ended |
//! | `messages` | what a person posts, and what is read from a log |
//! | `links` | what is sent and received over a session's link |
//! | `code_sessions` | sessions of version 2, and what their workers say (C) |
//! | `working` | whether an agent works or waits for a message |
//! | `tidying` | what people name, put away and delete |
//! | `title` | the title of a session that was created without one |

mod accounts;
mod activities;
mod answer_links;
mod audit;
mod callbacks;
mod code_sessions;
mod conversation;
mod cx;
mod devices;
mod draining;
mod environments;
mod healthcheck;
mod links;
mod messages;
mod operation;
mod permissions;
mod presence;
mod pushes;
mod questions;
mod queue;
mod receipts;
mod removal;
mod requests;
mod result;
mod retention;
mod sessions;
mod takeover;
mod tidying;
mod title;
mod work;
mod working;
mod worktrees;

use alloc::boxed::Box;
use alloc::vec::Vec;

use self::cx::{Cx, Halt};
pub(crate) use self::result::ended;
use super::committed::{Changes, Committed};
use super::rows::MetaRow;
use super::tables::{TableError, Tables};
use super::transaction::Transaction;

/// Decides one operation, in the open transaction.
pub(super) fn decide<T: Tables>(
    tables: &mut T,
    meta: &mut MetaRow,
    transaction: &Transaction,
) -> Result<Committed, TableError> {
    let Transaction { at, policy, op, by } = transaction;
    let now = meta.clock.advance(at);
    let changes = Changes::default();
    let done = Vec::new();
    let mut cx = Cx { tables, meta, policy, wall: at.wall, now, changes, done };
    let answer = match operation::carry_out(&mut cx, op) {
        Ok(answer) => {
            audit::note(&mut cx, by.as_deref(), op, &answer)?;
            Ok(answer)
        }
        Err(Halt::Denied(denied)) => Err(denied),
        Err(Halt::Failed(error)) => return Err(error),
    };
    let due = cx.tables.first_due()?;
    let mut changes = Box::new(cx.changes);
    changes.due = due.map(|due| due.at.saturating_since(now));
    Ok(Committed { answer, changes })
}
