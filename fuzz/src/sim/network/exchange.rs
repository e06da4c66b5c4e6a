//! Requests and responses: the connection made for one, a server that accepts it, and a response
//! that comes back or a stream that opens.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Answer, Method, Request, Response, Target};
use footbridge_core::contract::event::{Body, Event, IncomingRequest, IoErrorKind};

use crate::fact::Fact;
use crate::ids::{Address, ConnId, End, Op, PartyId, Role};
use crate::names::{RELAY, server_at};
use crate::nodes::knock::Manners;
use crate::sim::cx::{Cx, failure};
use crate::sim::event::{Arrival, SimEvent};
use crate::sim::network::Network;
use crate::sim::network::body::stream_answer;
use crate::sim::network::conn::{Conn, ConnKind};
use crate::sim::network::credential::bearer;
use crate::sim::observe;

/// Connections that may wait for a server that accepts none.
const BACKLOG: usize = 256;

impl Network {
    pub(crate) fn request(&mut self, cx: &mut Cx, from: Address, request: &Request) {
        let target = path_of(&request.url);
        let headers = request.headers.iter().map(|(name, value)| text_header(name, value));
        let asked = IncomingRequest {
            method: request.method,
            target,
            headers: headers.chain([host_header(&request.url)]).collect(),
            body: Body::Whole(request.body.clone()),
            is_tls: true,
            peer: address_of(cx, from.party),
        };
        let kind = ConnKind::Http { answer: request.answer };
        self.connect(cx, from, asked, kind, &request.url, request.timeout);
    }

    pub(crate) fn open(&mut self, cx: &mut Cx, from: Address, target: Target) {
        let Target::WebSocket { url, headers, protocol, timeout, max_message } = target else {
            return;
        };
        let own = headers.iter().map(|(name, value)| text_header(name, value));
        let mut headers: Vec<_> = own.chain([host_header(&url)]).collect();
        headers.push((String::from("upgrade"), String::from("websocket")));
        if let Some(protocol) = protocol {
            headers.push((String::from("sec-websocket-protocol"), protocol.to_owned()));
        }
        let asked = IncomingRequest {
            method: Method::Get,
            target: path_of(&url),
            headers,
            body: Body::Whole(Bytes::new()),
            is_tls: true,
            peer: address_of(cx, from.party),
        };
        let kind = ConnKind::WebSocket { protocol, max_message };
        self.connect(cx, from, asked, kind, &url, timeout);
    }

    fn connect(
        &mut self,
        cx: &mut Cx,
        from: Address,
        asked: IncomingRequest,
        kind: ConnKind,
        url: &str,
        timeout: Duration,
    ) {
        let label = format!("{} {}", asked.method.as_str(), asked.target);
        let mut asked = asked;
        let to = server_at(url);
        self.skew.request(cx, from.party, to, &mut asked);
        let (host, role) = (cx.parties[from.party].host, cx.parties[from.party].role);
        let is_http = matches!(kind, ConnKind::Http { .. });
        if let Some(what) = observe::request_kind(&label)
            && role == Role::Worker
        {
            let mono = cx.hosts[host].clock.now(cx.at).mono.since_origin();
            cx.parties[from.party].activities.insert(from.op, what);
            cx.fact(Fact::IncomingRequest { party: from.party, what, mono });
            if let (Some(token), "register") = (bearer(&asked.headers), what) {
                cx.fact(Fact::Presented { party: from.party, token: token.to_owned() });
            }
        }
        if let (Some(work), Role::Worker) = (observe::reported_work(&label), role) {
            cx.fact(Fact::Reporting { party: from.party, work: work.to_owned() });
        }
        if role == Role::Worker && observe::is_deregistration(&label) {
            cx.fact(Fact::Deregistering { party: from.party });
        }
        let path = label.clone();
        let conn = Conn::new(host, to, kind, asked, label, cx.at);
        let conn = self.add(Conn { client: Some(from), ..conn });
        if is_http && role.runs_agents() {
            cx.parties[from.party].asked.insert(from.op, path);
        }
        let is_whole = matches!(kind, ConnKind::Http { answer: Answer::Whole { .. } });
        let op = if is_whole { Op::Request(conn) } else { Op::Stream(conn, End::Client) };
        cx.parties[from.party].ops.insert(from.op, op);
        if cx.hosts[host].is_cut(cx.at) && cx.hosts[host].is_cut_visible {
            self.forget(conn);
            let kind = if cx.rng.bool() { IoErrorKind::Unreachable } else { IoErrorKind::Dns };
            return cx.tell(from, Event::Failed { op: from.op, failure: failure(kind) });
        }
        cx.later(timeout, SimEvent::TimeLimit { conn });
        if let Some(limit) = cx.plan.short_limit.filter(|_| is_whole) {
            cx.later(limit, SimEvent::ShortLimit { conn });
        }
        self.apply_faults(cx, conn, is_http);
        self.put(cx, conn, End::Server, Arrival::Request, 512);
    }

    /// What may happen to a connection from the beginning.
    pub(crate) fn apply_faults(&mut self, cx: &mut Cx, id: ConnId, is_http: bool) {
        let loses = is_http && cx.plan.lost_answer > 0 && cx.rng.u32(..100) < cx.plan.lost_answer;
        let doubles = is_http && cx.plan.duplicate > 0 && cx.rng.u32(..100) < cx.plan.duplicate;
        if is_http && cx.plan.hang_up > 0 && cx.rng.u32(..100) < cx.plan.hang_up {
            let wait = Duration::from_micros(cx.rng.u64(..400_000));
            cx.later(wait, SimEvent::HangUp { conn: id });
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.loses_answer = loses;
        if doubles && let Some(asked) = conn.asked.clone() {
            let (host, to, kind, label) = (conn.host, conn.to, conn.kind, conn.label.clone());
            let heard_at = conn.heard_at;
            let ghost = self.add(Conn::new(host, to, kind, asked, label, heard_at));
            self.put(cx, ghost, End::Server, Arrival::Request, 512);
        }
    }

    /// Something between client and relay responds by itself.
    pub(crate) fn proxy_answers(&mut self, cx: &mut Cx, id: ConnId) -> bool {
        if cx.plan.proxy == 0 || cx.rng.u32(..100) >= cx.plan.proxy {
            return false;
        }
        let (status, retry_after) = match cx.rng.u8(..5) {
            0 => (429, Some(cx.rng.u64(1..90))),
            1 => (503, Some(cx.rng.u64(1..90))),
            2 => (502, None),
            3 => (500, None),
            _ => (504, None),
        };
        let retry_after = retry_after.map(|secs| ("retry-after".to_owned(), secs.to_string()));
        let body = Bytes::from_static(b"<html>a proxy's page</html>");
        let headers = retry_after.into_iter().collect();
        self.put(cx, id, End::Client, Arrival::Response(Response { status, headers, body }), 64);
        true
    }

    pub(super) fn arrive_request(&mut self, cx: &mut Cx, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let to = conn.to;
        let party = &mut cx.parties[to];
        // Where strangers are about, the door keeps the number down.
        let is_full = party.backlog.len() >= BACKLOG && self.door.is_none();
        if party.listener.is_none() || is_full {
            return self.put(cx, id, End::Client, Arrival::Reset(IoErrorKind::Refused), 0);
        }
        if self.portal_answers(cx, id) || self.proxy_answers(cx, id) {
            return;
        }
        if !self.is_let_in(cx, id) {
            return;
        }
        cx.parties[to].backlog.push_back(id);
        self.take_backlog(cx, to);
    }

    /// Matches waiting connections with waiting `Accept`s.
    pub(crate) fn take_backlog(&mut self, cx: &mut Cx, id: PartyId) {
        loop {
            let party = &mut cx.parties[id];
            if party.accepts.is_empty() {
                return;
            }
            let Some(conn_id) = party.backlog.pop_front() else { return };
            if !self.conns.contains_key(&conn_id) {
                continue;
            }
            let Some(op) = party.accepts.pop_front() else { return };
            if self.is_kept_waiting(cx, conn_id, op) {
                continue;
            }
            self.note_wait(cx, conn_id);
            let Some(conn) = self.conns.get_mut(&conn_id) else { continue };
            let party = &mut cx.parties[id];
            let to = Address { party: id, life: party.life, op };
            conn.server = Some(to);
            let Some(mut asked) = conn.asked.take() else { continue };
            if let Body::Whole(body) = &asked.body
                && !body.is_empty()
            {
                let length = Some(body.len() as u64);
                conn.unread = Some(body.clone());
                asked.body = Body::Unread { length };
            }
            party.ops.insert(op, Op::Exchange(conn_id));
            if matches!(asked.body, Body::Whole(_)) {
                observe::worker_call(cx, id, &asked.target);
            }
            cx.tell(to, Event::Requested { op, request: asked });
        }
    }

    /// The server reads the body of a request, which takes a moment.
    pub(crate) fn read_body(&mut self, cx: &mut Cx, id: PartyId, op: OpId, max_body: usize) {
        let Some(Op::Exchange(conn)) = cx.parties[id].op(op) else { return };
        let Some(found) = self.conns.get_mut(&conn) else { return };
        if found.manners != Manners::Good {
            // It never comes.
            let what = found.label.clone();
            return cx.fact(Fact::StrangersBody { what });
        }
        let body = match found.unread.take().unwrap_or_default() {
            body if body.len() > max_body => Body::TooLarge,
            body => Body::Whole(body),
        };
        let target = found.label.split(' ').next_back().unwrap_or_default().to_owned();
        observe::worker_call(cx, id, &target);
        let to = Address { party: id, life: cx.parties[id].life, op };
        let wait = cx.about(Duration::from_micros(500));
        cx.later(wait, SimEvent::Deliver(to, Event::BodyRead { op, body }));
    }

    pub(crate) fn refuse_backlog(&mut self, cx: &mut Cx, id: PartyId) {
        for conn in std::mem::take(&mut cx.parties[id].backlog) {
            self.put(cx, conn, End::Client, Arrival::Reset(IoErrorKind::Disconnected), 0);
        }
    }

    pub(crate) fn reply(&mut self, cx: &mut Cx, id: PartyId, op: OpId, mut response: Response) {
        let Some(Op::Exchange(conn)) = cx.parties[id].ops.remove(&op) else { return };
        self.note_refusal(cx, conn, &response);
        self.note_service(cx, conn);
        if let Some(found) = self.conns.get(&conn) {
            observe::epochs(cx, id, &found.label, found.bearer.as_deref(), &response);
        }
        self.skew.answer(cx, id, &mut response);
        let Some(found) = self.conns.get_mut(&conn) else { return };
        found.server = None;
        if id == RELAY
            && response.status == 201
            && let Ok(made) = serde_json::from_slice::<serde_json::Value>(&response.body)
        {
            let session = made["id"].as_str().unwrap_or_default().to_owned();
            cx.fact(Fact::Made { session });
        }
        let Some(found) = self.conns.get_mut(&conn) else { return };
        if found.loses_answer {
            return self.put(cx, conn, End::Client, Arrival::Reset(IoErrorKind::Disconnected), 0);
        }
        let bytes = response.body.len();
        self.put(cx, conn, End::Client, Arrival::Response(response), bytes);
    }

    pub(super) fn arrive_response(
        &mut self,
        cx: &mut Cx,
        id: ConnId,
        response: Response,
    ) -> Option<(Address, Event)> {
        let conn = self.conns.get(&id)?;
        let Some(to) = conn.client else {
            if !self.is_left_unread(cx, id) {
                self.forget(id);
            }
            return None;
        };
        let op = to.op;
        let event = match conn.kind {
            ConnKind::Http { answer: Answer::Whole { max_body } }
                if response.body.len() > max_body =>
            {
                Event::Failed { op, failure: failure(IoErrorKind::TooLarge) }
            }
            ConnKind::Http { answer: Answer::Stream { .. } } => {
                stream_answer(cx, to, response);
                self.forget(id);
                return None;
            }
            ConnKind::Http { .. } => Event::Response { op, response },
            ConnKind::WebSocket { .. } => Event::Refused { op, response },
        };
        Some((to, event))
    }

    pub(crate) fn upgrade(
        &mut self,
        cx: &mut Cx,
        id: PartyId,
        op: OpId,
        protocol: Option<String>,
        max_message: usize,
    ) {
        let party = &mut cx.parties[id];
        let Some(Op::Exchange(conn_id)) = party.ops.get(&op).copied() else { return };
        let to = Address { party: id, life: party.life, op };
        party.ops.insert(op, Op::Stream(conn_id, End::Server));
        match self.conns.get_mut(&conn_id) {
            Some(conn) if matches!(conn.kind, ConnKind::WebSocket { .. }) => {
                conn.server_max = max_message;
                cx.tell(to, Event::Opened { op });
                self.put(cx, conn_id, End::Client, Arrival::Upgraded(protocol), 256);
            }
            _ => {
                let failure = failure(IoErrorKind::Disconnected);
                cx.tell(to, Event::Failed { op, failure });
            }
        }
    }

    pub(super) fn arrive_upgraded(&mut self, cx: &mut Cx, id: ConnId, selected: Option<&str>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        // The client has left in the meantime, and its system says so.
        let Some(to) = conn.client else { return self.reset(cx, id) };
        let ConnKind::WebSocket { protocol, .. } = conn.kind else { return };
        if protocol.is_some() && selected.is_none() {
            let response = Response { status: 101, headers: Vec::new(), body: Bytes::new() };
            self.abandon(cx, id, End::Client, false);
            return cx.tell(to, Event::Refused { op: to.op, response });
        }
        conn.label.insert_str(0, "open ");
        cx.tell(to, Event::Opened { op: to.op });
    }

    /// What the relay refuses although the client follows its interface.
    fn note_refusal(&mut self, cx: &mut Cx, conn: ConnId, response: &Response) {
        let Some(found) = self.conns.get(&conn).filter(|_| response.status >= 400) else {
            return;
        };
        let role = found.client.map(|client| cx.parties[client.party].role);
        if found.to == RELAY && role.is_some_and(Role::is_welcome) {
            let (what, status) = (found.label.clone(), response.status);
            let why = String::from_utf8_lossy(&response.body).into_owned();
            cx.fact(Fact::Refused { what, status, why });
        }
    }
}

/// The path and query of a URL.
fn path_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/").to_owned()
}

/// Each party has an address of its own.
pub(crate) fn address_of(cx: &Cx, party: PartyId) -> IpAddr {
    let [.., high, low] = (cx.parties[party].host as u32).to_be_bytes();
    IpAddr::from([10, 0, high, low])
}

fn host_header(url: &str) -> (String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    (String::from("host"), host.to_owned())
}

fn text_header(name: &str, value: &Secret) -> (String, String) {
    (name.to_owned(), value.reveal().to_owned())
}
