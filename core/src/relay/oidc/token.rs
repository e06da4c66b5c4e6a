//! The provider's token about a person, and what has to be true of it (`OpenID` Connect Core, 3.1.3.7).

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::config::{OidcConfig, OidcWho};
use super::error::OidcError;
use super::keys::{Algorithm, Key, has_signed};
use crate::base::limits::{MAX_ID_BYTES, MAX_NAME_BYTES, OIDC_CLOCK_SKEW};
use crate::base::secret::Secret;
use crate::base::time::UnixTime;

/// Who has signed in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) subject: String,
    /// If the provider has verified it.
    pub(super) email: Option<String>,
}

/// What is made of a token.
pub(super) enum Read {
    Person(Person),
    /// Its key is not among those that are known.
    OtherKey,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// What has to be understood; nothing is.
    #[serde(default)]
    crit: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<Flag>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Some providers write it as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Plain(bool),
    Text(String),
}

pub(super) fn read(
    config: &OidcConfig,
    keys: &[Key],
    token: &Secret,
    nonce: &str,
    now: UnixTime,
) -> Result<Read, OidcError> {
    let token = token.reveal();
    let no_token = OidcError::Token("it is no signed token");
    let (signed, signature) = token.rsplit_once('.').ok_or(no_token.clone())?;
    let (header, claims) = signed.split_once('.').ok_or(no_token.clone())?;
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| no_token.clone());
    let header: Header = serde_json::from_slice(&part(header)?).map_err(|_| no_token.clone())?;
    let algorithm = Algorithm::of(&header.alg).filter(|_| header.crit.is_none());
    let algorithm = algorithm.ok_or(OidcError::Token(
        "it is not signed by RS256 or ES256: set one of them for this client at the provider",
    ))?;
    if algorithm == Algorithm::Rs256 && config.rs256.is_none() {
        return Err(OidcError::Token(
            "it is signed by RS256, which this build cannot check: set ES256 for this client",
        ));
    }
    let by = (algorithm, header.kid.as_deref());
    if !has_signed(keys, by, signed.as_bytes(), &part(signature)?, config.rs256) {
        return Ok(Read::OtherKey);
    }
    let claims: Claims = serde_json::from_slice(&part(claims)?)
        .map_err(|_| OidcError::Token("iss, sub, aud or exp is missing"))?;
    check(config, &claims, nonce, now)?;
    let is_verified = match claims.email_verified {
        Some(Flag::Plain(verified)) => verified,
        Some(Flag::Text(text)) => text == "true",
        None => false,
    };
    let email = claims.email.filter(|email| is_verified && email.len() <= MAX_NAME_BYTES);
    Ok(Read::Person(Person { subject: claims.sub, email }))
}

fn check(
    config: &OidcConfig,
    claims: &Claims,
    nonce: &str,
    now: UnixTime,
) -> Result<(), OidcError> {
    let (is_for_us, is_for_several) = match &claims.aud {
        Audience::One(aud) => (*aud == config.client_id, false),
        Audience::Several(all) => (all.contains(&config.client_id), all.len() > 1),
    };
    let party = claims.azp.as_deref();
    let is_ours = match party {
        Some(party) => party == config.client_id,
        None => !is_for_several,
    };
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are exact for longer")]
    let is_over = claims.exp + OIDC_CLOCK_SKEW.as_secs_f64() <= now.as_secs() as f64;
    let holds = [
        (claims.iss == config.issuer, "its iss is another provider's"),
        (is_for_us && is_ours, "its aud is another client's: is --oidc-client-id right?"),
        (!is_over, "it has run out: are the clocks of this relay and of the provider right?"),
        (claims.nonce.as_deref() == Some(nonce), "its nonce is that of another sign-in"),
        (
            !claims.sub.is_empty() && claims.sub.len() <= MAX_ID_BYTES,
            "its sub is empty or too long",
        ),
    ];
    holds.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(OidcError::Token(why)))
}

impl Person {
    /// Which of the relay's people it is. What the provider calls them counts before an address, which
    /// can be given to somebody else.
    pub(super) fn account<'c>(&self, config: &'c OidcConfig) -> Option<&'c str> {
        let by = |is: &dyn Fn(&OidcWho) -> bool| {
            config.people.iter().find(|known| is(&known.who)).map(|known| &*known.person)
        };
        by(&|who| matches!(who, OidcWho::Subject(subject) if *subject == self.subject)).or_else(
            || {
                let email = self.email.as_deref()?;
                by(&|who| matches!(who, OidcWho::Email(known) if known.eq_ignore_ascii_case(email)))
            },
        )
    }

    /// How they are to be added.
    pub(super) fn words(&self) -> String {
        match &self.email {
            Some(email) => {
                alloc::format!("--oidc-email {email}, or --oidc-subject {}", self.subject)
            }
            None => alloc::format!("--oidc-subject {}", self.subject),
        }
    }
}
