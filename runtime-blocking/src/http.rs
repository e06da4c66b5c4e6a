//! HTTP exchanges by ureq, each in a thread of its own.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Method, Request, Response};
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use ureq::config::{AutoHeaderValue, Config};
use ureq::http::{self, HeaderMap, HeaderValue, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout, TcpConnector};
use ureq::{Agent, AsSendBody, Body, Error};

use crate::failure::{failure, io_failure, kind_of};
use crate::inbox::lock;
use crate::mailbox::Outbox;
use crate::net;
use crate::threads::{LARGE_STACK, Threads};
use crate::tls::{Tls, TlsConnector};

/// Agents, and so connections, that wait for the next exchange with their origin.
const MAX_IDLE_AGENTS: usize = 4;
/// Bytes of a connection's buffer, in each direction.
const BUFFER_BYTES: usize = 16 << 10;
/// A connection that was idle for longer is not used again: the other side may be closing it.
const MAX_IDLE_AGE: Duration = Duration::from_secs(15);

/// The HTTP client.
///
/// An agent carries one exchange at a time, so that shutting it down frees that one and no other.
/// When its exchange is over it waits, with its connection, for the next one to the same origin.
pub(crate) struct Http {
    tls: Tls,
    idle: Arc<Mutex<Vec<(Origin, Agent)>>>,
}

/// Scheme and authority.
type Origin = (String, String);

/// An exchange that is under way; `None` once it is over or was cancelled.
pub(crate) struct Exchange(Arc<Mutex<Option<Agent>>>);

impl Exchange {
    /// Frees the exchange at once, and closes its connection.
    pub(crate) fn cancel(&self) {
        let agent = lock(&self.0).take();
        if let Some(agent) = agent {
            agent.shutdown();
        }
    }
}

impl Http {
    pub(crate) fn new(tls: Tls) -> Self {
        Self { tls, idle: Arc::default() }
    }

    /// Starts an exchange.
    pub(crate) fn start(
        &self,
        op: OpId,
        request: Request,
        outbox: Outbox,
        threads: &mut Threads,
    ) -> Result<Exchange, IoError> {
        let uri: Uri = request
            .url
            .parse()
            .map_err(|error| failure(IoErrorKind::Protocol, format_args!("the URL: {error}")))?;
        let origin = origin_of(&uri)?;
        let (mut agent, is_reused) = self.agent(&origin);
        let slot = Arc::new(Mutex::new(Some(agent.clone())));
        let exchange = Exchange(Arc::clone(&slot));
        let (idle, tls) = (Arc::clone(&self.idle), self.tls.clone());
        let work = move || {
            let begun = Instant::now();
            let mut answer = exchange_with(&agent, &uri, &request, request.timeout);
            // A server may close a kept connection just as the next request leaves. What may be
            // repeated is then sent once more, unless it was cancelled.
            let is_safe = matches!(request.method, Method::Get | Method::Head);
            if is_reused
                && is_safe
                && answer.as_ref().is_err_and(|failure| failure.kind == IoErrorKind::Disconnected)
                && let Some(renewed) = renew(&slot, &tls)
            {
                agent = renewed;
                let left = request.timeout.saturating_sub(begun.elapsed());
                answer = exchange_with(&agent, &uri, &request, left);
            }
            drop(agent);
            // Whoever takes the agent out of the slot decides: it is kept, or it was shut down.
            let agent = lock(&slot).take();
            if let (Ok(_), Some(agent)) = (&answer, agent) {
                let mut idle = lock(&idle);
                if idle.len() >= MAX_IDLE_AGENTS {
                    idle.remove(0);
                }
                idle.push((origin, agent));
            }
            let _ = outbox.post(match answer {
                Ok(response) => Event::Response { op, response },
                Err(failure) => Event::Failed { op, failure },
            });
        };
        let started = threads.spawn("http", LARGE_STACK, work);
        started.map_err(|error| io_failure("no thread", &error))?;
        Ok(exchange)
    }

    /// The agent that was used last for an origin, or a new one; and whether it was used before.
    fn agent(&self, origin: &Origin) -> (Agent, bool) {
        let mut idle = lock(&self.idle);
        match idle.iter().rposition(|(of, _)| of == origin) {
            Some(at) => (idle.remove(at).1, true),
            None => (new_agent(&self.tls), false),
        }
    }
}

fn new_agent(tls: &Tls) -> Agent {
    let connector = ().chain(TcpConnector::default()).chain(TlsConnector(tls.clone()));
    Agent::with_parts(config(), connector, Names)
}

/// Puts a new agent in the place of one that is under way; `None` if that was cancelled.
fn renew(slot: &Mutex<Option<Agent>>, tls: &Tls) -> Option<Agent> {
    let mut slot = lock(slot);
    let current = slot.as_mut()?;
    *current = new_agent(tls);
    Some(current.clone())
}

/// Nothing is decided here: no redirect is followed, no status is an error, no header is added.
fn config() -> Config {
    Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .max_idle_age(MAX_IDLE_AGE)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .build()
}

fn origin_of(uri: &Uri) -> Result<Origin, IoError> {
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => {
            Ok((scheme.to_owned(), authority.as_str().to_owned()))
        }
        _ => Err(failure(IoErrorKind::Protocol, "not an absolute URL of HTTP")),
    }
}

fn exchange_with(
    agent: &Agent,
    uri: &Uri,
    request: &Request,
    timeout: Duration,
) -> Result<Response, IoError> {
    let place = || format!("{} {uri}", request.method.as_str());
    let mut message = http::Request::builder().method(method(request.method)?).uri(uri);
    for (name, value) in &request.headers {
        let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| {
            failure(IoErrorKind::Other, format_args!("the header {name} cannot be sent"))
        })?;
        value.set_sensitive(true);
        message = message.header(*name, value);
    }
    let has_body = matches!(request.method, Method::Post | Method::Put);
    let sent = if request.body.is_empty() && !has_body {
        send(agent, message, (), timeout)
    } else {
        send(agent, message, &request.body[..], timeout)
    };
    let (parts, mut body) = sent.map_err(|error| of_ureq(&place(), error))?.into_parts();
    let too_large = || {
        let detail = format!("{}: an answer of more than {} bytes", place(), request.max_response);
        failure(IoErrorKind::TooLarge, detail)
    };
    if body.content_length().is_some_and(|length| length > request.max_response as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // One byte more than is allowed, to see that there is one.
    let limit = u64::try_from(request.max_response).unwrap_or(u64::MAX).saturating_add(1);
    let read = body.as_reader().take(limit).read_to_end(&mut bytes);
    read.map_err(|error| of_ureq(&place(), error.into()))?;
    if bytes.len() > request.max_response {
        return Err(too_large());
    }
    let headers = headers(&parts.headers);
    Ok(Response { status: parts.status.as_u16(), headers, body: Bytes::from(bytes) })
}

fn send(
    agent: &Agent,
    message: http::request::Builder,
    body: impl AsSendBody,
    timeout: Duration,
) -> Result<http::Response<Body>, Error> {
    let limited = agent.configure_request(message.body(body)?).timeout_global(Some(timeout));
    agent.run(limited.build())
}

fn method(method: Method) -> Result<http::Method, IoError> {
    Ok(match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Other => return Err(failure(IoErrorKind::Other, "no method to send")),
    })
}

/// Headers as the core has them; those that are not UTF-8 are left out.
pub(crate) fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned);
    let pairs = headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
    pairs.collect()
}

fn of_ureq(place: &str, error: Error) -> IoError {
    let kind = match error {
        // Our own, on its way through the library.
        Error::Other(inner) => match inner.downcast::<IoError>() {
            Ok(failure) => return *failure,
            Err(other) => return failure(IoErrorKind::Other, format_args!("{place}: {other}")),
        },
        Error::Io(ref error) => kind_of(error),
        Error::Timeout(_) => IoErrorKind::TimedOut,
        Error::HostNotFound => IoErrorKind::Dns,
        Error::Tls(_) | Error::TlsRequired => IoErrorKind::Tls,
        Error::Protocol(_) | Error::LargeResponseHeader(..) => IoErrorKind::Protocol,
        Error::BodyExceedsLimit(_) => IoErrorKind::TooLarge,
        Error::ConnectionFailed => IoErrorKind::Unreachable,
        _ => IoErrorKind::Other,
    };
    failure(kind, format_args!("{place}: {error}"))
}

/// Names looked up as everywhere else in this crate.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default();
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let limit = (!timeout.after.is_not_happening()).then(|| *timeout.after);
        let found = net::resolve(host, uri.port_u16().unwrap_or(default), limit)
            .map_err(|failure| Error::Other(failure.into()))?;
        let mut addresses = self.empty();
        for address in found {
            addresses.push(address);
        }
        Ok(addresses)
    }
}
