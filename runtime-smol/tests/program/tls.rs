//! A relay that speaks TLS, and a worker that trusts its certificate.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, ServerName};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustix::process::Signal;

use crate::client::{Ready, Stream, ready};
use crate::running::{Running, footbridge, output};

/// TLS with a server on this computer that presents this certificate for `localhost`.
pub(crate) fn over(stream: TcpStream, certificate: &Path) -> Box<dyn Stream> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
    roots.add(certificate).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    Box::new(StreamOwned::new(client, stream))
}

/// Writes a certificate for these names and its key.
fn make_certificate(directory: &Path, names: &[&str]) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).expect("written");
    let key = directory.join("key.pem");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).expect("set");
}

/// A relay whose certificate is for `localhost`.
fn relay(home: &Path) -> (Running, Ready) {
    let (program, relay) = relay_for(home, &["localhost"]);
    assert!(relay.url.starts_with("https://localhost:"), "{}", relay.url);
    (program, Ready { certificate: Some(home.join("cert.pem")), ..relay })
}

fn relay_for(home: &Path, names: &[&str]) -> (Running, Ready) {
    make_certificate(home, names);
    let args =
        ["relay", "--listen", ":0", "--json", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let mut program = Running::start(footbridge(home).args(args));
    let relay = ready(&mut program);
    (program, relay)
}

#[test]
fn a_worker_that_trusts_the_relays_certificate_runs_sessions_over_tls() {
    let home = tempfile::tempdir().expect("a directory");
    let (mut program, relay) = relay(home.path());
    let args = ["work", "--relay", &relay.url, "--json", "--ca-file", "cert.pem"];
    let mut worker = Running::start(footbridge(home.path()).args(args));
    let environment = ready(&mut worker).environment;
    let relay = Ready { environment, ..relay };
    let session = relay.new_session();
    relay.send(&session, "echo over TLS; echo $FOOTBRIDGE_SESSION_URL");
    relay.allow(&session);
    let result = relay.event(&session, |message| {
        message["type"] == "user" && message["message"]["content"][0]["content"].is_string()
    });
    let output = result["message"]["content"][0]["content"].as_str().expect("text");
    assert!(output.starts_with("over TLS\nwss://localhost:"), "{output}");
    for program in [&mut worker, &mut program] {
        program.signal(Signal::TERM);
        assert_eq!(program.wait(), Some(0));
    }
}

#[test]
fn a_worker_that_does_not_trust_the_relays_certificate_says_so_and_gives_up_with_code_4() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    let pauses = ["--conn-initial-ms", "10", "--conn-give-up-ms", "50"];
    let refused = output(home.path(), &[&["work", "--relay", &relay.url][..], &pauses].concat());
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("TLS failed"), "{stderr}");
}

#[test]
fn a_relay_is_called_by_what_its_certificate_is_for() {
    for (names, called) in [
        (&["127.0.0.1", "localhost"][..], "https://127.0.0.1:"),
        (&["*.example", "relay.example"], "https://relay.example:"),
        (&["*.example"], "https://127.0.0.1:"),
    ] {
        let home = tempfile::tempdir().expect("a directory");
        let relay = relay_for(home.path(), names).1;
        assert!(relay.url.starts_with(called), "{}", relay.url);
    }
}

#[test]
fn whoever_signs_in_on_the_relays_machine_need_not_name_its_certificate() {
    let home = tempfile::tempdir().expect("a directory");
    let (_program, relay) = relay(home.path());
    let made = output(home.path(), &["sign-in"]);
    let stdout = String::from_utf8_lossy(&made.stdout);
    assert!(stdout.starts_with(&format!("{}/#code=", relay.url)), "{made:?}");
    // Elsewhere it has to be named.
    let mut ask = footbridge(home.path());
    let refused = ask.args(["sign-in", "--relay", &relay.url]).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("--ca-file"), "{stderr}");
}
