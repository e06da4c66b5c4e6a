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
use crate::running::{Running, footbridge, output, until};

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

/// Writes one for `localhost` that ends on the first day of a year.
fn make_certificate_until(directory: &Path, year: i32) {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = rcgen::KeyPair::generate().expect("a key");
    let made = params.self_signed(&key).expect("a certificate");
    std::fs::write(directory.join("cert.pem"), made.pem()).expect("written");
    std::fs::write(directory.join("key.pem"), key.serialize_pem()).expect("written");
}

/// The status of an answer to `GET /health` on a connection that stays open; `None` if it failed.
fn health(connection: &mut dyn Stream) -> Option<String> {
    connection.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").ok()?;
    let mut heard = Vec::new();
    let mut buffer = [0; 1024];
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = connection.read(&mut buffer).ok().filter(|read| *read > 0)?;
        heard.extend_from_slice(buffer.get(..read)?);
    }
    Some(String::from_utf8_lossy(&heard).split(' ').nth(1)?.to_owned())
}

#[test]
fn a_certificate_that_is_replaced_is_taken_up_and_connections_go_on() {
    let home = tempfile::tempdir().expect("a directory");
    make_certificate(home.path(), &["localhost"]);
    let log = home.path().join("log");
    let args = ["relay", "--listen", ":0", "--json", "--tls-cert", "cert.pem"];
    let mut start = footbridge(home.path());
    start.args(args).args(["--tls-key", "key.pem"]);
    start.stderr(std::fs::File::create(&log).expect("a file"));
    let mut program = Running::start(&mut start);
    let relay = ready(&mut program);
    let port = relay.url.rsplit_once(':').expect("a port").1.to_owned();
    let connect = |certificate: &Path| {
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("a connection");
        over(stream, certificate)
    };
    let said = || std::fs::read_to_string(&log).expect("text");
    let old = home.path().join("old.pem");
    std::fs::copy(home.path().join("cert.pem"), &old).expect("copied");
    let mut there = connect(&old);
    assert_eq!(health(&mut *there).as_deref(), Some("200"));
    assert!(!said().contains("certificate"), "{}", said());
    // One that is of no use changes nothing, and is said once.
    std::fs::write(home.path().join("key.pem"), "not a key").expect("written");
    until("a warning", || {
        assert_eq!(health(&mut *connect(&old)).as_deref(), Some("200"));
        said().contains("served on").then_some(())
    });
    // It has ended, too.
    make_certificate_until(home.path(), 2020);
    until("another certificate", || health(&mut *connect(&old)).is_none().then_some(()));
    until("a warning", || said().contains("has ended").then_some(()));
    make_certificate(home.path(), &["localhost"]);
    let new = home.path().join("cert.pem");
    until("the new one", || health(&mut *connect(&new)));
    assert_eq!(health(&mut *there).as_deref(), Some("200"), "it was not cut");
    assert_eq!(said().matches("served on").count(), 1, "{}", said());
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

/// What a program says of its certificate authority.
fn authority(home: &Path) -> std::path::PathBuf {
    home.join(".local/state/footbridge/relay/tls/authority.pem")
}

#[test]
fn up_with_its_own_certificate_serves_its_worker_and_whoever_trusts_its_authority() {
    let home = tempfile::tempdir().expect("a directory");
    let args = ["up", "--listen", "0.0.0.0:0", "--own-certificate", "--json"];
    let mut program = Running::start(footbridge(home.path()).args(args));
    let relay = ready(&mut program);
    assert!(relay.url.starts_with("https://127.0.0.1:"), "{}", relay.url);
    let relay = Ready { certificate: Some(authority(home.path())), ..relay };
    let session = relay.new_session();
    relay.send(&session, "echo over TLS of its own");
    relay.allow(&session);
    relay.event(&session, |message| message["type"] == "user" && message["isReplay"].is_null());
    let (status, served) = relay.call("GET", "/authority.crt", &serde_json::Value::Null);
    let kept = std::fs::read_to_string(authority(home.path())).expect("a file");
    assert_eq!((status, served.as_str()), (200, Some(&*kept)));
    assert_eq!(relay.call("GET", "/trust", &serde_json::Value::Null).0, 200);
    // A phone that trusts it keeps trusting it.
    program.signal(Signal::TERM);
    assert_eq!(program.wait(), Some(0));
    let mut program = Running::start(footbridge(home.path()).args(args));
    let again = Ready { certificate: relay.certificate, ..ready(&mut program) };
    assert_eq!(
        again.call("GET", &format!("/v1/sessions/{session}"), &serde_json::Value::Null).0,
        200
    );
}

#[test]
fn other_files_in_the_place_of_an_authoritys_keep_nothing_from_starting() {
    let home = tempfile::tempdir().expect("a directory");
    let folder = authority(home.path()).parent().expect("a folder").to_owned();
    for (name, content) in [
        ("authority.json", "{"),
        ("authority-key.pem", "not a key"),
        ("authority.json", r#"{"common_name":"x","names":[],"networks":["nonsense"]}"#),
    ] {
        let args = ["relay", "--listen", "127.0.0.1:0", "--own-certificate", "--json"];
        let mut program = Running::start(footbridge(home.path()).args(args));
        let relay = ready(&mut program);
        let relay = Ready { certificate: Some(authority(home.path())), ..relay };
        assert_eq!(relay.call("GET", "/health", &serde_json::Value::Null).0, 200);
        drop(program);
        std::fs::write(folder.join(name), content).expect("written");
    }
}

#[test]
fn a_relay_that_keeps_nothing_has_no_authority_to_be_trusted() {
    let home = tempfile::tempdir().expect("a directory");
    let refused = output(home.path(), &["up", "--own-certificate", "--in-memory"]);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("leave out --in-memory"), "{words}");
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
