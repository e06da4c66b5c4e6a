//! A server takes what was asked, and its answer comes back: a response, or a stream that opens.

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Response;
use footbridge_core::contract::event::{Body, Event, IoErrorKind};

use crate::fact::Fact;
use crate::scenario::cast::RELAY;
use crate::sim::network::conn::{Arrival, ConnId, ConnKind};
use crate::sim::party::{Address, End, Op, PartyId, Role};
use crate::sim::world::{World, failure};

/// Connections that wait for a server that takes none.
const BACKLOG: usize = 256;

impl World {
    pub(super) fn arrive_ask(&mut self, id: ConnId) {
        let Some(conn) = self.network.conns.get(&id) else { return };
        let to = conn.to;
        let party = &mut self.parties[to];
        let is_full = party.backlog.len() >= BACKLOG;
        if party.listener.is_none() || is_full {
            return self.put(id, End::Client, Arrival::Reset(IoErrorKind::Refused), 0);
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
            self.tell(to, Event::Requested { op, request: asked });
        }
    }

    pub(crate) fn refuse_backlog(&mut self, id: PartyId) {
        for conn in std::mem::take(&mut self.parties[id].backlog) {
            self.put(conn, End::Client, Arrival::Reset(IoErrorKind::Disconnected), 0);
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
            return self.put(conn, End::Client, Arrival::Reset(IoErrorKind::Disconnected), 0);
        }
        let bytes = response.body.len();
        self.put(conn, End::Client, Arrival::Answer(response), bytes);
    }

    pub(super) fn arrive_answer(&mut self, id: ConnId, response: Response) {
        let Some(conn) = self.network.conns.get(&id) else { return };
        let Some(to) = conn.client else {
            self.network.conns.remove(&id);
            return;
        };
        let op = to.op;
        let event = match conn.kind {
            ConnKind::Http { max_response } if response.body.len() > max_response => {
                Event::Failed { op, failure: failure(IoErrorKind::TooLarge) }
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
                let failure = failure(IoErrorKind::Disconnected);
                self.tell(to, Event::Failed { op, failure });
            }
        }
    }

    pub(super) fn arrive_upgraded(&mut self, id: ConnId, selected: Option<&str>) {
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
}
