//! One session without a relay: a WebSocket straight to the agent (X-1, X-2).
//!
//! ```text
//!   agent ◀─stdin─┐                     ┌──▶ Connect, which resumes
//!         ──stdout┴─ Serve: log, doors ─┴──▶ any client that speaks NDJSON
//! ```
//!
//! [`Serve`] starts an agent, listens, and passes lines on; [`Connect`] is its client. Every message is
//! read before it is handed on, in both directions.
//!
//! # On the wire
//!
//! `GET /v1/direct/{session}`, a WebSocket, with `Authorization: Bearer TOKEN`. Without a subprotocol it
//! is NDJSON: each text message is one or more lines, and whoever comes gets what is printed from then
//! on, and the questions that are open. With `footbridge.direct.v1`, text is the same, and binary messages
//! are control frames, JSON objects by their `type`:
//!
//! | frame | sent by | meaning |
//! | --- | --- | --- |
//! | `{"type":"resume","client":C,"run":R,"received":N,"from":F,"skips":true}` | client, first | who it is, on each connection the same; the server's run that it knows, and its last line of that; its lines up to F are done with; and that it knows `skip` |
//! | `{"type":"resume","run":R,"received":N,"from":F,"questions":[…]}` | server, then | the client's lines up to N are taken; the next line is F + 1; these questions are open to it, and no others |
//! | `{"type":"ack","received":N}` | server | the client's lines up to N are taken |
//! | `{"type":"gap","from":F}` | server | lines up to F are no longer held; the next one is F + 1 |
//! | `{"type":"skip","from":F}` | server | lines up to F are for others; the next one is F + 1 |
//! | `{"type":"ping"}`, `{"type":"pong"}` | both | liveness: silence for 45 s means that the connection is dead |
//!
//! Lines of each direction are numbered from 1, in the server's run; the numbers are never sent. Nobody
//! gets the answers to the requests of others, nor what it has sent itself; only a client that counts
//! lines and knows no `skip` gets every line.
//!
//! # Whose answer counts
//!
//! A question of the agent goes to everybody, and again to whoever comes later. The first answer that can
//! be read counts; the others are told by a `control_cancel_request`. Nothing else answers: not a client
//! that goes away, nor the end of the agent. Requests of clients get ids of the server's own towards the
//! agent, so that two clients may use the same.
//!
//! # Hooks and MCP servers of a client
//!
//! They are declared by an `initialize`, and the agent's `hook_callback` and `mcp_message` requests go to
//! the client that has declared them, and to nobody else (M-6). There is one such client at a time:
//! another one is refused as long as it is connected, and takes its place when it is not. What it does
//! not answer within the hook's own time limit, 60 s at most, is refused; so is at once what would go to
//! a plain client that has left. The refusal of a `PreToolUse` hook is an answer that keeps the tool from
//! running: none fails open.

pub mod connect;
mod frame;
pub mod serve;

pub use connect::{Connect, ConnectCommand, ConnectConfig, ConnectNotice};
pub use frame::PROTOCOL;
pub use serve::{Serve, ServeCommand, ServeConfig, ServeNotice};
