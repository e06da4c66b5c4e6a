//! Somebody who logs machines in, approves them, ends them, and goes on with what they had: nothing that
//! a machine sends after it is ended may do anything (Y-9), and one becomes a trusted one only soon after
//! its log-in (D-3).
//!
//! It says what it has seen, and judges nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::{Action, Answer, Method, Reach, Request};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::Step;
use serde_json::Value;

use super::machine_notice::MachineNotice;
use super::node::{Node, NodeNotice, Order};
use super::steps::Steps;
use crate::names::{DORA_TOKEN, RELAY_URL};

/// Machines at once.
const MOST: usize = 3;
/// Requests of one that is ended, before it is forgotten.
const TRIES: u32 = 12;

struct LoggedIn {
    access: String,
    id: Option<String>,
    since: Instant,
    enrols_at: Instant,
    ends_at: Instant,
    is_ended: bool,
    tries: u32,
}

enum LogIn {
    None,
    Begun { device_code: String, user_code: String, is_approved: bool },
}

/// What a request was for.
#[derive(Clone)]
enum Asked {
    Begin,
    Approve,
    Tokens,
    WhoAmI(String),
    Use { device: String, what: &'static str, was_ended: bool },
    Enrol { device: String, after: Duration },
    End { device: String },
}

pub(crate) struct Machines {
    rng: Rng,
    now: Now,
    steps: Steps<NodeNotice>,
    open: BTreeMap<OpId, Asked>,
    log_in: LogIn,
    machines: Vec<LoggedIn>,
    acts_at: Option<Instant>,
}

impl Machines {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            now: Now::default(),
            steps: Steps::new(),
            open: BTreeMap::new(),
            log_in: LogIn::None,
            machines: Vec::new(),
            acts_at: Some(Instant::ORIGIN),
        }
    }

    fn send(&mut self, asked: Asked, (method, path): (Method, &str), token: &str, body: &str) {
        let is_form = path.starts_with("/v1/oauth/") && !path.ends_with("/device");
        let kind = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
        let mut headers = vec![("content-type", Secret::from(kind))];
        if !token.is_empty() {
            headers.push(("authorization", Secret::new(format!("Bearer {token}"))));
        }
        let op = self.steps.op();
        self.open.insert(op, asked);
        let request = Request {
            method,
            url: format!("{RELAY_URL}{path}"),
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
            timeout: Duration::from_secs(20),
            answer: Answer::Whole { max_body: 1 << 20 },
            reach: Reach::Anywhere,
        };
        self.steps.act(Action::Request { op, request });
    }

    fn act(&mut self) {
        let mut next = self.rng.usize(..=MOST);
        if next >= self.machines.len() {
            if self.machines.len() < MOST {
                return self.log_in();
            }
            next = 0;
        }
        let now = self.now.mono;
        let machine = &mut self.machines[next];
        let token = machine.access.clone();
        let Some(device) = machine.id.clone() else {
            let asked = Asked::WhoAmI(token.clone());
            return self.send(asked, (Method::Get, "/v1/whoami"), &token, "");
        };
        let was_ended = machine.is_ended;
        if was_ended {
            machine.tries += 1;
            if machine.tries > TRIES {
                self.machines.remove(next);
                return;
            }
        } else if now >= machine.ends_at {
            let path = format!("/v1/devices/{device}/revoke");
            return self.send(Asked::End { device }, (Method::Post, &path), DORA_TOKEN, "");
        } else if now >= machine.enrols_at {
            machine.enrols_at = now + Duration::from_secs(self.rng.u64(30..400));
            let after = now.saturating_since(machine.since);
            let body = r#"{"display_name":"a machine"}"#;
            let path = "/api/auth/trusted_devices";
            return self.send(Asked::Enrol { device, after }, (Method::Post, path), &token, body);
        }
        let (what, method, path, body) = match self.rng.u8(..3) {
            0 => ("whoami", Method::Get, "/v1/whoami", ""),
            1 => ("sessions", Method::Get, "/v1/sessions", ""),
            _ => ("session", Method::Post, "/v1/code/sessions", "{}"),
        };
        // So many sessions of nobody are enough.
        let is_rare = what == "session" && self.rng.u8(..8) > 0 && !was_ended;
        let (what, method, path, body) = if is_rare {
            ("whoami", Method::Get, "/v1/whoami", "")
        } else {
            (what, method, path, body)
        };
        self.send(Asked::Use { device, what, was_ended }, (method, path), &token, body);
    }

    fn log_in(&mut self) {
        match &self.log_in {
            LogIn::None => {
                let body = "client_id=dora&scope=watch%20answer%20drive%20work";
                let path = "/v1/oauth/device_authorization";
                self.send(Asked::Begin, (Method::Post, path), "", body);
            }
            LogIn::Begun { user_code, is_approved: false, .. } => {
                let body = format!(r#"{{"user_code":"{user_code}","answer":"approve"}}"#);
                self.send(Asked::Approve, (Method::Post, "/v1/oauth/device"), DORA_TOKEN, &body);
            }
            LogIn::Begun { device_code, is_approved: true, .. } => {
                let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
                let body = format!("grant_type={grant}&device_code={device_code}&client_id=dora");
                self.send(Asked::Tokens, (Method::Post, "/v1/oauth/token"), "", &body);
            }
        }
    }

    fn answered(&mut self, asked: Asked, status: u16, body: &Value) {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let mut tell = |notice| self.steps.tell(NodeNotice::Machine(notice));
        match asked {
            Asked::Begin => {
                if let (Some(device_code), Some(user_code)) =
                    (text("device_code"), text("user_code"))
                {
                    self.log_in = LogIn::Begun { device_code, user_code, is_approved: false };
                }
            }
            Asked::Approve => match &mut self.log_in {
                LogIn::Begun { is_approved, .. } if status == 200 => *is_approved = true,
                // The relay has restarted since, or it has run out.
                log_in if status == 404 => *log_in = LogIn::None,
                _ => {}
            },
            Asked::Tokens => {
                if let Some(access) = text("access_token") {
                    let since = self.now.mono;
                    let mut later = |from, to| since + Duration::from_secs(self.rng.u64(from..to));
                    let (enrols_at, ends_at) = (later(1, 900), later(20, 1_500));
                    let (id, is_ended, tries) = (None, false, 0);
                    self.log_in = LogIn::None;
                    self.machines.push(LoggedIn {
                        access,
                        id,
                        since,
                        enrols_at,
                        ends_at,
                        is_ended,
                        tries,
                    });
                } else if body["error"].is_string()
                    && body["error"] != "slow_down"
                    && body["error"] != "authorization_pending"
                {
                    self.log_in = LogIn::None;
                }
            }
            Asked::WhoAmI(access) => {
                let id = text("device_id");
                match self.machines.iter().position(|machine| machine.access == access) {
                    Some(at) if id.is_some() => self.machines[at].id = id,
                    // It was not asked in time, or its store is gone.
                    Some(at) if status == 401 => drop(self.machines.remove(at)),
                    _ => {}
                }
            }
            Asked::Use { device, what, was_ended } => {
                let is_done = match what {
                    "whoami" => body["account"].is_string(),
                    "sessions" => body["sessions"].is_array(),
                    _ => body["session"]["id"].is_string(),
                };
                if is_done {
                    tell(MachineNotice::Served { device, what, was_ended });
                } else if status == 401 && !was_ended {
                    self.machines.retain(|machine| machine.id.as_ref() != Some(&device));
                }
            }
            Asked::Enrol { device, after } => {
                if text("device_token").is_some() {
                    tell(MachineNotice::Trusted { device, after });
                }
            }
            Asked::End { device } => {
                let is_own = |machine: &&mut LoggedIn| machine.id.as_ref() == Some(&device);
                let Some(machine) = self.machines.iter_mut().find(is_own) else { return };
                if body["state"] == "revoked" {
                    machine.is_ended = true;
                    tell(MachineNotice::Ended { device });
                }
            }
        }
    }
}

impl Node for Machines {
    fn handle(&mut self, now: Now, event: Event) {
        self.now = now;
        match event {
            Event::Response { op, response } => {
                if let Some(asked) = self.open.remove(&op) {
                    let body = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
                    self.answered(asked, response.status, &body);
                }
            }
            Event::Failed { op, .. } => drop(self.open.remove(&op)),
            _ => {}
        }
        if self.acts_at.is_some_and(|at| at <= now.mono) {
            if self.open.is_empty() || self.rng.u8(..4) == 0 && self.open.len() < MOST {
                self.act();
            }
            self.acts_at = Some(now.mono + Duration::from_millis(self.rng.u64(500..12_000)));
        }
    }

    fn step(&mut self) -> Step<NodeNotice> {
        self.steps.next(self.now, self.acts_at)
    }

    fn order(&mut self, _: Now, _: Order) {
        self.acts_at = None;
    }
}
