//! What a client asks for, and the connection that is made for it.

use std::time::Duration;

use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Method, Request, Target};
use footbridge_core::contract::event::{Body, Event, IncomingRequest, IoErrorKind};

use crate::fact::Fact;
use crate::sim::network::conn::{Arrival, Conn, ConnKind, Lane};
use crate::sim::party::{Address, End, Op, Role};
use crate::sim::world::{SimEvent, World, failure};

impl World {
    pub(crate) fn request(&mut self, from: Address, request: &Request) {
        let target = path_of(&request.url);
        let headers = request.headers.iter().map(|(name, value)| text_header(name, value));
        let asked = IncomingRequest {
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
        let asked = IncomingRequest {
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
        asked: IncomingRequest,
        kind: ConnKind,
        url: &str,
        timeout: Duration,
    ) {
        let label = format!("{} {}", asked.method.as_str(), asked.target);
        let mut asked = asked;
        let to = crate::scenario::cast::server_at(url);
        self.skew_request(from.party, to, &mut asked);
        let (host, role) = (self.parties[from.party].host, self.parties[from.party].role);
        let is_http = matches!(kind, ConnKind::Http { .. });
        if let Some(what) = crate::sim::perform::request_kind(label.split('?').next().unwrap_or(""))
            && role == Role::Worker
        {
            let mono = self.hosts[host].clock.now(self.at).mono.since_origin();
            self.parties[from.party].activities.insert(from.op, what);
            self.fact(Fact::IncomingRequest { party: from.party, what, mono });
            if let (Some(token), "register") = (crate::sim::files::bearer(&asked.headers), what) {
                self.fact(Fact::Presented { party: from.party, token: token.to_owned() });
            }
        }
        if let (Some(work), Role::Worker) = (crate::sim::files::reported_work(&label), role) {
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
            let kind = if self.rng.bool() { IoErrorKind::Unreachable } else { IoErrorKind::Dns };
            return self.tell(from, Event::Failed { op: from.op, failure: failure(kind) });
        }
        self.later(timeout, SimEvent::TimeLimit { conn });
        self.bewitch(conn, is_http);
        self.put(conn, End::Server, Arrival::Ask, 512);
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
