//! Who may do what (Y-4): each kind of credential at each route.

use super::*;
use crate::auth::{AccountKey, worker_credential};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::relay::http::route::{Access, TABLE};
use crate::relay::pending::{Acks, Bridging};
use crate::relay::tokens::{BrowserClaims, Claims, TokenIssuer};
use crate::relay::worker_tokens::WorkerClaims;

/// Each request, and the statuses that its people and workers get there, and another person.
const ANSWERS: [(&str, u16, u16); 68] = [
    ("GET /health", 200, 200),
    ("GET /ready", 200, 200),
    ("GET /v1/version", 200, 200),
    ("GET /v1/housekeeping", 200, 200),
    ("GET /v1/proof", 400, 400),
    ("POST /v1/sign-in", 200, 200),
    ("POST /v1/sign-in/codes", 201, 201),
    ("GET /v1/oidc", 200, 200),
    ("GET /v1/oidc/start", 404, 404),
    ("GET /v1/oidc/callback", 404, 404),
    ("GET /.well-known/oauth-authorization-server", 200, 200),
    ("POST /v1/oauth/device_authorization", 400, 400),
    ("POST /v1/oauth/token", 400, 400),
    ("POST /v1/oauth/revoke", 400, 400),
    ("GET /v1/oauth/device", 400, 400),
    ("POST /v1/oauth/device", 400, 400),
    ("GET /v1/devices", 200, 200),
    ("POST /v1/devices/{id}/revoke", 404, 404),
    ("POST /api/auth/trusted_devices", 400, 400),
    ("GET /v1/audit", 200, 200),
    ("GET /v1/whoami", 200, 200),
    ("GET /v1/push/key", 200, 200),
    ("GET /v1/push/subscriptions", 200, 200),
    ("POST /v1/push/subscriptions", 400, 400),
    ("DELETE /v1/push/subscriptions/{id}", 404, 404),
    ("POST /v1/push/subscriptions/{id}/test", 404, 404),
    ("POST /v1/environments/bridge", 400, 400),
    ("GET /v1/environments/{id}/work/poll", 204, 403),
    ("GET /v1/environments/{id}/work/stream", 200, 403),
    ("POST /v1/environments/{id}/work/{work}/ack", 200, 403),
    ("POST /v1/environments/{id}/work/{work}/heartbeat", 200, 403),
    ("POST /v1/environments/{id}/work/{work}/stop", 200, 403),
    ("POST /v1/environments/{id}/sessions/{session}/redispatch", 200, 403),
    ("POST /v1/environments/{id}/worktrees", 400, 403),
    ("POST /v1/environments/{id}/drain", 200, 403),
    ("POST /v1/environments/{id}/stop", 200, 403),
    ("GET /v1/session_ingress/ws/{session}", 426, 403),
    ("GET /v2/session_ingress/ws/{session}", 426, 403),
    ("POST /v1/code/sessions", 201, 201),
    ("POST /v1/code/sessions/{id}/bridge", 200, 404),
    ("GET /v1/code/sessions/{id}/worker/events/stream", 200, 403),
    ("POST /v1/code/sessions/{id}/worker/events", 400, 403),
    ("PUT /v1/code/sessions/{id}/worker", 400, 403),
    ("POST /v1/code/sessions/{id}/worker/heartbeat", 400, 403),
    ("GET /v1/environments", 200, 200),
    ("GET /v1/environments/{id}", 200, 404),
    ("POST /v1/environments/{id}/healthcheck", 202, 404),
    ("GET /v1/overview/ws", 426, 426),
    ("GET /v1/sessions", 200, 200),
    ("POST /v1/sessions", 400, 400),
    ("GET /v1/sessions/{id}", 200, 404),
    ("POST /v1/sessions/{id}", 200, 404),
    ("DELETE /v1/sessions/{id}", 409, 404),
    ("POST /v1/sessions/{id}/messages", 400, 400),
    ("POST /v1/sessions/{id}/permission", 400, 400),
    ("POST /v1/sessions/{id}/permission/link", 400, 400),
    ("GET /v1/answer", 410, 403),
    ("POST /v1/answer", 400, 403),
    ("POST /v1/sessions/{id}/callback", 400, 400),
    ("POST /v1/sessions/{id}/interrupt", 200, 404),
    ("POST /v1/sessions/{id}/stop", 200, 404),
    ("POST /v1/sessions/{id}/worktree", 400, 400),
    ("GET /v1/sessions/{id}/receipts", 200, 404),
    ("GET /v1/sessions/{id}/receipts/{seq}", 404, 404),
    ("GET /v1/sessions/{id}/events", 200, 404),
    ("GET /v1/sessions/{id}/events/ws", 426, 426),
    ("GET /", 200, 200),
    ("GET /{file}", 404, 404),
];

/// Whatever may be shown as a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Garbage,
    /// One that a relay with other keys has issued.
    OtherRelays,
    UsedCode,
    AccessToken,
    OtherPersons,
    BrowserToken,
    ExpiredBrowserToken,
    DeviceToken,
    RevokedDeviceToken,
    Code,
    WorkerCredential,
    EnvironmentSecret,
    OtherEnvironments,
    SessionToken,
    OtherSessions,
    ExpiredSessionToken,
    WorkerToken,
    OtherWorkersToken,
    ExpiredWorkerToken,
    AnswerLink,
    ExpiredAnswerLink,
}

use Shown::{
    AccessToken as Own, AnswerLink, BrowserToken, Code, DeviceToken, EnvironmentSecret,
    ExpiredAnswerLink, ExpiredBrowserToken, ExpiredSessionToken, ExpiredWorkerToken, Garbage,
    Nothing, OtherEnvironments, OtherPersons, OtherRelays, OtherSessions, OtherWorkersToken,
    RevokedDeviceToken, SessionToken, UsedCode, WorkerCredential, WorkerToken,
};

const ALL: [Shown; 22] = [
    Nothing,
    Garbage,
    OtherRelays,
    UsedCode,
    Own,
    OtherPersons,
    BrowserToken,
    ExpiredBrowserToken,
    DeviceToken,
    RevokedDeviceToken,
    Code,
    WorkerCredential,
    EnvironmentSecret,
    OtherEnvironments,
    SessionToken,
    OtherSessions,
    ExpiredSessionToken,
    WorkerToken,
    OtherWorkersToken,
    ExpiredWorkerToken,
    AnswerLink,
    ExpiredAnswerLink,
];

/// The status that it gets for a request of this kind.
fn expected(access: Access, shown: Shown, own: u16, other: u16) -> u16 {
    match (access, shown) {
        // Nothing that is shown is looked at.
        (Access::Anybody | Access::Question, _) => own,
        (_, Nothing | Garbage | OtherRelays | UsedCode) => 401,
        (
            Access::Person
            | Access::Approval
            | Access::Owner
            | Access::Registration
            | Access::CodeSession
            | Access::SignIn,
            Shown::AccessToken,
        )
        | (Access::Person | Access::Approval, BrowserToken)
        | (Access::Person | Access::Registration | Access::CodeSession, DeviceToken)
        | (Access::Registration, WorkerCredential)
        | (Access::SignIn, Code)
        | (Access::Environment, EnvironmentSecret)
        | (Access::CodeWorker, WorkerToken)
        | (Access::AnswerLink, AnswerLink)
        | (Access::Lease | Access::Session | Access::Bridge, SessionToken) => own,
        // It is an item's, and so its worker's.
        (Access::Bridge, Shown::AccessToken | DeviceToken) => 409,
        (_, OtherPersons) => other,
        (Access::Person | Access::Approval, ExpiredBrowserToken)
        | (
            Access::Person | Access::Registration | Access::CodeSession | Access::Bridge,
            RevokedDeviceToken,
        )
        | (Access::CodeWorker, ExpiredWorkerToken)
        | (Access::Lease | Access::Session | Access::Bridge, ExpiredSessionToken) => 401,
        (Access::AnswerLink, ExpiredAnswerLink) => 410,
        _ => 403,
    }
}

/// A relay with a session that runs, another one of another worker, and one of each credential.
fn world_with(shown: Shown) -> (World, Worker, Taken, String) {
    let mut world = super::page::world_with_page();
    let (worker, taken, _) = world.running();
    let other = world.register();
    world.create(&other);
    let others = world.take(&other);
    let claims = |exp: u64| Claims {
        audience: None,
        session: SessionId::new(&taken.session).ok(),
        environment: EnvironmentId::new(&worker.environment).expect("valid"),
        work: WorkId::new(&taken.work).expect("valid"),
        fence: 1,
        iat: 0,
        exp,
    };
    let alice = AccountKey::new(&Secret::from(TOKEN));
    let browser = |exp| BrowserClaims { id: "b".to_owned(), exp }.issue(&alice).reveal().to_owned();
    let mut code = || {
        let (_, made) = world.post("/v1/sign-in/codes", TOKEN, &Value::Null);
        made["code"].as_str().expect("a code").to_owned()
    };
    let signed_by = |keys: &RelayKeys, exp| {
        TokenIssuer::new(keys).session_token(&claims(exp)).reveal().to_owned()
    };
    let credential = match shown {
        Nothing => String::new(),
        Garbage => "a-token-that-nobody-issued".to_owned(),
        OtherRelays => signed_by(&RelayKeys::new([8; 32], [9; 32]), u64::MAX),
        UsedCode => {
            let used = code();
            assert_eq!(world.post("/v1/sign-in", &used, &Value::Null).0, 200);
            used
        }
        Shown::AccessToken => TOKEN.to_owned(),
        OtherPersons => BOB.to_owned(),
        BrowserToken => browser(u64::MAX),
        ExpiredBrowserToken => browser(1),
        DeviceToken => super::log_in::everything(&mut world),
        RevokedDeviceToken => {
            let token = super::log_in::everything(&mut world);
            super::log_in::log_out(&mut world, &token);
            token
        }
        Code => code(),
        WorkerCredential => {
            let made = worker_credential(&Secret::from(TOKEN), "laptop").expect("a credential");
            made.reveal().to_owned()
        }
        EnvironmentSecret => worker.secret.clone(),
        OtherEnvironments => other.secret,
        SessionToken => taken.token.clone(),
        OtherSessions => others.token,
        ExpiredSessionToken => signed_by(&keys(), 1),
        WorkerToken => worker_token(&taken.session, u64::MAX / 1000),
        OtherWorkersToken => worker_token(&others.session, u64::MAX / 1000),
        ExpiredWorkerToken => worker_token(&taken.session, 1),
        AnswerLink => answer_link(&taken.session, u64::MAX / 1000),
        ExpiredAnswerLink => answer_link(&taken.session, 1),
    };
    (world, worker, taken, credential)
}

/// A link that was made here, of a question that is not open any more.
fn answer_link(session: &str, exp: u64) -> String {
    let claims = json!({"sub": session, "jti": "of-no-question", "exp": exp});
    let claims = serde_json::from_value(claims).expect("claims");
    TokenIssuer::new(&keys()).answer_link(&claims).reveal().to_owned()
}

/// As the first bridge of this session would have given it.
fn worker_token(session: &str, until: u64) -> String {
    let session = SessionId::new(session).expect("an id");
    let bridging =
        Bridging { session, has_item: true, acks: Acks::Missing, run: None, base_url: None };
    let until = UnixTime::from_millis(until * 1000);
    let claims = WorkerClaims::new(&bridging, 1, UnixTime::from_millis(0), until);
    TokenIssuer::new(&keys()).worker_token(&claims).reveal().to_owned()
}

#[test]
fn each_credential_opens_what_is_its_own_and_nothing_else() {
    let mut wrong = Vec::new();
    for (row, (request, own, other)) in TABLE.iter().zip(ANSWERS) {
        assert_eq!(format!("{} {}", row.method.as_str(), row.path), request);
        for shown in ALL {
            let (mut world, worker, taken, credential) = world_with(shown);
            let of = if row.path.contains("/environments/") {
                &worker.environment
            } else {
                &taken.session
            };
            let target = row.path.replace("{id}", of).replace("{work}", &taken.work);
            let target = target.replace("{session}", &taken.session).replace("{seq}", "1");
            let op = world.ask(row.method, &target, &credential, &json!({"fence": 1}));
            let is_stream = world.streams.contains_key(&op);
            let status = if is_stream { 200 } else { world.answer(op).0 };
            if status != expected(row.access, shown, own, other) {
                wrong.push((request, shown, status));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What `http.md` calls the credentials that a request takes.
const fn words(access: Access) -> &'static str {
    match access {
        Access::Anybody => "none",
        Access::Question => "none is shown",
        Access::Person => "access token, browser token, device token",
        Access::Approval => "access token, browser token",
        Access::Owner => "access token",
        Access::Registration => "worker credential, access token, device token",
        Access::SignIn => "sign-in code, access token",
        Access::Environment => "the environment's secret",
        Access::Lease => "the item's session token",
        Access::Session => "the session's token",
        Access::CodeSession => "access token, device token",
        Access::Bridge => "access token, device token, the session's token",
        Access::CodeWorker => "the session's worker_jwt",
        Access::AnswerLink => "answer link",
    }
}

#[test]
fn the_documentation_names_each_request_and_what_it_takes() {
    let documented: Vec<&str> = include_str!("../http.md")
        .lines()
        .filter(|line| {
            ["| `GET /", "| `P", "| `DELETE /"].iter().any(|start| line.starts_with(start))
        })
        .collect();
    let expected: Vec<String> = TABLE
        .iter()
        .map(|row| format!("| `{} {}` | {} |", row.method.as_str(), row.path, words(row.access)))
        .collect();
    assert_eq!(documented, expected, "\n{}", expected.join("\n"));
}

/// Proxies take `Upgrade` out, which is for one hop, and leave the rest of a handshake.
#[test]
fn a_handshake_that_has_lost_its_upgrade_is_told_so_before_its_credential_is_looked_at() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    for session in ["check", &taken.session] {
        let target = format!("/v1/session_ingress/ws/{session}");
        for (headers, status) in [
            (&[("sec-websocket-version", "13")][..], 426),
            (&[("sec-websocket-protocol", "footbridge.link.v1")], 426),
            (&[("upgrade", "websocket"), ("sec-websocket-version", "13")], 404),
            (&[], 404),
        ] {
            let status = if status == 404 && session == taken.session { 401 } else { status };
            let op = world.ask_with(Method::Get, &target, "", &Value::Null, headers);
            assert_eq!(world.answer(op).0, status, "{target}");
        }
    }
}

#[test]
fn after_a_restart_a_worker_first_learns_that_it_is_unknown() {
    let mut old = World::new();
    let (worker, taken, _) = old.running();
    let other_keys = RelayKeys::new([8; 32], [9; 32]);
    for keys in [keys(), other_keys] {
        let mut world = World::on_store(config(), &keys, Rc::default(), START);
        let (status, error) = world.poll(&worker);
        assert_eq!((status, &error["error"]["type"]), (404, &json!("environment_unknown")));
        let (status, error) = world.about(&worker, &taken, "heartbeat");
        assert_eq!((status, &error["error"]["type"]), (404, &json!("environment_unknown")));
        let op = world.ingress(&taken);
        let (status, error) = world.answer(op);
        assert_eq!((status, &error["error"]["type"]), (404, &json!("session_unknown")));
    }
}

#[test]
fn a_browsers_token_counts_only_where_a_browser_needs_it() {
    let mut world = World::new();
    let offer = format!("footbridge.bearer.{TOKEN}");
    let headers = [("sec-websocket-protocol", offer.as_str())];
    let op = world.ask_with(Method::Get, "/v1/sessions", "", &Value::Null, &headers);
    assert_eq!(world.answer(op).0, 401);
    let target = format!("/v1/sessions?token={TOKEN}&access_token={TOKEN}");
    assert_eq!(world.get(&target, "").0, 401, "never in a URL");
}

#[test]
fn no_notice_and_no_debug_output_shows_a_secret() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    world.get(&format!("/v1/sessions?token={TOKEN}"), TOKEN);
    let shown = format!("{:?} {:?} {:?}", world.hand.notices, config(), keys());
    for secret in [TOKEN, BOB, &worker.secret, &taken.token] {
        assert!(!shown.contains(secret));
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_a_reason() {
    let refused = |config: RelayConfig| Relay::new(config, &keys()).err().expect("refused");
    let bare = RelayConfig { access_tokens: Vec::new(), ..config() };
    assert!(refused(bare).to_string().contains("at least one"));
    for weak in [
        "aaaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "0123456789012345678901234567890123456789",
        "Xq7-Lm2_Pz9",
    ] {
        let token = AccessToken { person: "me".to_owned(), token: Secret::from(weak) };
        let error = refused(RelayConfig { access_tokens: alloc::vec![token], ..config() });
        assert!(error.to_string().contains("openssl rand"), "{error}");
        assert!(!error.to_string().contains(weak), "{error}");
    }
    for bad in ["short", "a token with spaces in it", "a,token,that,no,header,takes"] {
        let token = AccessToken { person: "me".to_owned(), token: Secret::from(bad) };
        let error = refused(RelayConfig { access_tokens: alloc::vec![token], ..config() });
        assert!(!error.to_string().contains(bad), "{error}");
    }
    let url = Some("ftp://x".to_owned());
    assert!(refused(RelayConfig { public_url: url, ..config() }).to_string().contains("http"));
    let mut never = config();
    never.policy.lease_time = Duration::ZERO;
    assert!(refused(never).to_string().contains("longer than zero"));
}

#[test]
fn anyone_may_ask_for_its_version() {
    let mut world = World::new();
    let protocols = ["footbridge.link.v1", "footbridge.viewer.v1"];
    let version = env!("CARGO_PKG_VERSION");
    let expected = json!({"name": "footbridge", "version": version, "protocols": protocols,
        "transports": ["v1", "v2"], "work": ["poll", "stream"]});
    assert_eq!(world.get("/v1/version", ""), (200, expected));
}
