//! Many workers that lose their relay in the same instant, on virtual time. They are the real machine;
//! the relay answers in a millisecond, and takes no end of them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::auth::Credential;
use footbridge_core::base::io_error::{IoError, IoErrorKind};
use footbridge_core::base::secret::Secret;
use footbridge_core::base::time::{Instant, Now, UnixTime};
use footbridge_core::contract::action::{Action, Request, Response};
use footbridge_core::contract::event::{Event, ExitStatus};
use footbridge_core::contract::machine::{Machine, Step};
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{AgentProgram, Worker, WorkerConfig};

/// What the relay does with a worker's secret when it is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It knows it.
    Kept,
    /// It has other keys: each worker has to register again.
    Changed,
}

/// Requests that arrived in each second after the relay was back.
#[derive(Debug)]
pub struct Arrivals {
    /// By second.
    pub by_second: Vec<u64>,
}

impl Arrivals {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.by_second.iter().sum()
    }

    /// The most in one second.
    pub fn most(&self) -> u64 {
        self.by_second.iter().copied().max().unwrap_or(0)
    }

    /// How many a second it would be if they came evenly in the same time.
    pub fn even(&self) -> f64 {
        self.all() as f64 / self.by_second.len().max(1) as f64
    }
}

/// When everybody loses the relay.
const LOST: Duration = Duration::from_secs(100);
/// How long an answer takes.
const ANSWER: Duration = Duration::from_millis(1);
/// How long a poll is held.
const HOLD: Duration = Duration::from_secs(50);

/// Lets so many workers lose their relay for a time, and counts what comes after it until everybody
/// polls again.
pub fn lose(workers: u64, away: Duration, keys: Keys) -> Arrivals {
    let mut storm = Storm {
        workers: (0..workers).map(worker).collect(),
        due: BTreeMap::new(),
        now: Duration::ZERO,
        count: 0,
        away: (LOST, LOST + away),
        keys,
        by_second: Vec::new(),
        polling: 0,
    };
    for n in 0..storm.workers.len() {
        storm.run(n);
    }
    while let Some(((at, _), (n, due))) = storm.due.pop_first() {
        storm.now = at;
        storm.arrive(n, due);
        if storm.polling == workers {
            break;
        }
    }
    Arrivals { by_second: storm.by_second }
}

fn worker(seed: u64) -> One {
    let relay = BaseUrl::parse("http://127.0.0.1:1").expect("a URL");
    let agent = AgentProgram { program: "agent".into(), args: vec![], env: vec![] };
    let token = Credential::fixed(Secret::from("token"));
    let config = WorkerConfig::new(relay, token, "/w".into(), agent, seed * 7919 + 1);
    One { machine: Worker::new(config), is_back: false }
}

struct One {
    machine: Worker,
    /// Whether it polls again.
    is_back: bool,
}

enum Due {
    Tick,
    Answer(Event),
}

struct Storm {
    workers: Vec<One>,
    due: BTreeMap<(Duration, u64), (usize, Due)>,
    now: Duration,
    count: u64,
    away: (Duration, Duration),
    keys: Keys,
    by_second: Vec<u64>,
    /// How many poll again.
    polling: u64,
}

impl Storm {
    fn now(&self) -> Now {
        let millis = u64::try_from(self.now.as_millis()).unwrap_or(0);
        let wall = UnixTime::from_millis(1_767_225_600_000 + millis);
        Now { mono: Instant::from_origin(self.now), wall }
    }

    fn later(&mut self, at: Duration, n: usize, due: Due) {
        self.count += 1;
        self.due.insert((at, self.count), (n, due));
    }

    fn arrive(&mut self, n: usize, due: Due) {
        let event = match due {
            Due::Tick => Event::Tick,
            Due::Answer(event) => event,
        };
        let now = self.now();
        self.workers[n].machine.handle(now, event);
        self.run(n);
    }

    fn run(&mut self, n: usize) {
        loop {
            match self.workers[n].machine.step() {
                Step::Do(action) => self.perform(n, action),
                Step::Tell(_) => {}
                Step::Wait(Some(at)) => {
                    let at = at.since_origin();
                    return self.later(at, n, Due::Tick);
                }
                Step::Wait(None) => return,
                Step::Finished(outcome) => panic!("it ended: {outcome:?}"),
            }
        }
    }

    fn perform(&mut self, n: usize, action: Action) {
        match action {
            Action::Run { op, .. } => {
                let (status, stdout, stderr) = (ExitStatus::Code(1), Bytes::new(), Bytes::new());
                self.later(self.now, n, Due::Answer(Event::Ran { op, status, stdout, stderr }));
            }
            Action::Request { op, request } => {
                let (from, until) = self.away;
                if (from..until).contains(&self.now) {
                    let failure = IoError { kind: IoErrorKind::Refused, detail: String::new() };
                    return self.later(
                        self.now + ANSWER,
                        n,
                        Due::Answer(Event::Failed { op, failure }),
                    );
                }
                let (response, after) = self.answer(n, &request);
                let at = self.now + after;
                if self.now < from && at >= from {
                    let kind = IoErrorKind::Disconnected;
                    let failure = IoError { kind, detail: String::new() };
                    return self.later(from, n, Due::Answer(Event::Failed { op, failure }));
                }
                self.later(at, n, Due::Answer(Event::Response { op, response }));
            }
            _ => {}
        }
    }

    /// What the relay answers, and when.
    fn answer(&mut self, n: usize, request: &Request) -> (Response, Duration) {
        let is_back = self.now >= self.away.1;
        if is_back {
            let second = (self.now - self.away.1).as_secs();
            let second = usize::try_from(second).unwrap_or(usize::MAX);
            if self.by_second.len() <= second {
                self.by_second.resize(second + 1, 0);
            }
            self.by_second[second] += 1;
        }
        let secret = if is_back && self.keys == Keys::Changed { "new" } else { "old" };
        let response =
            |status, body: String| Response { status, headers: vec![], body: Bytes::from(body) };
        if !request.url.ends_with("/work/poll") {
            let body = format!(r#"{{"environment_id":"env_1","environment_secret":"{secret}"}}"#);
            return (response(200, body), ANSWER);
        }
        let bearer = request.headers.iter().find(|(name, _)| *name == "authorization");
        if bearer.is_none_or(|(_, shown)| shown.reveal() != format!("Bearer {secret}")) {
            let body = r#"{"error":{"type":"authentication_error","message":"unknown"}}"#;
            return (response(401, body.into()), ANSWER);
        }
        if is_back && !std::mem::replace(&mut self.workers[n].is_back, true) {
            self.polling += 1;
        }
        (response(204, String::new()), HOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_polls_again_and_registers_again_only_where_it_has_to() {
        let away = Duration::from_secs(10);
        assert_eq!(lose(20, away, Keys::Kept).all(), 20);
        // The poll that is refused, a registration, and the next poll.
        assert_eq!(lose(20, away, Keys::Changed).all(), 3 * 20);
    }
}
