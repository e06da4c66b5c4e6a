//! Trusted devices (D): who is one, for how long, and what takes one.

use super::*;
use crate::base::limits::TRUST_AFTER_LOG_IN;
use crate::wire::device::Scopes;

const ENROL: &str = "/api/auth/trusted_devices";

fn world(demanded: &str) -> World {
    World::with(RelayConfig { demand_trusted: Scopes::parse(demanded), ..config() })
}

fn enrol(world: &mut World, token: &str) -> (u16, Value) {
    world.post(ENROL, token, &json!({"display_name": "Footbridge on box · linux"}))
}

/// What a request that answers, one that drives and one that watches get.
fn tried(world: &mut World, session: &str, token: &str, headers: &[(&str, &str)]) -> [u16; 3] {
    let target = |what: &str| format!("/v1/sessions/{session}{what}");
    let mut status = |method, what: &str, body: &Value| {
        let op = world.ask_with(method, &target(what), token, body, headers);
        world.answer(op).0
    };
    let answer = json!({"request_id": "q", "behavior": "allow"});
    [
        // Whoever may answer is told that there is no such question.
        status(Method::Post, "/permission", &answer),
        status(Method::Post, "/interrupt", &Value::Null),
        status(Method::Get, "", &Value::Null),
    ]
}

#[test]
fn a_relay_takes_what_it_demands_a_trusted_device_for_from_those_alone() {
    // Demanded, and what is refused then.
    for (demanded, refused) in [
        ("", [false; 3]),
        ("answer", [true, false, false]),
        ("drive", [false, true, false]),
        ("answer drive", [true, true, false]),
    ] {
        let mut world = world(demanded);
        let (_, taken, _) = world.running();
        let session = &taken.session;
        let (one, other) =
            (super::log_in::everything(&mut world), super::log_in::everything(&mut world));
        let (status, trusted) = enrol(&mut world, &one);
        assert_eq!(status, 201, "{trusted}");
        let text = |value: &Value| value["device_token"].as_str().expect("a token").to_owned();
        let first = text(&trusted);
        let again = text(&enrol(&mut world, &one).1);
        let others = text(&enrol(&mut world, &other).1);
        let fine = [404, 200, 200];
        let expected = |is_trusted: bool| {
            let status = |at: usize| if refused[at] && !is_trusted { 403 } else { fine[at] };
            [status(0), status(1), status(2)]
        };
        for (token, shown, is_trusted) in [
            (&*one, "", false),
            (&*one, "fbtrusted-garbage", false),
            (&*one, &*first, false),
            (&*one, &*others, false),
            (&*one, &*again, true),
            (&*other, &*others, true),
            (&*other, &*again, false),
            // It is the relay's own secret.
            (TOKEN, "", true),
        ] {
            let header = [("x-trusted-device-token", shown)];
            let headers = if shown.is_empty() { &[][..] } else { &header[..] };
            let statuses = tried(&mut world, session, token, headers);
            assert_eq!(statuses, expected(is_trusted), "{demanded}: {shown}");
        }
    }
}

#[test]
fn a_log_in_is_enrolled_within_ten_minutes_and_says_so_after_that() {
    for (passed, is_fine) in [
        (Duration::ZERO, true),
        (TRUST_AFTER_LOG_IN - Duration::from_secs(1), true),
        (TRUST_AFTER_LOG_IN, false),
        (TRUST_AFTER_LOG_IN * 3, false),
    ] {
        let mut world = world("answer");
        let token = super::log_in::everything(&mut world);
        world.pass(passed);
        let (status, answer) = enrol(&mut world, &token);
        if is_fine {
            assert_eq!(status, 201, "{answer}");
        } else {
            let refused = (status, &answer["error"]["type"]);
            assert_eq!(refused, (403, &json!("ELEVATED")), "{passed:?}");
            let words = answer["error"]["message"].as_str().expect("text");
            assert!(words.contains("footbridge login"), "{words}");
        }
        let (_, listed) = world.get("/v1/devices", TOKEN);
        let device = &listed["devices"][0];
        assert_eq!(device["trusted_at"].is_string(), is_fine);
        assert_eq!(device["name"].as_str().expect("text").starts_with("Footbridge on"), is_fine);
    }
    let mut world = world("answer");
    for token in [TOKEN, BOB] {
        assert_eq!(enrol(&mut world, token).0, 403, "an access token is no device");
    }
}

/// A browser's token, and its cookie.
fn sign_in(world: &mut World) -> (String, String) {
    let op = world.ask(Method::Post, "/v1/sign-in", TOKEN, &Value::Null);
    let cookies = world.replies[&op].headers.iter().filter(|(name, _)| name == "set-cookie");
    let cookie: Vec<String> = cookies.map(|(_, value)| value.clone()).collect();
    assert!(cookie.len() == 1 && cookie[0].contains("; HttpOnly; SameSite=Strict"), "{cookie:?}");
    let (_, signed) = world.answer(op);
    let token = signed["token"].as_str().expect("a token").to_owned();
    let (pair, _) = cookie[0].split_once(';').expect("attributes");
    (token, pair.to_owned())
}

#[test]
fn a_browser_is_trusted_from_its_sign_in_on_by_what_no_script_can_read() {
    let mut world = world("answer drive");
    let (_, taken, _) = world.running();
    let ((one, first), (other, second)) = (sign_in(&mut world), sign_in(&mut world));
    for (token, cookie, expected) in [
        (&one, format!("theme=dark; {first}"), [404, 200, 200]),
        (&other, second.clone(), [404, 200, 200]),
        (&one, second.clone(), [403, 403, 200]),
        (&one, String::new(), [403, 403, 200]),
        (&one, format!("x{first}"), [403, 403, 200]),
        (
            &one,
            first.split_once('=').map_or_else(String::new, |(name, _)| {
                format!("{name}={}", second.split_once('=').expect("a value").1)
            }),
            [403, 403, 200],
        ),
    ] {
        let headers = [("cookie", &*cookie)];
        assert_eq!(tried(&mut world, &taken.session, token, &headers), expected, "{cookie}");
    }
    // Whoever is not trusted is told how to be, and can sign in, see and end devices.
    let stop = format!("/v1/sessions/{}/stop", taken.session);
    let (status, refused) = world.post(&stop, &one, &Value::Null);
    assert_eq!((status, &refused["error"]["type"]), (403, &json!("ELEVATED")));
    assert!(refused["error"]["message"].as_str().expect("text").contains("sign in again"));
    for target in ["/v1/devices", "/v1/sessions", "/v1/audit", "/v1/whoami"] {
        assert_eq!(world.get(target, &one).0, 200, "{target}");
    }
    let (again, cookie) = sign_in(&mut world);
    let headers = [("cookie", &*cookie)];
    assert_eq!(tried(&mut world, &taken.session, &again, &headers), [404, 200, 200]);
}

#[test]
fn a_browser_that_is_not_trusted_lets_no_device_in_that_would_be() {
    for (demanded, is_refused) in [("", false), ("answer", true), ("drive", true)] {
        let mut world = world(demanded);
        let (token, cookie) = sign_in(&mut world);
        let answer = json!({"user_code": "BCDF-GHJK", "answer": "approve"});
        let shown = [("cookie", &*cookie)];
        for (headers, is_refused) in [(&shown[..0], is_refused), (&shown[..], false)] {
            let op = world.ask_with(Method::Post, "/v1/oauth/device", &token, &answer, headers);
            let (status, refused) = world.answer(op);
            let is_elevated = refused["error"]["type"] == "ELEVATED";
            assert_eq!((status == 403, is_elevated), (is_refused, is_refused), "{refused}");
        }
    }
}

#[test]
fn what_lets_an_agent_do_more_unasked_takes_who_may_answer_it() {
    let mode = |mode: &str| {
        let request = json!({"subtype": "set_permission_mode", "mode": mode});
        json!({"messages": [{"type": "control_request", "request_id": mode, "request": request}]})
    };
    for (demanded, scope, expected) in [
        ("", "drive", [403, 200]),
        ("", "answer drive", [200, 200]),
        ("answer", "answer drive", [403, 200]),
    ] {
        let mut world = world(demanded);
        let (_, taken, _) = world.running();
        let token = super::log_in::with_scope(&mut world, scope);
        let target = format!("/v1/sessions/{}/messages", taken.session);
        let tried = ["acceptEdits", "plan"].map(|name| world.post(&target, &token, &mode(name)).0);
        assert_eq!(tried, expected, "{demanded} {scope}");
    }
}
