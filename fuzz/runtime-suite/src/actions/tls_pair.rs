//! TLS on both sides, with certificates made for the test.

use std::path::Path;

use crate::harness::{Driven, answer, websocket};
use crate::{Certificate, HostSpec, Runtime};
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Action, Message};
use footbridge_core::contract::event::IoErrorKind;

/// Writes a certificate for `localhost` and its key.
fn certificate(directory: &Path) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let files = Certificate { chain: directory.join("cert.pem"), key: directory.join("key.pem") };
    std::fs::write(&files.chain, made.cert.pem()).expect("written");
    std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
    files
}

fn server<R: Runtime>(certificate: Certificate) -> Driven {
    Driven::on::<R>(HostSpec { certificate: Some(certificate), ..HostSpec::default() })
}

pub fn a_client_that_trusts_the_servers_authority_speaks_https_and_wss_with_it<R: Runtime>() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = certificate(directory.path());
    let extra_ca = Some(files.chain.clone());
    let mut server = server::<R>(files);
    let mut client = Driven::on::<R>(HostSpec { extra_ca, ..HostSpec::default() });
    let (listener, address) = server.listen();
    let authority = address.replace("127.0.0.1", "localhost");

    let far = server.begin(|op| Action::Accept { op, listener });
    let near = client.get(&format!("https://{authority}/"));
    assert!(server.asked(far).is_tls);
    server.act(Action::Reply { op: far, response: answer(200, "secret") });
    assert_eq!(client.response(near).body.as_ref(), b"secret");

    let far = server.begin(|op| Action::Accept { op, listener });
    let target = websocket(&format!("wss://{authority}/"), None);
    let near = client.begin(|op| Action::Open { op, target });
    server.asked(far);
    server.act(Action::Upgrade { op: far, protocol: None, max_message: 1000 });
    server.opened(far);
    client.opened(near);
    let message = Message::Text(Text::from("over TLS"));
    server.act(Action::Send { op: far, message: message.clone() });
    assert_eq!(client.received(near), message);
    client.act(Action::Cancel { op: near });
    client.end();
    server.end();
}

pub fn a_certificate_that_is_not_trusted_or_not_for_this_host_is_a_tls_failure<R: Runtime>() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = certificate(directory.path());
    let extra_ca = Some(files.chain.clone());
    let mut server = server::<R>(files);
    let (_, address) = server.listen();
    let mut stranger = Driven::start::<R>();
    let op = stranger.get(&format!("https://{}/", address.replace("127.0.0.1", "localhost")));
    stranger.fails_with(op, IoErrorKind::Tls);
    stranger.end();

    let mut client = Driven::on::<R>(HostSpec { extra_ca, ..HostSpec::default() });
    let op = client.get(&format!("https://{address}/"));
    client.fails_with(op, IoErrorKind::Tls);
    client.end();
    server.end();
}

pub fn files_without_certificates_are_refused_at_the_start<R: Runtime>() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = certificate(directory.path());
    let (none, text) = (directory.path().join("none"), directory.path().join("text"));
    std::fs::write(&text, "no PEM at all").expect("written");
    let with_ca = |path: &Path| HostSpec { extra_ca: Some(path.into()), ..HostSpec::default() };
    let with_key = |path: &Path| {
        let certificate = Certificate { key: path.into(), ..files.clone() };
        HostSpec { certificate: Some(certificate), ..HostSpec::default() }
    };
    let cases = [
        (with_ca(&none), IoErrorKind::NotFound, &none),
        (with_ca(&text), IoErrorKind::Tls, &text),
        (with_key(&none), IoErrorKind::NotFound, &none),
        (with_key(&text), IoErrorKind::Tls, &text),
    ];
    for (options, kind, path) in cases {
        let error = R::try_host(options).expect_err("unusable files");
        assert!(error.starts_with(&kind.to_string()), "{kind}: {error}");
        assert!(error.contains(path.to_str().expect("UTF-8")), "{error}");
    }
}
