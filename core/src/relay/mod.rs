//! The relay: the server in the middle, as a machine (Y).
//!
//! A request is routed, authorised, and turned into one store operation. Its outcome becomes the
//! answer, and everyone the change concerns is notified. So the relay itself holds nothing
//! but connections, and says *accepted* only after the store has said *stored*.
//!
//! ```text
//!   Requested ─▶ http ─▶ worker_api, viewer_api, links, streams ─▶ Store
//!                                                                      │
//!   Reply, Send ◀─ polls, links, viewers, overviews ◀─ fanout ◀─ Stored ┘
//! ```
//!
//! The relay is made of parts, each a type that owns its state: polls, links, viewers, overviews. A
//! part acts on a `Cx` and knows no other part; what concerns several of them goes through
//! `fanout`. From the top down, each file imports only files below it:
//!
//! | module | what is in it |
//! | --- | --- |
//! | `router` | each event, timer and command to its part |
//! | `dispatch`, `fanout` | each request and each store answer to its part; who is notified of a change |
//! | `parts`, `listener` | the parts together, and which of them a WebSocket belongs to; accepting |
//! | `worker_api` | the workers' side: register, poll, lease (E) |
//! | `viewer_api` | the viewers' side: sessions, messages, questions (M) |
//! | `links` | the links of sessions, of both versions (S-2, C-2) |
//! | `code_sessions` | version 2: sessions, credentials and batches by plain requests (C) |
//! | `streams` | what viewers watch (R-2) |
//! | `sign_in`, `oauth` | browsers that sign in, and devices that log in (T-6) |
//! | `push` | who is told on their other devices that a session waits (Y-7) |
//! | `refreshes` | sessions that have to be read again |
//! | `cx` | what all parts act on: steps, timers, configuration, exchanges, store operations |
//! | `exchange`, `store_calls` | requests waiting for their answer; what the store is doing |
//! | `bodies`, `guesses`, `rate` | what requests may take up; credentials that are not known; how often |
//! | `purpose`, `pending`, `subject` | what operations, timers and store calls are for |
//! | `http` | what a request asks for, who may ask, and what its answer looks like; the page |
//! | `codes` | the codes that sign a browser in |
//! | `devices`, `trust` | what devices do at the moment; which of them, and which browsers, are trusted |
//! | `people` | who may use it, while it runs |
//! | `keyring`, `device_tokens`, `worker_tokens` | the keys that are signed with; devices' tokens, and those of version 2 |
//! | `tokens`, `close` | the relay's own credentials and ids; close codes |
//! | `config`, `notice` | configuration; commands and notices |
//! | [`store`](crate::store) | stored state, as operations and their outcomes (Y-2) |
//!
#![doc = include_str!("http.md")]

mod answer_links;
mod answer_tokens;
mod answering;
mod bodies;
mod close;
mod code_sessions;
mod codes;
mod config;
mod cx;
mod device_tokens;
mod devices;
mod dispatch;
mod exchange;
mod fanout;
mod guesses;
pub(crate) mod http;
mod keyring;
mod links;
mod listener;
mod notice;
mod oauth;
mod oidc;
mod parts;
mod pending;
mod people;
mod purpose;
mod push;
mod rate;
mod refreshes;
mod router;
mod sign_in;
mod stopping;
mod stops;
mod store_calls;
mod streams;
mod subject;
#[cfg(test)]
mod tests;
mod tokens;
mod trust;
mod viewer_api;
mod worker_api;
mod worker_tokens;

pub use self::config::{AccessToken, Asset, RelayConfig, RelayConfigError, RelayKeys};
pub use self::notice::{RelayCommand, RelayNotice};
pub use self::oidc::{OidcConfig, OidcConfigError, OidcPerson, OidcWho, Rs256};
use self::router::Router;
use crate::engine::runner::{Cx as Engine, Runner, delegate_machine};

/// A relay.
pub struct Relay {
    runner: Runner<Router>,
}

delegate_machine!(Relay, RelayCommand, RelayNotice);

impl Relay {
    /// A relay that starts listening with its first step.
    pub fn new(config: RelayConfig, keys: &RelayKeys) -> Result<Self, RelayConfigError> {
        config.check()?;
        let mut engine = Engine::new();
        let router = Router::new(config, keys, &mut engine);
        Ok(Self { runner: Runner::new(router, engine) })
    }
}
