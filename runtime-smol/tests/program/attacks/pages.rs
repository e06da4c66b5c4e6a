//! Other pages in a person's browser.

use super::Target;

#[test]
fn a_foreign_name_and_a_foreign_page_are_refused() {
    let home = tempfile::tempdir().expect("a directory");
    let target = Target::start(home.path());
    let own = target.address;
    let cases = [
        (format!("host: {own}\r\n"), "200"),
        (format!("host: localhost:{}\r\n", own.port()), "200"),
        ("host: evil.example\r\n".to_owned(), "421"),
        (format!("host: evil.example:{}\r\n", own.port()), "421"),
        (format!("host: {own}\r\nhost: {own}\r\n"), "400"),
        (String::new(), "400"),
        (format!("host: {own}\r\norigin: http://{own}\r\n"), "200"),
        (format!("host: {own}\r\norigin: http://evil.example\r\n"), "403"),
        (format!("host: {own}\r\norigin: null\r\n"), "403"),
    ];
    for (headers, status) in cases {
        let answer =
            target.answer(&format!("GET /health HTTP/1.1\r\n{headers}connection: close\r\n\r\n"));
        assert_eq!(answer.get(9..12), Some(status), "{headers}{answer}");
    }
    let handshake = format!(
        "GET /v1/overview/ws HTTP/1.1\r\nhost: {own}\r\norigin: https://evil.example\r\n\
         authorization: Bearer {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        target.relay.token
    );
    let mut stream = target.send(&handshake);
    let mut start = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 403", "even with the token");
}
