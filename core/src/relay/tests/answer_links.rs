//! Links that answer one question, once, without a sign-in (Y-9).

use super::*;

const ANSWER: &str = "/v1/answer";

struct Linked {
    world: World,
    session: String,
    link: OpId,
    token: String,
    id: String,
}

/// A session whose agent asks, and a link for its question.
fn linked() -> Linked {
    let mut world = World::new();
    let (_, taken, link) = world.running();
    world.lines(link, &question("q1"));
    let made = make(&mut world, &taken.session, TOKEN, &json!({"request_id": "q1"}));
    let (token, id) = (text(&made["token"]), text(&made["id"]));
    world.received(link);
    Linked { world, session: taken.session, link, token, id }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn make(world: &mut World, session: &str, token: &str, body: &Value) -> Value {
    let (status, made) = world.post(&link_of(session), token, body);
    assert_eq!(status, 201, "{made}");
    made
}

fn link_of(session: &str) -> String {
    format!("/v1/sessions/{session}/permission/link")
}

fn is_over((status, body): &(u16, Value)) -> bool {
    (*status, &body["error"]["type"]) == (410, &json!("answer_link_over"))
}

#[test]
fn a_link_shows_its_question_and_answers_it_once() {
    let Linked { mut world, session, link, token, id } = linked();
    // Whatever previews links reads them, and uses nothing up.
    for _ in 0..3 {
        let (status, shown) = world.get(ANSWER, &token);
        assert_eq!(status, 200, "{shown}");
        let expected = (&json!("Bash"), &json!({"command": "echo  hi"}), &json!(session));
        assert_eq!((&shown["tool_name"], &shown["input"], &shown["session_id"]), expected);
    }
    assert!(world.received(link).is_empty());
    let (status, answered) = world.post(ANSWER, &token, &json!({"behavior": "allow"}));
    assert_eq!(status, 200, "{answered}");
    let came = world.received(link);
    assert_eq!(came.len(), 1);
    assert_eq!(came[0]["response"]["response"]["behavior"], "allow");
    assert_eq!(came[0]["response"]["response"]["updatedInput"]["command"], "echo  hi");
    for body in [json!({"behavior": "allow"}), json!({"behavior": "deny"})] {
        assert!(is_over(&world.post(ANSWER, &token, &body)));
    }
    assert!(is_over(&world.get(ANSWER, &token)));
    assert!(world.received(link).is_empty());
    let (_, page) = world.get("/v1/audit", TOKEN);
    let entries = page["entries"].as_array().expect("a list").iter();
    let of = |action: &str| entries.clone().rfind(|one| one["action"] == action);
    let (made, used) = (of("answer_link_made"), of("permission_answered"));
    let (made, used) = (made.expect("it was made"), used.expect("it was used"));
    assert_eq!((&made["by"]["kind"], &made["detail"]), (&json!("access_token"), &json!(id)));
    assert_eq!((&used["by"]["kind"], &used["by"]["id"]), (&json!("answer_link"), &json!(id)));
    let expected = (&json!("allow"), &answered["seq"], &json!(session));
    assert_eq!((&used["detail"], &used["event"], &used["session_id"]), expected);
    assert!(!page.to_string().contains(&token), "{page}");
}

#[test]
fn a_link_says_yes_or_no_and_nothing_else() {
    let Linked { mut world, session, link, token, .. } = linked();
    for body in [
        json!({"behavior": "allow", "updatedInput": {"command": "rm -r /"}}),
        json!({"behavior": "allow", "updatedPermissions": []}),
        json!({"behavior": "deny", "interrupt": true}),
        json!({"behavior": "deny", "request_id": "q2"}),
        json!({"behavior": "perhaps"}),
        json!({"behavior": "deny", "message": "x".repeat(5000)}),
    ] {
        assert_eq!(world.post(ANSWER, &token, &body).0, 400, "{body}");
    }
    for target in ["/v1/sessions".to_owned(), format!("/v1/sessions/{session}"), link_of(&session)]
    {
        assert_eq!(world.get(&target, &token).0, if target.ends_with("link") { 405 } else { 403 });
    }
    let permission = format!("/v1/sessions/{session}/permission");
    let other = json!({"request_id": "q1", "behavior": "allow"});
    assert_eq!(world.post(&permission, &token, &other).0, 403);
    assert_eq!(world.post(&link_of(&session), &token, &json!({"request_id": "q1"})).0, 403);
    assert!(world.received(link).is_empty());
    let (status, _) = world.post(ANSWER, &token, &json!({"behavior": "deny", "message": "why?"}));
    assert_eq!(status, 200);
    assert_eq!(world.received(link)[0]["response"]["response"]["message"], "why?");
}

#[test]
fn a_link_is_over_once_its_question_or_its_time_or_its_maker_is() {
    // Somebody else was first.
    let Linked { mut world, session, token, .. } = linked();
    let deny = json!({"request_id": "q1", "behavior": "deny"});
    assert_eq!(world.post(&format!("/v1/sessions/{session}/permission"), TOKEN, &deny).0, 200);
    assert!(is_over(&world.post(ANSWER, &token, &json!({"behavior": "allow"}))));

    // The agent no longer asks; and a later question under the same id is another one.
    let Linked { mut world, link, token, .. } = linked();
    world.lines(link, r#"{"type":"control_cancel_request","request_id":"q1"}"#);
    assert!(is_over(&world.get(ANSWER, &token)));
    world.lines(link, &question("q1"));
    assert!(is_over(&world.post(ANSWER, &token, &json!({"behavior": "allow"}))));

    // Its hour is over, by its own word and by the store's.
    let Linked { mut world, token, .. } = linked();
    world.pass(Duration::from_secs(3601));
    assert!(is_over(&world.post(ANSWER, &token, &json!({"behavior": "allow"}))));

    // The device that has made it was revoked.
    let Linked { mut world, session, .. } = linked();
    let device = super::log_in::everything(&mut world);
    let body = json!({"request_id": "q1", "expires_in": 60});
    let token = text(&make(&mut world, &session, &device, &body)["token"]);
    assert_eq!(world.get(ANSWER, &token).0, 200);
    super::log_in::log_out(&mut world, &device);
    assert!(is_over(&world.post(ANSWER, &token, &json!({"behavior": "allow"}))));
}

#[test]
fn only_whoever_may_answer_makes_links_and_only_for_what_is_asked() {
    let Linked { mut world, session, link, token, .. } = linked();
    let of = link_of(&session);
    assert_eq!(world.post(&of, BOB, &json!({"request_id": "q1"})).0, 404);
    assert_eq!(world.post(&of, TOKEN, &json!({"request_id": "q2"})).0, 404);
    for seconds in [0, 86_401, u64::MAX] {
        let body = json!({"request_id": "q1", "expires_in": seconds});
        assert_eq!(world.post(&of, TOKEN, &body).0, 400, "{seconds}");
    }
    let (status, refused) = world.post(&of, TOKEN, &json!({"request_id": "q1", "seq": 1}));
    assert_eq!((status, &refused["error"]["type"]), (410, &json!("permission_withdrawn")));
    let ask = json!({"type": "control_request", "request_id": "choose", "request": {
        "subtype": "can_use_tool", "tool_name": "AskUserQuestion", "input": {"questions": []}}});
    world.lines(link, &ask.to_string());
    let (status, refused) = world.post(&of, TOKEN, &json!({"request_id": "choose"}));
    assert_eq!((status, &refused["error"]["type"]), (409, &json!("answer_link_unfit")));
    // Of too many, the first stops working.
    for _ in 0..8 {
        assert_eq!(world.get(ANSWER, &token).0, 200);
        make(&mut world, &session, TOKEN, &json!({"request_id": "q1"}));
    }
    assert!(is_over(&world.get(ANSWER, &token)));
    // What was not signed here is nobody's.
    assert_eq!(world.get(ANSWER, &token.replace("fbanswer-e", "fbanswer-f")).0, 401);
}
