//! A relay proves that it knows a credential, to whoever knows it already.

use super::*;
use crate::auth::proof::{is_proof, question};
use crate::auth::worker_credential;

const NONCE: &str = "0123456789abcdef";

fn ask(world: &mut World, credential: &Secret) -> (u16, Value) {
    world.get(&format!("/v1/proof?{}", question(credential, NONCE)), "")
}

#[test]
fn each_kind_of_credential_can_be_asked_for() {
    let mut world = World::new();
    let worker = world.register();
    let (_, signed_in) = world.post("/v1/sign-in", TOKEN, &Value::Null);
    let browser = signed_in["token"].as_str().expect("a token");
    let own = worker_credential(&Secret::from(TOKEN), "laptop").expect("a credential");
    for known in [TOKEN, BOB, browser, &worker.secret, own.reveal()] {
        let known = Secret::from(known);
        let (status, answer) = ask(&mut world, &known);
        assert_eq!(status, 200, "{answer}");
        assert!(is_proof(&known, NONCE, answer["proof"].as_str().expect("a proof")));
        // One that differs only in what is secret.
        let mut guess = known.reveal().as_bytes().to_owned();
        *guess.last_mut().expect("it is not empty") ^= 4;
        let guess = String::from_utf8(guess).expect("ASCII");
        assert_eq!(ask(&mut world, &Secret::new(guess)).0, 401);
    }
}

#[test]
fn it_proves_nothing_to_whoever_does_not_know_it_and_counts_them() {
    let mut world = World::new();
    for (query, status) in [
        ("", 400),
        ("?nonce=0123456789abcdef", 400),
        ("?nonce=short&mac=AAAA", 400),
        ("?nonce=0123456789abcdef&mac=AAAA", 401),
        ("?of=env_1.&nonce=0123456789abcdef&mac=AAAA", 401),
        ("?of=fbworker-bGFwdG9w&nonce=0123456789abcdef&mac=AAAA", 401),
        ("?of=fbbrowser-e30.&nonce=0123456789abcdef&mac=AAAA", 401),
    ] {
        assert_eq!(world.get(&format!("/v1/proof{query}"), "").0, status, "{query}");
    }
    let guess = Secret::from("a-guess-of-somebody");
    let statuses: Vec<u16> = (0..40).map(|_| ask(&mut world, &guess).0).collect();
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    // Others at the same address are not held up.
    assert_eq!(ask(&mut world, &Secret::from(TOKEN)).0, 200);
}
