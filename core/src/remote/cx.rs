//! What the parts of a viewer act on.

use alloc::vec::Vec;
use core::time::Duration;

use fastrand::Rng;

use super::config::RemoteConfig;
use super::notice::RemoteNotice;
use crate::base::secret::Secret;
use crate::base::time::Instant;
use crate::client::gate;
use crate::client::viewer_api::SessionKey;
use crate::contract::action::{Action, Request};
use crate::engine::runner;

/// What an operation was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// That the relay is the relay.
    Proof,
    /// How far the session's log reaches.
    Look,
    Stream,
    Post,
    /// Nobody else refreshes its log-in.
    LockToken,
    Token,
    /// The next tokens of its log-in.
    RefreshToken,
    SaveToken,
    /// Who a message is from.
    Sender,
    /// The program that a machine stands in for an agent to.
    Stdio,
}

impl Purpose {
    /// Whether the relay answers, for which a credential has to be shown to it.
    pub(super) const fn is_answered_by_relay(self) -> bool {
        match self {
            Self::Look | Self::Stream | Self::Post | Self::RefreshToken => true,
            Self::Proof
            | Self::LockToken
            | Self::Token
            | Self::SaveToken
            | Self::Sender
            | Self::Stdio => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next attempt to connect.
    Connect,
    /// The stream has been silent for too long.
    Dead,
    /// The relay is to be shown that this viewer is there.
    Alive,
    /// The session has not answered to a message.
    Answer,
    /// The next attempt to send.
    Send,
    /// The next attempt to renew the credential.
    Renew,
    /// What is not sent by then will not be.
    Leave,
    /// The agent has had nothing to do for a while.
    Idle,
    /// What is not printed by then will not be.
    Flush,
    /// It was told to end, and does by then.
    Quit,
}

/// The loop's side of a viewer; `N` is what the machine that it is part of tells its program.
pub(super) type Engine<N> = runner::Cx<Purpose, Timer, N>;

/// What the parts act on.
#[derive(Debug)]
pub(super) struct Cx<'a, N> {
    pub(super) engine: &'a mut Engine<N>,
    pub(super) rng: &'a mut Rng,
    pub(super) config: &'a RemoteConfig,
    /// What the program is to be told.
    pub(super) told: &'a mut Vec<RemoteNotice>,
}

impl<N> Cx<'_, N> {
    pub(super) const fn now(&self) -> Instant {
        self.engine.fx.now().mono
    }

    pub(super) fn tell(&mut self, notice: RemoteNotice) {
        self.told.push(notice);
    }

    pub(super) fn set_timer(&mut self, timer: Timer, delay: Duration) {
        self.engine.set_timer(timer, delay);
    }

    pub(super) fn clear_timer(&mut self, timer: Timer) {
        self.engine.timers.clear(&timer);
    }

    pub(super) fn request(&mut self, purpose: Purpose, request: Request) {
        self.engine.fx.start(purpose, |op| Action::Request { op, request });
    }

    /// The session, as it is asked for with a credential.
    pub(super) fn key<'k>(&'k self, token: &'k Secret) -> SessionKey<'k> {
        let RemoteConfig { relay, session, organization, .. } = self.config;
        SessionKey { relay, session, token, organization: organization.as_deref() }
    }

    pub(super) const fn at_gate(&mut self) -> gate::Cx<'_, Purpose, N> {
        gate::Cx {
            fx: &mut self.engine.fx,
            rng: self.rng,
            relay: &self.config.relay,
            proof: Purpose::Proof,
        }
    }
}
