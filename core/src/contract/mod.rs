//! The contract between a machine and its runtime: the loop, what a machine can ask for, and what
//! can happen to it. It imports no role: the store's
//! transactions that it carries are plain data.
//!
//! Start with [`machine`] (the loop), then [`action`] and [`event`], which are the whole
//! vocabulary. This page has the rules; [`check`] has them as code, so that a runtime can be tested
//! against them.
//!
//! # Operations
//!
//! An action either starts an operation or addresses an open one. The machine assigns each
//! operation's [`OpId`](crate::base::id::OpId), in increasing order and never reusing one. Every
//! event of an operation carries its id, and one event is its **last**: after it the runtime
//! forgets the operation.
//!
//! | action | answered by | the last event |
//! | --- | --- | --- |
//! | `Request` for a whole answer | `Response` | that, or `Failed` |
//! | `Request` for a streamed answer | `Head`, then `Received` | `Closed`; `Failed` instead of `Head` |
//! | `Open`: a stream | `Opened`, then `Received` | `Closed`; `Refused` or `Failed` instead of `Opened` |
//! | · `Send` | `Sent`, which may cover several | |
//! | · `Close` | | `Closed` |
//! | · `Pause`, `Resume` | nothing | |
//! | `Spawn`: a process | `Spawned`, then `Stdout`, `Stderr`, and its three ends | the last of `Exited` and both `OutputEnded`; `Failed` instead of `Spawned` |
//! | · `Write` | `Written`, which may cover several; or `InputClosed` | |
//! | · `CloseInput`, `Signal`, `Pause`, `Resume` | nothing | |
//! | `EndTree` | `TreeEnded` | that, or `Failed` |
//! | `Run` | `Ran` | that, or `Failed` |
//! | `Save`, `Load`, `Remove`, `List` | `Saved`, `Loaded`, `Removed`, `Listed` | that, or `Failed` |
//! | `Append`, `LoadEnd` | `Appended`, `EndLoaded` | that, or `Failed` |
//! | `Lock`: a lock | `Locked` | `Failed` instead; once held it has none |
//! | `Listen`: a listener | `Listening` | `Failed` instead; once open it has none |
//! | `Accept`: an exchange | `Requested` | `Closed` if the client leaves; `Failed` instead of `Requested` |
//! | · `Vouch` | nothing | |
//! | · `ReadBody` | `BodyRead` | |
//! | · `Reply` | nothing: the exchange is over | |
//! | · `ReplyStream`: a write-only stream | `Sent` | `Closed` |
//! | · `Upgrade`: a stream | as after `Open` | as after `Open`; also `Closed` instead of `Opened` |
//! | `Store` | `Stored` | that, or `Failed` |
//! | `Cancel` | nothing: the operation is over, whatever its kind | |
//!
//! A process is over in two steps. Once all three ends have been reported, no event follows, and
//! any write not confirmed by then was never read. Its id stays valid for `Signal` and `EndTree`
//! until `Cancel`, because it may have left other processes behind. A machine cancels every process
//! that was spawned.
//!
//! A signal reaches a process's group. `EndTree` reaches whatever it started, however often that
//! has been inherited since, as far as the system lets a runtime find out (W-12). Everything is
//! killed; nothing is asked to end.
//!
//! # Order
//!
//! - The events of one operation are delivered in the order they happened, and a stream's messages
//!   and a process's bytes in the order they arrived. Events of different operations have no order.
//! - The actions on one operation are carried out in the order they were requested. `Sent` and
//!   `Written` confirm the oldest unconfirmed ones.
//! - `Send`, `Close`, `Write`, `CloseInput` and `Signal` may come before `Opened` or `Spawned`.
//!   Sent and written data waits, and so does a signal.
//! - File operations are carried out one at a time, in the order they were requested; so are store
//!   operations. No other operations wait for one another; of those on files, `Lock` is none.
//! - An action on an operation whose last event is out does nothing: the machine may not have seen
//!   that event yet. An action on one that was cancelled, or never existed, is a bug in the machine.
//! - `Pause` and `Resume` alternate. Anything read before a `Pause` may still be delivered; the end
//!   of an operation is reported even while it is paused, if it can be seen without reading further.
//!
//! # Streams
//!
//! | | WebSocket | stdio, local | incoming answer | outgoing answer |
//! | --- | --- | --- | --- | --- |
//! | begins with | `Open`, `Upgrade` | `Open` | `Request` | `ReplyStream` |
//! | is open from | `Opened` | `Opened` | `Head` | the start |
//! | `Received`, `Pause`, `Resume` | messages | bytes | bytes | |
//! | `Send`, `Sent`, `Close` | messages | bytes | | bytes |
//! | limit until it is open | `timeout` | | `timeout` | |
//! | limit while it is open | the machine's own timers | | `idle_timeout` | `write_timeout` |
//!
//! Back-pressure works the same way for all of them. A paused stream is not read, and once its
//! buffers are full the other side cannot write. `Sent` is reported once the data has left for the
//! system's buffers; a machine keeps the number of sent but unconfirmed bytes within a limit of its
//! own.
//!
//! A streamed answer is `Closed` without a failure only at its proper end: the last chunk, the
//! announced length, or the end of a connection that announced neither. If it breaks off early,
//! `Closed` carries a failure.
//!
//! # What `Cancel` promises
//!
//! Nothing more is owed under the id: `Cancel` itself gets no answer, and an event that was already
//! on its way may or may not be delivered, and the machine drops it. Effects that already happened
//! are not undone.
//!
//! | operation | what becomes of it |
//! | --- | --- |
//! | request, streamed or not | its connection is closed; the server may have acted on it |
//! | stream | cut, without a closing handshake or a proper end to the answer; sent data may be lost |
//! | process | its pipes are closed and it is reaped when it exits; it is not killed |
//! | `Run` | its process group is killed |
//! | `EndTree` | carried out anyway |
//! | file, store | carried out anyway |
//! | listener | takes no more connections; requests already delivered can still be answered, and its pending `Accept`s get nothing more |
//! | `Accept` | takes no request; its place is free |
//! | exchange | its connection is closed without an answer |
//!
//! # Batches and time
//!
//! See [`Machine`](machine::Machine) for the loop that all drivers share.

pub mod action;
pub mod check;
pub mod clients;
pub mod event;
pub mod http;
pub mod machine;
pub mod reach;
