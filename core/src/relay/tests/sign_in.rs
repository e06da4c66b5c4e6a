//! Browsers that sign in.

use super::*;
use crate::auth::worker_credential;
use crate::base::limits::{BROWSER_TOKEN_LIFE, MAX_SIGN_IN_CODES, SIGN_IN_CODE_LIFE};

/// A code, as the program asks for one.
fn code(world: &mut World) -> String {
    world.command(RelayCommand::MakeSignInCode);
    match world.hand.notices.pop() {
        Some(RelayNotice::SignInCode { code }) => code.reveal().to_owned(),
        other => panic!("no code, but {other:?}"),
    }
}

/// Signs in; the browser's token.
#[track_caller]
fn sign_in(world: &mut World, credential: &str) -> String {
    let (status, answer) = world.post("/v1/sign-in", credential, &Value::Null);
    assert_eq!(status, 200, "{answer}");
    answer["token"].as_str().expect("a token").to_owned()
}

fn wait(world: &mut World, time: Duration) {
    world.hand.now.wall = world.hand.now.wall + time;
}

#[test]
fn a_code_signs_one_browser_in_once() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    let code = code(&mut world);
    let token = sign_in(&mut world, &code);
    assert_ne!(token, TOKEN);
    for spent in [&code, ""] {
        assert_eq!(world.post("/v1/sign-in", spent, &Value::Null).0, 401);
    }
    // It does what people do, also on a stream.
    assert_eq!(world.get(&format!("/v1/sessions/{}", taken.session), &token).0, 200);
    assert_eq!(
        world.post(&format!("/v1/sessions/{}/interrupt", taken.session), &token, &Value::Null).0,
        200
    );
    let offers = format!("footbridge.viewer.v1, footbridge.bearer.{token}");
    let op = world.websocket("/v1/overview/ws", "", &offers);
    assert!(world.streams.contains_key(&op));
    // It makes nothing that outlives it, and no machine.
    for target in ["/v1/sign-in", "/v1/sign-in/codes", "/v1/environments/bridge"] {
        assert_eq!(world.post(target, &token, &Value::Null).0, 403, "{target}");
    }
}

#[test]
fn a_code_opens_nothing_else() {
    let mut world = World::new();
    let code = code(&mut world);
    assert_eq!(world.get("/v1/sessions", &code).0, 403);
    assert_eq!(world.post("/v1/sign-in/codes", &code, &Value::Null).0, 403);
    sign_in(&mut world, &code);
}

#[test]
fn a_code_and_a_browsers_token_are_of_one_person() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    let (status, made) = world.post("/v1/sign-in/codes", BOB, &Value::Null);
    assert_eq!(status, 201);
    let bobs = sign_in(&mut world, made["code"].as_str().expect("a code"));
    assert_eq!(world.get(&format!("/v1/sessions/{}", taken.session), &bobs).0, 404);
}

#[test]
fn codes_and_tokens_end() {
    let mut world = World::new();
    let old = code(&mut world);
    wait(&mut world, SIGN_IN_CODE_LIFE);
    assert_eq!(world.post("/v1/sign-in", &old, &Value::Null).0, 401);
    let token = sign_in(&mut world, TOKEN);
    wait(&mut world, BROWSER_TOKEN_LIFE - Duration::from_secs(1));
    assert_eq!(world.get("/v1/sessions", &token).0, 200);
    wait(&mut world, Duration::from_secs(1));
    let (status, answer) = world.get("/v1/sessions", &token);
    assert_eq!((status, &answer["error"]["type"]), (401, &json!("token_expired")));
}

#[test]
fn a_workers_credential_registers_machines_until_the_access_token_is_replaced() {
    let mut world = World::new();
    let credential = worker_credential(&Secret::from(TOKEN), "laptop").expect("a credential");
    let body = json!({"machine_name": "m", "directory": "/d", "max_sessions": 1});
    let (status, made) = world.post("/v1/environments/bridge", credential.reveal(), &body);
    assert_eq!(status, 200, "{made}");
    let id = made["environment_id"].as_str().expect("an id");
    // It is its person's.
    assert_eq!(world.get(&format!("/v1/environments/{id}"), TOKEN).0, 200);
    assert_eq!(world.get(&format!("/v1/environments/{id}"), BOB).0, 404);
    let renewed =
        AccessToken { person: "alice".to_owned(), token: Secret::from("another-token-of-alice") };
    let renewed = RelayConfig { access_tokens: alloc::vec![renewed], ..config() };
    let mut renewed = World::on_store(renewed, &keys(), Rc::default(), START);
    assert_eq!(renewed.post("/v1/environments/bridge", credential.reveal(), &body).0, 401);
}

#[test]
fn of_too_many_codes_the_newest_work() {
    let mut world = World::new();
    let codes: Vec<String> = (0..=MAX_SIGN_IN_CODES).map(|_| code(&mut world)).collect();
    assert_eq!(world.post("/v1/sign-in", &codes[0], &Value::Null).0, 401);
    for code in &codes[1..] {
        sign_in(&mut world, code);
    }
}

#[test]
fn a_browsers_token_ends_with_the_access_token_and_with_nothing_else() {
    let mut world = World::new();
    let token = sign_in(&mut world, TOKEN);
    let code = code(&mut world);
    let other_keys = RelayKeys::new([8; 32], [9; 32]);
    let mut again = World::on_store(config(), &other_keys, Rc::default(), START);
    assert_eq!(again.get("/v1/sessions", &token).0, 200);
    assert_eq!(again.post("/v1/sign-in", &code, &Value::Null).0, 401);
    let renewed =
        AccessToken { person: "alice".to_owned(), token: Secret::from("another-token-of-alice") };
    let renewed = RelayConfig { access_tokens: alloc::vec![renewed], ..config() };
    let mut renewed = World::on_store(renewed, &keys(), Rc::default(), START);
    assert_eq!(renewed.get("/v1/sessions", &token).0, 401);
}

#[test]
fn no_bent_code_or_token_works() {
    let mut world = World::new();
    let (code, token) = (code(&mut world), sign_in(&mut world, TOKEN));
    let mut statuses = |good: &str, target: &str| {
        for at in 0..good.len() {
            let mut bent = good.as_bytes().to_owned();
            bent[at] = if bent[at] == b'x' { b'y' } else { b'x' };
            let bent = String::from_utf8(bent).expect("ASCII");
            // Slowly enough to be answered as a stranger, and not as one who guesses.
            world.pass(crate::base::limits::GUESS_ALLOWED_EVERY);
            let op = world.ask(
                if target == "/v1/sign-in" { Method::Post } else { Method::Get },
                target,
                &bent,
                &Value::Null,
            );
            // After many guesses they are slowed.
            let status = world.answer(op).0;
            assert!(matches!(status, 401 | 429), "byte {at} of {good}: {status}");
        }
    };
    statuses(&code, "/v1/sign-in");
    statuses(&token, "/v1/sessions");
}
