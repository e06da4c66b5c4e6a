//! HTTP exchanges using ureq, each on its own thread.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::limits::{MAX_DIALED_ADDRESSES, MAX_RESEND_AGE};
use footbridge_core::contract::action::{Answer, Head, Method, Reach, Request, Response};
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use footbridge_core::engine::proxies::{Proxies, unreachable};
use ureq::config::{AutoHeaderValue, Config};
use ureq::http::{self, HeaderMap, HeaderValue, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout};
use ureq::{Agent, AsSendBody, Body, Error};

use crate::failure::{failure, io_failure, kind_of};
use crate::inbox::{Inbox, lock};
use crate::mailbox::{Gone, Outbox};
use crate::net;
use crate::stream::{CurrentFlow, Flow, FlowConnector, Order};
use crate::threads::{LARGE_STACK, Threads};
use crate::tls::{Tls, TlsConnector};
use crate::transport::{self, Dialer};

/// Idle agents, and so connections, kept for the next exchange with their origin.
const MAX_IDLE_AGENTS: usize = 4;
/// Size of a connection's buffer in each direction, in bytes.
const BUFFER_BYTES: usize = 16 << 10;
/// A connection idle for longer is not reused: the server may be closing it.
const MAX_IDLE_AGE: Duration = Duration::from_secs(15);

/// The HTTP client.
///
/// An agent carries one exchange at a time, so shutting it down frees that one and no other. When
/// its exchange is over, it waits with its connection for the next one to the same origin.
pub(crate) struct Http {
    way: Way,
    idle: Arc<Mutex<Vec<(Origin, Client)>>>,
}

/// How connections go out.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) tls: Tls,
    pub(crate) proxies: Arc<Proxies>,
}

/// An agent, and how it reads the response in progress.
#[derive(Clone)]
struct Client {
    agent: Agent,
    flow: CurrentFlow,
}

/// Scheme, authority, and whether it may be a server of this network's own.
type Origin = (String, String, Reach);

/// The client of an exchange in progress; `None` once it is over or cancelled.
type Slot = Arc<Mutex<Option<Client>>>;

/// An exchange in progress.
pub(crate) struct Exchange {
    slot: Slot,
    /// Only a streamed response takes orders.
    orders: Option<Arc<Inbox<Order>>>,
}

impl Exchange {
    /// Frees the exchange at once, and closes its connection.
    pub(crate) fn cancel(&self) {
        if let Some(orders) = &self.orders {
            orders.cancel();
        }
        let client = lock(&self.slot).take();
        if let Some(client) = client {
            client.agent.shutdown();
        }
    }

    pub(crate) fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            orders.push(order);
        }
    }
}

/// How the response is read.
enum Reading {
    Whole { max_body: usize },
    Flow(Arc<Flow>),
}

impl Http {
    pub(crate) fn new(way: Way) -> Self {
        Self { way, idle: Arc::default() }
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
        let origin = origin_of(&uri, request.reach)?;
        let (reading, orders) = match request.answer {
            Answer::Whole { max_body } => (Reading::Whole { max_body }, None),
            Answer::Stream { idle_timeout } => {
                let inbox = Inbox::new().map_err(|error| io_failure("no eventfd", &error))?;
                let orders = Arc::new(inbox);
                let flow = Flow::new(request.timeout, idle_timeout, Arc::clone(&orders));
                (Reading::Flow(Arc::new(flow)), Some(orders))
            }
        };
        let (client, is_reused) = self.client(&origin);
        let slot: Slot = Arc::new(Mutex::new(Some(client.clone())));
        let exchange = Exchange { slot: Arc::clone(&slot), orders };
        let (idle, way) = (Arc::clone(&self.idle), self.way.clone());
        let work = move || {
            let tries = Tries { request: &request, slot: &slot, way: &way, is_reused };
            let last = match reading {
                Reading::Whole { max_body } => {
                    let read =
                        |client: &Client, time| whole(client, &uri, &request, time, max_body);
                    Some(match tries.run(client, read).1 {
                        Ok(response) => Event::Response { op, response },
                        Err(failure) => Event::Failed { op, failure },
                    })
                }
                Reading::Flow(flow) => {
                    let begin = |client: &Client, time| {
                        client.flow.set(Some(Arc::clone(&flow)));
                        begin(client, &uri, &request, time)
                    };
                    let (client, answer) = tries.run(client, begin);
                    let last = match answer {
                        Ok(answer) => {
                            let place = place(&uri, &request);
                            // Nobody is listening any more, so there is nothing left to report.
                            forward(op, answer, &flow, (&place, &outbox)).unwrap_or(None)
                        }
                        Err(failure) => Some(Event::Failed { op, failure }),
                    };
                    client.flow.set(None);
                    last
                }
            };
            let is_well =
                matches!(last, Some(Event::Response { .. } | Event::Closed { failure: None, .. }));
            // Whoever takes the client out of the slot decides whether it is kept or shut down.
            let client = lock(&slot).take();
            if let Some(client) = client.filter(|_| is_well) {
                let mut idle = lock(&idle);
                if idle.len() >= MAX_IDLE_AGENTS {
                    idle.remove(0);
                }
                idle.push((origin, client));
            }
            if let Some(last) = last {
                let _ = outbox.post(last);
            }
        };
        let started = threads.spawn("http", LARGE_STACK, work);
        started.map_err(|error| io_failure("no thread", &error))?;
        Ok(exchange)
    }

    /// The client last used for an origin, or a new one, and whether it was used before.
    fn client(&self, origin: &Origin) -> (Client, bool) {
        let mut idle = lock(&self.idle);
        match idle.iter().rposition(|(of, _)| of == origin) {
            Some(at) => (idle.remove(at).1, true),
            None => (Client::new(&self.way, origin.2), false),
        }
    }
}

impl Client {
    fn new(way: &Way, reach: Reach) -> Self {
        let Way { tls, proxies } = way;
        let flow = CurrentFlow::default();
        let connector = Dialer(Arc::clone(proxies))
            .chain(FlowConnector(flow.clone()))
            .chain(TlsConnector(tls.clone()));
        let names = Names { proxies: Arc::clone(proxies), reach };
        Self { agent: Agent::with_parts(config(), connector, names), flow }
    }
}

/// How often an exchange may be tried.
struct Tries<'a> {
    request: &'a Request,
    slot: &'a Slot,
    way: &'a Way,
    /// Whether its connection was used before.
    is_reused: bool,
}

impl Tries<'_> {
    /// A server may close a kept connection just as the next request is sent. An idempotent one is
    /// then sent once more, unless cancelled. Returns the client used last, and the result.
    fn run<T>(
        &self,
        client: Client,
        attempt: impl Fn(&Client, Duration) -> Result<T, IoError>,
    ) -> (Client, Result<T, IoError>) {
        let Self { request, slot, way, is_reused } = *self;
        let begun = Instant::now();
        let answer = attempt(&client, request.timeout);
        let is_soon = begun.elapsed() < MAX_RESEND_AGE;
        let is_safe = is_soon && matches!(request.method, Method::Get | Method::Head);
        if is_reused
            && is_safe
            && answer.as_ref().is_err_and(|failure| failure.kind == IoErrorKind::Disconnected)
            && let Some(renewed) = renew(slot, way, request.reach)
        {
            drop(client);
            let left = request.timeout.saturating_sub(begun.elapsed());
            let answer = attempt(&renewed, left);
            return (renewed, answer);
        }
        (client, answer)
    }
}

/// Replaces the client of an exchange in progress with a new one; `None` if it was cancelled.
fn renew(slot: &Slot, way: &Way, reach: Reach) -> Option<Client> {
    let mut slot = lock(slot);
    let current = slot.as_mut()?;
    *current = Client::new(way, reach);
    Some(current.clone())
}

/// Makes no decisions: follows no redirect, treats no status as an error, adds no header.
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

fn origin_of(uri: &Uri, reach: Reach) -> Result<Origin, IoError> {
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => {
            Ok((scheme.to_owned(), authority.as_str().to_owned(), reach))
        }
        _ => Err(failure(IoErrorKind::Protocol, "not an absolute HTTP URL")),
    }
}

/// One exchange with its complete response.
fn whole(
    client: &Client,
    uri: &Uri,
    request: &Request,
    timeout: Duration,
    max_body: usize,
) -> Result<Response, IoError> {
    let place = place(uri, request);
    let (parts, mut body) = begin(client, uri, request, timeout)?.into_parts();
    let too_large = || {
        let detail = format!("{place}: the response is larger than {max_body} bytes");
        failure(IoErrorKind::TooLarge, detail)
    };
    if body.content_length().is_some_and(|length| length > max_body as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // One byte over the limit, to detect that there is more.
    let limit = u64::try_from(max_body).unwrap_or(u64::MAX).saturating_add(1);
    let read = body.as_reader().take(limit).read_to_end(&mut bytes);
    read.map_err(|error| of_ureq(&place, error.into()))?;
    if bytes.len() > max_body {
        return Err(too_large());
    }
    let headers = headers(&parts.headers);
    Ok(Response { status: parts.status.as_u16(), headers, body: Bytes::from(bytes) })
}

/// Passes on a response as it arrives; returns its last event, or `None` after a cancel.
fn forward(
    op: OpId,
    answer: http::Response<Body>,
    flow: &Flow,
    (place, outbox): (&str, &Outbox),
) -> Result<Option<Event>, Gone> {
    let (parts, mut body) = answer.into_parts();
    let head = Head { status: parts.status.as_u16(), headers: headers(&parts.headers) };
    outbox.post(Event::Head { op, head })?;
    let end = flow.forward(op, body.as_reader(), outbox)?;
    Ok(end.map(|end| {
        let failure = end.err().map(|error| of_ureq(place, error.into()));
        Event::Closed { op, code: None, failure }
    }))
}

fn place(uri: &Uri, request: &Request) -> String {
    format!("{} {uri}", request.method.as_str())
}

/// Sends a request, and reads the head of its response.
fn begin(
    client: &Client,
    uri: &Uri,
    request: &Request,
    timeout: Duration,
) -> Result<http::Response<Body>, IoError> {
    let agent = &client.agent;
    let mut message = http::Request::builder().method(method(request.method)?).uri(uri);
    for (name, value) in &request.headers {
        let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| {
            failure(IoErrorKind::Other, format_args!("the header {name} cannot be sent"))
        })?;
        value.set_sensitive(true);
        message = message.header(*name, value);
    }
    let has_body = matches!(request.method, Method::Post | Method::Put);
    let limit = match request.answer {
        Answer::Whole { .. } => Limit::Whole,
        Answer::Stream { .. } => Limit::Head,
    };
    let sent = if request.body.is_empty() && !has_body {
        send(agent, message, (), (timeout, limit))
    } else {
        send(agent, message, &request.body[..], (timeout, limit))
    };
    sent.map_err(|error| of_ureq(&place(uri, request), error))
}

/// What a time limit is for.
#[derive(Clone, Copy)]
enum Limit {
    Whole,
    Head,
}

fn send(
    agent: &Agent,
    message: http::request::Builder,
    body: impl AsSendBody,
    (timeout, limit): (Duration, Limit),
) -> Result<http::Response<Body>, Error> {
    let request = agent.configure_request(message.body(body)?);
    let request = match limit {
        Limit::Whole => request.timeout_global(Some(timeout)),
        // Once connected, its flow keeps the time, so the body may take longer.
        Limit::Head => request.timeout_resolve(Some(timeout)).timeout_connect(Some(timeout)),
    };
    agent.run(request.build())
}

fn method(method: Method) -> Result<http::Method, IoError> {
    Ok(match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Other => return Err(failure(IoErrorKind::Other, "unknown method")),
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

/// Looks up names as everywhere else in this crate: of a proxy, if there is one, which looks up the
/// rest.
#[derive(Debug)]
struct Names {
    proxies: Arc<Proxies>,
    reach: Reach,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let own = |failure: IoError| Error::Other(failure.into());
        let limit = (!timeout.after.is_not_happening()).then(|| *timeout.after);
        let proxy = transport::proxy_of(&self.proxies, uri).map_err(own)?;
        let (host, port) = match proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => transport::place(uri),
        };
        let found = net::resolve(host, port, limit);
        let found = found.map_err(|error| own(unreachable(proxy, error)))?;
        let reach = if proxy.is_some() { Reach::Anywhere } else { self.reach };
        let found = reach.narrow(host, found);
        let found = found.map_err(|why| own(failure(IoErrorKind::Unreachable, why)))?;
        let mut addresses = self.empty();
        for address in found.into_iter().take(MAX_DIALED_ADDRESSES) {
            addresses.push(address);
        }
        Ok(addresses)
    }
}
