//! What the network does with a connection: from the first packet to the last.

use std::time::Duration;

use footbridge_core::action::{Message, Method, Request, Response, Target};
use footbridge_core::event::{Asked, Body, Event, FailureKind};
use footbridge_core::id::OpId;
use footbridge_core::secret::Secret;

use crate::cast::RELAY;
use crate::clock::Time;
use crate::fact::{Fact, Way};
use crate::mutants::Mutant;
use crate::network::{Arrival, CREDIT, Conn, ConnId, ConnKind, Lane, Parcel};
use crate::party::{Address, End, Op, PartyId, Role};
use crate::world::{Happening, World, failure};

/// Connections that wait for a server that takes none.
const BACKLOG: usize = 256;
/// After this time a system gives a connection up whose packets nobody acknowledges.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15 * 60);
/// How often a lost packet of a connection is sent again, about.
const RETRANSMISSION: Duration = Duration::from_millis(400);

impl World {
    pub(crate) fn request(&mut self, from: Address, request: &Request) {
        let target = path_of(&request.url);
        let headers = request.headers.iter().map(|(name, value)| text_header(name, value));
        let asked = Asked {
            method: request.method,
            target,
            headers: headers.chain([host_header(&request.url)]).collect(),
            body: Body::Whole(request.body.clone()),
            is_tls: true,
        };
        let kind = ConnKind::Http { max_response: request.max_response };
        self.connect(from, asked, kind, &request.url, request.timeout);
    }

    pub(crate) fn open(&mut self, from: Address, target: Target) {
        let Target::WebSocket { url, headers, protocol, timeout, max_message } = target else {
            return;
        };
        let own = headers.iter().map(|(name, value)| text_header(name, value));
        let mut headers: Vec<_> = own.chain([host_header(&url)]).collect();
        headers.push((String::from("upgrade"), String::from("websocket")));
        if let Some(protocol) = protocol {
            headers.push((String::from("sec-websocket-protocol"), protocol.to_owned()));
        }
        let asked = Asked {
            method: Method::Get,
            target: path_of(&url),
            headers,
            body: Body::Whole(bytes::Bytes::new()),
            is_tls: true,
        };
        let kind = ConnKind::WebSocket { protocol, max_message };
        self.connect(from, asked, kind, &url, timeout);
    }

    fn connect(
        &mut self,
        from: Address,
        asked: Asked,
        kind: ConnKind,
        url: &str,
        timeout: Duration,
    ) {
        let label = format!("{} {}", asked.method.as_str(), asked.target);
        let mut asked = asked;
        let to = crate::cast::server_at(url);
        self.skew_request(from.party, to, &mut asked);
        let (host, role) = (self.parties[from.party].host, self.parties[from.party].role);
        let is_http = matches!(kind, ConnKind::Http { .. });
        if let Some(what) = crate::perform::request_kind(label.split('?').next().unwrap_or(""))
            && role == Role::Worker
        {
            let mono = self.hosts[host].clock.now(self.at).mono.since_origin();
            self.parties[from.party].activities.insert(from.op, what);
            self.fact(Fact::Asked { party: from.party, what, mono });
            if let (Some(token), "register") = (crate::files::bearer(&asked.headers), what) {
                self.fact(Fact::Presented { party: from.party, token: token.to_owned() });
            }
        }
        if let (Some(work), Role::Worker) = (crate::files::reported_work(&label), role) {
            self.fact(Fact::Reporting { party: from.party, work: work.to_owned() });
        }
        let path = label.clone();
        let conn = self.network.add(Conn {
            client: Some(from),
            server: None,
            host,
            to,
            kind,
            asked: Some(asked),
            is_swallowed: false,
            is_doomed: false,
            loses_answer: false,
            up: Lane::default(),
            down: Lane::default(),
            server_max: usize::MAX,
            label,
            heard_at: self.at,
        });
        if is_http && role == Role::Worker {
            self.parties[from.party].asked.insert(from.op, path);
        }
        let op = if is_http { Op::Request(conn) } else { Op::Stream(conn, End::Client) };
        self.parties[from.party].ops.insert(from.op, op);
        if self.is_cut(host) && self.hosts[host].is_cut_visible {
            self.network.conns.remove(&conn);
            let kind = if self.rng.bool() { FailureKind::Unreachable } else { FailureKind::Dns };
            return self.tell(from, Event::Failed { op: from.op, failure: failure(kind) });
        }
        self.later(timeout, Happening::TimeLimit { conn });
        self.bewitch(conn, is_http);
        self.put(conn, End::Server, Arrival::Ask, 512);
    }

    pub(crate) fn is_cut(&self, host: crate::host::HostId) -> bool {
        self.at < self.hosts[host].cut_until
    }

    /// Puts something on its way. It arrives after everything that was put there before; not at all
    /// if the connection swallows everything.
    pub(crate) fn put(&mut self, id: ConnId, end: End, arrival: Arrival, bytes: usize) {
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        if conn.is_swallowed {
            if !std::mem::replace(&mut conn.is_doomed, true) {
                self.later(UNACKNOWLEDGED, Happening::Unacknowledged { conn: id });
            }
            return;
        }
        let host = &self.hosts[conn.host];
        let (latency, per_kib) = (host.latency, host.per_kib);
        let cut_until = host.cut_until;
        let slowness = if host.slow_until > self.at { host.slowness } else { 1 };
        let mut arrives = self.at + self.about(latency * slowness);
        let per_kib = per_kib * slowness;
        arrives += per_kib.saturating_mul(u32::try_from(bytes >> 10).unwrap_or(u32::MAX));
        if cut_until > self.at {
            arrives = arrives.max(cut_until + self.about(RETRANSMISSION));
        }
        if self.weather.loss > 0 && self.rng.u32(..100) < self.weather.loss {
            arrives += self.about(RETRANSMISSION);
        }
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        let lane = conn.lane(end);
        let arrives: Time = arrives.max(lane.last_arrival + Duration::from_nanos(1));
        lane.last_arrival = arrives;
        self.agenda.note(arrives, Happening::Arrive { conn: id, end, arrival });
    }

    pub(crate) fn arrive(&mut self, id: ConnId, end: End, arrival: Arrival) {
        self.draw(id, end, &arrival);
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        if end == End::Server {
            conn.heard_at = self.at;
        }
        let to = conn.end(end);
        match arrival {
            Arrival::Ask => self.arrive_ask(id),
            Arrival::Answer(response) => self.arrive_answer(id, response),
            Arrival::Upgraded(protocol) => self.arrive_upgraded(id, protocol.as_deref()),
            Arrival::Parcel(parcel) => self.arrive_parcel(id, end, parcel),
            Arrival::CloseAck(code) => {
                if let Some(to) = to {
                    let closed = Event::Closed { op: to.op, code: Some(code), failure: None };
                    self.tell(to, closed);
                }
                self.network.conns.remove(&id);
            }
            Arrival::Reset(kind) => {
                let was_open = end == End::Server || conn.label.starts_with("open ");
                self.network.conns.remove(&id);
                if let Some(to) = to {
                    self.broken_at(to, kind, was_open);
                }
            }
        }
    }

    fn draw(&mut self, id: ConnId, end: End, arrival: &Arrival) {
        let Some(conn) = self.network.conns.get(&id) else { return };
        let name = |party: PartyId| self.parties[party].name.as_str();
        let client = conn.client.map_or("nobody", |client| name(client.party));
        let (from, to) = match end {
            End::Server => (client, name(conn.to)),
            End::Client => (name(conn.to), client),
        };
        let label = || match arrival {
            Arrival::Ask => crate::trace::shown(&conn.label),
            Arrival::Answer(response) => response.status.to_string(),
            Arrival::Upgraded(_) => String::from("101"),
            Arrival::Parcel(Parcel::Message(message)) => crate::trace::message_words(message),
            Arrival::Parcel(Parcel::Close(code)) | Arrival::CloseAck(code) => {
                format!("close {code}")
            }
            Arrival::Reset(kind) => format!("broken: {kind}"),
        };
        self.trace.draw(from, to, label);
    }

    /// One end learns that its connection is gone.
    fn broken_at(&mut self, to: Address, kind: FailureKind, was_open: bool) {
        let hears = self.options.mutant != Some(Mutant::LosesTrack) || to.party != RELAY;
        if !self.is_alive(to) || !hears {
            return;
        }
        let op = to.op;
        match self.parties[to.party].ops.get(&op) {
            Some(Op::Request(_)) => self.tell(to, Event::Failed { op, failure: failure(kind) }),
            Some(Op::Stream(..)) => {
                // Before it was open it fails, after that it closes.
                let event = if was_open {
                    Event::Closed { op, code: None, failure: Some(failure(kind)) }
                } else {
                    Event::Failed { op, failure: failure(kind) }
                };
                self.tell(to, event);
            }
            Some(Op::Exchange(_)) => {
                self.tell(to, Event::Closed { op, code: None, failure: Some(failure(kind)) });
            }
            _ => {}
        }
    }

    fn arrive_ask(&mut self, id: ConnId) {
        let Some(conn) = self.network.conns.get(&id) else { return };
        let to = conn.to;
        let party = &mut self.parties[to];
        let is_full = party.backlog.len() >= BACKLOG;
        if party.listener.is_none() || is_full {
            return self.put(id, End::Client, Arrival::Reset(FailureKind::Refused), 0);
        }
        if self.proxy_answers(id) {
            return;
        }
        self.parties[to].backlog.push_back(id);
        self.take_backlog(to);
    }

    /// Hands connections that wait to `Accept`s that wait.
    pub(crate) fn take_backlog(&mut self, id: PartyId) {
        loop {
            let party = &mut self.parties[id];
            if party.accepts.is_empty() {
                return;
            }
            let Some(conn_id) = party.backlog.pop_front() else { return };
            let Some(conn) = self.network.conns.get_mut(&conn_id) else { continue };
            let Some((op, max_body)) = party.accepts.pop_front() else { return };
            let to = Address { party: id, life: party.life, op };
            conn.server = Some(to);
            let Some(mut asked) = conn.asked.take() else { continue };
            if matches!(&asked.body, Body::Whole(body) if body.len() > max_body) {
                asked.body = Body::TooLarge;
            }
            party.ops.insert(op, Op::Exchange(conn_id));
            self.tell(to, Event::Asked { op, asked });
        }
    }

    pub(crate) fn refuse_backlog(&mut self, id: PartyId) {
        for conn in std::mem::take(&mut self.parties[id].backlog) {
            self.put(conn, End::Client, Arrival::Reset(FailureKind::Disconnected), 0);
        }
    }

    pub(crate) fn reply(&mut self, id: PartyId, op: OpId, mut response: Response) {
        let Some(Op::Exchange(conn)) = self.parties[id].ops.remove(&op) else { return };
        self.note_refusal(conn, &response);
        self.skew_answer(id, &mut response);
        let Some(found) = self.network.conns.get_mut(&conn) else { return };
        found.server = None;
        if id == RELAY
            && response.status == 201
            && let Ok(made) = serde_json::from_slice::<serde_json::Value>(&response.body)
        {
            let session = made["id"].as_str().unwrap_or_default().to_owned();
            self.fact(Fact::Made { session });
        }
        let Some(found) = self.network.conns.get_mut(&conn) else { return };
        if found.loses_answer {
            return self.put(conn, End::Client, Arrival::Reset(FailureKind::Disconnected), 0);
        }
        let bytes = response.body.len();
        self.put(conn, End::Client, Arrival::Answer(response), bytes);
    }

    fn arrive_answer(&mut self, id: ConnId, response: Response) {
        let Some(conn) = self.network.conns.get(&id) else { return };
        let Some(to) = conn.client else {
            self.network.conns.remove(&id);
            return;
        };
        let op = to.op;
        let event = match conn.kind {
            ConnKind::Http { max_response } if response.body.len() > max_response => {
                Event::Failed { op, failure: failure(FailureKind::TooLarge) }
            }
            ConnKind::Http { .. } => Event::Response { op, response },
            ConnKind::WebSocket { .. } => Event::Refused { op, response },
        };
        // Its end is known to the promises by the connection, so that one goes last.
        self.deliver_last(id, to, event);
    }

    fn deliver_last(&mut self, id: ConnId, to: Address, event: Event) {
        self.deliver(to, event);
        self.network.conns.remove(&id);
    }

    pub(crate) fn upgrade(
        &mut self,
        id: PartyId,
        op: OpId,
        protocol: Option<String>,
        max_message: usize,
    ) {
        let party = &mut self.parties[id];
        let Some(Op::Exchange(conn_id)) = party.ops.get(&op).copied() else { return };
        let to = Address { party: id, life: party.life, op };
        party.ops.insert(op, Op::Stream(conn_id, End::Server));
        match self.network.conns.get_mut(&conn_id) {
            Some(conn) if matches!(conn.kind, ConnKind::WebSocket { .. }) => {
                conn.server_max = max_message;
                self.tell(to, Event::Opened { op });
                self.put(conn_id, End::Client, Arrival::Upgraded(protocol), 256);
            }
            _ => {
                let failure = failure(FailureKind::Disconnected);
                self.tell(to, Event::Failed { op, failure });
            }
        }
    }

    fn arrive_upgraded(&mut self, id: ConnId, selected: Option<&str>) {
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        // The client has left meanwhile, and its system says so.
        let Some(to) = conn.client else { return self.reset(id) };
        let ConnKind::WebSocket { protocol, .. } = conn.kind else { return };
        if protocol.is_some() && selected.is_none() {
            let response = Response { status: 101, headers: Vec::new(), body: bytes::Bytes::new() };
            self.abandon(id, End::Client, false);
            return self.tell(to, Event::Refused { op: to.op, response });
        }
        conn.label.insert_str(0, "open ");
        self.tell(to, Event::Opened { op: to.op });
    }

    pub(crate) fn send(&mut self, id: PartyId, op: OpId, message: Message) {
        match self.parties[id].ops.get(&op).copied() {
            Some(Op::Stream(conn, end)) => {
                self.put_parcel(conn, end, Parcel::Message(message));
                let Some(found) = self.network.conns.get_mut(&conn) else { return };
                let bytes = found.lane(end.other()).waiting_bytes;
                let is_link = found.label.contains("/session_ingress/");
                let way = if is_link { Way::Link } else { Way::Viewer };
                let role = self.parties[id].role;
                self.fact(Fact::Outstanding { role, bytes, way });
            }
            Some(Op::Stdio(process)) => self.print_bytes(process, message),
            _ => {}
        }
    }

    pub(crate) fn close_lane(&mut self, conn: ConnId, end: End, code: u16) {
        self.put_parcel(conn, end, Parcel::Close(code));
    }

    fn put_parcel(&mut self, conn: ConnId, from: End, parcel: Parcel) {
        let Some(found) = self.network.conns.get_mut(&conn) else { return };
        let lane = found.lane(from.other());
        if lane.is_closed {
            return;
        }
        lane.is_closed = matches!(parcel, Parcel::Close(_));
        lane.waiting_bytes += parcel.len();
        lane.waiting.push_back(parcel);
        self.pump(conn, from);
    }

    /// Puts on its way what has room.
    fn pump(&mut self, id: ConnId, from: End) {
        let mut sent = 0;
        loop {
            let Some(conn) = self.network.conns.get_mut(&id) else { return };
            let lane = conn.lane(from.other());
            if lane.credit_used > CREDIT {
                break;
            }
            let Some(parcel) = lane.waiting.pop_front() else { break };
            let bytes = parcel.len();
            lane.waiting_bytes -= bytes;
            lane.credit_used += bytes;
            sent += usize::from(matches!(parcel, Parcel::Message(_)));
            self.put(id, from.other(), Arrival::Parcel(parcel), bytes);
        }
        if sent > 0
            && let Some(to) = self.network.conns.get(&id).and_then(|conn| conn.end(from))
        {
            self.tell(to, Event::Sent { op: to.op, messages: sent });
        }
    }

    fn arrive_parcel(&mut self, id: ConnId, end: End, parcel: Parcel) {
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        let lane = conn.lane(end);
        if lane.is_paused {
            lane.held.push_back(parcel);
        } else {
            self.take_parcel(id, end, parcel);
        }
    }

    fn take_parcel(&mut self, id: ConnId, end: End, parcel: Parcel) {
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        let limit = conn.max_message(end);
        let lane = conn.lane(end);
        lane.credit_used = lane.credit_used.saturating_sub(parcel.len());
        let to = conn.end(end);
        let Some(to) = to else { return self.pump(id, end.other()) };
        let op = to.op;
        match parcel {
            Parcel::Message(message) if message.len() > limit => {
                let failure = Some(failure(FailureKind::TooLarge));
                *conn.end_mut(end) = None;
                self.tell(to, Event::Closed { op, code: Some(1009), failure });
                self.put(id, end.other(), Arrival::CloseAck(1009), 8);
            }
            Parcel::Message(message) => {
                self.hear(id, end);
                let (message, more) = self.skew_message(id, end, message);
                self.tell(to, Event::Received { op, message });
                if let Some(message) = more {
                    self.tell(to, Event::Received { op, message });
                }
                self.pump(id, end.other());
            }
            Parcel::Close(code) => {
                let what = conn.label.clone();
                let is_judged = conn.to == RELAY
                    && conn.client.is_some_and(|client| {
                        matches!(self.parties[client.party].role, Role::Worker | Role::Viewer)
                    });
                *conn.end_mut(end) = None;
                self.tell(to, Event::Closed { op, code: Some(code), failure: None });
                self.put(id, end.other(), Arrival::CloseAck(code), 8);
                if is_judged {
                    self.fact(Fact::Misunderstood { what, code });
                }
            }
        }
    }

    /// What the relay does not take of those who keep to its interface.
    fn note_refusal(&mut self, conn: ConnId, response: &Response) {
        let Some(found) = self.network.conns.get(&conn).filter(|_| response.status >= 400) else {
            return;
        };
        let role = found.client.map(|client| self.parties[client.party].role);
        if found.to == RELAY && matches!(role, Some(Role::Worker | Role::Viewer)) {
            let (what, status) = (found.label.clone(), response.status);
            let why = String::from_utf8_lossy(&response.body).into_owned();
            self.fact(Fact::Refused { what, status, why });
        }
    }

    /// A worker's message by a session's link has reached the relay.
    fn hear(&mut self, id: ConnId, end: End) {
        let Some(conn) = self.network.conns.get(&id) else { return };
        if end == End::Server
            && conn.to == RELAY
            && let Some((_, session)) = conn.label.split_once("/session_ingress/ws/")
        {
            let session = session.to_owned();
            self.fact(Fact::LinkHeard { session });
        }
    }

    pub(crate) fn set_paused(&mut self, id: PartyId, op: OpId, is_paused: bool) {
        match self.parties[id].ops.get(&op).copied() {
            Some(Op::Stream(conn, end)) => {
                let Some(found) = self.network.conns.get_mut(&conn) else { return };
                let lane = found.lane(end);
                lane.is_paused = is_paused;
                let held =
                    if is_paused { Default::default() } else { std::mem::take(&mut lane.held) };
                for parcel in held {
                    self.take_parcel(conn, end, parcel);
                }
            }
            Some(Op::Process(process)) => self.pause_output(process, is_paused),
            Some(Op::Stdio(process)) => self.pause_input(process, is_paused),
            _ => {}
        }
    }

    pub(crate) fn time_limit(&mut self, id: ConnId) {
        let Some(conn) = self.network.conns.get(&id) else { return };
        let Some(to) = conn.client else { return };
        let is_http = matches!(conn.kind, ConnKind::Http { .. });
        if is_http || !conn.label.starts_with("open ") {
            let failure = failure(FailureKind::TimedOut);
            self.abandon(id, End::Client, false);
            self.tell(to, Event::Failed { op: to.op, failure });
        }
    }

    /// One end lets go of a connection; the other learns it, unless it happens in silence.
    pub(crate) fn abandon(&mut self, id: ConnId, end: End, is_silent: bool) {
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        *conn.end_mut(end) = None;
        conn.is_swallowed |= is_silent;
        let is_untaken = conn.end(end.other()).is_none() && end == End::Client;
        // A client that left before anybody took its request may have sent it already.
        if is_untaken && (conn.asked.is_none() || self.rng.bool()) {
            self.network.conns.remove(&id);
        } else {
            self.put(id, end.other(), Arrival::Reset(FailureKind::Disconnected), 0);
        }
    }

    /// Nobody has acknowledged anything for too long: whoever is still there learns it.
    pub(crate) fn unacknowledged(&mut self, id: ConnId) {
        if self.network.conns.get(&id).is_some_and(|conn| conn.is_swallowed) {
            self.reset(id);
        }
    }

    /// A connection breaks in the middle, and both ends are told.
    pub(crate) fn reset(&mut self, id: ConnId) {
        for end in [End::Client, End::Server] {
            let Some(conn) = self.network.conns.get(&id) else { return };
            let was_open = end == End::Server || conn.label.starts_with("open ");
            if let Some(to) = conn.end(end) {
                self.broken_at(to, FailureKind::Disconnected, was_open);
            }
        }
        self.network.conns.remove(&id);
    }
}

/// The path and query of a URL.
fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/").to_owned()
}

fn host_header(url: &str) -> (String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    (String::from("host"), host.to_owned())
}

fn text_header(name: &str, value: &Secret) -> (String, String) {
    (name.to_owned(), value.reveal().to_owned())
}
