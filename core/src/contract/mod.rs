//! The contract between a machine and its runtime: the loop, what a machine can ask for, and what
//! can happen to it. It imports no role but the store's, whose transactions it carries.
//!
//! Start with [`machine`] (the loop), then [`action`] and [`event`], which are the whole vocabulary.
//! This page has the rules; [`check`] has them as code, so that a runtime can be tested against them.
//!
//! # Operations
//!
//! An action starts an operation or addresses one that is open. The machine allots the
//! [`OpId`](crate::base::id::OpId) of each, in rising order and never twice. Everything that
//! happens to an operation carries its name, and one event is its **last**: after that the runtime
//! forgets it.
//!
//! | action | answered by | the last event |
//! | --- | --- | --- |
//! | `Request` for a whole answer | `Response` | that, or `Failed` |
//! | `Request` for a streamed answer | `Head`, then `Received` | `Closed`; `Failed` in place of `Head` |
//! | `Open`: a stream | `Opened`, then `Received` | `Closed`; `Refused` or `Failed` in place of `Opened` |
//! | · `Send` | `Sent`, one for several | |
//! | · `Close` | | `Closed` |
//! | · `Pause`, `Resume` | nothing | |
//! | `Spawn`: a process | `Spawned`, then `Stdout`, `Stderr`, and its three ends | the last of `Exited` and both `OutputEnded`; `Failed` in place of `Spawned` |
//! | · `Write` | `Written`, one for several; or `InputClosed` | |
//! | · `CloseInput`, `Signal`, `Pause`, `Resume` | nothing | |
//! | `Run` | `Ran` | that, or `Failed` |
//! | `Save`, `Load`, `Remove`, `List` | `Saved`, `Loaded`, `Removed`, `Listed` | that, or `Failed` |
//! | `Listen`: a listener | `Listening` | `Failed` in place of it; an open one has none |
//! | `Accept`: an exchange | `Requested` | `Closed` if the client leaves; `Failed` in place of `Requested` |
//! | · `Reply` | nothing: the exchange is over | |
//! | · `ReplyStream`: a stream that is only written | `Sent` | `Closed` |
//! | · `Upgrade`: a stream | as after `Open` | as after `Open`; also `Closed` in place of `Opened` |
//! | `Store` | `Stored` | that, or `Failed` |
//! | `Cancel` | nothing: any operation is over | |
//!
//! A process is over in two steps. Once its three ends have been said, no event follows; whatever
//! was not confirmed by then was not read. Its name stays good for `Signal` until `Cancel`, because
//! it may have left others in its process group. A machine cancels every process that was spawned.
//!
//! # Order
//!
//! - The events of one operation are handed in as they happened, and a stream's messages and a
//!   process's bytes as they came. Between two operations there is no order.
//! - The actions on one operation are carried out as they were asked for. `Sent` and `Written`
//!   confirm the oldest that are not confirmed.
//! - `Send`, `Close`, `Write`, `CloseInput` and `Signal` may come before `Opened` or `Spawned`. What
//!   is sent or written waits, and so does a signal.
//! - File operations are carried out one after the other, as they were asked for; so are store
//!   operations. No other operations wait for one another.
//! - An action on an operation whose last event is out does nothing: the machine may not have seen
//!   that event yet. An action on one that was cancelled, or never was, is a fault of the machine.
//! - `Pause` and `Resume` take turns. What was read before a `Pause` may still be handed in; the end
//!   of an operation is said also while it is paused, if it can be seen without reading on.
//!
//! # Streams
//!
//! | | WebSocket | stdio | answer that comes | answer that is given |
//! | --- | --- | --- | --- | --- |
//! | begins with | `Open`, `Upgrade` | `Open` | `Request` | `ReplyStream` |
//! | is open at | `Opened` | `Opened` | `Head` | once |
//! | `Received`, `Pause`, `Resume` | messages | bytes | bytes | |
//! | `Send`, `Sent`, `Close` | messages | bytes | | bytes |
//! | until it is open | `timeout` | | `timeout` | |
//! | while it is open | the machine's own timers | | `idle_timeout` | `write_timeout` |
//!
//! Back-pressure is the same for all. A stream that is paused is not read, and after what its
//! buffers hold, the other side cannot write. `Sent` is said once what was sent has left for the
//! system's buffers; a machine keeps the number of bytes that were sent and not confirmed within a
//! limit of its own.
//!
//! A streamed answer is `Closed` without a failure only at its proper end: the last chunk, the
//! announced length, or the end of a connection that announced neither. One that breaks off says so
//! by its failure.
//!
//! # What `Cancel` promises
//!
//! The name is free of duties at once: no answer comes to `Cancel`, and an event that was on its way
//! may or may not be handed in, to be dropped by the machine. What had an effect keeps it.
//!
//! | operation | what becomes of it |
//! | --- | --- |
//! | request, streamed or not | its connection is closed; the server may have acted on it |
//! | stream | cut, without a closing handshake or the proper end of an answer; what was sent may get lost |
//! | process | its pipes are let go and it is reaped when it exits; it is not killed |
//! | `Run` | its process group is killed |
//! | file, store | carried out all the same |
//! | listener | takes no more connections; requests that were handed in can still be answered, and an `Accept` of it that waits gets nothing any more |
//! | `Accept` | takes no request; its place is free |
//! | exchange | its connection is closed without an answer |
//!
//! # Batches and time
//!
//! See [`Machine`](machine::Machine) for the loop that all drivers share.

pub mod action;
pub mod check;
pub mod event;
pub mod http;
pub mod machine;
