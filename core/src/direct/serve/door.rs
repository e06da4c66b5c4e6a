//! Who may come in: names, pages, the token, and how many.

use sha2::{Digest as _, Sha256};

use crate::base::id::SessionId;
use crate::base::limits::MAX_DIRECT_CLIENTS;
use crate::base::secret::Secret;
use crate::contract::action::Method;
use crate::contract::event::IncomingRequest;
use crate::direct::frame::PROTOCOL;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{self, offered_protocols, only, require_websocket};
use crate::relay::http::site::Site;
use crate::wire::error::ErrorType;

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// NDJSON and nothing else.
    Plain,
    /// [`PROTOCOL`].
    Resuming,
}

/// What a request has to show.
#[derive(Debug)]
pub(super) struct Door {
    site: Site,
    /// Only its digest is compared, so that the time taken says nothing about it.
    token: [u8; 32],
    session: SessionId,
}

impl Door {
    pub(super) fn new(site: Site, token: &Secret, session: SessionId) -> Self {
        Self { site, token: digest(token.reveal()), session }
    }

    /// Whether a request may become a connection, and how that speaks. `clients` are there already.
    pub(super) fn check(
        &self,
        request: &IncomingRequest,
        clients: usize,
    ) -> Result<Protocol, ApiError> {
        self.site.check(request)?;
        request::check(request)?;
        let shown = only(request, "authorization").ok().flatten().unwrap_or_default();
        let token = shown.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        let token = token.map_or("", |(_, token)| token.trim());
        if digest(token) != self.token {
            let message = "this needs the server's token, as Authorization: Bearer …";
            return Err(ApiError::new(401, ErrorType::AuthenticationFailed, message));
        }
        let path = request.target.split('?').next().unwrap_or_default();
        let named = path.strip_prefix("/v1/direct/").and_then(|id| SessionId::new(id).ok());
        let is_ours = named.is_some_and(|id| id.is_same_session(&self.session));
        if !is_ours && path != "/v1/direct" {
            let message = "there is no such session here";
            return Err(ApiError::new(404, ErrorType::SessionUnknown, message));
        }
        if request.method != Method::Get {
            let message = "this path takes GET only";
            return Err(ApiError::new(405, ErrorType::MethodNotAllowed, message));
        }
        require_websocket(request)?;
        if clients >= MAX_DIRECT_CLIENTS {
            let message = "too many clients are connected";
            return Err(ApiError::new(429, ErrorType::LimitReached, message));
        }
        let is_ours = offered_protocols(request).any(|offered| offered == PROTOCOL);
        Ok(if is_ours { Protocol::Resuming } else { Protocol::Plain })
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
