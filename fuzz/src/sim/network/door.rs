//! The relay's door: what its runtime does about connections that are too many, and about clients that
//! send only part of a request. Only in worlds with strangers: everybody else opens few.

use std::collections::BTreeMap;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::limits::{
    HEAD_TIME, MAX_STRANGERS_CONNECTIONS_PER_ADDRESS, STRANGER_READ_GRACE,
};
use footbridge_core::contract::action::Answer;
use footbridge_core::contract::clients::{ListenLimits, Standing};
use footbridge_core::contract::event::{Body, IncomingRequest};
use footbridge_core::engine::admission::{Admission, ConnectionId};

use crate::fact::Fact;
use crate::ids::{ConnId, End, Op, PartyId, Role};
use crate::mutants::Mutant;
use crate::names::RELAY;
use crate::nodes::knock::{Knock, Manners};
use crate::sim::cx::Cx;
use crate::sim::event::{Arrival, SimEvent};
use crate::sim::network::Network;
use crate::sim::network::conn::{Conn, ConnKind};

/// Who is connected.
#[derive(Debug)]
pub(crate) struct Door {
    admission: Admission,
    inside: BTreeMap<ConnId, (ConnectionId, Standing)>,
    conns: BTreeMap<ConnectionId, ConnId>,
    strangers: usize,
}

impl Door {
    pub(crate) fn new(limits: ListenLimits) -> Self {
        Self {
            admission: Admission::new(limits),
            inside: BTreeMap::new(),
            conns: BTreeMap::new(),
            strangers: 0,
        }
    }

    pub(super) fn gone(&mut self, conn: ConnId) {
        if let Some((id, standing)) = self.inside.remove(&conn) {
            self.admission.gone(id);
            self.conns.remove(&id);
            self.strangers -= usize::from(standing == Standing::Stranger);
        }
    }
}

impl Network {
    /// A relay begins to listen.
    pub(crate) fn open_door(&mut self, party: PartyId, limits: ListenLimits) {
        if let Some(door) = self.door.as_mut().filter(|_| party == RELAY) {
            *door = Door::new(limits);
        }
    }

    /// A connection has reached the relay's system. Returns whether its request is handed on.
    pub(super) fn is_let_in(&mut self, cx: &mut Cx, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(&id) else { return false };
        let Some(door) = self.door.as_mut().filter(|_| conn.to == RELAY) else { return true };
        let (connection, surplus) = door.admission.arrived(conn.peer);
        let manners = conn.manners;
        door.inside.insert(id, (connection, Standing::Stranger));
        door.conns.insert(connection, id);
        door.strangers += 1;
        self.show_out(cx, surplus);
        if let Some(door) = &self.door {
            cx.fact(Fact::Strangers { connections: door.strangers });
        }
        if manners == Manners::HalfHead {
            cx.later(HEAD_TIME, SimEvent::HangUp { conn: id });
            return false;
        }
        self.conns.contains_key(&id)
    }

    /// The relay has said who a client is.
    pub(crate) fn vouch(&mut self, cx: &mut Cx, party: PartyId, op: OpId, standing: Standing) {
        let Some(Op::Exchange(conn)) = cx.parties[party].op(op) else { return };
        let Some(door) = self.door.as_mut().filter(|_| party == RELAY) else { return };
        let Some((connection, before)) = door.inside.get_mut(&conn) else { return };
        if cx.mutant == Some(Mutant::Unvouched) {
            return;
        }
        door.strangers -= usize::from(*before == Standing::Stranger && standing != *before);
        *before = standing;
        let surplus = door.admission.vouch(*connection, standing);
        self.show_out(cx, surplus);
    }

    /// Closes the connection that had to make room.
    fn show_out(&mut self, cx: &mut Cx, surplus: Option<ConnectionId>) {
        if cx.mutant == Some(Mutant::OpenDoor) {
            return;
        }
        let (Some(door), Some(surplus)) = (&mut self.door, surplus) else { return };
        let Some(conn) = door.conns.get(&surplus).copied() else { return };
        if let Some(shown) = self.conns.get(&conn)
            && let Some(client) = shown.client
            && self.is_crowded_by_strangers(conn, client.party)
        {
            let role = cx.parties[client.party].role;
            let after = cx.at.saturating_sub(shown.heard_at);
            cx.fact(Fact::ShownOut { role, after });
        }
        self.reset(cx, conn);
        self.forget(conn);
    }

    /// Whether strangers took the place of a party's connection: people make room for people, and
    /// whoever takes all the places of an address before saying who it is, for itself.
    fn is_crowded_by_strangers(&self, conn: ConnId, party: PartyId) -> bool {
        let Some(door) = &self.door else { return false };
        let is_unknown = |conn| matches!(door.inside.get(conn), Some((_, Standing::Stranger)));
        let is_own = |conn| {
            self.conns
                .get(conn)
                .and_then(|conn| conn.client)
                .is_some_and(|client| client.party == party)
        };
        is_unknown(&conn)
            && door.inside.keys().filter(|conn| is_unknown(conn) && is_own(conn)).count()
                <= MAX_STRANGERS_CONNECTIONS_PER_ADDRESS
    }

    /// A stranger opens a connection.
    pub(crate) fn knock(&mut self, cx: &mut Cx, party: PartyId, knock: Knock) {
        let Knock { peer, manners, method, target, token, body, stays } = knock;
        let mut headers = vec![(String::from("host"), String::from("relay.example"))];
        headers
            .extend(token.map(|token| (String::from("authorization"), format!("Bearer {token}"))));
        let label = format!("{} {target}", method.as_str());
        let body = match body {
            Some(length) => Body::Unread { length: Some(length) },
            None => Body::Whole(Bytes::new()),
        };
        let asked = IncomingRequest { method, target, headers, body, is_tls: true, peer };
        let kind = ConnKind::Http { answer: Answer::Whole { max_body: 1 << 20 } };
        let conn = Conn::new(cx.parties[party].host, RELAY, kind, asked, label, cx.at);
        let conn = self.add(Conn { manners, ..conn });
        cx.later(stays, SimEvent::HangUp { conn });
        self.put(cx, conn, End::Server, Arrival::Request, 512);
    }

    /// A stranger does not read its answer: it is cut off.
    pub(super) fn is_left_unread(&self, cx: &mut Cx, id: ConnId) -> bool {
        let is_mute = self.conns.get(&id).is_some_and(|conn| conn.manners == Manners::Mute);
        if is_mute {
            cx.later(STRANGER_READ_GRACE, SimEvent::HangUp { conn: id });
        }
        is_mute
    }

    /// A broken runtime hands on no request whose body is not there, and keeps a place for it.
    pub(super) fn is_kept_waiting(&mut self, cx: &Cx, id: ConnId, accept: OpId) -> bool {
        let is_half = self.conns.get(&id).is_some_and(|conn| conn.manners == Manners::HalfBody);
        let waits = is_half && cx.mutant == Some(Mutant::BodyFirst);
        if waits {
            self.kept.insert(id, accept);
        }
        waits
    }

    /// That place is free again.
    pub(super) fn free_place(&mut self, cx: &mut Cx, id: ConnId) {
        let Some(accept) = self.kept.remove(&id) else { return };
        if cx.parties[RELAY].op(accept) == Some(Op::Accept) {
            cx.parties[RELAY].accepts.push_back(accept);
            self.take_backlog(cx, RELAY);
        }
    }

    /// How long somebody with a credential has waited for the relay's ear, up to now.
    pub(super) fn note_wait(&self, cx: &mut Cx, id: ConnId) {
        let Some(conn) = self.conns.get(&id).filter(|conn| conn.to == RELAY) else { return };
        if let Some(role) = known(cx, conn) {
            let waited = cx.at.saturating_sub(conn.heard_at);
            cx.fact(Fact::Heard { role, waited });
        }
    }

    /// How long the answer to a request took that is not held back on purpose.
    pub(super) fn note_service(&self, cx: &mut Cx, id: ConnId) {
        let Some(conn) = self.conns.get(&id).filter(|conn| conn.to == RELAY) else { return };
        if let Some(role) = known(cx, conn).filter(|_| !conn.label.contains("/work/poll")) {
            let took = cx.at.saturating_sub(conn.heard_at);
            cx.fact(Fact::Served { role, took });
        }
    }
}

/// The role of a client that is to notice nothing of strangers.
fn known(cx: &Cx, conn: &Conn) -> Option<Role> {
    let role = cx.parties[conn.client?.party].role;
    role.is_welcome().then_some(role)
}
