//! Footbridge on [smol](https://docs.rs/smol): carries out what the machines of
//! [`footbridge_core`] ask for and reports the results to them.
//!
//! ```text
//!             commands ─────────┐        ┌──────────── notices
//!                               ▼        │
//!   ┌─────────┐  step()   ┌───────────────────┐   perform()   ┌────────────────────┐
//!   │ machine │ ────────▶ │    drive (loop)   │ ────────────▶ │ a task for each    │
//!   │ (core)  │ ◀──────── │ mailbox, deadline │ ◀──────────── │ operation: socket, │
//!   └─────────┘  handle() └───────────────────┘    mailbox    │ process, file …    │
//!                                                             └────────────────────┘
//! ```
//!
//! No protocol decisions are made here. Everything runs on one thread, next to the one that waits
//! for sockets and timers; files, name lookups and standard input use a small thread pool while
//! they are in use.
//!
//! What follows are the four things that most programs want. Each machine is the core's; the same works on
//! plain threads, by `footbridge-blocking`.
//!
//! # Drive a session
//!
//! A viewer follows a session on another machine, speaks in it, and answers its agent's questions. A
//! connection that breaks is made again, and nothing is lost or said twice.
//!
//! ```no_run
//! use footbridge_core::auth::Credential;
//! use footbridge_core::base::id::SessionId;
//! use footbridge_core::base::secret::Secret;
//! use footbridge_core::base::text::Text;
//! use footbridge_core::remote::{Remote, RemoteCommand, RemoteConfig, RemoteNotice};
//! use footbridge_core::wire::url::BaseUrl;
//! use footbridge_core::wire::viewer::{Behavior, PermissionPost};
//! use footbridge_smol::{Host, HostOptions, block_on, drive};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let relay = BaseUrl::parse("https://relay.example")?;
//! let credential = Credential::fixed(Secret::from("an-access-token-7Qx"));
//! let session = SessionId::new("session_1")?;
//! let remote = Remote::new(RemoteConfig::new(relay, session, credential, rand_seed()));
//! let (commands, asked) = async_channel::unbounded();
//! let hello = r#"{"type":"user","message":{"role":"user","content":"hello"}}"#;
//! commands.try_send(RemoteCommand::Send(Text::from(hello)))?;
//! let host = Host::new(HostOptions::default())?;
//! block_on(drive(remote, host, asked, |notice| match notice {
//!     RemoteNotice::Event(event) => println!("{}", event.message.as_str()),
//!     RemoteNotice::PermissionAsked(question) => {
//!         let answer = PermissionPost {
//!             request_id: question.request_id,
//!             seq: Some(question.seq),
//!             behavior: Behavior::Allow,
//!             updated_input: None,
//!             message: None,
//!             interrupt: false,
//!             further: Default::default(),
//!         };
//!         // One that has ended takes no commands.
//!         let _ = commands.try_send(RemoteCommand::Answer(answer));
//!     }
//!     _ => {}
//! }))?;
//! # Ok(()) }
//! # fn rand_seed() -> u64 { 7 }
//! ```
//!
//! # Embed a bridge
//!
//! A program exposes its own session: whoever may, sees it on a phone, speaks in it and answers its
//! questions. See [`bridge`](footbridge_core::bridge).
//!
//! ```no_run
//! use footbridge_core::auth::Credential;
//! use footbridge_core::base::secret::Secret;
//! use footbridge_core::base::text::Text;
//! use footbridge_core::bridge::{Bridge, BridgeCommand, BridgeConfig, BridgeNotice, What};
//! use footbridge_core::wire::url::BaseUrl;
//! use footbridge_smol::{Host, HostOptions, block_on, drive};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let relay = BaseUrl::parse("https://relay.example")?;
//! let credential = Credential::fixed(Secret::from("an-access-token-7Qx"));
//! let config = BridgeConfig::new(relay, credential, "/project".into(), rand_seed());
//! let (commands, asked) = async_channel::unbounded();
//! let host = Host::new(HostOptions::default())?;
//! block_on(drive(Bridge::new(config), host, asked, |notice| match notice {
//!     BridgeNotice::Snapshot(bridge) => println!("{:?}", bridge.state),
//!     BridgeNotice::Incoming(incoming) => {
//!         // It is in safe hands now, and an answer follows.
//!         let _ = commands.try_send(BridgeCommand::Taken { lines: 1 });
//!         if incoming.what == What::Message {
//!             let said = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"yes"}]}}"#;
//!             let _ = commands.try_send(BridgeCommand::Publish(Text::from(said)));
//!         }
//!     }
//!     _ => {}
//! }))?;
//! # Ok(()) }
//! # fn rand_seed() -> u64 { 7 }
//! ```
//!
//! # Send between peers
//!
//! Sessions on one machine find and reach each other; one on another machine is reached by the relay, with
//! [`LobbyCall::Tell`](footbridge_core::remote::LobbyCall::Tell). Who sends is looked up when the message leaves; see
//! [`peer`](footbridge_core::peer).
//!
//! ```no_run
//! use footbridge_core::base::id::SessionId;
//! use footbridge_core::peer::deliver::{Deliver, DeliverConfig};
//! use footbridge_core::peer::sender::{Handle, Unsigned};
//! use footbridge_smol::{Host, HostOptions, block_on, drive};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let message = DeliverConfig {
//!     socket: "/run/user/1000/footbridge/peers/4711.sock".into(),
//!     message: Unsigned {
//!         to: "uds:/run/user/1000/footbridge/peers/4711.sock".into(),
//!         body: "the tests pass".into(),
//!         message_id: "0b4c7b5e-7d4c-4a51-9f0a-0f3f0d6f3b11".into(),
//!         handle: Handle::Session {
//!             record: "/run/user/1000/footbridge/peers/1234.json".into(),
//!             session: SessionId::new("session_1")?,
//!         },
//!     },
//! };
//! let host = Host::new(HostOptions::default())?;
//! let (_commands, asked) = async_channel::bounded(1);
//! block_on(drive(Deliver::new(message), host, asked, |never| match never {}))?;
//! # Ok(()) }
//! ```
//!
//! # Write a client
//!
//! Anything that speaks to a relay or to a session is a machine: requests, streams and time, and no loop
//! of its own. A [`Machine`](footbridge_core::contract::machine::Machine) runs on every runtime, and in a
//! test without any.
//!
//! ```no_run
//! use std::num::NonZeroU64;
//! use std::time::Duration;
//!
//! use footbridge_core::base::id::OpId;
//! use footbridge_core::base::time::Now;
//! use footbridge_core::contract::action::{Action, Answer, Method, Reach, Request};
//! use footbridge_core::contract::event::Event;
//! use footbridge_core::contract::machine::{Machine, Step};
//! use footbridge_smol::{Host, HostOptions, block_on, drive};
//!
//! /// Asks a relay once how it is.
//! enum HowAreYou {
//!     Asks(String),
//!     Waits,
//!     Knows(u16),
//!     Over,
//! }
//!
//! impl Machine for HowAreYou {
//!     type Command = ();
//!     type Notice = u16;
//!
//!     fn command(&mut self, _: Now, (): ()) {}
//!
//!     fn handle(&mut self, _: Now, event: Event) {
//!         match event {
//!             Event::Response { response, .. } => *self = Self::Knows(response.status),
//!             Event::Failed { .. } => *self = Self::Over,
//!             _ => {}
//!         }
//!     }
//!
//!     fn step(&mut self) -> Step<u16> {
//!         match std::mem::replace(self, Self::Over) {
//!             Self::Asks(url) => {
//!                 *self = Self::Waits;
//!                 let op = OpId::new(NonZeroU64::MIN);
//!                 let request = Request {
//!                     method: Method::Get,
//!                     url,
//!                     headers: Vec::new(),
//!                     body: Vec::new().into(),
//!                     timeout: Duration::from_secs(15),
//!                     answer: Answer::Whole { max_body: 4096 },
//!                     reach: Reach::Anywhere,
//!                 };
//!                 Step::Do(Action::Request { op, request })
//!             }
//!             Self::Waits => {
//!                 *self = Self::Waits;
//!                 Step::Wait(None)
//!             }
//!             Self::Knows(status) => Step::Tell(status),
//!             Self::Over => Step::Finished(Ok(())),
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = HowAreYou::Asks("https://relay.example/health".into());
//! let host = Host::new(HostOptions::default())?;
//! let (_commands, asked) = async_channel::bounded(1);
//! block_on(drive(client, host, asked, |status| println!("it answers {status}")))?;
//! # Ok(()) }
//! ```

mod certificate;
mod connect;
mod driver;
mod failure;
mod files;
mod handshake;
mod host;
mod http;
mod io;
mod local;
mod lock;
mod mailbox;
mod operations;
mod process;
#[cfg(feature = "tls")]
mod served;
mod server;
mod shared;
mod socket;
mod stdio;
mod store;
mod stream;
mod tls;

pub use certificate::{Certificate, CertificateNotice, CertificateReport};
pub use driver::{block_on, drive};
pub use footbridge_core::engine::proxies::ProxySource;
pub use footbridge_supervision::Supervision;
pub use host::{Host, HostOptions};
pub use tls::rs256;
