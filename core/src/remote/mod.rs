//! The viewer's side of a session: it sees what happens there, speaks in it, and answers the agent's
//! questions, from any other machine (R-1 to R-5).
//!
//! ```text
//!                  ┌──────────────── Remote ────────────────┐
//!   RemoteCommand  │ outbox ──── POST …/messages, … ──────▶ │
//!  ──────────────▶ │                                        │  relay
//!                  │ questions ◀── stream ◀── GET …/events/ws
//!  ◀────────────── │               access: the credential   │
//!   RemoteNotice   └────────────────────────────────────────┘
//! ```
//!
//! | file | part |
//! | --- | --- |
//! | `config`, `notice` | what a program says and is told |
//! | `stream` | what happens, connected again after a break, from the last event that was seen |
//! | `outbox` | what is sent: in order, each once |
//! | `questions` | what the agent asks, until somebody has answered |
//! | `access` | the credential, renewed when it is refused |
//! | `turns` | whether what was said has had its turn |
//! | `viewer` | the routing between them |
//! | `stand_in` | a machine of its own: a viewer that takes the place of an agent's program (R-7) |
//! | `lobby` | a machine of its own for what comes before: which sessions there are, a new one |
//!
//! What was sent is lost or doubled by no break: each message has its `uuid` before it is sent for the
//! first time. No credential is shown to anything at the relay's address that has not proved that it
//! knows it (Y-4).
//!
//! This drives a viewer by hand, up to its first request, as a runtime would:
//!
//! ```
//! use footbridge_core::auth::Credential;
//! use footbridge_core::base::id::SessionId;
//! use footbridge_core::base::secret::Secret;
//! use footbridge_core::base::text::Text;
//! use footbridge_core::base::time::Now;
//! use footbridge_core::contract::action::Action;
//! use footbridge_core::contract::machine::{Machine, Step};
//! use footbridge_core::remote::{Remote, RemoteCommand, RemoteConfig};
//! use footbridge_core::wire::url::BaseUrl;
//!
//! let relay = BaseUrl::parse("https://relay.example")?;
//! let session = SessionId::new("session_1")?;
//! let credential = Credential::fixed(Secret::from("an-access-token-7Qx"));
//! let mut remote = Remote::new(RemoteConfig::new(relay, session, credential, 7));
//! let hello = r#"{"type":"user","message":{"role":"user","content":"hello"}}"#;
//! remote.command(Now::default(), RemoteCommand::Send(Text::from(hello)));
//!
//! // Before it shows its credential, it asks for a proof that the relay knows it.
//! let Step::Do(Action::Request { request, .. }) = remote.step() else { panic!() };
//! assert!(request.url.starts_with("https://relay.example/v1/proof?"));
//! assert_eq!(remote.step(), Step::Wait(None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod config;
mod cx;
mod lobby;
mod notice;
mod outbox;
mod questions;
mod stand_in;
mod stream;
#[cfg(test)]
mod tests;
mod turns;
mod viewer;

pub use config::{RemoteConfig, Start};
pub use lobby::{Lobby, LobbyAnswer, LobbyCall, LobbyConfig};
pub use notice::{Asked, RemoteCommand, RemoteEvent, RemoteNotice, Sent, Withdrawal};

pub use stand_in::{StandIn, StandInCommand, StandInConfig};
pub use turns::Turns;

use cx::{Engine, Purpose, Timer};
use viewer::{Telling, Viewer};

use crate::contract::event::Event;
use crate::engine::runner::{Role, Runner, Slept, delegate_machine};

/// What to say of something that cannot prove that it is the relay.
const UNPROVED: &str = "nothing there has proved that it is a relay that knows this credential, so it \
     was not sent it";

/// A viewer as a machine. See the [module](self).
#[derive(Debug)]
pub struct Remote {
    runner: Runner<Following>,
}

delegate_machine!(Remote, RemoteCommand, RemoteNotice);

impl Remote {
    /// Connects with its first step.
    pub fn new(config: RemoteConfig) -> Self {
        let mut engine = Engine::new();
        let viewer = Viewer::new(config, &mut engine);
        Self { runner: Runner::new(Following { viewer }, engine) }
    }
}

/// The role: a viewer whose program hears of everything.
#[derive(Debug)]
struct Following {
    viewer: Viewer,
}

impl Role for Following {
    type Command = RemoteCommand;
    type Notice = RemoteNotice;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, engine: &mut Engine<RemoteNotice>, command: RemoteCommand) {
        self.viewer.command(engine, command);
    }

    fn on_event(&mut self, engine: &mut Engine<RemoteNotice>, event: Event) {
        self.viewer.on_event(engine, Telling::Once, event);
    }

    fn on_timer(&mut self, engine: &mut Engine<RemoteNotice>, timer: Timer) {
        self.viewer.on_timer(engine, timer);
    }

    fn on_wake(&mut self, engine: &mut Engine<RemoteNotice>, _: Slept) {
        self.viewer.on_wake(engine);
    }

    fn settle(&mut self, engine: &mut Engine<RemoteNotice>) {
        self.viewer.settle(engine);
        for notice in self.viewer.take_told() {
            engine.fx.notify(notice);
        }
        if let Some(outcome) = self.viewer.ended().filter(|_| !engine.fx.is_ended()) {
            engine.fx.end(outcome.clone());
            self.viewer.hold(engine);
        }
    }
}
