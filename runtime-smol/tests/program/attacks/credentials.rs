//! Guessing.

use std::io::{Read, Write};

use super::{EMPTY, Target, from};
use crate::running::output;

#[test]
fn guesses_are_slowed_and_the_true_token_is_not() {
    let home = tempfile::tempdir().expect("a directory");
    let target = Target::start(home.path());
    let guess = |n: usize| {
        format!(
            "GET /v1/sessions HTTP/1.1\r\n{}authorization: Bearer guess-number-{n}\r\nconnection: close\r\n\r\n",
            target.host()
        )
    };
    let statuses: Vec<_> = (0..40).map(|n| target.answer(&guess(n))[9..12].to_owned()).collect();
    assert_eq!(statuses[0], "401");
    assert_eq!(statuses[39], "429");
    assert_eq!(target.relay.call("GET", "/v1/sessions", &EMPTY).0, 200, "the same address");
    let mut other = from(77, target.address);
    other.write_all(guess(0).as_bytes()).expect("sent");
    let mut answer = String::new();
    other.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401"), "another address: {answer}");
}

#[test]
fn a_token_that_is_easy_to_guess_is_refused() {
    let home = tempfile::tempdir().expect("a directory");
    let token = home.path().join("token");
    std::fs::write(&token, "aaaaaaaaaaaaaaaa\n").expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&token, mode).expect("set");
    let relay =
        output(home.path(), &["relay", "--in-memory", "--listen", ":0", "--token-file", "token"]);
    let said = String::from_utf8_lossy(&relay.stderr);
    assert_eq!(relay.status.code(), Some(2), "{said}");
    assert!(said.contains("easy to guess") && said.contains("openssl rand"), "{said}");
}
