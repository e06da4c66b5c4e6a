//! Signing in with a provider, whose part the tests play, with keys of their own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};

use super::*;
use crate::relay::{OidcConfig, OidcPerson, OidcWho};

const ISSUER: &str = "https://id.example/realm";

fn provider_config() -> OidcConfig {
    let person = |person: &str, who| OidcPerson { person: person.to_owned(), who };
    OidcConfig {
        issuer: ISSUER.to_owned(),
        client_id: "footbridge".to_owned(),
        client_secret: Some(Secret::from("s3cret/+")),
        rs256: Some(|_, _, signature| signature == b"genuine"),
        people: alloc::vec![
            person("alice", OidcWho::Subject("subject-a".to_owned())),
            person("bob", OidcWho::Email("Bob@example.org".to_owned())),
            person("carol", OidcWho::Subject("subject-c".to_owned())),
        ],
    }
}

/// A relay with a provider, and a browser.
struct Signing {
    world: World,
    /// How the provider signs, and by which key.
    key: SigningKey,
    key_id: &'static str,
    alg: &'static str,
}

/// What the browser has after it was sent to the provider.
struct Sent {
    state: String,
    nonce: String,
    challenge: String,
    cookie: String,
}

impl Signing {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut RelayConfig)) -> Self {
        let mut config = config();
        config.public_url = Some("https://relay.example/fb".to_owned());
        config.oidc = Some(provider_config());
        change(&mut config);
        let key = SigningKey::from_slice(&[7; 32]).expect("a key");
        Self { world: World::with(config), key, key_id: "one", alg: "ES256" }
    }

    fn get(&mut self, target: &str, cookie: &str) -> OpId {
        self.get_from([127, 0, 0, 1], target, cookie)
    }

    fn get_from(&mut self, peer: [u8; 4], target: &str, cookie: &str) -> OpId {
        self.world.ask_raw(IncomingRequest {
            method: Method::Get,
            target: target.to_owned(),
            headers: alloc::vec![
                ("host".to_owned(), "relay.example".to_owned()),
                ("cookie".to_owned(), cookie.to_owned()),
            ],
            body: Body::Whole(bytes::Bytes::new()),
            is_tls: false,
            peer: IpAddr::from(peer),
        })
    }

    /// What the relay asks the provider next.
    fn asked(&mut self) -> (OpId, Request) {
        self.world.requests.pop_front().expect("a question to the provider")
    }

    fn answer(&mut self, op: OpId, status: u16, body: &Value) {
        let response = Response { status, headers: Vec::new(), body: body.to_string().into() };
        self.world.deliver(Event::Response { op, response });
    }

    fn reply(&mut self, op: OpId) -> Response {
        self.world.replies.remove(&op).expect("an answer")
    }

    /// Why the browser is told that nobody was signed in.
    fn refusal(&mut self, op: OpId) -> (u16, String) {
        let Response { status, body, .. } = self.reply(op);
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    fn document() -> Value {
        json!({"issuer": ISSUER, "authorization_endpoint": "https://id.example/auth?kind=x",
            "token_endpoint": "https://id.example/token", "jwks_uri": "https://id.example/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]})
    }

    /// The browser begins, and is sent to the provider.
    fn begin(&mut self, query: &str) -> Sent {
        let op = self.get(&format!("/v1/oidc/start{query}"), "");
        if let Some((asked, request)) = self.world.requests.pop_front() {
            assert_eq!(request.url, format!("{ISSUER}/.well-known/openid-configuration"));
            self.answer(asked, 200, &Self::document());
        }
        let response = self.reply(op);
        assert_eq!(response.status, 303, "{:?}", response.body);
        let to = response.header("location").expect("a place").to_owned();
        let value = |name: &str| {
            let found = to.split(['?', '&']).find_map(|part| part.strip_prefix(name));
            found.and_then(|value| value.strip_prefix('=')).unwrap_or_default().to_owned()
        };
        assert!(to.starts_with("https://id.example/auth?kind=x&response_type=code&"), "{to}");
        assert_eq!(value("client_id"), "footbridge");
        assert_eq!(
            value("redirect_uri"),
            "https%3A%2F%2Frelay.example%2Ffb%2Fv1%2Foidc%2Fcallback"
        );
        assert_eq!(
            (value("code_challenge_method"), value("scope")),
            ("S256".into(), "openid%20email".into())
        );
        let cookie = response.header("set-cookie").expect("a cookie");
        for part in ["HttpOnly", "SameSite=Lax", "Secure"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        Sent {
            state: value("state"),
            nonce: value("nonce"),
            challenge: value("code_challenge"),
            cookie: cookie.split(';').next().expect("its value").to_owned(),
        }
    }

    /// The browser comes back, and the relay has asked for the token.
    fn back(&mut self, sent: &Sent) -> (OpId, OpId, Request) {
        let target = format!("/v1/oidc/callback?state={}&code=c%2F1", sent.state);
        let op = self.get(&target, &sent.cookie);
        let (asked, request) = self.asked();
        (op, asked, request)
    }

    fn claims(sent: &Sent) -> Value {
        json!({"iss": ISSUER, "aud": "footbridge", "sub": "subject-a", "nonce": sent.nonce,
            "exp": START.wall.as_secs() + 300, "iat": START.wall.as_secs()})
    }

    fn token(&self, claims: &Value) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let header = json!({"alg": self.alg, "kid": self.key_id}).to_string();
        let signed =
            format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = match self.alg {
            "RS256" => b"genuine".to_vec(),
            "none" => Vec::new(),
            _ => {
                let signature: Signature = self.key.sign(signed.as_bytes());
                signature.to_bytes().to_vec()
            }
        };
        format!("{signed}.{}", encode(&signature))
    }

    fn keys(&self) -> Value {
        let point = self.key.verifying_key().to_sec1_point(false);
        let bytes = point.as_bytes();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "other", "x": "AA"},
            {"kty": "RSA", "kid": "rsa", "use": "sig", "n": encode(&[0xc1; 256]), "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "kid": self.key_id, "use": "sig",
                "x": encode(&bytes[1..33]), "y": encode(&bytes[33..])},
        ]})
    }

    /// A whole sign-in up to the provider's token, with these claims.
    fn with_claims(&mut self, change: impl FnOnce(&mut Value)) -> OpId {
        let sent = self.begin("");
        let (op, asked, _) = self.back(&sent);
        let mut claims = Self::claims(&sent);
        change(&mut claims);
        let token = self.token(&claims);
        self.answer(asked, 200, &json!({"id_token": token, "token_type": "Bearer"}));
        if let Some((keys, request)) = self.world.requests.pop_front() {
            assert_eq!(request.url, "https://id.example/keys");
            let body = self.keys();
            self.answer(keys, 200, &body);
        }
        op
    }

    /// Who was signed in, by the code in the place where the browser is sent.
    fn signed_in(&mut self, op: OpId, beginning: &str) -> String {
        let response = self.reply(op);
        assert_eq!(response.status, 303, "{:?}", response.body);
        let to = response.header("location").expect("a place");
        let code = to.strip_prefix(beginning).unwrap_or_else(|| panic!("{to}")).to_owned();
        assert!(response.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
        let (status, signed) = self.world.post("/v1/sign-in", &code, &Value::Null);
        assert_eq!(status, 200, "{signed}");
        assert_eq!(self.world.post("/v1/sign-in", &code, &Value::Null).0, 401, "it works once");
        let token = signed["token"].as_str().expect("a token").to_owned();
        let (_, me) = self.world.get("/v1/whoami", &token);
        me["account"].as_str().expect("a name").to_owned()
    }
}

const PAGE: &str = "https://relay.example/fb/#code=";

#[test]
fn whoever_the_provider_knows_as_one_of_the_relays_people_is_signed_in() {
    let mut signing = Signing::new();
    let sent = signing.begin("");
    let (op, asked, request) = signing.back(&sent);
    assert_eq!((request.method, &*request.url), (Method::Post, "https://id.example/token"));
    let form = core::str::from_utf8(&request.body).expect("a form");
    let field = |name: &str| {
        let found = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default()
    };
    assert_eq!((field("grant_type"), field("code")), ("authorization_code", "c%2F1"));
    use sha2::Digest;
    let challenge = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(field("code_verifier")));
    assert_eq!(challenge, sent.challenge);
    let shown = request.headers.iter().find(|(name, _)| *name == "authorization");
    let basic = base64::engine::general_purpose::STANDARD.encode("footbridge:s3cret%2F%2B");
    assert_eq!(shown.map(|(_, value)| value.reveal()), Some(&*format!("Basic {basic}")));
    assert!(!form.contains("s3cret"), "{form}");
    let token = signing.token(&Signing::claims(&sent));
    signing.answer(asked, 200, &json!({"id_token": token}));
    let (keys, _) = signing.asked();
    let body = signing.keys();
    signing.answer(keys, 200, &body);
    assert_eq!(signing.signed_in(op, PAGE), "alice");
    let (_, page) = signing.world.get("/v1/audit", TOKEN);
    let made = &page["entries"][0];
    assert_eq!((&made["by"]["kind"], &made["by"]["id"]), (&json!("oidc"), &json!("subject-a")));

    // What is known by now is not asked for again, and by which address somebody is known counts only
    // if the provider has verified it.
    let email = |verified: Value| {
        move |claims: &mut Value| {
            claims["sub"] = json!("subject-b");
            claims["email"] = json!("bob@example.org");
            claims["email_verified"] = verified;
        }
    };
    for verified in [json!(true), json!("true")] {
        let op = signing.with_claims(email(verified));
        assert_eq!(signing.signed_in(op, PAGE), "bob");
    }
    for verified in [json!(false), json!("no"), Value::Null] {
        let op = signing.with_claims(email(verified));
        let (status, words) = signing.refusal(op);
        assert_eq!(status, 403);
        assert!(words.contains("--oidc-subject subject-b"), "{words}");
    }
    // Carol is known there, and has no account here.
    let op = signing.with_claims(|claims| claims["sub"] = json!("subject-c"));
    assert_eq!(signing.refusal(op).0, 403);
    // From now on somebody else is Alice.
    let person = OidcPerson { person: "alice".to_owned(), who: OidcWho::Subject("new".to_owned()) };
    signing.world.command(RelayCommand::SetOidcPeople { people: alloc::vec![person] });
    let op = signing.with_claims(|_| {});
    assert_eq!(signing.refusal(op).0, 403);
    let op = signing.with_claims(|claims| claims["sub"] = json!("new"));
    assert_eq!(signing.signed_in(op, PAGE), "alice");
}

#[test]
fn a_sign_in_leads_on_to_the_log_in_that_is_to_be_approved() {
    let mut signing = Signing::new();
    let sent = signing.begin("?user_code=BCDF-GHJK");
    let (op, asked, _) = signing.back(&sent);
    let token = signing.token(&Signing::claims(&sent));
    signing.answer(asked, 200, &json!({"id_token": token}));
    let (keys, _) = signing.asked();
    let body = signing.keys();
    signing.answer(keys, 200, &body);
    let place = "https://relay.example/fb/device?user_code=BCDF-GHJK#code=";
    assert_eq!(signing.signed_in(op, place), "alice");
    // What is no code of a log-in leads nowhere.
    let sent = signing.begin("?user_code=%2F%2Fevil.example");
    let state = sent.state.split('.').next().expect("a ticket");
    let ticket = URL_SAFE_NO_PAD.decode(state).expect("base64");
    assert!(!String::from_utf8(ticket).expect("text").contains("evil"));
}

#[test]
fn a_token_that_does_not_hold_signs_nobody_in() {
    let mut signing = Signing::new();
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 9] = [
        ("iss", |claims| claims["iss"] = json!("https://other.example")),
        ("aud", |claims| claims["aud"] = json!("another-client")),
        ("aud", |claims| claims["aud"] = json!(["footbridge", "another-client"])),
        ("aud", |claims| claims["azp"] = json!("another-client")),
        ("run out", |claims| claims["exp"] = json!(START.wall.as_secs() - 61)),
        ("nonce", |claims| claims["nonce"] = json!("another")),
        ("nonce", |claims| claims["nonce"] = Value::Null),
        ("sub", |claims| claims["sub"] = json!("")),
        ("missing", |claims| claims["exp"] = json!("soon")),
    ];
    for (expected, change) in changes {
        let op = signing.with_claims(change);
        let (status, words) = signing.refusal(op);
        assert_eq!(status, 502, "{expected}: {words}");
        assert!(words.contains(expected), "{expected}: {words}");
    }
    // One of several audiences is enough if it is the one that has asked.
    let op = signing.with_claims(|claims| {
        claims["aud"] = json!(["footbridge", "another-client"]);
        claims["azp"] = json!("footbridge");
    });
    assert_eq!(signing.signed_in(op, PAGE), "alice");
    // Signed by something else, or not at all.
    for (alg, expected) in [("none", "RS256 or ES256"), ("HS256", "RS256 or ES256")] {
        signing.alg = alg;
        let op = signing.with_claims(|_| {});
        let (status, words) = signing.refusal(op);
        assert_eq!((status, words.contains(expected)), (502, true), "{alg}: {words}");
    }
    signing.alg = "ES256";
    let genuine =
        core::mem::replace(&mut signing.key, SigningKey::from_slice(&[8; 32]).expect("a key"));
    let op = signing.with_claims(|_| {});
    let (_, words) = signing.refusal(op);
    assert!(words.contains("signed it"), "{words}");
    signing.key = genuine;
    // By RSA, which the runtime checks.
    (signing.alg, signing.key_id) = ("RS256", "rsa");
    let op = signing.with_claims(|_| {});
    assert_eq!(signing.signed_in(op, PAGE), "alice");
}

#[test]
fn keys_that_the_provider_has_changed_are_fetched_again_but_not_at_every_whim() {
    let mut signing = Signing::new();
    let op = signing.with_claims(|_| {});
    assert_eq!(signing.signed_in(op, PAGE), "alice");
    signing.key = SigningKey::from_slice(&[9; 32]).expect("a key");
    signing.key_id = "two";
    // Too soon after the last time.
    let op = signing.with_claims(|_| {});
    assert_eq!(signing.refusal(op).0, 502);
    signing.world.pass(Duration::from_secs(11));
    let op = signing.with_claims(|_| {});
    assert_eq!(signing.signed_in(op, PAGE), "alice");
    assert!(signing.world.requests.is_empty());
    // Under the same name.
    signing.key = SigningKey::from_slice(&[10; 32]).expect("a key");
    signing.world.pass(Duration::from_secs(11));
    let op = signing.with_claims(|_| {});
    assert_eq!(signing.signed_in(op, PAGE), "alice");
}

#[test]
fn a_key_that_the_provider_has_withdrawn_does_not_count_for_ever() {
    let mut signing = Signing::new();
    let op = signing.with_claims(|_| {});
    assert_eq!(signing.signed_in(op, PAGE), "alice");
    let withdrawn =
        core::mem::replace(&mut signing.key, SigningKey::from_slice(&[9; 32]).expect("a key"));
    let kept = signing.keys();
    signing.key = withdrawn;
    signing.world.pass(Duration::from_secs(3_601));
    let sent = signing.begin("");
    let (op, asked, _) = signing.back(&sent);
    let token = signing.token(&Signing::claims(&sent));
    signing.answer(asked, 200, &json!({"id_token": token}));
    let (asked, _) = signing.asked();
    signing.answer(asked, 200, &kept);
    assert_eq!(signing.refusal(op).0, 502);
}

#[test]
fn one_address_does_not_keep_others_from_signing_in() {
    let mut signing = Signing::new();
    let ops: Vec<_> = (0..6).map(|_| signing.get("/v1/oidc/start", "")).collect();
    let busy: Vec<_> = ops[4..].iter().map(|op| signing.refusal(*op).0).collect();
    assert_eq!(busy, [503, 503]);
    let other = signing.get_from([192, 0, 2, 9], "/v1/oidc/start", "");
    let (asked, _) = signing.asked();
    assert!(signing.world.requests.is_empty(), "one question for all of them");
    signing.answer(asked, 200, &Signing::document());
    for op in ops[..4].iter().chain([&other]) {
        assert_eq!(signing.reply(*op).status, 303);
    }
    // Their places are free again.
    let op = signing.get("/v1/oidc/start", "");
    assert_eq!(signing.reply(op).status, 303);
}

#[test]
fn only_the_browser_that_has_begun_comes_back_and_only_soon() {
    let mut signing = Signing::new();
    let sent = signing.begin("");
    let other = signing.begin("");
    let target = format!("/v1/oidc/callback?state={}&code=c", sent.state);
    let bent = target.replace("&code", "x&code");
    for (target, cookie) in [
        (&*target, ""),
        (&*target, &*other.cookie),
        (&*bent, &*sent.cookie),
        ("/v1/oidc/callback?code=c", &*sent.cookie),
        (&*target.replace("&code=c", ""), &*sent.cookie),
        (&*format!("{target}&iss=https%3A%2F%2Fother.example"), &*sent.cookie),
    ] {
        let op = signing.get(target, cookie);
        let (status, words) = signing.refusal(op);
        assert_eq!(status, 400, "{target}: {words}");
        assert!(words.contains("begin again"), "{words}");
        assert!(signing.world.requests.is_empty(), "{target}");
    }
    // The person has changed their mind there; what the provider says is shown as text.
    let denied = format!(
        "/v1/oidc/callback?state={}&error=access_denied&error_description=%3Cb%3Eno",
        sent.state
    );
    let op = signing.get(&denied, &sent.cookie);
    let (status, words) = signing.refusal(op);
    assert_eq!((status, words.contains("&lt;b&gt;no")), (400, true), "{words}");
    // A quarter of an hour is over.
    signing.world.pass(Duration::from_secs(901));
    let op = signing.get(&target, &sent.cookie);
    assert_eq!(signing.refusal(op).0, 400);
}

#[test]
fn a_provider_that_fails_is_named_and_tried_again() {
    let mut signing = Signing::new();
    let documents = [
        (500, json!({}), "HTTP 500"),
        (404, json!({}), "HTTP 404"),
        (200, json!("a page"), "--oidc-issuer"),
        (
            200,
            json!({"issuer": "https://id.example/realm/", "authorization_endpoint": "https://id.example/a",
            "token_endpoint": "https://id.example/t", "jwks_uri": "https://id.example/k"}),
            "another issuer",
        ),
        (
            200,
            json!({"issuer": ISSUER, "authorization_endpoint": "https://id.example/a",
            "token_endpoint": "http://id.example/t", "jwks_uri": "https://id.example/k"}),
            "without https",
        ),
    ];
    for (status, document, expected) in documents {
        let op = signing.get("/v1/oidc/start", "");
        let (asked, _) = signing.asked();
        signing.answer(asked, status, &document);
        let (status, words) = signing.refusal(op);
        assert_eq!((status, words.contains(expected)), (502, true), "{expected}: {words}");
    }
    let op = signing.get("/v1/oidc/start", "");
    let (asked, _) = signing.asked();
    let failure = crate::base::io_error::IoError {
        kind: crate::base::io_error::IoErrorKind::TimedOut,
        detail: "it does not answer".to_owned(),
    };
    signing.world.deliver(Event::Failed { op: asked, failure });
    assert_eq!(signing.refusal(op).0, 502);
    // The token endpoint says what is wrong with the relay's own registration.
    let sent = signing.begin("");
    let (op, asked, _) = signing.back(&sent);
    signing.answer(asked, 401, &json!({"error": "invalid_client"}));
    let (_, words) = signing.refusal(op);
    assert!(words.contains("--oidc-client-secret-file"), "{words}");
    // A browser that has left is told nothing, and nothing more is asked for it.
    let sent = signing.begin("");
    let (op, asked, _) = signing.back(&sent);
    signing.world.deliver(Event::Closed { op, code: None, failure: None });
    let token = signing.token(&Signing::claims(&sent));
    signing.answer(asked, 200, &json!({"id_token": token}));
    assert!(signing.world.requests.is_empty() && !signing.world.replies.contains_key(&op));
}

#[test]
fn a_relay_without_a_provider_says_so_and_one_with_a_bad_one_does_not_start() {
    let mut world = World::new();
    assert_eq!(world.get("/v1/oidc", "").1, json!({"provider": null}));
    assert_eq!(Signing::new().world.get("/v1/oidc", "").1["provider"], "id.example");
    for issuer in ["http://id.example", "id.example", "https://", "https://id.example?x", ""] {
        let mut config = config();
        config.oidc = Some(OidcConfig { issuer: issuer.to_owned(), ..provider_config() });
        assert!(Relay::new(config, &keys()).is_err(), "{issuer}");
    }
    for issuer in ["http://127.0.0.1:9/x", "http://[::1]:9", "https://id.example/"] {
        let mut config = config();
        config.oidc = Some(OidcConfig { issuer: issuer.to_owned(), ..provider_config() });
        assert!(Relay::new(config, &keys()).is_ok(), "{issuer}");
    }
}
