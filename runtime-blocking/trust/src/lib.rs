//! Which certificates a client of a relay trusts: those of the well-known authorities, and what
//! the owner of the machine gives.
//!
//! Whoever runs a relay for themselves often has no authority, only the certificate that `openssl
//! req -x509` makes, or the one of a server. Strictly neither is one of an authority's, and TLS
//! libraries refuse it. Here a certificate that the owner gives is also trusted for itself: a
//! server that presents exactly that one, and so has its key, is the one that was meant. It must
//! not have expired, and if it names hosts, it is good for those only.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SigningKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// Why certificates that were given cannot be used, for people.
#[derive(Debug)]
pub enum GivenError {
    /// Their file cannot be read.
    Unreadable(io::Error),
    /// It holds something else.
    Unusable(String),
}

impl GivenError {
    fn unusable(why: impl fmt::Display) -> Self {
        Self::Unusable(why.to_string())
    }
}

impl fmt::Display for GivenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for GivenError {}

/// The configuration of a client that trusts the well-known authorities and the certificates in a
/// PEM file.
pub fn client_config(given: Option<&Path>) -> Result<ClientConfig, GivenError> {
    let given = given.map_or_else(|| Ok(Vec::new()), certificates)?;
    // Named, so that no feature of another crate can change it.
    let provider = CryptoProvider { key_provider: &NoKeys, ..ring::default_provider() };
    let provider = Arc::new(provider);
    let verifier = Verifier::new(given, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(GivenError::unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, GivenError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| match error {
        pem::Error::Io(error) => GivenError::Unreadable(error),
        other => GivenError::unusable(other),
    })?;
    if found.is_empty() {
        return Err(GivenError::unusable("it holds no certificate; a PEM file is expected"));
    }
    Ok(found)
}

/// A client shows no certificate, so it loads no key: what would sign with one (RSA above all) is left
/// out of the smallest program.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("a client has no key of its own".to_owned()))
    }
}

/// Trusts what authorities have signed, and what was given.
#[derive(Debug)]
struct Verifier {
    by_authority: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(
        given: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, GivenError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for certificate in &given {
            roots.add(certificate.clone()).map_err(GivenError::unusable)?;
        }
        let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(GivenError::unusable)?;
        Ok(Self { by_authority, given })
    }

    /// A certificate that was given is good for the names in it, or for any if it has none.
    fn given_for(
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, Error> {
        match verify_server_name(&ParsedCertificate::try_from(certificate)?, name) {
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                presented,
                ..
            })) if presented.is_empty() => {}
            verdict => verdict?,
        }
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.by_authority.verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verdict {
            // Its dates have been found good by then: they are looked at first.
            Err(Error::InvalidCertificate(error)) if is_about_the_issuer(&error) => {
                if self.given.iter().any(|given| given == certificate) {
                    return Self::given_for(certificate, name);
                }
                Err(Error::General(format!("{}; {HINT}", in_words(&error))))
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

const HINT: &str = "give the certificate of the authority that has signed it, or the server's own, \
     as --ca-file (a relay that asks its provider: --oidc-ca-file)";

fn is_about_the_issuer(error: &CertificateError) -> bool {
    match error {
        // The signature is another's where only the names are the same: of an authority, or of an
        // earlier certificate of this server.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => true,
        CertificateError::Other(error) => {
            error.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
        }
        _ => false,
    }
}

const fn in_words(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer => {
            "the server's certificate is signed by nobody who is trusted here (UnknownIssuer)"
        }
        CertificateError::BadSignature => {
            "the server's certificate is another one than those of its name that are trusted here (BadSignature)"
        }
        _ => "the server's certificate is an authority's own (CaUsedAsEndEntity)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
    };
    use std::time::Duration;

    fn params(names: &[&str], is_ca: bool) -> CertificateParams {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "relay");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2040, 1, 1);
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    fn self_signed(names: &[&str], is_ca: bool) -> CertificateDer<'static> {
        let key = KeyPair::generate().expect("a key");
        params(names, is_ca).self_signed(&key).expect("signed").der().clone()
    }

    /// An authority's certificate, and one that it has signed.
    fn signed(names: &[&str]) -> [CertificateDer<'static>; 2] {
        let key = KeyPair::generate().expect("a key");
        let ca = CertifiedIssuer::self_signed(params(&[], true), key).expect("signed");
        let key = KeyPair::generate().expect("a key");
        let leaf = params(names, false).signed_by(&key, &ca).expect("signed");
        [ca.as_ref().der().clone(), leaf.der().clone()]
    }

    fn verdict(
        given: &[&CertificateDer<'static>],
        shown: &CertificateDer<'static>,
        name: &str,
        year: u64,
    ) -> Result<(), String> {
        let given = given.iter().map(|given| (*given).clone()).collect();
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(given, provider).expect("a verifier");
        let name = ServerName::try_from(name).expect("a name");
        let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600));
        let verdict = verifier.verify_server_cert(shown, &[], &name, &[], now);
        verdict.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_certificate_that_was_given_is_trusted_for_itself_whoever_signed_it() {
        let [ca, leaf] = signed(&["relay.example"]);
        for given in
            [self_signed(&["relay.example"], true), self_signed(&["relay.example"], false), leaf]
        {
            assert_eq!(verdict(&[&given], &given, "relay.example", 2030), Ok(()));
            assert!(verdict(&[&given], &given, "other.example", 2030).is_err());
            assert!(verdict(&[&given], &given, "relay.example", 2041).is_err(), "it has expired");
            assert!(verdict(&[&given], &given, "relay.example", 2019).is_err(), "not valid yet");
            assert!(verdict(&[], &given, "relay.example", 2030).is_err());
            assert!(
                verdict(&[&ca], &self_signed(&["relay.example"], true), "relay.example", 2030)
                    .is_err()
            );
        }
    }

    /// As `openssl req -x509 -subj /CN=relay` makes it.
    #[test]
    fn one_without_names_is_good_for_any() {
        let given = self_signed(&[], true);
        for name in ["relay.example", "192.0.2.1"] {
            assert_eq!(verdict(&[&given], &given, name, 2030), Ok(()));
        }
        assert!(verdict(&[&given], &self_signed(&[], true), "relay.example", 2030).is_err());
    }

    #[test]
    fn an_authority_that_was_given_is_trusted_as_ever() {
        let [ca, leaf] = signed(&["relay.example"]);
        assert_eq!(verdict(&[&ca], &leaf, "relay.example", 2030), Ok(()));
        assert!(verdict(&[&ca], &leaf, "other.example", 2030).is_err());
    }

    #[test]
    fn whoever_is_not_trusted_is_said_with_what_to_do() {
        let [_, leaf] = signed(&["relay.example"]);
        for (shown, word) in
            [(leaf, "UnknownIssuer"), (self_signed(&["relay.example"], true), "CaUsedAsEndEntity")]
        {
            let error = verdict(&[], &shown, "relay.example", 2030).expect_err("not trusted");
            assert!(error.contains(word) && error.contains("--ca-file"), "{error}");
        }
    }
}
