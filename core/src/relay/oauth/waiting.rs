//! Log-ins that wait for a person, in memory.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::base::id::DeviceId;
use crate::base::limits::{LOG_IN_INTERVAL, LOG_IN_LIFE, LOG_IN_REPEATED_FOR, MAX_WAITING_LOG_INS};
use crate::base::secret::Secret;
use crate::base::time::Instant;
use crate::engine::admission::counted_address;
use crate::relay::tokens::TokenIssuer;
use crate::store::AccountId;
use crate::wire::device::Scopes;

/// What a device asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Which program asks, by its own word: nobody else is given the tokens (RFC 8628, 3.4).
    pub(super) client: String,
    pub(super) name: String,
    pub(super) scopes: Scopes,
    pub(super) address: IpAddr,
}

#[derive(Debug)]
struct LogIn {
    /// Of the device code.
    digest: Vec<u8>,
    user_code: String,
    asked: Asked,
    began: Instant,
    interval: Duration,
    last_poll: Option<Instant>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Denied,
    Approved(Approved),
    /// Its tokens were fetched first at that time.
    Fetched(Approved, Instant),
}

/// A log-in that a person has approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Approved {
    pub(super) owner: AccountId,
    pub(super) device: DeviceId,
    pub(super) asked: Asked,
}

/// What a device is told that asks for its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Polled {
    Unknown,
    /// Another client asked for this code.
    AnothersCode,
    Expired,
    Pending,
    TooEarly,
    Denied,
    Approved(Approved),
}

/// The log-ins that wait, oldest first.
#[derive(Debug, Default)]
pub(in crate::relay) struct LogIns {
    all: VecDeque<LogIn>,
}

impl LogIns {
    /// A log-in begins. Returns its device code and its user code.
    pub(super) fn begin(
        &mut self,
        issuer: &mut TokenIssuer,
        asked: Asked,
        now: Instant,
    ) -> (Secret, String) {
        // Those that have expired are kept for as long again, to be told so.
        self.all.retain(|known| now.saturating_since(known.began) < 2 * LOG_IN_LIFE);
        while self.all.len() >= MAX_WAITING_LOG_INS {
            self.make_room();
        }
        let mut user_code = issuer.user_code();
        while self.all.iter().any(|known| known.user_code == user_code) {
            user_code = issuer.user_code();
        }
        let device_code = issuer.device_code();
        self.all.push_back(LogIn {
            digest: issuer.code_digest(device_code.reveal()),
            user_code: user_code.clone(),
            asked,
            began: now,
            interval: LOG_IN_INTERVAL,
            last_poll: None,
            state: State::Waiting,
        });
        (device_code, user_code)
    }

    /// Ends the oldest one of the address that has the most, so that nobody keeps others out.
    fn make_room(&mut self) {
        let of = |address: IpAddr| {
            let counted = counted_address(address);
            self.all.iter().filter(|known| counted_address(known.asked.address) == counted).count()
        };
        let most = self.all.iter().map(|known| of(known.asked.address)).max();
        let at = self.all.iter().position(|known| Some(of(known.asked.address)) == most);
        if let Some(at) = at {
            self.all.remove(at);
        }
    }

    /// A device asks for its tokens.
    pub(super) fn poll(
        &mut self,
        issuer: &TokenIssuer,
        (code, client): (&str, &str),
        now: Instant,
    ) -> Polled {
        // All are compared, so that the time taken says nothing.
        let found = self.all.iter_mut().fold(None, |found, known| {
            if issuer.is_code(code, &known.digest) { Some(known) } else { found }
        });
        let Some(known) = found else { return Polled::Unknown };
        if known.asked.client != client {
            return Polled::AnothersCode;
        }
        match &known.state {
            State::Waiting if now.saturating_since(known.began) >= LOG_IN_LIFE => Polled::Expired,
            State::Denied => Polled::Denied,
            State::Waiting => known.wait(now),
            State::Approved(approved) => {
                let approved = approved.clone();
                known.state = State::Fetched(approved.clone(), now);
                Polled::Approved(approved)
            }
            // The answer may have been lost.
            State::Fetched(approved, at) if now.saturating_since(*at) < LOG_IN_REPEATED_FOR => {
                Polled::Approved(approved.clone())
            }
            State::Fetched(..) => Polled::Unknown,
        }
    }

    /// What the device asks for that shows this user code, if that is still open.
    pub(super) fn asked(&self, user_code: &str, now: Instant) -> Option<&Asked> {
        let is_it = |known: &&LogIn| known.is_open(now) && known.user_code == user_code;
        self.all.iter().find(is_it).map(|known| &known.asked)
    }

    /// A person has decided. Returns whether there was anything to decide.
    pub(super) fn decide(
        &mut self,
        user_code: &str,
        now: Instant,
        approver: Option<(AccountId, DeviceId)>,
    ) -> bool {
        let is_it = |known: &&mut LogIn| known.is_open(now) && known.user_code == user_code;
        let Some(known) = self.all.iter_mut().find(is_it) else { return false };
        known.state = match approver {
            Some((owner, device)) => {
                State::Approved(Approved { owner, device, asked: known.asked.clone() })
            }
            None => State::Denied,
        };
        true
    }
}

impl LogIn {
    fn is_open(&self, now: Instant) -> bool {
        self.state == State::Waiting && now.saturating_since(self.began) < LOG_IN_LIFE
    }

    fn wait(&mut self, now: Instant) -> Polled {
        let before = self.last_poll.replace(now);
        if before.is_some_and(|at| now.saturating_since(at) < self.interval) {
            self.interval += LOG_IN_INTERVAL;
            return Polled::TooEarly;
        }
        Polled::Pending
    }
}
