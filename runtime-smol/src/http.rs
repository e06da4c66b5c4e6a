//! The HTTP client: one exchange at a time, over connections that are kept for reuse.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use bytes::Bytes;
use footbridge_core::base::limits::MAX_RESEND_AGE;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Method, Request, Response};
use footbridge_core::contract::event::{IoError, IoErrorKind};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::Uri;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};

use crate::connect::{Dialer, Origin};
use crate::failure::{about_http, failure};
use crate::io::{HyperIo, within};
use crate::mailbox::Spawner;

/// Idle connections kept, to all servers together.
const MAX_IDLE: usize = 8;
/// How long one may stay idle.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// How long one is used, so that address changes are noticed.
const AGE_LIMIT: Duration = Duration::from_secs(10 * 60);
/// The largest response head, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The client of one driver.
pub(crate) struct Client {
    pub(crate) dialer: Dialer,
    spawner: Spawner,
    idle: RefCell<Vec<Idle>>,
}

struct Idle {
    origin: Origin,
    since: Instant,
    line: Line,
}

/// An exchange that has begun: its response will arrive on this connection.
pub(crate) struct Exchange {
    pub(crate) origin: Origin,
    line: Line,
}

/// One connection.
struct Line {
    born: Instant,
    is_reused: bool,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) const fn new(dialer: Dialer, spawner: Spawner) -> Self {
        Self { dialer, spawner, idle: RefCell::new(Vec::new()) }
    }

    /// One exchange within its time limit. Dropping the future drops its connection.
    pub(crate) async fn exchange(
        &self,
        request: &Request,
        max_body: usize,
    ) -> Result<Response, IoError> {
        let url: Uri = parse(&request.url)?;
        let origin = Origin::of(&url, request.reach)?;
        let timeout = request.timeout;
        let whole = async {
            let (exchange, answer) = self.ask(&origin, &url, request).await?;
            let status = answer.status().as_u16();
            let headers = headers_of(answer.headers());
            let body = collect(&origin, answer.into_body(), max_body).await?;
            self.keep(exchange);
            Ok(Response { status, headers, body })
        };
        within(timeout, whole).await.unwrap_or_else(|| {
            let detail = format!("{origin}: no complete response within {timeout:?}");
            Err(failure(IoErrorKind::TimedOut, detail))
        })
    }

    /// An exchange up to the head of its response, within its time limit.
    pub(crate) async fn begin(
        &self,
        request: &Request,
    ) -> Result<(Exchange, hyper::Response<Incoming>), IoError> {
        let url: Uri = parse(&request.url)?;
        let origin = Origin::of(&url, request.reach)?;
        let timeout = request.timeout;
        within(timeout, self.ask(&origin, &url, request)).await.unwrap_or_else(|| {
            let detail = format!("{origin}: no response within {timeout:?}");
            Err(failure(IoErrorKind::TimedOut, detail))
        })
    }

    async fn ask(
        &self,
        origin: &Origin,
        url: &Uri,
        ask: &Request,
    ) -> Result<(Exchange, hyper::Response<Incoming>), IoError> {
        let mut line = match self.take(origin) {
            Some(line) => line,
            None => self.open(origin).await?,
        };
        let request = build(origin, url, ask)?;
        let sent = Instant::now();
        let mut answer = line.sender.try_send_request(request).await;
        if let Err(lost) = &mut answer
            && line.is_reused
        {
            // A server may close a kept connection just as the next request is sent. What was not
            // sent is sent again; so is any idempotent request, if nothing came back.
            let unsent = lost.take_message();
            let is_soon = sent.elapsed() < MAX_RESEND_AGE;
            let is_safe = is_soon && matches!(ask.method, Method::Get | Method::Head);
            let is_broken = !lost.error().is_parse();
            if unsent.is_some() || (is_safe && is_broken) {
                line = self.open(origin).await?;
                answer = line.sender.try_send_request(build(origin, url, ask)?).await;
            }
        }
        let answer = answer.map_err(|lost| about_http(origin, lost.error()))?;
        Ok((Exchange { origin: origin.clone(), line }, answer))
    }

    async fn open(&self, origin: &Origin) -> Result<Line, IoError> {
        // Boxed, so its memory is freed while waiting for the response.
        let connection = HyperIo(Box::pin(self.dialer.dial(origin)).await?);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(connection)
            .await
            .map_err(|error| about_http(origin, &error))?;
        // The request in progress sees whatever breaks the connection.
        self.spawner.detach(async { drop(connection.await) });
        Ok(Line { born: Instant::now(), is_reused: false, sender })
    }

    fn take(&self, origin: &Origin) -> Option<Line> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|kept| !kept.line.sender.is_closed() && kept.since.elapsed() < IDLE_LIMIT);
        let at =
            idle.iter().rposition(|kept| kept.origin == *origin && kept.line.sender.is_ready())?;
        Some(Line { is_reused: true, ..idle.swap_remove(at).line })
    }

    /// Keeps the connection of a finished exchange.
    pub(crate) fn keep(&self, exchange: Exchange) {
        let Exchange { origin, line } = exchange;
        if line.sender.is_closed() || line.born.elapsed() > AGE_LIMIT {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() == MAX_IDLE {
            idle.remove(0);
        }
        idle.push(Idle { origin, since: Instant::now(), line });
    }
}

/// Checks a URL. The message does not repeat it: it may contain secrets.
pub(crate) fn parse(url: &str) -> Result<Uri, IoError> {
    url.parse().map_err(|error| failure(IoErrorKind::Protocol, format_args!("the URL: {error}")))
}

fn build(
    origin: &Origin,
    url: &Uri,
    ask: &Request,
) -> Result<hyper::Request<Full<Bytes>>, IoError> {
    let mut request = hyper::Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = match ask.method {
        Method::Get => hyper::Method::GET,
        Method::Head => hyper::Method::HEAD,
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
        Method::Delete => hyper::Method::DELETE,
        Method::Other => return Err(failure(IoErrorKind::Protocol, "unknown method")),
    };
    *request.uri_mut() = path_of(url);
    fill(request.headers_mut(), origin, &ask.headers)?;
    if ask.body.is_empty() && matches!(ask.method, Method::Post | Method::Put) {
        // The library omits it, and some servers then wait for a body or refuse.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(request)
}

/// Path and query only, as in a request line.
pub(crate) fn path_of(url: &Uri) -> Uri {
    url.path_and_query().cloned().map_or_else(Uri::default, Uri::from)
}

/// Sets the headers of a request.
pub(crate) fn fill(
    map: &mut HeaderMap,
    origin: &Origin,
    headers: &[(&'static str, Secret)],
) -> Result<(), IoError> {
    let bad = |name: &str| failure(IoErrorKind::Protocol, format_args!("the header {name}"));
    let host = HeaderValue::from_str(&origin.host_header()).map_err(|_| bad("host"))?;
    map.insert(HOST, host);
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| bad(name))?;
        value.set_sensitive(true);
        map.append(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(name))?, value);
    }
    Ok(())
}

/// Names and values of the headers that are text.
pub(crate) fn headers_of(map: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = std::str::from_utf8(value.as_bytes()).ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    map.iter().filter_map(text).collect()
}

async fn collect(origin: &Origin, body: Incoming, limit: usize) -> Result<Bytes, IoError> {
    let too_large = || {
        let detail = format!("{origin}: the response is larger than {limit} bytes");
        failure(IoErrorKind::TooLarge, detail)
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(match error.downcast_ref::<hyper::Error>() {
            Some(error) => about_http(origin, error),
            None => failure(IoErrorKind::Other, format_args!("{origin}: {error}")),
        }),
    }
}
