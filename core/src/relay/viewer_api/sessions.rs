//! Sessions as people use them: made, read, spoken to, stopped.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use crate::base::id::{EnvironmentId, OpId, SessionId};
use crate::base::limits::{
    MAX_ID_BYTES, MAX_LINE_BYTES, MAX_NAME_BYTES, MAX_PAGE_BYTES, MAX_PAGE_EVENTS,
};
use crate::base::text::Text;
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::relay::Relay;
use crate::relay::exchange::{
    Pending, body, bounded, idempotency_key, query_id, query_limit, query_number, whole,
};
use crate::relay::http::response::{self, ApiError};
use crate::relay::http::route::Route;
use crate::relay::http::views;
use crate::store::{Accepted, AccountId, NewMessage, Session, StoreOp};
use crate::wire::control::{self, VIEWER_REQUESTS};
use crate::wire::message::{Head, Kind};
use crate::wire::viewer::{
    CreateSession, InterruptReceipt, MessageReceipt, PostMessages, PostReceipt, SessionList,
    SessionView,
};

/// What is to be said of messages once they are stored.
#[derive(Clone, Debug)]
pub(in crate::relay) enum Posting {
    Messages(Vec<Named>),
    Interrupt { request_id: String },
}

/// A message by its names.
#[derive(Clone, Debug)]
pub(in crate::relay) struct Named {
    uuid: Option<String>,
    request_id: Option<String>,
}

impl Relay {
    pub(in crate::relay) fn serve_person(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        query: &str,
        route: Route,
        owner: AccountId,
    ) -> Result<(), ApiError> {
        match route {
            Route::Environments => {
                self.store(Pending::Environments { op }, StoreOp::List { owner });
            }
            Route::Environment(id) => {
                let call = StoreOp::GetEnvironment { owner, id };
                self.store(Pending::Environment { op, status: 200 }, call);
            }
            Route::Healthcheck(id) => self.ask_healthcheck(op, asked, owner, id)?,
            Route::Sessions => self.list_sessions(op, query, owner)?,
            Route::CreateSession => self.create_session(op, asked, owner)?,
            Route::Session(id) => {
                self.store(Pending::Session { op, status: 200 }, StoreOp::GetSession { owner, id });
            }
            Route::StopSession(id) => {
                self.store(
                    Pending::Session { op, status: 200 },
                    StoreOp::RequestStop { owner, id },
                );
            }
            Route::Messages(session) => self.post(op, asked, owner, session)?,
            Route::Permission(session) => self.answer_permission(op, asked, owner, session)?,
            Route::Interrupt(session) => self.interrupt(op, owner, session),
            Route::Events(session) => self.read_events(op, query, owner, session)?,
            Route::Subscribe(session) => self.subscribe(op, asked, query, owner, session)?,
            Route::Overview => self.watch_overview(op, asked, owner)?,
            _ => return Err(ApiError::forbidden()),
        }
        Ok(())
    }

    fn create_session(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        owner: AccountId,
    ) -> Result<(), ApiError> {
        let CreateSession { environment_id: environment, title } = body(asked)?;
        bounded("title", title.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
        let key = idempotency_key(asked)?;
        let id = SessionId::new(&format!("session_{}", self.authority.mint.draw()));
        let id = id.map_err(|bad| ApiError::invalid(&format!("{bad}")))?;
        let work = self.draw_work_id()?;
        let call = StoreOp::CreateSession { owner, environment, id, work, title, key };
        self.store(Pending::Session { op, status: 201 }, call);
        Ok(())
    }

    fn list_sessions(&mut self, op: OpId, query: &str, owner: AccountId) -> Result<(), ApiError> {
        let environment = query_id(query, "environment_id", EnvironmentId::new)?;
        let before = query_id(query, "before", SessionId::new)?;
        let limit = query_limit(query, self.config.policy.listed_sessions)?;
        let call = StoreOp::ListSessions { owner, environment, before, limit };
        self.store(Pending::Sessions { op }, call);
        Ok(())
    }

    fn read_events(
        &mut self,
        op: OpId,
        query: &str,
        owner: AccountId,
        session: SessionId,
    ) -> Result<(), ApiError> {
        let after = query_number(query, "after")?.unwrap_or(0);
        let max_events = query_limit(query, MAX_PAGE_EVENTS)?;
        let max_bytes = MAX_PAGE_BYTES;
        let call = StoreOp::ReadLog { owner, session, after, max_events, max_bytes };
        self.store(Pending::Events { op }, call);
        Ok(())
    }

    fn post(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        owner: AccountId,
        session: SessionId,
    ) -> Result<(), ApiError> {
        whole_text(asked)?;
        let PostMessages { messages } = body(asked)?;
        if messages.is_empty() || messages.len() > self.config.max_posted {
            let most = self.config.max_posted;
            return Err(ApiError::invalid(&format!("messages must have 1 to {most} of them")));
        }
        let (mut names, mut new) = (Vec::new(), Vec::new());
        for (at, raw) in messages.into_iter().enumerate() {
            let (name, message) = self
                .message(raw)
                .map_err(|why| ApiError::invalid(&format!("messages[{at}] {why}")))?;
            names.push(name);
            new.push(message);
        }
        let posting = Posting::Messages(names);
        self.store(
            Pending::Posted { op, posting },
            StoreOp::Post { owner, session, messages: new },
        );
        Ok(())
    }

    /// A message of a viewer as a line for the agent.
    fn message(&mut self, raw: &RawValue) -> Result<(Named, NewMessage), String> {
        let line = one_line(raw);
        if line.len() > MAX_LINE_BYTES {
            return Err(format!("is longer than {MAX_LINE_BYTES} bytes"));
        }
        let head = Head::parse(&line).map_err(|_| "is not an object with a \"type\"")?;
        let Head { uuid, request_id, subtype, .. } = &head;
        for name in [uuid, request_id].into_iter().flatten() {
            if name.is_empty() || name.len() > MAX_ID_BYTES {
                return Err(format!("must have 1 to {MAX_ID_BYTES} bytes as uuid or request_id"));
            }
        }
        match (head.kind(), subtype.as_deref()) {
            (Kind::User, _) => {
                let (uuid, line) = self.with_field(line, "uuid", uuid.clone());
                let name = Named { uuid: Some(uuid.clone()), request_id: None };
                Ok((name, NewMessage { uuid: Some(uuid), request_id: None, line }))
            }
            (Kind::ControlRequest, Some(subtype)) if VIEWER_REQUESTS.contains(&subtype) => {
                let (id, line) = self.with_field(line, "request_id", request_id.clone());
                let name = Named { uuid: uuid.clone(), request_id: Some(id.clone()) };
                Ok((name, NewMessage { uuid: uuid.clone(), request_id: Some(id), line }))
            }
            _ => {
                let requests = VIEWER_REQUESTS.join(", ");
                Err(format!("must be a user message, or a control_request of: {requests}"))
            }
        }
    }

    /// A field of a message, drawn and put into its line where it is missing. It goes to the end,
    /// where it counts even if the key stands there already with a value that is no text.
    fn with_field(&mut self, line: Text, key: &str, value: Option<String>) -> (String, Text) {
        if let Some(value) = value {
            return (value, line);
        }
        let value = self.authority.mint.draw_uuid();
        let open = line.as_str().strip_suffix('}').unwrap_or_default();
        let line = Text::from(format!("{open},\"{key}\":\"{value}\"}}"));
        (value, line)
    }

    fn interrupt(&mut self, op: OpId, owner: AccountId, session: SessionId) {
        let request_id = self.authority.mint.draw_uuid();
        let line = control::request(&request_id, "interrupt");
        let request = NewMessage { uuid: None, request_id: Some(request_id.clone()), line };
        let messages = alloc::vec![request];
        let posting = Posting::Interrupt { request_id };
        self.store(Pending::Posted { op, posting }, StoreOp::Post { owner, session, messages });
    }

    pub(in crate::relay) fn session_view<'a>(&self, session: &'a Session) -> SessionView<'a> {
        views::session(session, self.is_connected(&session.id))
    }

    pub(in crate::relay) fn session_list(&self, sessions: &[Session]) -> Response {
        let sessions = sessions.iter().map(|session| self.session_view(session)).collect();
        response::json(200, &SessionList { sessions })
    }
}

impl Posting {
    pub(in crate::relay) fn response(&self, accepted: &[Accepted]) -> Response {
        match self {
            Self::Messages(names) => {
                let pairs = names.iter().zip(accepted);
                let accepted = pairs.map(|(name, accepted)| MessageReceipt {
                    uuid: name.uuid.as_deref().map(Cow::Borrowed),
                    request_id: name.request_id.as_deref().map(Cow::Borrowed),
                    seq: accepted.seq,
                });
                response::json(200, &PostReceipt { accepted: accepted.collect() })
            }
            Self::Interrupt { request_id } => {
                let seq = accepted.first().map_or(0, |accepted| accepted.seq);
                let request_id = Cow::Borrowed(request_id.as_str());
                response::json(200, &InterruptReceipt { request_id, seq })
            }
        }
    }
}

/// `serde_json` looks only at the strings that it reads; what is passed on raw has to be UTF-8 too.
pub(in crate::relay) fn whole_text(asked: &IncomingRequest) -> Result<(), ApiError> {
    let text = core::str::from_utf8(whole(asked));
    text.map(|_| ()).map_err(|_| ApiError::invalid("the body is not UTF-8"))
}

/// A JSON value on one line. A line end in JSON can only stand between its tokens, never within a
/// string; so that a space does as well there.
pub(in crate::relay) fn one_line(raw: &RawValue) -> Text {
    let json: Box<str> = raw.get().into();
    Text::from(if json.contains(['\n', '\r']) {
        json.replace(['\n', '\r'], " ")
    } else {
        String::from(json)
    })
}
