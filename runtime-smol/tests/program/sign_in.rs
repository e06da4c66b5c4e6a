//! `footbridge sign-in`: it finds the relay on its machine, and gives its token to nothing else.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, until};

/// What it prints: the address of a page, and a code.
fn signed_in(home: &Path, args: &[&str]) -> (String, String) {
    let made = output(home, &[&["sign-in"], args].concat());
    let stdout = String::from_utf8(made.stdout).expect("text");
    let stderr = String::from_utf8_lossy(&made.stderr);
    let (page, code) = stdout.trim().split_once("/#code=").unwrap_or_else(|| panic!("{stderr}"));
    (page.to_owned(), code.to_owned())
}

/// The relay redeems the code.
fn redeem(relay: &Ready, code: String) {
    let (url, certificate) = (relay.url.clone(), relay.certificate.clone());
    let browser = Ready { url, certificate, token: code, environment: String::new() };
    let (status, answer) = browser.call("POST", "/v1/sign-in", &json!({}));
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn the_relay_on_this_machine_is_found_wherever_it_listens_and_called_as_it_calls_itself() {
    for command in ["relay", "up"] {
        for public in [None, Some("https://relay.example")] {
            let home = tempfile::tempdir().expect("a directory");
            let mut start = footbridge(home.path());
            start.args([command, "--listen", ":0", "--json"]);
            start.args(public.iter().flat_map(|url| ["--public-url", url]));
            let mut program = Running::start(&mut start);
            let line: Value = serde_json::from_str(&program.line().expect("a line")).expect("JSON");
            let token = std::fs::read_to_string(line["token_file"].as_str().expect("a path"));
            let relay = Ready {
                url: format!("http://{}", line["listen"].as_str().expect("text")),
                token: token.expect("a token").trim().to_owned(),
                environment: String::new(),
                certificate: None,
            };
            let (page, code) = signed_in(home.path(), &[]);
            assert_eq!(page, public.unwrap_or(&relay.url));
            redeem(&relay, code);
            let named = ["--public-url", "https://other.example"];
            assert_eq!(signed_in(home.path(), &named).0, "https://other.example");
            program.signal(Signal::TERM);
            assert_eq!(program.wait(), Some(0));
            let left = home.path().join(".local/state/footbridge/relay/running.json");
            assert!(!left.exists(), "it has ended");
        }
    }
}

#[test]
fn another_program_on_the_relays_port_is_not_sent_the_token() {
    let home = tempfile::tempdir().expect("a directory");
    let mut program =
        Running::start(footbridge(home.path()).args(["relay", "--listen", ":0", "--json"]));
    let relay = ready(&mut program);
    // It is killed, so that what it has written down is still there.
    program.signal(Signal::KILL);
    assert_eq!(program.wait(), None);
    let address = relay.url.strip_prefix("http://").expect("a URL");
    let imposter = until("the port", || TcpListener::bind(address).ok());
    let heard = Arc::new(Mutex::new(String::new()));
    let hears = Arc::clone(&heard);
    std::thread::spawn(move || {
        for mut client in imposter.incoming().flatten() {
            let mut buffer = [0; 8192];
            let read = client.read(&mut buffer).unwrap_or_default();
            hears.lock().expect("it").push_str(&String::from_utf8_lossy(&buffer[..read]));
            let body =
                r#"{"proof":"AAAA","code":"fbcode-a","expires_at":"2030-01-01T00:00:00.000Z"}"#;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = client.write_all((head + body).as_bytes());
        }
    });
    let refused = output(home.path(), &["sign-in"]);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(4), 0), "{stderr}");
    assert!(stderr.contains("cannot prove") && stderr.contains(&relay.url), "{stderr}");
    let heard = heard.lock().expect("it").clone();
    assert!(heard.contains("GET /v1/proof"), "{heard}");
    assert!(!heard.contains(&relay.token) && !heard.contains("/v1/sign-in"), "{heard}");
}

#[test]
fn a_relay_that_knows_another_token_is_named_with_what_to_try() {
    let home = tempfile::tempdir().expect("a directory");
    let mut program =
        Running::start(footbridge(home.path()).args(["relay", "--listen", ":0", "--json"]));
    let relay = ready(&mut program);
    let mut ask = footbridge(home.path());
    ask.args(["sign-in", "--relay", &relay.url])
        .env("FOOTBRIDGE_TOKEN", "a-token-of-another-relay-01");
    let refused = ask.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("check the credential"), "{stderr}");
    assert!(!stderr.contains("a-token-of-another"), "{stderr}");
}
