//! HTTP in both directions: requests and answers, whole or as streams.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use bytes::Bytes;

use crate::base::secret::Secret;
pub use crate::contract::reach::Reach;

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    /// Any other; a server answers 405.
    Other,
}

impl Method {
    /// As written in a request line; `OTHER` cannot be sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Other => "OTHER",
        }
    }
}

/// One HTTP request to send.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// GET, POST or PUT.
    pub method: Method,
    /// Absolute `http:` or `https:` URL.
    pub url: String,
    /// Names in lower case, and values. The runtime sets `host` and `content-length`.
    pub headers: Vec<(&'static str, Secret)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// From the start to the last byte of a whole answer, or to the head of a streamed one; after
    /// that the request has `Failed` with
    /// [`IoErrorKind::TimedOut`](super::event::IoErrorKind::TimedOut).
    pub timeout: Duration,
    /// How the answer is to be delivered.
    pub answer: Answer,
    /// Which servers it may reach. A proxy that its owner has set up is always reached, and decides for
    /// itself.
    pub reach: Reach,
}

/// How the answer to a [`Request`] is delivered, whatever its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// In one piece, as `Response`.
    Whole {
        /// With a longer body the request has `Failed` with
        /// [`IoErrorKind::TooLarge`](super::event::IoErrorKind::TooLarge).
        max_body: usize,
    },
    /// As it arrives: `Head`, then a `Received` for each read, and `Closed` at the end.
    Stream {
        /// The longest silence between two pieces. Time spent paused does not count.
        /// After that the stream is `Closed` with
        /// [`IoErrorKind::TimedOut`](super::event::IoErrorKind::TimedOut).
        idle_timeout: Duration,
    },
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method.as_str(), self.url, self.body.len())
    }
}

/// An HTTP answer, received or to be sent.
#[derive(Clone, PartialEq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The first value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

/// The head of an HTTP answer whose body is a stream.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values. When sending, the runtime sets `content-length` and
    /// `transfer-encoding`.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// One incoming HTTP request.
#[derive(Clone, PartialEq)]
pub struct IncomingRequest {
    /// Its method.
    pub method: Method,
    /// Its path and query, as received: `/v1/sessions?x=1`.
    pub target: String,
    /// Names in lower case, and values; those that are not UTF-8 are left out.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Body,
    /// Whether it came over TLS.
    pub is_tls: bool,
    /// The other end of its connection.
    pub peer: IpAddr,
}

impl IncomingRequest {
    /// The first value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl fmt::Debug for IncomingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.target)
    }
}

/// The body of an incoming request.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// All of it; empty if there is none.
    Whole(Bytes),
    /// It has not been read yet.
    Unread {
        /// How long it is, if its sender has said so.
        length: Option<u64>,
    },
    /// It was longer than its `ReadBody` allowed, and was not read.
    TooLarge,
    /// It is not framed as HTTP wants it.
    Malformed,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Unread { length: Some(length) } => write!(f, "{length} bytes unread"),
            Self::Unread { length: None } => f.write_str("unread"),
            Self::TooLarge => f.write_str("too large"),
            Self::Malformed => f.write_str("malformed"),
        }
    }
}
