//! The person's access token and the relay's keys, and how both change.
//!
//! A careful person changes the token in this order: the file of every worker first, then the relay,
//! which is restarted with it and refuses the old one; viewers are told when it is there. In between
//! a worker that registers finds a token in its file that is not good yet: it is ended by that, and
//! whatever looks after its program starts it again.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::auth::AccessToken;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::machine::{MachineErrorKind, Outcome};

use crate::fact::Fact;
use crate::scenario::cast::RELAY;
use crate::sim::party::{Order, PartyId, Role};
use crate::sim::world::{SimEvent, World};

/// Where a worker finds its token.
pub(crate) const TOKEN_FILE: &str = "/config/token";
/// The first one.
const FIRST: &str = "alice-has-a-long-token";
/// Keeps the chance of tokens apart from the world's.
const STREAM: u64 = 0x746f_6b65_6e73;

/// The access token, as each of those who need it knows it.
pub(crate) struct Tokens {
    rng: Rng,
    /// What viewers present, and the relay takes.
    pub(crate) of_person: Rc<RefCell<String>>,
    /// What the files of the workers hold.
    written: String,
    /// What signs session tokens and environment secrets.
    signing: [u8; 32],
    is_in_files: bool,
}

impl Tokens {
    pub(crate) fn new(seed: u64, is_in_files: bool) -> Self {
        Self {
            rng: Rng::with_seed(seed ^ STREAM),
            of_person: Rc::new(RefCell::new(FIRST.to_owned())),
            written: FIRST.to_owned(),
            signing: [7; 32],
            is_in_files,
        }
    }
}

impl World {
    /// The relay starts: its token, and its signing key.
    pub(crate) fn relay_keys(&mut self) -> (String, [u8; 32]) {
        let token = self.tokens.written.clone();
        token.clone_into(&mut self.tokens.of_person.borrow_mut());
        self.fact(Fact::TokenGood { token: token.clone() });
        (token, self.tokens.signing)
    }

    /// A worker's program starts, and reads the token's file.
    pub(crate) fn worker_token(&mut self, id: PartyId) -> AccessToken {
        let token = Secret::from(self.tokens.written.as_str());
        if !self.tokens.is_in_files || self.parties[id].role != Role::Worker {
            return AccessToken::fixed(Secret::from(FIRST));
        }
        self.write_token_at(id);
        AccessToken::from_file(token, TOKEN_FILE.to_owned())
    }

    fn write_token_at(&mut self, id: PartyId) {
        let data = Bytes::copy_from_slice(self.tokens.written.as_bytes());
        let host = self.parties[id].host;
        self.hosts[host].disk.put(TOKEN_FILE, data);
    }

    pub(crate) fn rotate_token(&mut self) {
        let token = format!("alice-has-another-{:016x}", self.tokens.rng.u64(..));
        self.tokens.written.clone_from(&token);
        for id in 0..self.parties.len() {
            if self.parties[id].role == Role::Worker {
                self.write_token_at(id);
            }
        }
        self.fact(Fact::TokenWritten { token });
        let wait = Duration::from_millis(self.tokens.rng.u64(..15_000));
        self.later(wait, SimEvent::Order(RELAY, Order::Shutdown));
    }

    /// From the next start of the relay on nothing that it has signed is good any more.
    pub(crate) fn rotate_keys(&mut self) {
        self.tokens.signing = std::array::from_fn(|_| self.tokens.rng.u8(..));
        self.order(RELAY, Order::Shutdown);
    }

    /// A worker that was ended for its token is started again by whatever looks after its program.
    pub(crate) fn look_after(&mut self, id: PartyId, role: Role, outcome: &Outcome) {
        let is_refused =
            matches!(outcome, Err(fault) if fault.kind == MachineErrorKind::Unauthorized);
        if role == Role::Worker && is_refused && self.tokens.is_in_files {
            let wait = Duration::from_millis(self.tokens.rng.u64(1_000..30_000));
            self.later(wait, SimEvent::Restart(id));
        }
    }
}
