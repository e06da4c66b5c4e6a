//! `https:` and `wss:` against a server with a certificate from its own authority.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Action, Answer, Message, Method, Reach, Request, Target};
use footbridge_core::contract::event::{Event, IoErrorKind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::harness::{Driven, Order};
use crate::{HostSpec, Runtime};

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// An authority, its certificate in a file, and a server configuration with a certificate it
/// issued.
fn authority() -> (TempDir, PathBuf, Arc<ServerConfig>) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
    let ca = ca.expect("signed");
    let key = KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let params = CertificateParams::new(names).expect("names");
    let certificate = params.signed_by(&key, &ca).expect("signed");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, ca.pem()).expect("written");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    (directory, path, server_config(certificate.der().clone(), key))
}

fn server_config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    Arc::new(config)
}

/// Serves one client at a time, and returns the port.
fn serve(config: Arc<ServerConfig>, server: impl Fn(Tls) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a configuration");
            server(StreamOwned::new(connection, stream.expect("a client")));
        }
    });
    port
}

fn get(url: String) -> impl FnOnce(OpId) -> Action {
    let request = Request {
        method: Method::Get,
        url,
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        answer: Answer::Whole { max_body: 1000 },
        reach: Reach::Anywhere,
    };
    move |op| Action::Request { op, request }
}

fn answer(mut stream: Tls) {
    let mut request = [0; 4096];
    // A client that does not trust this one hangs up.
    if stream.read(&mut request).is_ok_and(|n| n > 0) {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        stream.write_all(answer).expect("sent");
    }
}

pub fn an_authority_from_a_file_is_trusted<R: Runtime>() {
    let (_directory, ca, config) = authority();
    let port = serve(config, answer);
    let mut driven = Driven::on::<R>(HostSpec { extra_ca: Some(ca), ..HostSpec::default() });
    for host in ["127.0.0.1", "localhost"] {
        driven.begin(get(format!("https://{host}:{port}/")));
        let event = driven.next();
        assert!(
            matches!(&event, Event::Response { response, .. } if response.body == "hi"),
            "{event:?}"
        );
    }
    driven.end();
}

/// As `openssl req -x509` makes it, which marks it as an authority's; and one that an authority has
/// signed.
pub fn a_certificate_of_the_server_itself_from_a_file_is_trusted<R: Runtime>() {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).expect("signed");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let own = (own.pem(), server_config(own.der().clone(), key));
    let (_directory, _, config) = authority();
    let port = serve(Arc::clone(&config), answer);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("own.pem");
    std::fs::write(&path, &own.0).expect("written");
    let mut driven = Driven::on::<R>(HostSpec { extra_ca: Some(path), ..HostSpec::default() });
    let own_port = serve(own.1, answer);
    driven.begin(get(format!("https://localhost:{own_port}/")));
    let event = driven.next();
    assert!(
        matches!(&event, Event::Response { response, .. } if response.body == "hi"),
        "{event:?}"
    );
    driven.begin(get(format!("https://localhost:{port}/")));
    let Event::Failed { failure, .. } = driven.next() else { panic!("another is trusted") };
    assert!(failure.detail.contains("--ca-file"), "{failure}");
    driven.end();
}

pub fn an_unknown_authority_is_not<R: Runtime>() {
    let (_directory, _, config) = authority();
    let port = serve(config, answer);
    let mut driven = Driven::start::<R>();
    driven.begin(get(format!("https://127.0.0.1:{port}/")));
    let Event::Failed { failure, .. } = driven.next() else { panic!("trusted") };
    assert_eq!(failure.kind, IoErrorKind::Tls, "{failure}");
    let target = web_socket(port);
    driven.begin(|op| Action::Open { op, target });
    let Event::Failed { failure, .. } = driven.next() else { panic!("trusted") };
    assert_eq!(failure.kind, IoErrorKind::Tls, "{failure}");
    driven.end();
}

pub fn a_file_without_certificates_is_refused_by_name<R: Runtime>() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    for text in [None, Some("no certificate")] {
        if let Some(text) = text {
            std::fs::write(&path, text).expect("written");
        }
        let host = HostSpec { extra_ca: Some(path.clone()), ..HostSpec::default() };
        let error = R::try_host(host).expect_err("refused");
        assert!(error.contains("ca.pem"), "{error}");
    }
}

fn web_socket(port: u16) -> Target {
    Target::WebSocket {
        url: format!("wss://127.0.0.1:{port}/"),
        headers: Vec::new(),
        protocol: None,
        timeout: Duration::from_secs(10),
        max_message: 1 << 20,
    }
}

pub fn a_web_socket_under_tls_keeps_order_through_a_pause<R: Runtime>() {
    let (_directory, ca, config) = authority();
    let port = serve(config, |stream| {
        // A client that has what it wants hangs up.
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        while let Ok(frame) = socket.read() {
            if frame.is_text() && socket.send(frame).is_err() {
                return;
            }
        }
    });
    let mut driven = Driven::on::<R>(HostSpec { extra_ca: Some(ca), ..HostSpec::default() });
    let target = web_socket(port);
    let op = driven.begin(|op| Action::Open { op, target });
    assert_eq!(driven.next(), Event::Opened { op });
    driven.act(Action::Pause { op });
    let text = |n: usize| format!("{n} {}", "x".repeat(n % 5000));
    for n in 0..100 {
        let message = Message::Text(Text::from(text(n)));
        driven.act(Action::Send { op, message });
    }
    let mut sent = 0;
    while sent < 100 {
        let event = driven.next();
        let Event::Sent { messages, .. } = event else { panic!("{event:?} although paused") };
        sent += messages;
    }
    driven.act(Action::Resume { op });
    for n in 0..100 {
        let message = Message::Text(Text::from(text(n)));
        assert_eq!(driven.next(), Event::Received { op, message });
    }
    driven.act(Action::Close { op, code: 1000 });
    assert_eq!(driven.next(), Event::Closed { op, code: Some(1000), failure: None });
    let (now, event) = {
        driven.order(Order::Tick(Duration::ZERO));
        driven.next_at()
    };
    assert_eq!(event, Event::Tick, "{now:?}");
    assert_eq!(driven.end(), []);
}
