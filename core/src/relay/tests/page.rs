//! What browsers are told along with the page.

use super::*;

pub(super) fn world_with_page() -> World {
    static ASSETS: [super::super::Asset; 1] =
        [super::super::Asset { path: "/", content_type: "text/html", bytes: b"<p>" }];
    World::with(RelayConfig { assets: &ASSETS, ..config() })
}

#[test]
fn the_page_has_its_security_headers_and_is_not_sent_twice() {
    let mut world = world_with_page();
    let op = world.ask(Method::Get, "/?x=1", "", &Value::Null);
    let response = world.replies.remove(&op).expect("an answer");
    assert_eq!((response.status, &response.body[..]), (200, &b"<p>"[..]));
    let policy = response.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'self'; ") && policy.contains("frame-ancestors 'none'")
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-cache"),
        ("content-type", "text/html"),
    ] {
        assert_eq!(response.header(name), Some(value));
    }
    assert!(policy.contains("connect-src 'self';"), "{policy}");
    assert!(response.header("permissions-policy").is_some_and(|all| all.contains("camera=()")));
    assert_eq!(response.header("strict-transport-security"), None, "without TLS");
    let etag = response.header("etag").expect("an etag").to_owned();
    let headers = [("if-none-match", etag.as_str())];
    let op = world.ask_with(Method::Get, "/", "", &Value::Null, &headers);
    let response = world.replies.remove(&op).expect("an answer");
    assert_eq!((response.status, response.body.len()), (304, 0));
    assert_eq!(world.get("/nothing.js", "").0, 404);
}
