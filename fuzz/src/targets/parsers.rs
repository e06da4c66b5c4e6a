//! The core's parsers on any bytes.

use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use footbridge_core::base::id::{EnvironmentId, SessionId, WorkId};
use footbridge_core::base::text::Text;
use footbridge_core::base::time::UnixTime;
use footbridge_core::client::RequestError;
use footbridge_core::contract::action::Response;
use footbridge_core::wire::control;
use footbridge_core::wire::jwt::JwtTimes;
use footbridge_core::wire::link_v1::ControlFrame;
use footbridge_core::wire::message::{Head, Kind};
use footbridge_core::wire::ndjson::{Line, Splitter};
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::wire::viewer::{EnvironmentView, OverviewFrame, SessionFrame, SessionView};
use footbridge_core::wire::work_secret::WorkSecret;
use footbridge_core::wire::worker_api::environment::{Registered, Registration};
use footbridge_core::wire::worker_api::work::{Fence, Heartbeat, StopWork, WorkItem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::input::Input;
use super::reach::reach;

/// Lines come out the same however the stream is split, and no more is held than the limit allows.
pub fn ndjson_lines(data: &[u8]) {
    const LIMIT: usize = 32;
    let Some((cuts, stream)) = data.split_at_checked(data.len().min(8)) else { return };
    let split = |pieces: &[&[u8]]| {
        let mut splitter = Splitter::new(LIMIT);
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(Bytes::copy_from_slice(piece), |line| lines.push(line));
            assert!(splitter.held() <= LIMIT.max(200), "a bounded part is held");
        }
        splitter.finish(|line| lines.push(line));
        lines
    };
    let whole = split(&[stream]);
    let mut pieces = Vec::new();
    let mut rest = stream;
    for cut in cuts {
        let (piece, more) = rest.split_at(usize::from(*cut).min(rest.len()));
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    assert_eq!(whole, split(&pieces), "however the stream is split");
    for line in &whole {
        match line {
            Line::Whole(line) => {
                assert!(!line.is_empty() && line.len() <= LIMIT && !line.contains(&b'\n'));
            }
            Line::TooLong { bytes, .. } => assert!(*bytes > LIMIT),
        }
    }
}

/// The routing fields of a line are those that a full JSON parser finds.
pub fn message_heads(data: &[u8]) {
    let Ok(text) = Text::from_utf8(Bytes::copy_from_slice(data)) else { return };
    let parsed = Head::parse(&text);
    let Ok(value) = serde_json::from_str::<Value>(text.as_str()) else {
        // A full parser also refuses what it cannot represent: numbers and depths.
        return;
    };
    match parsed {
        Ok(head) => {
            assert_eq!(value["type"].as_str(), Some(&*head.kind));
            assert_eq!(value["uuid"].as_str(), head.uuid.as_deref());
        }
        Err(_) => assert!(value["type"].as_str().is_none(), "a typed object is a message"),
    }
}

/// The times of a JWT are those that a full JSON parser finds in it, and nothing panics.
pub fn jwt_times(data: &[u8]) {
    let whole = JwtTimes::of(&String::from_utf8_lossy(data));
    let payload = JwtTimes::of(&format!("x.{}.x", URL_SAFE_NO_PAD.encode(data)));
    if whole.is_some() || payload.is_some() {
        reach("a JWT was read");
    }
    let (Some(times), Ok(value)) = (payload, serde_json::from_slice::<Value>(data)) else { return };
    assert!(value.is_object());
    for (time, name) in [(times.issued_at, "iat"), (times.expires_at, "exp")] {
        if let Some(seconds) = value[name].as_u64() {
            let expected = UnixTime::from_millis(seconds.saturating_mul(1000));
            assert_eq!(time, Some(expected), "{name}");
        } else if !value[name].is_number() {
            assert_eq!(time, None, "{name}");
        }
    }
}

/// A valid control frame survives a round trip.
pub fn link_words(data: &[u8]) {
    let Ok(word) = ControlFrame::parse(data) else { return };
    if !matches!(word, ControlFrame::Unknown) {
        let again = ControlFrame::parse(&word.to_bytes());
        assert_eq!(again.map(|again| format!("{again:?}")).ok(), Some(format!("{word:?}")));
    }
}

/// Whatever a secret contains, neither its value nor its error shows any of it.
pub fn work_secrets(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let shown = match WorkSecret::decode(text) {
        Ok(secret) => {
            assert!(!secret.session_ingress_token.reveal().is_empty());
            format!("{:?}", secret.session_ingress_token)
        }
        Err(error) => error.to_string(),
    };
    // A fuzzer will eventually try the exact text of the errors, which no encoded secret looks
    // like.
    let is_secret = text.len() >= 12 && !text.contains(' ');
    assert!(!is_secret || !shown.contains(text), "{shown}");
}

/// An identifier never escapes its place in a URL, and a base URL survives a round trip.
pub fn ids_and_urls(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ids = [
        SessionId::new(text).map(|id| id.to_string()),
        WorkId::new(text).map(|id| id.to_string()),
        EnvironmentId::new(text).map(|id| id.to_string()),
    ];
    for id in ids.into_iter().flatten() {
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    }
    if let Ok(url) = BaseUrl::parse(text) {
        let again = BaseUrl::parse(&url.to_string());
        assert_eq!(again.as_ref(), Ok(&url), "{text:?}");
        let session = SessionId::new("session_1").expect("an id");
        let ingress = url.session_ingress(&session);
        assert!(ingress.starts_with("ws") && ingress.ends_with("/session_1"), "{ingress}");
        assert!(url.is_localhost() || ingress.starts_with("wss://"), "{ingress}");
    }
}

/// A control message built here is valid and contains what it was built from, whatever the text.
pub fn control_lines(data: &[u8]) {
    let mut input = Input(data);
    let id = String::from_utf8_lossy(input.some()).into_owned();
    let words = String::from_utf8_lossy(input.0).into_owned();
    let lines = [
        (control::request(&id, &words), Kind::ControlRequest, Some(words.as_str())),
        (control::cancel_request(&id), Kind::ControlCancelRequest, None),
        (control::error(&id, &words), Kind::ControlResponse, Some("error")),
        (control::success(&id, &json!({"words": words})), Kind::ControlResponse, Some("success")),
    ];
    for (line, kind, subtype) in lines {
        assert!(!line.as_str().contains(['\n', '\r']), "it is one line: {line:?}");
        let head = Head::parse(&line).expect("a message");
        assert_eq!(head.kind(), kind);
        assert_eq!(head.request_id.as_deref(), Some(id.as_str()));
        assert_eq!(head.subtype.as_deref(), subtype);
        let value: Value = serde_json::from_str(line.as_str()).expect("JSON");
        let said = match kind {
            Kind::ControlResponse if subtype == Some("error") => &value["response"]["error"],
            Kind::ControlResponse => &value["response"]["response"]["words"],
            _ => continue,
        };
        assert_eq!(said.as_str(), Some(words.as_str()));
    }
}

/// A shape of the Environments API survives a round trip; a refusal fits on one line of a log.
pub fn api_shapes(data: &[u8]) {
    fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &[u8]) {
        let Ok(shape) = serde_json::from_slice::<T>(json) else { return };
        reach("a shape was read");
        let written = serde_json::to_vec(&shape).expect("a shape can be written");
        assert_eq!(serde_json::from_slice::<T>(&written).expect("and read again"), shape);
    }
    let mut input = Input(data);
    let status = input.choose(&[400, 401, 404, 409, 429, 503]);
    let json = input.0;
    again::<Registration>(json);
    again::<Heartbeat>(json);
    again::<StopWork>(json);
    again::<Fence>(json);
    again::<Registered>(json);
    again::<WorkItem>(json);
    again::<EnvironmentView<'static>>(json);
    again::<SessionView<'static>>(json);
    again::<OverviewFrame<'static>>(json);
    if let Ok(text) = str::from_utf8(json)
        && let Ok(frame) = SessionFrame::parse(text)
    {
        let written = serde_json::to_string(&frame).expect("a frame can be written");
        assert_eq!(SessionFrame::parse(&written).expect("and read again"), frame);
        if let SessionFrame::Event(event) = &frame {
            assert_eq!(SessionFrame::event(event).as_str(), written);
        }
        reach("a frame was read");
    }
    if let Ok(Registered { environment_secret, .. }) = serde_json::from_slice(json) {
        assert_eq!(format!("{environment_secret:?}"), "Secret(hidden)");
        reach("a shape was read");
    }
    if let Ok(WorkItem { id, .. }) = serde_json::from_slice(json) {
        assert_eq!(WorkId::new(id.as_str()), Ok(id));
        reach("a shape was read");
    }
    let headers = vec![("retry-after".into(), String::from_utf8_lossy(json).into_owned())];
    let response = Response { status, headers, body: Bytes::copy_from_slice(json) };
    let error = RequestError::of(&response);
    assert!(!error.to_string().chars().any(char::is_control), "{error}");
    assert!(error.retry_after(UnixTime::default()).is_none_or(|after| after.as_secs() <= 120));
    if let Some(refusal) = error.refusal() {
        let (message, kind) = (refusal.message.chars(), refusal.kind.as_str().chars());
        assert!(message.count() <= 400 && kind.count() <= 400);
        reach("a refusal was read");
    }
}
