//! Somebody without any credential, at many addresses, one of which may be a worker's own: opens
//! connections without end, sends part of a request, guesses, asks and does not read. Nobody else may
//! notice (promise 16).
//!
//! It is bound by no runtime, and so it is no machine: it says what it does, and the network does it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use fastrand::Rng;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::Method;
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::Step;

use super::knock::{Knock, Manners};
use super::node::{Node, NodeNotice, Order};

pub(crate) struct Stranger {
    rng: Rng,
    now: Now,
    /// The address that a worker shares with it.
    neighbour: IpAddr,
    knocks: VecDeque<Knock>,
    acts_at: Option<Instant>,
}

impl Stranger {
    pub(crate) fn new(seed: u64, neighbour: IpAddr) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            now: Now::default(),
            neighbour,
            knocks: VecDeque::new(),
            acts_at: Some(Instant::ORIGIN),
        }
    }

    /// One attack, from one address or from many.
    fn attack(&mut self) {
        let addresses = [1, 2, 24][self.rng.usize(..3)];
        let is_neighbour = self.rng.u8(..3) == 0;
        let manners = [Manners::Bold, Manners::HalfHead, Manners::HalfBody, Manners::Mute]
            [self.rng.usize(..4)];
        // Only what costs nothing else is done often enough to fill all places.
        let most = if manners == Manners::HalfHead { 1_500 } else { 300 };
        for _ in 0..self.rng.usize(20..most) {
            let own = IpAddr::from([10, 66, 0, self.rng.u8(..addresses)]);
            let peer = if is_neighbour { self.neighbour } else { own };
            let knock = self.knock(peer, manners);
            self.knocks.push_back(knock);
        }
    }

    fn knock(&mut self, peer: IpAddr, manners: Manners) -> Knock {
        let stays = Duration::from_secs(self.rng.u64(5..90));
        let guess = |rng: &mut Rng| format!("a-guess-that-is-wrong-{}", rng.u32(..));
        if manners == Manners::HalfBody {
            let paths = ["/health", "/v1/environments/bridge", "/v1/sessions/session_1/messages"];
            let target = paths[self.rng.usize(..paths.len())].to_owned();
            let body = Some([1_000, 200_000, 8 << 20][self.rng.usize(..3)]);
            let token = self.rng.bool().then(|| guess(&mut self.rng));
            return Knock { peer, manners, method: Method::Post, target, token, body, stays };
        }
        let (method, target, shows) = match self.rng.u8(..9) {
            0 => (Method::Get, "/health", false),
            1 => (Method::Get, "/ready", false),
            2 => (Method::Get, "/app.css", false),
            3 => {
                (Method::Get, "/v1/proof?of=&nonce=00112233445566778899aabbccddeeff&mac=AA", false)
            }
            4 => (Method::Get, "/v1/sessions", true),
            5 => (Method::Post, "/v1/sign-in", true),
            6 => (Method::Get, "/v1/environments/env_1/work/poll", true),
            7 => (Method::Get, "/v1/session_ingress/ws/session_1", true),
            _ => (Method::Other, "/../..//v1/%00", true),
        };
        let token = shows.then(|| guess(&mut self.rng));
        Knock { peer, manners, method, target: target.to_owned(), token, body: None, stays }
    }
}

impl Node for Stranger {
    fn handle(&mut self, now: Now, _: Event) {
        self.now = now;
        if self.acts_at.is_some_and(|at| at <= now.mono) {
            self.attack();
            self.acts_at = Some(now.mono + Duration::from_secs(self.rng.u64(5..90)));
        }
    }

    fn step(&mut self) -> Step<NodeNotice> {
        match self.knocks.pop_front() {
            Some(knock) => Step::Tell(NodeNotice::Knocks(knock)),
            None => Step::Wait(self.acts_at),
        }
    }

    fn order(&mut self, _: Now, _: Order) {
        self.acts_at = None;
        self.knocks.clear();
    }
}
