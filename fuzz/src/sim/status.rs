//! What the relay says of sessions, at the wire: in which answer or message, and on which stream.

use footbridge_core::contract::action::{Action, Message};
use serde_json::Value;

use crate::fact::Fact;
use crate::scenario::cast::RELAY;
use crate::sim::network::conn::ConnId;
use crate::sim::party::{Op, PartyId};
use crate::sim::world::World;

impl World {
    /// Takes note of what an action of the relay says of its sessions.
    pub(crate) fn note_status(&mut self, id: PartyId, action: &Action) {
        if id != RELAY {
            return;
        }
        match action {
            Action::Reply { response, .. } if response.status < 300 => {
                let body = std::str::from_utf8(&response.body).unwrap_or_default();
                if body.contains("\"connected\":") {
                    self.note_said(None, body);
                }
            }
            Action::Send { op, message: Message::Text(text) } => {
                let Some(Op::Stream(conn, _)) = self.parties[id].ops.get(op).copied() else {
                    return;
                };
                let text = text.as_str();
                if text.starts_with("{\"type\":\"alive\"") {
                    self.fact(Fact::SaidAlive { stream: conn });
                } else if ["session\"", "overview\"", "session_gone\""].iter().any(|kind| {
                    text.strip_prefix("{\"type\":\"").is_some_and(|rest| rest.starts_with(kind))
                }) {
                    self.note_said(Some(conn), text);
                }
            }
            _ => {}
        }
    }

    fn note_said(&mut self, stream: Option<ConnId>, json: &str) {
        let Ok(said) = serde_json::from_str::<Value>(json) else { return };
        // What is gone is not connected.
        if let (Some("session_gone"), Some(id)) = (said["type"].as_str(), said["id"].as_str()) {
            let session = id.to_owned();
            return self.fact(Fact::SaidConnected { stream, session, is_connected: false });
        }
        let listed = said["sessions"].as_array().into_iter().flatten();
        for one in listed.chain([&said["session"], &said]) {
            if let (Some(id), Some(is_connected)) = (one["id"].as_str(), one["connected"].as_bool())
            {
                let session = id.to_owned();
                self.fact(Fact::SaidConnected { stream, session, is_connected });
            }
        }
    }
}
