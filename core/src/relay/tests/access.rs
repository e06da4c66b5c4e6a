//! Who may do what (Y-4): each kind of credential at each route.

use super::*;

/// A route, and the statuses that nobody, Alice, Bob, the environment, another environment, the
/// session and another session get there.
type Row = (Method, &'static str, [u16; 7]);

const ROWS: [Row; 26] = [
    (Method::Get, "/health", [200; 7]),
    (Method::Get, "/ready", [200; 7]),
    (Method::Get, "/v1/version", [200; 7]),
    (Method::Get, "/v1/housekeeping", [200; 7]),
    (Method::Get, "/", [200; 7]),
    (Method::Post, "/v1/sign-in", [401, 200, 200, 403, 403, 403, 403]),
    (Method::Post, "/v1/sign-in/codes", [401, 201, 201, 403, 403, 403, 403]),
    (Method::Post, "/v1/environments/bridge", [401, 400, 400, 403, 403, 403, 403]),
    (Method::Get, "/v1/environments/{E}/work/poll", [401, 403, 403, 204, 403, 403, 403]),
    (Method::Post, "/v1/environments/{E}/work/{W}/ack", [401, 403, 403, 403, 403, 200, 403]),
    (Method::Post, "/v1/environments/{E}/work/{W}/heartbeat", [401, 403, 403, 403, 403, 200, 403]),
    (
        Method::Post,
        "/v1/environments/{E}/sessions/{S}/redispatch",
        [401, 403, 403, 200, 403, 403, 403],
    ),
    (Method::Get, "/v2/session_ingress/ws/{S}", [401, 403, 403, 403, 403, 426, 403]),
    (Method::Get, "/v1/environments", [401, 200, 200, 403, 403, 403, 403]),
    (Method::Get, "/v1/environments/{E}", [401, 200, 404, 403, 403, 403, 403]),
    (Method::Post, "/v1/environments/{E}/healthcheck", [401, 202, 404, 403, 403, 403, 403]),
    (Method::Get, "/v1/sessions", [401, 200, 200, 403, 403, 403, 403]),
    (Method::Post, "/v1/sessions", [401, 400, 400, 403, 403, 403, 403]),
    (Method::Get, "/v1/sessions/{S}", [401, 200, 404, 403, 403, 403, 403]),
    (Method::Get, "/v1/sessions/{S}/events", [401, 200, 404, 403, 403, 403, 403]),
    (Method::Post, "/v1/sessions/{S}/messages", [401, 400, 400, 403, 403, 403, 403]),
    (Method::Post, "/v1/sessions/{S}/permission", [401, 400, 400, 403, 403, 403, 403]),
    (Method::Get, "/v1/sessions/{S}/events/ws", [401, 426, 426, 403, 403, 403, 403]),
    (Method::Get, "/v1/overview/ws", [401, 426, 426, 403, 403, 403, 403]),
    (Method::Post, "/v1/sessions/{S}/interrupt", [401, 200, 404, 403, 403, 403, 403]),
    (Method::Post, "/v1/sessions/{S}/stop", [401, 200, 404, 403, 403, 403, 403]),
];

#[test]
fn each_credential_opens_what_is_its_own_and_nothing_else() {
    for (method, target, expected) in ROWS {
        let mut got = [0; 7];
        for (at, status) in got.iter_mut().enumerate() {
            let mut world = super::page::world_with_page();
            let (worker, taken, _) = world.running();
            let other = world.register();
            world.create(&other);
            let stranger = world.take(&other);
            let target = target
                .replace("{E}", &worker.environment)
                .replace("{W}", &taken.work)
                .replace("{S}", &taken.session);
            let tokens =
                ["", TOKEN, BOB, &worker.secret, &other.secret, &taken.token, &stranger.token];
            let body = json!({"fence": 1});
            let op = world.ask(method, &target, tokens[at], &body);
            *status = world.answer(op).0;
        }
        assert_eq!(got, expected, "{target}");
    }
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
fn only_its_own_worker_can_end_a_thing() {
    for target in ["/v1/environments/{E}/work/{W}/stop", "/v1/environments/{E}/stop"] {
        let mut world = World::new();
        let (worker, taken, _) = world.running();
        let other = world.register();
        let target = target.replace("{E}", &worker.environment).replace("{W}", &taken.work);
        for (token, status) in [
            ("", 401),
            ("a token that nobody issued", 401),
            (TOKEN, 403),
            (&other.secret, 403),
            (&taken.token, 403),
            (&worker.secret, 200),
        ] {
            assert_eq!(world.post(&target, token, &json!({"fence": 1})).0, status, "{target}");
        }
    }
}

#[test]
fn after_a_restart_a_worker_first_learns_that_it_is_unknown() {
    let mut old = World::new();
    let (worker, taken, _) = old.running();
    let other_keys = RelayKeys { signing: [8; 32], entropy: [9; 32] };
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
    let expected = json!({"name": "footbridge", "version": version, "protocols": protocols});
    assert_eq!(world.get("/v1/version", ""), (200, expected));
}
