//! One call with the credential of a person or a device (E-10).
//!
//! ```text
//!   Proving ──▶ Calling ──▶ answered
//!                │  ▲ 401, the first time
//!                ▼  │
//!               Locking ──▶ Loading the log-in's file ──▶ Refreshing ──▶ Saving
//!                               └── another process has refreshed it ──▶ Calling
//! ```

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::convert::Infallible;

use fastrand::Rng;

use super::answer::answer;
use super::device::{self, TokenError};
use super::error::RequestError;
use super::proof::{ask_for_proof, proved};
use crate::auth::{LogIn, MAX_TOKEN_FILE_BYTES, RefreshLock};
use crate::base::id::DeviceId;
use crate::base::secret::Secret;
use crate::contract::action::{Action, Request};
use crate::contract::event::Event;
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::runner::{self, Role, Runner, delegate_machine};
use crate::wire::audit::AuditPage;
use crate::wire::device::{Devices, WhoAmI};
use crate::wire::url::BaseUrl;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceCall {
    /// Whose the credential is.
    WhoAmI,
    /// Which devices there are.
    Devices,
    /// That one of them ends.
    Revoke(DeviceId),
    /// What was done, after the entry with this number: page by page.
    Audit(u64),
    /// That this one ends. Its file is removed.
    LogOut,
}

/// With what it is asked.
#[derive(Clone, Debug)]
pub enum Holder {
    /// An access token of a person, which nobody refreshes.
    Person(Secret),
    /// A log-in, and the file that it is kept in.
    Device(Box<LogIn>, String),
}

impl Holder {
    /// What the relay has to know before it is shown anything. A refresh token is known for longer than
    /// an access token.
    fn proved_by(&self) -> &Secret {
        match self {
            Self::Person(token) => token,
            Self::Device(log_in, _) => log_in.refresh_token(),
        }
    }

    fn token(&self) -> &Secret {
        match self {
            Self::Person(token) => token,
            Self::Device(log_in, _) => log_in.access_token(),
        }
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAnswer {
    /// To `WhoAmI`.
    WhoAmI(WhoAmI),
    /// To `Devices`.
    Devices(Devices<'static>),
    /// To `Audit`, until there is no more.
    Audit(AuditPage),
    /// To the others.
    Done,
}

type Cx = runner::Cx<Purpose, (), DeviceAnswer>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Proof,
    Call,
    Lock,
    Load,
    Refresh,
    Save,
    Remove,
}

/// The machine that asks, reports the answer, and finishes.
#[derive(Debug)]
pub struct AskAsDevice {
    runner: Runner<Asking>,
}

delegate_machine!(AskAsDevice, Infallible, DeviceAnswer);

impl AskAsDevice {
    /// Asks with its first step. `seed` is any number that was not used before.
    pub fn new(relay: BaseUrl, holder: Holder, call: DeviceCall, seed: u64) -> Self {
        let mut cx = Cx::new();
        let number = Rng::with_seed(seed).u128(..);
        let request = ask_for_proof(&relay, holder.proved_by(), number);
        start(&mut cx, Purpose::Proof, request);
        let role =
            Asking { relay, holder, call, number, is_renewed: false, lock: RefreshLock::default() };
        Self { runner: Runner::new(role, cx) }
    }
}

fn start(cx: &mut Cx, purpose: Purpose, request: Request) {
    cx.fx.start(purpose, |op| Action::Request { op, request });
}

#[derive(Debug)]
struct Asking {
    relay: BaseUrl,
    holder: Holder,
    call: DeviceCall,
    number: u128,
    /// Whether it was refused once, and the log-in looked at again.
    is_renewed: bool,
    /// Among the processes that share the log-in.
    lock: RefreshLock,
}

impl Asking {
    fn what(&self) -> &'static str {
        match self.call {
            DeviceCall::WhoAmI => "ask whose log-in it is",
            DeviceCall::Devices => "list the devices",
            DeviceCall::Revoke(_) => "revoke the device",
            DeviceCall::Audit(_) => "read the audit log",
            DeviceCall::LogOut => "log out",
        }
    }

    fn ask(&self, cx: &mut Cx) {
        let (relay, token) = (&self.relay, self.holder.token());
        let request = match &self.call {
            DeviceCall::WhoAmI => device::who_am_i(relay, token),
            DeviceCall::Devices => device::devices(relay, token),
            DeviceCall::Revoke(id) => device::revoke(relay, token, id),
            DeviceCall::Audit(after) => device::audit(relay, token, *after),
            DeviceCall::LogOut => match &self.holder {
                Holder::Person(token) => device::give_back(relay, token),
                Holder::Device(log_in, _) => device::give_back(relay, log_in.refresh_token()),
            },
        };
        start(cx, Purpose::Call, request);
    }

    fn answered(&mut self, cx: &mut Cx, event: Event) {
        let answered = match self.call {
            DeviceCall::WhoAmI => answer(event).map(DeviceAnswer::WhoAmI),
            DeviceCall::Devices => answer(event).map(DeviceAnswer::Devices),
            DeviceCall::Audit(_) => answer(event).map(DeviceAnswer::Audit),
            DeviceCall::Revoke(_) => {
                answer::<serde::de::IgnoredAny>(event).map(|_| DeviceAnswer::Done)
            }
            DeviceCall::LogOut => match event {
                // It has no body.
                Event::Response { response, .. } if response.status == 200 => {
                    Ok(DeviceAnswer::Done)
                }
                event => answer::<serde::de::IgnoredAny>(event).map(|_| DeviceAnswer::Done),
            },
        };
        match (answered, &self.holder) {
            (Ok(DeviceAnswer::Done), Holder::Device(_, path))
                if self.call == DeviceCall::LogOut =>
            {
                let path = path.clone();
                cx.fx.start(Purpose::Remove, |op| Action::Remove { op, path });
            }
            (Ok(DeviceAnswer::Audit(page)), _) if !page.entries.is_empty() => {
                let last = page.entries.last().map_or(u64::MAX, |entry| entry.seq);
                let is_last = last >= page.last_seq;
                self.call = DeviceCall::Audit(last);
                cx.fx.notify(DeviceAnswer::Audit(page));
                if is_last { cx.fx.end(Ok(())) } else { self.ask(cx) }
            }
            (Ok(answer), _) => self.done(cx, answer),
            (Err(error), Holder::Device(_, path))
                if error.is_unauthorized() && !self.is_renewed =>
            {
                self.is_renewed = true;
                self.lock.take(&mut cx.fx, Purpose::Lock, path);
            }
            (Err(error), _) => self.failed(cx, &error),
        }
    }

    fn done(&self, cx: &mut Cx, answer: DeviceAnswer) {
        cx.fx.notify(answer);
        cx.fx.end(Ok(()));
    }

    fn failed(&self, cx: &mut Cx, error: &RequestError) {
        cx.fx.end(Err(error.fault(self.what(), &self.relay)));
    }

    fn locked(&mut self, cx: &mut Cx, event: &Event) {
        self.lock.answered(&mut cx.fx, Purpose::Lock, event);
        let Holder::Device(_, path) = &self.holder else { return };
        let (path, limit) = (path.clone(), MAX_TOKEN_FILE_BYTES);
        cx.fx.start(Purpose::Load, |op| Action::Load { op, path, limit });
    }

    /// Another process may have refreshed it; if not, this one does.
    fn loaded(&mut self, cx: &mut Cx, event: &Event) {
        let Holder::Device(log_in, _) = &mut self.holder else { return };
        if let Event::Loaded { data: Some(data), .. } = event
            && let Some(kept) = LogIn::parse(data).filter(|kept| kept != &**log_in)
        {
            **log_in = kept;
            self.lock.release(&mut cx.fx);
            return self.ask(cx);
        }
        let request = device::refresh(&self.relay, log_in);
        start(cx, Purpose::Refresh, request);
    }

    fn refreshed(&mut self, cx: &mut Cx, event: Event) {
        let Holder::Device(log_in, path) = &mut self.holder else { return };
        match device::tokens(event) {
            Ok(tokens) => {
                **log_in = log_in.refreshed(tokens);
                // It is kept before it is used: the one before is of no use any more.
                let (path, data) = (path.clone(), log_in.to_file());
                cx.fx.start(Purpose::Save, |op| Action::Save { op, path, data });
            }
            Err(TokenError::Request(error)) => self.failed(cx, &error),
            Err(TokenError::Refused { description, .. }) => {
                let message = format!("could not {} at {}: {description}", self.what(), self.relay);
                cx.fx.end(Err(MachineError { kind: MachineErrorKind::Unauthorized, message }));
            }
        }
    }

    /// What could not be written or removed is said, once all else is done.
    fn written(&self, cx: &mut Cx, event: &Event) -> bool {
        let Event::Failed { failure, .. } = event else { return true };
        let message = format!("could not write the log-in's file: {}", failure.detail);
        cx.fx.end(Err(MachineError { kind: MachineErrorKind::Local, message }));
        false
    }
}

impl Role for Asking {
    type Command = Infallible;
    type Notice = DeviceAnswer;
    type Purpose = Purpose;
    type Timer = ();

    fn on_command(&mut self, _: &mut Cx, command: Infallible) {
        match command {}
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        match event.op().and_then(|op| cx.fx.finish(op)) {
            None => {}
            Some(Purpose::Proof) => match proved(event, self.holder.proved_by(), self.number) {
                Ok(()) => self.ask(cx),
                Err(error) => self.failed(cx, &error),
            },
            Some(Purpose::Call) => self.answered(cx, event),
            Some(Purpose::Lock) => self.locked(cx, &event),
            Some(Purpose::Load) => self.loaded(cx, &event),
            Some(Purpose::Refresh) => self.refreshed(cx, event),
            Some(Purpose::Save) if self.written(cx, &event) => {
                self.lock.release(&mut cx.fx);
                self.ask(cx);
            }
            Some(Purpose::Remove) if self.written(cx, &event) => self.done(cx, DeviceAnswer::Done),
            Some(Purpose::Save | Purpose::Remove) => {}
        }
    }

    fn on_timer(&mut self, _: &mut Cx, (): ()) {}
}
