//! Devices that log in (T-6), and what becomes of their tokens.

use super::*;
use crate::base::limits::{
    ACCESS_TOKEN_LIFE, DEVICE_IDLE_LIFE, LOG_IN_LIFE, LOG_IN_REPEATED_FOR, MAX_WAITING_LOG_INS,
};
use crate::relay::tokens::TokenIssuer;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Sends a form from an address.
fn send_from(
    world: &mut World,
    peer: [u8; 4],
    target: &str,
    fields: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> (u16, Value) {
    let encode = |text: &str| text.replace('%', "%25").replace('&', "%26").replace(' ', "+");
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    let body = pairs.collect::<Vec<_>>().join("&");
    let mut all = alloc::vec![
        ("host".to_owned(), "127.0.0.1:8787".to_owned()),
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
    ];
    all.extend(headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let op = world.ask_raw(IncomingRequest {
        method: Method::Post,
        target: target.to_owned(),
        headers: all,
        body: Body::Whole(Bytes::from(body)),
        is_tls: false,
        peer: IpAddr::from(peer),
    });
    world.answer(op)
}

fn send(world: &mut World, target: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    send_from(world, [127, 0, 0, 1], target, fields, &[])
}

/// A log-in that waits.
struct Begun {
    device_code: String,
    user_code: String,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

#[track_caller]
fn begin(world: &mut World, scope: &str) -> Begun {
    let fields = [("client_id", "a-client"), ("device_name", "Eva's box"), ("scope", scope)];
    let (status, begun) = send(world, "/v1/oauth/device_authorization", &fields);
    assert_eq!(status, 200, "{begun}");
    Begun { device_code: text(&begun, "device_code"), user_code: text(&begun, "user_code") }
}

fn poll(world: &mut World, begun: &Begun) -> (u16, Value) {
    poll_as(world, "a-client", begun)
}

fn poll_as(world: &mut World, client: &str, begun: &Begun) -> (u16, Value) {
    let fields =
        [("grant_type", DEVICE_CODE), ("client_id", client), ("device_code", &begun.device_code)];
    send(world, "/v1/oauth/token", &fields)
}

fn decide(world: &mut World, begun: &Begun, answer: &str, token: &str) -> u16 {
    let body = json!({"user_code": begun.user_code, "answer": answer});
    world.post("/v1/oauth/device", token, &body).0
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tokens {
    access: String,
    refresh: String,
}

#[track_caller]
fn tokens((status, answer): (u16, Value)) -> Tokens {
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["token_type"], "Bearer");
    Tokens { access: text(&answer, "access_token"), refresh: text(&answer, "refresh_token") }
}

#[track_caller]
fn log_in(world: &mut World, scope: &str) -> Tokens {
    let begun = begin(world, scope);
    assert_eq!(decide(world, &begun, "approve", TOKEN), 200);
    tokens(poll(world, &begun))
}

/// The access token of a device that may do everything.
pub(super) fn everything(world: &mut World) -> String {
    log_in(world, "watch answer drive work").access
}

/// That of one that may do only this.
pub(super) fn with_scope(world: &mut World, scope: &str) -> String {
    log_in(world, scope).access
}

/// The same of another person.
pub(super) fn everything_of(world: &mut World, token: &str) -> (String, String) {
    let begun = begin(world, "watch answer drive work");
    assert_eq!(decide(world, &begun, "approve", token), 200);
    let Tokens { access, refresh } = tokens(poll(world, &begun));
    (access, refresh)
}

/// Whether a refresh token is refused.
pub(super) fn is_refused(world: &mut World, token: &str) -> bool {
    refresh(world, token, "").0 == 400
}

pub(super) fn log_out(world: &mut World, token: &str) {
    assert_eq!(send(world, "/v1/oauth/revoke", &[("token", token)]).0, 200);
}

fn refresh(world: &mut World, token: &str, key: &str) -> (u16, Value) {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "x")];
    let key = [("idempotency-key", key)];
    let headers = if key[0].1.is_empty() { &[][..] } else { &key };
    send_from(world, [127, 0, 0, 1], "/v1/oauth/token", &fields, headers)
}

#[track_caller]
fn refused((status, answer): (u16, Value), expected: &str) {
    assert_eq!((status, &answer["error"]), (400, &json!(expected)), "{answer}");
    assert!(answer["error_description"].is_string(), "{answer}");
}

/// The status and the error type that a token gets.
fn seen(world: &mut World, target: &str, token: &str) -> (u16, String) {
    let (status, answer) = world.get(target, token);
    (status, answer["error"]["type"].as_str().unwrap_or_default().to_owned())
}

fn is_revoked(world: &mut World, tokens: &Tokens) -> bool {
    let seen = seen(world, "/v1/whoami", &tokens.access);
    seen == (401, "token_revoked".to_owned())
}

#[test]
fn a_device_logs_in_as_soon_as_a_person_has_approved_it() {
    let mut world = World::new();
    let (status, found) = world.get("/.well-known/oauth-authorization-server", "");
    assert_eq!(status, 200);
    assert_eq!(found["issuer"], "http://127.0.0.1:8787");
    assert_eq!(found["token_endpoint"], "http://127.0.0.1:8787/v1/oauth/token");
    let fields = [("client_id", "a-client"), ("device_name", "Eva's box"), ("scope", "work watch")];
    let (_, begun) = send(&mut world, "/v1/oauth/device_authorization", &fields);
    assert_eq!(begun["verification_uri"], "http://127.0.0.1:8787/device");
    assert_eq!((&begun["interval"], &begun["expires_in"]), (&json!(5), &json!(600)));
    let begun =
        Begun { device_code: text(&begun, "device_code"), user_code: text(&begun, "user_code") };
    refused(poll(&mut world, &begun), "authorization_pending");
    refused(poll(&mut world, &begun), "slow_down");
    world.pass(Duration::from_secs(9));
    refused(poll(&mut world, &begun), "slow_down");
    world.pass(Duration::from_secs(20));
    refused(poll(&mut world, &begun), "authorization_pending");

    // However it is typed.
    let typed = begun.user_code.to_lowercase().replace('-', "");
    let (status, asked) = world.get(&format!("/v1/oauth/device?user_code={typed}"), TOKEN);
    let expected = json!({"name": "Eva's box", "scope": "watch work", "address": "127.0.0.1"});
    assert_eq!((status, asked), (200, expected));
    assert_eq!(decide(&mut world, &begun, "approve", TOKEN), 200);
    let tokens = tokens(poll(&mut world, &begun));
    assert!(world.hand.notices.iter().any(|notice| matches!(notice, RelayNotice::LoggedIn { .. })));
    let (status, me) = world.get("/v1/whoami", &tokens.access);
    assert_eq!(
        (status, &me["account"], &me["scope"]),
        (200, &json!("alice"), &json!("watch work"))
    );
    let (_, listed) = world.get("/v1/devices", TOKEN);
    assert_eq!(listed["devices"][0]["id"], me["device_id"]);
    assert_eq!(listed["devices"][0]["name"], "Eva's box");
    assert_eq!(world.get("/v1/devices", BOB).1, json!({"devices": []}));
}

#[test]
fn the_answer_of_a_log_in_can_be_fetched_again_for_a_moment_and_then_it_is_used_up() {
    let mut world = World::new();
    let begun = begin(&mut world, "work");
    decide(&mut world, &begun, "approve", TOKEN);
    let first = tokens(poll(&mut world, &begun));
    let again = tokens(poll(&mut world, &begun));
    assert_eq!(first, again, "the answer was lost");
    world.pass(LOG_IN_REPEATED_FOR);
    refused(poll(&mut world, &begun), "invalid_grant");
    assert!(!is_revoked(&mut world, &first));
    // Nor once the tokens have been used.
    let begun = begin(&mut world, "work");
    decide(&mut world, &begun, "approve", TOKEN);
    let first = tokens(poll(&mut world, &begun));
    tokens(refresh(&mut world, &first.refresh, ""));
    refused(poll(&mut world, &begun), "invalid_grant");
}

#[test]
fn a_log_in_can_be_refused_and_ends_by_itself() {
    let mut world = World::new();
    let begun = begin(&mut world, "work");
    assert_eq!(decide(&mut world, &begun, "deny", TOKEN), 200);
    refused(poll(&mut world, &begun), "access_denied");
    assert_eq!(decide(&mut world, &begun, "approve", TOKEN), 404, "it is decided");
    let begun = begin(&mut world, "work");
    world.pass(LOG_IN_LIFE);
    assert_eq!(decide(&mut world, &begun, "approve", TOKEN), 404);
    refused(poll(&mut world, &begun), "expired_token");
    let (status, error) = world.get("/v1/oauth/device?user_code=BCDF-GHJK", TOKEN);
    assert_eq!((status, &error["error"]["type"]), (404, &json!("log_in_unknown")));
    let never = Begun { device_code: "fbdevice-0".to_owned(), user_code: String::new() };
    refused(poll(&mut world, &never), "invalid_grant");
}

#[test]
fn each_refresh_token_is_used_once_and_an_old_one_ends_them_all() {
    let mut world = World::new();
    let first = log_in(&mut world, "work watch");
    let second = tokens(refresh(&mut world, &first.refresh, ""));
    let third = tokens(refresh(&mut world, &second.refresh, ""));
    let other = log_in(&mut world, "work watch");
    assert_eq!(world.get("/v1/sessions", &third.access).0, 200);
    refused(refresh(&mut world, &first.refresh, ""), "invalid_grant");
    for gone in [&first, &second, &third] {
        assert!(is_revoked(&mut world, gone));
        refused(refresh(&mut world, &gone.refresh, ""), "invalid_grant");
    }
    assert!(!is_revoked(&mut world, &other), "another log-in goes on");
}

#[test]
fn a_refresh_whose_answer_was_lost_can_be_repeated_by_whoever_sent_it() {
    let mut world = World::new();
    let first = log_in(&mut world, "work");
    let second = tokens(refresh(&mut world, &first.refresh, "key-1"));
    assert_eq!(tokens(refresh(&mut world, &first.refresh, "key-1")), second);
    let third = tokens(refresh(&mut world, &second.refresh, "key-2"));
    assert_eq!(tokens(refresh(&mut world, &second.refresh, "key-2")), third);
    // Whoever has stolen the token does not know the key.
    refused(refresh(&mut world, &second.refresh, "key-3"), "invalid_grant");
    assert!(is_revoked(&mut world, &third));
}

#[test]
fn tokens_outlive_the_relay_and_its_keys() {
    let mut world = World::new();
    let first = log_in(&mut world, "work watch");
    let (worker, taken, _) = world.running();
    let newer = RelayKeys { older: alloc::vec![[1; 32]], ..RelayKeys::new([7; 32], [8; 32]) };
    let mut again = World::on_store(config(), &newer, Rc::clone(&world.store), world.hand.now);
    assert_eq!(again.get("/v1/sessions", &first.access).0, 200);
    let second = tokens(refresh(&mut again, &first.refresh, ""));
    assert_eq!(again.poll(&worker).0, 204, "an environment's secret");
    assert_eq!(again.about(&worker, &taken, "heartbeat").0, 200, "a session's token");
    // What was signed by the new key is not known without it, nor the old without the old.
    let (old, new) = (keys(), RelayKeys::new([7; 32], [8; 32]));
    let mut old = World::on_store(config(), &old, Rc::clone(&world.store), world.hand.now);
    assert_eq!(seen(&mut old, "/v1/sessions", &second.access).0, 401);
    let mut new = World::on_store(config(), &new, Rc::clone(&world.store), world.hand.now);
    assert_eq!(seen(&mut new, "/v1/sessions", &first.access).0, 401);
    assert_eq!(seen(&mut new, "/v1/sessions", &second.access).0, 200);
}

#[test]
fn a_token_does_what_it_was_granted_and_nothing_else() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    let session = format!("/v1/sessions/{}", taken.session);
    let (messages, permission) = (format!("{session}/messages"), format!("{session}/permission"));
    // What is allowed gets as far as to its body.
    for (scope, register, watch, drive, answer) in [
        ("work", 400, 403, 403, 403),
        ("watch", 403, 200, 403, 403),
        ("drive", 403, 200, 400, 403),
        ("answer", 403, 200, 403, 400),
        ("watch answer drive work", 400, 200, 400, 400),
    ] {
        let token = log_in(&mut world, scope).access;
        let body = json!({});
        let mut post = |target: &str| world.post(target, &token, &body).0;
        assert_eq!(post("/v1/environments/bridge"), register, "{scope}");
        assert_eq!((post(&messages), post(&permission)), (drive, answer), "{scope}");
        // None makes other credentials.
        for target in ["/v1/sign-in", "/v1/sign-in/codes", "/v1/oauth/device"] {
            assert_eq!(post(target), 403, "{scope}: {target}");
        }
        assert_eq!(world.get(&session, &token).0, watch, "{scope}");
        assert_eq!(world.get("/v1/devices", &token).0, 403, "{scope}");
        assert_eq!(world.get("/v1/whoami", &token).0, 200, "{scope}");
    }
    // Less than was granted can be had; more cannot, and costs nothing to ask for.
    let granted = log_in(&mut world, "watch drive");
    let with_scope = |world: &mut World, token: &str, scope: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        send(world, "/v1/oauth/token", &fields)
    };
    refused(with_scope(&mut world, &granted.refresh, "watch work"), "invalid_scope");
    let less = tokens(with_scope(&mut world, &granted.refresh, "watch"));
    assert_eq!(world.post(&messages, &less.access, &json!({})).0, 403);
}

#[test]
fn a_bad_token_is_refused_and_told_why() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    let good = log_in(&mut world, "watch work");
    let other = log_in(&mut world, "watch");
    let parts: Vec<&str> = good.access.split('.').collect();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    let stranger = TokenIssuer::new(&RelayKeys::new([9; 32], [9; 32]));
    let claims = TokenIssuer::new(&keys()).access_claims_of(&good.access).expect("good");
    let by_another_key = stranger.access_token(&claims);
    let for_another_audience = {
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).expect("base64"));
        let claims = claims.expect("JSON").replace("footbridge:relay", "footbridge:other");
        let signed = format!("{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims));
        let inner = signed.strip_prefix("fbaccess-").expect("its prefix");
        format!("{signed}.{}", TokenIssuer::new(&keys()).keys.sign("access token", inner))
    };
    let unknown = (401, "authentication_failed");
    let cases = [
        ("none at all", String::new(), unknown),
        ("garbage", "garbage".to_owned(), unknown),
        ("no signature", format!("{}.{}.", parts[0], parts[1]), unknown),
        ("alg none", format!("fbaccess-{none}.{}.", parts[1]), unknown),
        ("alg none, signed", format!("fbaccess-{none}.{}.{}", parts[1], parts[2]), unknown),
        ("another key", by_another_key.reveal().to_owned(), unknown),
        ("another audience", for_another_audience, unknown),
        (
            "another's signature",
            {
                let theirs: Vec<&str> = other.access.split('.').collect();
                format!("{}.{}.{}", parts[0], parts[1], theirs[2])
            },
            unknown,
        ),
        ("a refresh token", good.refresh.clone(), unknown),
        ("a refresh token in disguise", good.refresh.replace("fbrefresh-", "fbaccess-"), unknown),
        ("a session's token", taken.token.clone(), (403, "permission_denied")),
        ("a session's token in disguise", taken.token.replace("sk-ant-si-", "fbaccess-"), unknown),
        ("an environment's secret", worker.secret.clone(), (403, "permission_denied")),
        ("1 MB", "x".repeat(1 << 20), (413, "too_large")),
        ("almost too long", "x".repeat(30_000), unknown),
    ];
    // A device's token opens no session and no environment.
    let poll = format!("/v1/environments/{}/work/poll", worker.environment);
    let ingress = format!("/v1/session_ingress/ws/{}", taken.session);
    for target in [poll, ingress] {
        let refused = seen(&mut world, &target, &good.access);
        assert_eq!(refused, (403, "permission_denied".to_owned()), "{target}");
    }
    for (what, token, (status, kind)) in cases {
        world.pass(Duration::from_secs(60));
        assert_eq!(seen(&mut world, "/v1/sessions", &token), (status, kind.to_owned()), "{what}");
    }
    world.hand.now.wall = world.hand.now.wall + ACCESS_TOKEN_LIFE;
    let expired = seen(&mut world, "/v1/sessions", &good.access);
    assert_eq!(expired, (401, "token_expired".to_owned()));
    tokens(refresh(&mut world, &good.refresh, ""));
}

#[test]
fn no_bent_token_of_a_device_works() {
    let mut world = World::new();
    let good = log_in(&mut world, "watch");
    let issuer = TokenIssuer::new(&keys());
    for at in 0..good.access.len().max(good.refresh.len()) {
        let bent = |token: &str| {
            let mut bytes = token.as_bytes().to_owned();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1;
            }
            String::from_utf8(bytes).expect("ASCII")
        };
        let (access, refresh) = (bent(&good.access), bent(&good.refresh));
        assert!(access == good.access || issuer.access_claims_of(&access).is_none(), "byte {at}");
        assert!(
            refresh == good.refresh || issuer.refresh_claims_of(&refresh).is_none(),
            "byte {at}"
        );
    }
}

#[test]
fn revoking_a_device_ends_at_once_what_it_does_and_what_it_has_registered() {
    let mut world = World::new();
    let tokens = log_in(&mut world, "watch work");
    let (_, me) = world.get("/v1/whoami", &tokens.access);
    let device = text(&me, "device_id");
    let offers = format!("footbridge.viewer.v1, footbridge.bearer.{}", tokens.access);
    let watching = world.websocket("/v1/overview/ws", "", &offers);
    assert_eq!(world.streams[&watching].closed, None);
    let others = world.websocket("/v1/overview/ws", TOKEN, "");
    let body = json!({"machine_name": "m", "directory": "/d", "max_sessions": 1});
    let (status, made) = world.post("/v1/environments/bridge", &tokens.access, &body);
    assert_eq!(status, 200, "{made}");
    let poll = format!("/v1/environments/{}/work/poll", text(&made, "environment_id"));
    let secret = text(&made, "environment_secret");
    assert_eq!(world.get(&poll, &secret).0, 204);
    // A request under way.
    world.holds_store = true;
    let asking = world.ask(Method::Get, "/v1/sessions", &tokens.access, &Value::Null);
    let revoking =
        world.ask(Method::Post, &format!("/v1/devices/{device}/revoke"), TOKEN, &Value::Null);
    world.held.rotate_left(1);
    world.release_store();
    assert_eq!(world.answer(revoking).0, 200);
    assert_eq!(world.answer(asking).0, 401);
    assert_eq!(world.streams[&watching].closed, Some(4401));
    assert_eq!(world.streams[&others].closed, None);
    assert!(is_revoked(&mut world, &tokens));
    refused(refresh(&mut world, &tokens.refresh, ""), "invalid_grant");
    let (status, error) = world.get(&poll, &secret);
    assert_eq!((status, &error["error"]["type"]), (404, &json!("environment_unknown")));
    // Nobody else's can be revoked, and none twice.
    let other = log_in(&mut world, "watch");
    let (_, me) = world.get("/v1/whoami", &other.access);
    let target = format!("/v1/devices/{}/revoke", text(&me, "device_id"));
    assert_eq!(world.post(&target, BOB, &Value::Null).0, 404);
    assert_eq!(world.post(&target, TOKEN, &Value::Null).0, 200);
    assert_eq!(world.post(&target, TOKEN, &Value::Null).0, 404);
}

#[test]
fn another_relay_on_the_same_store_ends_it_as_well() {
    let mut world = World::new();
    let tokens = log_in(&mut world, "watch");
    let mut other = world.beside();
    let offers = format!("footbridge.viewer.v1, footbridge.bearer.{}", tokens.access);
    let watching = other.websocket("/v1/overview/ws", "", &offers);
    world.unheard.clear();
    let fields = [("token", &*tokens.refresh)];
    assert_eq!(send(&mut world, "/v1/oauth/revoke", &fields).0, 200);
    other.hear(&mut world);
    assert_eq!(other.streams[&watching].closed, Some(4401));
}

#[test]
fn a_device_logs_out_with_either_token_and_a_strange_one_changes_nothing() {
    let mut world = World::new();
    for which in 0..2 {
        let tokens = log_in(&mut world, "watch");
        let shown = if which == 0 { &tokens.access } else { &tokens.refresh };
        for _ in 0..2 {
            assert_eq!(send(&mut world, "/v1/oauth/revoke", &[("token", shown)]).0, 200);
            assert!(is_revoked(&mut world, &tokens));
        }
    }
    assert_eq!(send(&mut world, "/v1/oauth/revoke", &[("token", "strange")]).0, 200);
    refused(send(&mut world, "/v1/oauth/revoke", &[]), "invalid_request");
}

#[test]
fn a_device_that_nobody_uses_has_to_log_in_again() {
    let mut world = World::new();
    let tokens = log_in(&mut world, "watch");
    world.hand.now.wall = world.hand.now.wall + DEVICE_IDLE_LIFE;
    refused(refresh(&mut world, &tokens.refresh, ""), "invalid_grant");
}

#[test]
fn a_form_that_cannot_be_read_is_refused_as_oauth_has_it() {
    let mut world = World::new();
    let begin = "/v1/oauth/device_authorization";
    let long = "x".repeat(2000);
    for (target, fields, expected) in [
        (begin, &[][..], "invalid_request"),
        (begin, &[("client_id", "")], "invalid_request"),
        (begin, &[("client_id", "a"), ("client_id", "b")], "invalid_request"),
        (begin, &[("client_id", "a"), ("device_name", &long)], "invalid_request"),
        (begin, &[("client_id", "a"), ("device_name", "a\nb")], "invalid_request"),
        (begin, &[("client_id", "a"), ("scope", "everything")], "invalid_scope"),
        ("/v1/oauth/token", &[("client_id", "a")], "invalid_request"),
        ("/v1/oauth/token", &[("grant_type", "password")], "unsupported_grant_type"),
        ("/v1/oauth/token", &[("grant_type", DEVICE_CODE)], "invalid_request"),
        (
            "/v1/oauth/token",
            &[("grant_type", DEVICE_CODE), ("device_code", "x")],
            "invalid_request",
        ),
        ("/v1/oauth/token", &[("grant_type", "refresh_token")], "invalid_request"),
    ] {
        refused(send(&mut world, target, fields), expected);
    }
    let op = world.ask(Method::Post, begin, "", &json!({"client_id": "a"}));
    refused(world.answer(op), "invalid_request");
}

#[test]
fn whoever_begins_many_log_ins_ends_their_own() {
    let mut world = World::new();
    let waiting = begin(&mut world, "work");
    for _ in 0..2 * MAX_WAITING_LOG_INS {
        let target = "/v1/oauth/device_authorization";
        let (status, _) = send_from(&mut world, [10, 0, 0, 1], target, &[("client_id", "a")], &[]);
        assert_eq!(status, 200);
    }
    assert_eq!(decide(&mut world, &waiting, "approve", TOKEN), 200);
    tokens(poll(&mut world, &waiting));
}

#[test]
fn guesses_of_tokens_are_slowed() {
    let mut world = World::new();
    let statuses = (0..20).map(|_| refresh(&mut world, "fbrefresh-x.y", "").0);
    let statuses: Vec<u16> = statuses.collect();
    assert!(statuses.contains(&400) && statuses.last() == Some(&429), "{statuses:?}");
}

#[test]
fn a_relay_proves_that_it_knows_a_devices_token_by_whatever_key_it_was_signed() {
    use crate::auth::proof::{is_proof, question};
    let mut world = World::new();
    let tokens = log_in(&mut world, "work");
    let newer = RelayKeys { older: alloc::vec![[1; 32]], ..RelayKeys::new([7; 32], [8; 32]) };
    let mut again = World::on_store(config(), &newer, Rc::clone(&world.store), world.hand.now);
    for token in [&tokens.access, &tokens.refresh] {
        let (token, nonce) = (Secret::from(&**token), "0123456789abcdef");
        let target = format!("/v1/proof?{}", question(&token, nonce));
        assert!(!target.contains(token.reveal()));
        for world in [&mut world, &mut again] {
            let (status, answer) = world.get(&target, "");
            assert_eq!(status, 200, "{answer}");
            assert!(is_proof(&token, nonce, answer["proof"].as_str().expect("a proof")));
        }
    }
}

/// Logs a device in and uses its refresh token twice.
pub(super) fn reuse(world: &mut World) {
    let first = log_in(world, "work");
    tokens(refresh(world, &first.refresh, ""));
    refused(refresh(world, &first.refresh, ""), "invalid_grant");
}

#[test]
fn a_device_code_is_good_for_the_client_that_asked_for_it_alone() {
    let mut world = World::new();
    let begun = begin(&mut world, "watch");
    for other in ["b-client", "a-clien", "A-client", "a-client "] {
        refused(poll_as(&mut world, other, &begun), "invalid_grant");
    }
    // What another one asks neither slows down nor ends the log-in of the first.
    refused(poll(&mut world, &begun), "authorization_pending");
    assert_eq!(decide(&mut world, &begun, "approve", TOKEN), 200);
    refused(poll_as(&mut world, "b-client", &begun), "invalid_grant");
    tokens(poll(&mut world, &begun));
    // The answer that may be had again is no other one's either.
    refused(poll_as(&mut world, "b-client", &begun), "invalid_grant");
    tokens(poll(&mut world, &begun));
}
