//! Signing in with a provider of `OpenID` Connect, whose part a small server of the test plays: it draws its
//! own codes, checks what the relay shows, and signs with a real RSA key.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use futures_rustls::rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use futures_rustls::rustls::crypto::ring::default_provider;
use futures_rustls::rustls::crypto::ring::sign::any_supported_type;
use futures_rustls::rustls::{ServerConfig, ServerConnection, SignatureScheme, StreamOwned};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, until};

/// A key of 2,048 bits that was made for this test and opens nothing (PKCS #8).
const KEY: &str = "\
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC1pnxgCglMQTeoWHy57OYy3JHu8IwL36IODBie/E\
DrE84YQZEbia+Gox6x1nYrG0HtnJmydJS6cD4e0G080E7fojyf/73m5G66DX/vj3Yx1khpkO1k+sDd4DUu0263rVXn\
byBiI9L2YF25ev18oiEDvtlPT/5fsWDhYEpdPQPrCvQO2DDT5ggofeIL4e8LnFDYqvuusvlFbD3asPBwXfwaOp656Y\
vsUgnN4Z0LlHbY0iVQf0oft0f4wmZbqYbFkJOA1uNvE9Uqje/mLqBjKzNwFmXGG/y3LI9y8MREsKwH/oO/9a9AyB/R\
dEuHnE/m7KyAiSS8AQ67bK+2mOe52AiJAgMBAAECggEADol4DySGeXaHqn6IXsW9Z2kc+asA/itDuA2SQ9jqphVz6x\
+GKhbC+AqiWHeSBeGczVP4vd4UD/aPFh62e0UtZrrAUMqh6zIxRUzyxdxsiFD+gwpA4VGq8SayAuETTXo+83JCfHAj\
ACoWnhMgaaK88ySJFg6QDB7xIqA2207Yey0GygUWVtLneZOpKF+VHdCd4PbLCwUjFz23pFqj5DcIGkDdXlpGeD3TcD\
aAsHVGpXkMFirLagJ8pVqFMHQTPV/n/2vaan2Oke2LwuCCQ8Cjnd0peFtL9T2nTGDZ0MuimWzMIPDC7XantVR/gnne\
L6tW/LWHHVnsePLb00T8TjS4TQKBgQDubVqL5KdLTTSZFdgNkQD8ODsvz+ADf/MHiRIrfdBi6cE1El88Kc7gPeToUd\
Okt/VWs4Fuo1LC7Kk6+jqGlz3QTJEsc5Uh3+FTvieSuV0T9c9L8yK4YmW3pBPhuBQXxp4JQBMgoc4gi+wzdGRewDkq\
CAvqHHgJH1p/8hwiYUOt/QKBgQDDCd3IqxfrKquXLbhLTjn32IYmvZyduQk/AO876ABl3PkSOU50MjnERCA+tAUHWC\
S27flyv2cDf8vHKUnSaUFOhLUb2F1fNCq3Jwakzhziq+q11Z7whXXBGOniMDDiJ4MhqiXyXe6nCOYM39CKcH1SdoL5\
DUjFbgbAYy4lNo6kfQKBgQClw6l8MVCObfLvq9w2MmY49O9RYnkgdciFqKrVSfejjVkiiM9liLun8+A+FQXMM4mC6f\
JG9Y4Ir3lI48fk4ym6tEEKYqGAl6KVElN5Ex6/Tdr9tuCgyOhnMNAR0mVF0nT1gXLK8TPaNO3XKEjQB1y2+DkwXvKl\
hQLqiW0+CdmAEQKBgBgX/+3qNOo4OzpRy5KB92dGuEvQ4KgbU6kU1HjyEBqFUb+OlMKF8dztDY6xbm2Z1e9DNq2WN4\
OXJfVUhGoZ1pd8jWMDN4WrTBuUFp4FWEwoMLaFzTypQAK6sSngCinl960Q998Y+4Jm9wRgIcL4YoLtYQCjQ3ogPXVG\
y0yNkNGBAoGBAK91pe/GQR+UMYj+CCZtdhfDmYPWazh1ScQkui0w/MLF9IbWjk6UtIGA3leJVLsrMDnob/tX1D/o7/\
ITr3i1XA0RCDCW+fdLGvgMihy0jU4EOKC2JHY6Ox5viJkvsw/OPpAxy5bzQUsx6PYivYBiT4kvpoI+SSQT7m33/WVA\
N1A1";
/// Its modulus.
const MODULUS: &str = "taZ8YAoJTEE3qFh8uezmMtyR7vCMC9-iDgwYnvxA6xPOGEGRG4mvhqMesdZ2KxtB7ZyZsnSUunA-HtBtPNBO36I8n_-95uRuug1_7492MdZIaZDtZPrA3eA1LtNut61V528gYiPS9mBduXr9fKIhA77ZT0_-X7Fg4WBKXT0D6wr0Dtgw0-YIKH3iC-HvC5xQ2Kr7rrL5RWw92rDwcF38GjqeuemL7FIJzeGdC5R22NIlUH9KH7dH-MJmW6mGxZCTgNbjbxPVKo3v5i6gYyszcBZlxhv8tyyPcvDERLCsB_6Dv_WvQMgf0XRLh5xP5uysgIkkvAEOu2yvtpjnudgIiQ";

const CLIENT: &str = "footbridge";
const SECRET: &str = "a secret: of/the provider";

/// Somebody who signs in at the provider.
#[derive(Clone)]
struct Login {
    subject: &'static str,
    email: &'static str,
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

/// A provider on this machine.
#[derive(Clone)]
struct Provider {
    issuer: String,
    /// Who has signed in, by the code that the relay is given.
    logins: Arc<Mutex<BTreeMap<String, Login>>>,
}

fn form(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let hex: String = rest.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&hex, 16).expect("hexadecimal")
                }
                plain => plain,
            });
        }
        String::from_utf8(bytes).expect("text")
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

impl Provider {
    fn start() -> Self {
        Self::start_with(None)
    }

    /// The same by TLS, with a certificate of its company's own authority, which is written into this file.
    fn start_in_a_company(authority: &Path) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = KeyPair::generate().expect("a key");
        let ca = CertifiedIssuer::self_signed(params, own).expect("a certificate");
        std::fs::write(authority, ca.pem()).expect("written");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        let certificate = params.signed_by(&key, &ca).expect("signed");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("they fit");
        Self::start_with(Some(Arc::new(config)))
    }

    fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let provider =
            Self { issuer: format!("{scheme}://{address}/realm"), logins: Arc::default() };
        let served = provider.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(tls) = &tls else {
                    served.serve(stream);
                    continue;
                };
                let connection = ServerConnection::new(Arc::clone(tls)).expect("a server");
                let mut stream = StreamOwned::new(connection, stream);
                // Whoever trusts nobody here goes away without a word.
                if stream.conn.complete_io(&mut stream.sock).is_ok() {
                    served.serve(stream);
                }
            }
        });
        provider
    }

    fn serve(&self, stream: impl Read + Write) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.is_empty() {
            return;
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut authorization) = (0, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).expect("a header");
            let Some((name, value)) = header.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().expect("a length"),
                "authorization" => value.trim().clone_into(&mut authorization),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let body = String::from_utf8(body).expect("text");
        let (status, answer) = match path.as_str() {
            "/realm/.well-known/openid-configuration" => (200, self.document()),
            "/realm/keys" => {
                let key = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one",
                    "n": MODULUS, "e": "AQAB"});
                (200, json!({"keys": [key]}))
            }
            "/realm/token" => self.token(&authorization, &form(&body)),
            _ => (404, json!({})),
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.len()
        );
        let stream = reader.get_mut();
        let _ = stream.write_all((head + &answer).as_bytes()).and_then(|()| stream.flush());
    }

    fn document(&self) -> Value {
        let issuer = &self.issuer;
        json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys")})
    }

    fn token(&self, authorization: &str, form: &BTreeMap<String, String>) -> (u16, Value) {
        let escaped = "footbridge:a%20secret%3A%20of%2Fthe%20provider";
        if authorization != format!("Basic {}", STANDARD.encode(escaped)) {
            return (401, json!({"error": "invalid_client"}));
        }
        let login = self.logins.lock().expect("a lock").remove(&form["code"]);
        let Some(login) = login else { return (400, json!({"error": "invalid_grant"})) };
        let challenge = URL_SAFE_NO_PAD.encode(sha256(&form["code_verifier"]));
        if challenge != login.challenge || form["redirect_uri"] != login.redirect_uri {
            return (400, json!({"error": "invalid_grant", "error_description": "another one's"}));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let claims = json!({"iss": self.issuer, "aud": CLIENT, "sub": login.subject, "iat": now,
            "exp": now + 300, "nonce": login.nonce, "email": login.email, "email_verified": true});
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let header = json!({"alg": "RS256", "kid": "one", "typ": "JWT"});
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let key = STANDARD.decode(KEY).expect("base64");
        let key = any_supported_type(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)));
        let signer = key.expect("a key").choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signature = signer.expect("RSA").sign(signed.as_bytes()).expect("signed");
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        (200, json!({"id_token": token, "access_token": "unused", "token_type": "Bearer"}))
    }

    /// What its page does when somebody has signed in there: where their browser goes next.
    fn sign_in(
        &self,
        to: &str,
        code: &str,
        (subject, email): (&'static str, &'static str),
    ) -> String {
        let (page, query) = to.split_once('?').expect("a query");
        assert_eq!(page, format!("{}/authorize", self.issuer));
        let query = form(query);
        assert_eq!((&*query["client_id"], &*query["response_type"]), (CLIENT, "code"));
        let redirect_uri = query["redirect_uri"].clone();
        let login = Login {
            subject,
            email,
            nonce: query["nonce"].clone(),
            challenge: query["code_challenge"].clone(),
            redirect_uri: redirect_uri.clone(),
        };
        self.logins.lock().expect("a lock").insert(code.to_owned(), login);
        format!("{redirect_uri}?code={code}&state={}", query["state"])
    }
}

fn sha256(text: &str) -> Vec<u8> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("a suite of TLS 1.3");
    suite.common.hash_provider.hash(text.as_bytes()).as_ref().to_vec()
}

/// The head of an answer, and its body.
fn browse(relay: &Ready, target: &str, cookie: &str) -> (u16, BTreeMap<String, String>, String) {
    let (_, address) = relay.url.split_once("://").expect("a URL");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "GET {target} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    (status, headers.collect(), body.to_owned())
}

/// A whole sign-in: the status and where the browser ends, or what it is told.
fn sign_in(
    relay: &Ready,
    provider: &Provider,
    code: &str,
    who: (&'static str, &'static str),
) -> (u16, String) {
    let (status, headers, body) = browse(relay, "/v1/oidc/start", "");
    assert_eq!(status, 303, "{body}");
    let cookie = headers["set-cookie"].split(';').next().expect("a cookie").to_owned();
    let back = provider.sign_in(&headers["location"], code, who);
    let target = back.strip_prefix(&relay.url).expect("it is the relay's");
    let (status, headers, body) = browse(relay, target, &cookie);
    (status, headers.get("location").cloned().unwrap_or(body))
}

fn account(relay: &Ready, place: &str) -> Value {
    let code = place.strip_prefix(&format!("{}/#code=", relay.url)).expect("a code");
    let as_with = |token: &str| Ready {
        url: relay.url.clone(),
        token: token.to_owned(),
        environment: String::new(),
        certificate: None,
    };
    let (status, signed) = as_with(code).call("POST", "/v1/sign-in", &Value::Null);
    assert_eq!(status, 200, "{signed}");
    let token = signed["token"].as_str().expect("a token");
    as_with(token).call("GET", "/v1/whoami", &Value::Null).1["account"].clone()
}

fn user(home: &Path, args: &[&str]) -> (Option<i32>, String) {
    let made = output(home, &[&["relay", "user"], args].concat());
    (made.status.code(), String::from_utf8_lossy(&[made.stdout, made.stderr].concat()).into_owned())
}

#[test]
fn people_whom_the_owner_has_named_sign_in_with_the_provider_and_nobody_else() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    let provider = Provider::start();
    let secret = home.join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
    let secret = secret.to_str().expect("text");
    let mut program = Running::start(footbridge(home).args([
        "relay",
        "--listen",
        ":0",
        "--json",
        "--oidc-issuer",
        &provider.issuer,
        "--oidc-client-id",
        CLIENT,
        "--oidc-client-secret-file",
        secret,
    ]));
    let relay = ready(&mut program);
    let (status, _, body) = browse(&relay, "/v1/oidc", "");
    assert!(status == 200 && body.contains("127.0.0.1"), "{body}");
    let eva = ("subject-e", "eva@example.org");
    let (status, words) = sign_in(&relay, &provider, "c1", eva);
    assert_eq!(status, 403, "{words}");
    assert!(words.contains("--oidc-email eva@example.org"), "{words}");
    let (code, said) = user(home, &["add", "eva", "--oidc-email", "eva@example.org"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = user(home, &["add", "owner", "--oidc-subject", "subject-o"]);
    assert_eq!(code, Some(0), "{said}");
    // What is somebody's is nobody else's, and what no provider says is refused.
    assert_eq!(user(home, &["add", "max", "--oidc-email", "eva@example.org"]).0, Some(2));
    assert_eq!(user(home, &["add", "max", "--oidc-email", "eva"]).0, Some(2));
    assert_eq!(user(home, &["list", "--oidc-email", "a@b.example"]).0, Some(2));
    let mut tried = 0;
    let place = until("the relay has taken it up", || {
        tried += 1;
        let (status, place) = sign_in(&relay, &provider, &format!("e{tried}"), eva);
        (status == 303).then_some(place)
    });
    assert_eq!(account(&relay, &place), "eva");
    let (status, place) = sign_in(&relay, &provider, "o", ("subject-o", "other@example.org"));
    assert_eq!(status, 303, "{place}");
    assert_eq!(account(&relay, &place), "owner");
    // A code that was used is the provider's to refuse, and nobody is let in once they are removed.
    assert_eq!(user(home, &["remove", "eva"]).0, Some(0));
    until("she is not let in any more", || {
        tried += 1;
        (sign_in(&relay, &provider, &format!("r{tried}"), eva).0 == 403).then_some(())
    });
    // With half of what it takes, a relay does not start.
    let half = output(home, &["relay", "--listen", ":0", "--oidc-issuer", &provider.issuer]);
    assert_eq!(half.status.code(), Some(2));
}

#[test]
fn a_provider_whose_certificate_is_of_a_companys_own_authority_is_asked_where_a_file_says_so() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    let authority = home.join("company.pem");
    let provider = Provider::start_in_a_company(&authority);
    let secret = home.join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let own = ["relay", "--listen", ":0", "--json", "--oidc-issuer", &provider.issuer];
    let own = [&own[..], &["--oidc-client-id", CLIENT, "--oidc-client-secret-file"]].concat();
    let own = [&own[..], &[secret.to_str().expect("text")]].concat();
    let with = |file: &Path| {
        let file = file.to_str().expect("text").to_owned();
        let mut args: Vec<String> = own.iter().map(|arg| (*arg).to_owned()).collect();
        args.extend(["--oidc-ca-file".to_owned(), file]);
        args
    };
    // Discovery, keys and tokens: the relay knows who this is, and that nobody has named them.
    let mut program = Running::start(footbridge(home).args(with(&authority)));
    let relay = ready(&mut program);
    let eva = ("subject-e", "eva@example.org");
    let (status, words) = sign_in(&relay, &provider, "c1", eva);
    assert_eq!((status, words.contains("--oidc-email eva@example.org")), (403, true), "{words}");
    drop(program);
    // Without the file nobody is believed, and the log says what to do.
    let mut program = Running::start(
        footbridge(home)
            .args(&own)
            .stderr(std::fs::File::create(home.join("log")).expect("a file")),
    );
    let relay = ready(&mut program);
    assert_eq!(browse(&relay, "/v1/oidc/start", "").0, 502);
    until("the log says so", || {
        let log = std::fs::read_to_string(home.join("log")).expect("a log");
        (log.contains("UnknownIssuer") && log.contains("--oidc-ca-file")).then_some(())
    });
    drop(program);
    // What is no certificate is named before anything listens.
    let nothing = home.join("nothing.pem");
    std::fs::write(&nothing, "-----BEGIN NOTHING\n").expect("written");
    for (file, why) in [(&secret, "PEM"), (&nothing, "nothing.pem"), (&home.join("x"), "/x")] {
        let args = with(file);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = output(home, &args);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        let named = said.contains(file.to_str().expect("text")) && said.contains(why);
        assert!(ended.status.code() != Some(0) && named && ended.stdout.is_empty(), "{said}");
    }
    let alone = output(home, &["relay", "--listen", ":0", "--oidc-ca-file", "company.pem"]);
    assert_eq!(alone.status.code(), Some(2));
}
