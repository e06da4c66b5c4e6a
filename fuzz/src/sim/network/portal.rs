//! Answers that no relay gives.

use bytes::Bytes;
use footbridge_core::contract::action::Response;
use footbridge_core::contract::event::Event;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::ids::{ConnId, End};
use crate::sim::cx::Cx;
use crate::sim::event::Arrival;
use crate::sim::network::Network;

const HTML: &str = "<html><title>Airport Wi-Fi</title></html>";

/// Statuses, `Retry-After` and bodies of captive portals, proxies and pages about maintenance.
const PAGES: &[(u16, Option<&str>, &str)] = &[
    (401, None, HTML),
    (403, None, HTML),
    (403, Some("7"), HTML),
    (403, None, r#"{"message":"Forbidden"}"#),
    (404, None, HTML),
    (404, None, r#"{"error":{"code":404,"message":"Not Found"}}"#),
    (407, None, HTML),
    (409, None, HTML),
    (410, None, ""),
    (410, None, r#"{"error":{"type":"session_en"#),
    (426, None, ""),
    (503, None, HTML),
    (503, Some("30"), HTML),
    (503, Some("3600"), HTML),
    (302, None, ""),
    (200, None, HTML),
    (200, None, ""),
];

impl Network {
    /// Whether something between a worker and the relay responds by itself.
    pub(super) fn portal_answers(&mut self, cx: &mut Cx, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(&id) else { return false };
        let Some(client) = conn.client else { return false };
        let host = &cx.hosts[conn.host];
        if cx.at >= host.portal_until || !cx.parties[client.party].role.runs_agents() {
            return false;
        }
        let page = host.portal_page.unwrap_or_else(|| cx.rng.usize(..));
        let (status, retry_after, body) = PAGES[page % PAGES.len()];
        let headers = retry_after.map(|secs| ("retry-after".to_owned(), secs.to_owned()));
        let headers = headers.into_iter().collect();
        let body = Bytes::from_static(body.as_bytes());
        self.put(cx, id, End::Client, Arrival::Response(Response { status, headers, body }), 64);
        true
    }
}

impl Network {
    /// A proxy has waited for as long as it waits: it answers, and leaves the relay.
    pub(crate) fn short_limit(&mut self, cx: &mut Cx, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        // What is swallowed on its way does not come from a proxy either.
        let Some(to) = conn.client.filter(|_| !conn.is_swallowed) else { return };
        if cx.plan.short_limit.is_none() {
            return;
        }
        let body = Bytes::from_static(b"<html><title>504 Gateway Time-out</title></html>");
        let response = Response { status: 504, headers: Vec::new(), body };
        self.abandon(cx, id, End::Client, false);
        cx.tell(to, Event::Response { op: to.op, response });
    }
}

/// Whether an event is an answer that no relay gives.
pub(crate) fn is_foreign(event: &Event) -> bool {
    let (Event::Response { response, .. } | Event::Refused { response, .. }) = event else {
        return false;
    };
    let body = &response.body;
    match response.status {
        101 | 204 => false,
        200..=299 => {
            matches!(event, Event::Refused { .. })
                || serde_json::from_slice::<IgnoredAny>(body).is_err()
        }
        _ => !serde_json::from_slice::<Value>(body)
            .is_ok_and(|body| body["error"]["type"].is_string()),
    }
}
