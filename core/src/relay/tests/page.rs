//! What browsers are told along with the page.

use super::*;

pub(super) fn world_with_page() -> World {
    world_known_as(None)
}

fn world_known_as(public_url: Option<&str>) -> World {
    static ASSETS: [super::super::Asset; 1] =
        [super::super::Asset { path: "/", content_type: "text/html", bytes: b"<p>", gzip: b"" }];
    let public_url = public_url.map(str::to_owned);
    World::with(RelayConfig { assets: &ASSETS, public_url, ..config() })
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

#[test]
fn a_file_is_sent_compressed_to_whoever_takes_it_so() {
    static ASSETS: [super::super::Asset; 1] = [super::super::Asset {
        path: "/x.js",
        content_type: "text/javascript",
        bytes: b"long",
        gzip: b"gz",
    }];
    let mut world = World::with(RelayConfig { assets: &ASSETS, ..config() });
    let mut get = |headers: &[(&str, &str)]| {
        let op = world.ask_with(Method::Get, "/x.js", "", &Value::Null, headers);
        world.replies.remove(&op).expect("an answer")
    };
    let (plain, compressed) = (get(&[]), get(&[("accept-encoding", "gzip, br")]));
    assert_eq!((&plain.body[..], plain.header("content-encoding")), (&b"long"[..], None));
    assert_eq!(
        (&compressed.body[..], compressed.header("content-encoding")),
        (&b"gz"[..], Some("gzip"))
    );
    for response in [&plain, &compressed] {
        assert_eq!(response.header("vary"), Some("accept-encoding"));
    }
    let tag = compressed.header("etag").expect("a tag");
    assert_ne!(plain.header("etag"), Some(tag), "they are two");
    let again = get(&[("accept-encoding", "gzip"), ("if-none-match", tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[test]
fn a_browser_that_has_come_over_tls_is_told_to_insist_on_it() {
    let told = |public_url, is_tls, host: &str| {
        let mut world = world_known_as(public_url);
        let op = world.ask_raw(IncomingRequest {
            method: Method::Get,
            target: "/".to_owned(),
            headers: alloc::vec![("host".to_owned(), host.to_owned())],
            body: Body::Whole(Bytes::new()),
            is_tls,
            peer: IpAddr::from([127, 0, 0, 1]),
        });
        let response = world.replies.remove(&op).expect("an answer");
        assert_eq!(response.status, 200);
        response.header("strict-transport-security").map(str::to_owned)
    };
    // On plain HTTP the header would mean nothing, and a later relay on the same name may have no TLS.
    assert_eq!(told(None, false, "127.0.0.1:8787"), None);
    assert_eq!(told(Some("http://localhost:8080"), false, "localhost:8080"), None);
    // The proxy before a relay with a public https URL has taken TLS off.
    let proxied = told(Some("https://relay.example"), false, "127.0.0.1:8787");
    // What else is on this machine has its own names.
    assert_eq!(told(None, true, "127.0.0.1:8787"), None);
    assert_eq!(told(None, true, "localhost:8787"), None);
    let told = proxied.expect("the header");
    let seconds = told.strip_prefix("max-age=").and_then(|rest| rest.split(';').next());
    let seconds: u64 = seconds.and_then(|text| text.parse().ok()).expect("seconds");
    assert!(seconds >= 180 * 24 * 60 * 60, "{told}");
    assert!(!told.contains("includeSubDomains"), "other names are not this relay's: {told}");
}
