//! The person's access token and the relay's keys, and how both change.
//!
//! A careful person changes the token in this order: first every worker's file, then the relay,
//! which is restarted with it and refuses the old one; viewers are told once it is running. In
//! between, a worker that registers finds a token in its file that is not valid yet: that ends it,
//! and its supervisor restarts it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::auth::Credential;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::machine::{MachineErrorKind, Outcome};

use crate::fact::Fact;
use crate::ids::{PartyId, Role};
use crate::names::RELAY;
use crate::names::TOKEN_FILE;
use crate::nodes::node::Order;
use crate::sim::cx::Cx;
use crate::sim::event::SimEvent;

/// The first one.
const FIRST: &str = "alice-has-a-long-token";
/// Separates the random draws of tokens from the world's.
const STREAM: u64 = 0x746f_6b65_6e73;

/// The access token, as each of its users knows it.
pub(crate) struct Tokens {
    rng: Rng,
    /// What viewers present, and the relay accepts.
    pub(crate) of_person: Rc<RefCell<String>>,
    /// What the workers' files contain.
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

    /// The relay starts: its token, and its signing key.
    pub(crate) fn relay_keys(&mut self, cx: &mut Cx) -> (String, [u8; 32]) {
        let token = self.written.clone();
        token.clone_into(&mut self.of_person.borrow_mut());
        cx.fact(Fact::TokenGood { token: token.clone() });
        (token, self.signing)
    }

    /// A worker's program starts, and reads the token file.
    pub(crate) fn worker_token(&mut self, cx: &mut Cx, id: PartyId) -> Credential {
        let token = Secret::from(self.written.as_str());
        if !self.is_in_files || !cx.parties[id].role.runs_agents() {
            return Credential::fixed(Secret::from(FIRST));
        }
        self.write_token_at(cx, id);
        Credential::from_file(token, TOKEN_FILE.to_owned())
    }

    fn write_token_at(&mut self, cx: &mut Cx, id: PartyId) {
        let data = Bytes::copy_from_slice(self.written.as_bytes());
        let host = cx.parties[id].host;
        cx.hosts[host].disk.put(TOKEN_FILE, data);
    }

    pub(crate) fn rotate_token(&mut self, cx: &mut Cx) {
        let token = format!("alice-has-another-{:016x}", self.rng.u64(..));
        self.written.clone_from(&token);
        for id in 0..cx.parties.len() {
            if cx.parties[id].role.runs_agents() {
                self.write_token_at(cx, id);
            }
        }
        cx.fact(Fact::TokenWritten { token });
        let wait = Duration::from_millis(self.rng.u64(..15_000));
        cx.later(wait, SimEvent::Order(RELAY, Order::Shutdown));
    }

    /// From the relay's next start on, nothing that it has signed is valid any more.
    pub(crate) fn rotate_keys(&mut self) {
        self.signing = std::array::from_fn(|_| self.rng.u8(..));
    }

    /// A worker that ended because of its token is restarted by its supervisor; so is a program that
    /// lost its bridge.
    pub(crate) fn look_after(&mut self, cx: &mut Cx, id: PartyId, role: Role, outcome: &Outcome) {
        let is_refused =
            matches!(outcome, Err(fault) if fault.kind == MachineErrorKind::Unauthorized);
        let was_ordered = cx.parties[id].is_ordered_down;
        let is_given_up = role == Role::Embedded && outcome.is_err() && !was_ordered;
        if is_given_up || (role == Role::Worker && is_refused && self.is_in_files) {
            let wait = Duration::from_millis(self.rng.u64(1_000..30_000));
            cx.later(wait, SimEvent::Restart(id));
        }
    }
}
