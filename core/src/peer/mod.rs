//! Sessions on one machine find and reach each other (A-1 to A-4).
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`address`] | where a message goes |
//! | [`envelope`] | what is sent |
//! | [`registry`] | which sessions there are, from what processes have written down |
//! | [`sender`] | who sends, looked up at the moment of sending |
//! | [`deliver`] | the machine that sends one to a socket of this machine |
//! | [`mcp`] | the same as tools for agents |
//!
//! A session that takes messages listens on a local socket that only its owner can open, and takes
//! `POST /v1/peer` with an envelope there; [`direct::Serve`](crate::direct::Serve) does. A process writes
//! down its sessions in a record, with its id and the time of its start: a record without its process is
//! nobody's. A session that is at a relay is reached there, from any machine, by
//! [`LobbyCall::Tell`](crate::remote::LobbyCall::Tell).
//!
//! ```
//! use footbridge_core::peer::address::{Address, Scheme};
//!
//! assert_eq!(Address::parse("bridge:session_1").scheme, Scheme::Bridge);
//! // A bare id is a name, and leads nowhere else.
//! assert_eq!(Address::parse("session_1").scheme, Scheme::Name);
//! ```

pub mod address;
pub mod deliver;
pub mod envelope;
pub mod mcp;
pub mod registry;
pub mod sender;
