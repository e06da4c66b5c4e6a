//! A relay with a running session reads arbitrary bytes: credentials, paths and bodies.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use footbridge_core::base::limits::SESSION_TOKEN_LIFE;
use footbridge_core::contract::action::Method;

use super::relay::{Stage, asked};
use super::steps::TOKEN;
use crate::targets::input::Input;
use crate::targets::reach::reach;

/// No credential opens anything except those that were issued, and only while they are valid.
pub fn relay_tokens(data: &[u8]) {
    let mut input = Input(data);
    let mut stage = Stage::with_session();
    let lease = stage.lease().clone();
    let ack = format!("/v1/environments/{}/work/{}/ack", lease.environment, lease.work);
    let poll = format!("/v1/environments/{}/work/poll", lease.environment);
    let mut status = |method, path: &str, credential: &str| {
        let body = if method == Method::Post { r#"{"fence":1}"# } else { "" };
        stage.answer_to(asked(method, path, credential, body)).map_or(200, |answer| answer.status)
    };
    match input.byte().unwrap_or(0) % 6 {
        // Any bytes.
        0 => {
            let text = String::from_utf8_lossy(input.0).into_owned();
            let given = [TOKEN, &lease.token, &lease.environment_secret];
            if !given.contains(&text.trim()) {
                assert_eq!(status(Method::Post, &ack, &text), 401, "{text:?}");
                assert_eq!(status(Method::Get, "/v1/sessions", &text), 401, "{text:?}");
            }
        }
        // What was issued, except for one bit.
        which @ 1..4 => {
            let (method, path, token) = match which {
                1 => (Method::Post, ack.as_str(), lease.token.as_str()),
                2 => (Method::Get, poll.as_str(), lease.environment_secret.as_str()),
                _ => (Method::Get, "/v1/sessions", TOKEN),
            };
            let bit = usize::from(input.byte().unwrap_or(0)) << 8
                | usize::from(input.byte().unwrap_or(0));
            let mut bent = token.as_bytes().to_vec();
            let at = bit / 8 % bent.len();
            bent[at] ^= 1 << (bit % 8);
            if let Ok(bent) = String::from_utf8(bent) {
                assert_eq!(status(method, path, &bent), 401, "byte {at} of {which}");
                reach("a bent credential was refused");
            }
        }
        // Something that claims to have been issued, signed by nobody.
        4 => {
            let (_, claims) = lease.token.split_once('.').expect("a JWT");
            let (claims, signature) = claims.rsplit_once('.').expect("a JWT");
            let header = match input.byte().unwrap_or(0) % 3 {
                0 => r#"{"alg":"none"}"#.as_bytes(),
                1 => r#"{"alg":"HS256","typ":"JWT"}"#.as_bytes(),
                _ => input.some(),
            };
            let header = URL_SAFE_NO_PAD.encode(header);
            let signature = match input.byte().unwrap_or(0) % 3 {
                0 => String::new(),
                1 if header != lease.token[10..].split('.').next().unwrap_or_default() => {
                    signature.to_owned()
                }
                _ => URL_SAFE_NO_PAD.encode(input.0),
            };
            let forged = format!("sk-ant-si-{header}.{claims}.{signature}");
            assert_eq!(status(Method::Post, &ack, &forged), 401, "{forged}");
            reach("a forged token was refused");
        }
        // Time.
        _ => {
            let seconds = input.0.iter().take(2).fold(0_u64, |sum, b| sum << 8 | u64::from(*b));
            let time = Duration::from_secs(seconds);
            stage.pass(time);
            let post = asked(Method::Post, &ack, &lease.token, r#"{"fence":1}"#);
            let status = stage.answer_to(post).map(|answer| answer.status);
            if time < Duration::from_secs(30) {
                assert_eq!(status, Some(200), "after {time:?}");
                reach("a good token opened");
            } else if time >= SESSION_TOKEN_LIFE {
                assert!(status.is_some_and(|status| status >= 400), "after {time:?}");
                reach("an expired token was refused");
            }
        }
    }
}

/// Any path with a valid credential is answered, and never with an internal error.
pub fn relay_paths(data: &[u8]) {
    const METHODS: [Method; 6] =
        [Method::Get, Method::Post, Method::Put, Method::Delete, Method::Head, Method::Other];
    let mut input = Input(data);
    let mut stage = Stage::with_session();
    let method = input.choose(&METHODS);
    let prefix = match input.byte().unwrap_or(0) % 4 {
        0 => String::new(),
        1 => format!("/v1/sessions/{}/events?", stage.session()),
        2 => format!("/v1/sessions/{}", stage.session()),
        _ => "/v1/".to_owned(),
    };
    let target = format!("{prefix}{}", String::from_utf8_lossy(input.0));
    let answer = stage.answer_to(asked(method, &target, TOKEN, "{}")).expect("an answer");
    assert!(answer.status < 500, "{target:?}: {}", answer.status);
    if answer.status < 300 {
        reach("a path was found");
    }
}

/// Any body is accepted or refused, wherever one is expected.
pub fn relay_bodies(data: &[u8]) {
    let mut input = Input(data);
    let mut stage = Stage::with_session();
    let lease = stage.lease().clone();
    let worker = format!("/v1/environments/{}", lease.environment);
    let item = format!("{worker}/work/{}", lease.work);
    let viewer = format!("/v1/sessions/{}", stage.session());
    let (path, credential) = match input.byte().unwrap_or(0) % 9 {
        0 => ("/v1/environments/bridge".to_owned(), TOKEN),
        1 => ("/v1/sessions".to_owned(), TOKEN),
        2 => (format!("{viewer}/messages"), TOKEN),
        3 => (format!("{viewer}/permission"), TOKEN),
        4 => (format!("{viewer}/interrupt"), TOKEN),
        5 => (format!("{item}/ack"), lease.token.as_str()),
        6 => (format!("{item}/heartbeat"), lease.token.as_str()),
        7 => (format!("{item}/stop"), lease.environment_secret.as_str()),
        _ => (format!("{worker}/healthcheck"), TOKEN),
    };
    // The environment's name cannot be guessed: `$` stands for it.
    let body = String::from_utf8_lossy(input.0).replace('$', &lease.environment);
    let answer = stage.answer_to(asked(Method::Post, &path, credential, Bytes::from(body)));
    let answer = answer.expect("an answer");
    assert!(answer.status < 500, "{path}: {}", answer.status);
    if answer.status < 300 {
        reach("a body was taken");
    }
}
