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
//! | `Request` | `Response` | that, or `Failed` |
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
//! | · `Upgrade`: a stream | as after `Open` | as after `Open` |
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
//!   is sent or written waits; a signal for a group that is not there yet is lost.
//! - File operations are carried out one after the other, as they were asked for; so are store
//!   operations. No other operations wait for one another.
//! - An action on an operation whose last event is out does nothing: the machine may not have seen
//!   that event yet. An action on one that was cancelled, or never was, is a fault of the machine.
//! - `Pause` and `Resume` take turns. What was read before a `Pause` may still be handed in; the end
//!   of an operation is said also while it is paused, if it can be seen without reading on.
//!
//! # What `Cancel` promises
//!
//! The name is free of duties at once: no answer comes to `Cancel`, and an event that was on its way
//! may or may not be handed in, to be dropped by the machine. What had an effect keeps it.
//!
//! | operation | what becomes of it |
//! | --- | --- |
//! | request | its connection is closed; the server may have acted on it |
//! | stream | cut, without a closing handshake; what was sent may get lost |
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
pub mod machine;
