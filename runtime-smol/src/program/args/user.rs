//! The arguments of `footbridge relay user`.

use footbridge_cli::args::LogArgs;
use footbridge_cli::exit::Error;
use footbridge_core::relay::OidcWho;

use super::Data;

/// The account of whom a relay runs for: the first one, and that of what there was before others.
pub(in crate::program) const PERSON: &str = "owner";
/// The longest name that a provider may have for somebody, in bytes.
const MAX_WHO_BYTES: usize = 255;
/// The longest name of a person, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) struct User {
    pub(in crate::program) reports: LogArgs,
    /// The relay's data.
    pub(in crate::program) data: Data,
    pub(in crate::program) change: Change,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) enum Change {
    /// A person, and as whom a provider knows them; also of one who is there already.
    Add(String, Vec<OidcWho>),
    Remove(String),
    List,
}

impl Change {
    /// From the words after `user`.
    pub(in crate::program) fn of(words: &[String], who: Vec<OidcWho>) -> Result<Self, Error> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["add", PERSON] if !who.is_empty() => {
                Ok(Self::Add(PERSON.to_owned(), checked_who(who)?))
            }
            ["add", name] => Ok(Self::Add(checked(name)?, checked_who(who)?)),
            _ if !who.is_empty() => Err(Error::usage(
                "--oidc-subject and --oidc-email go with footbridge relay user add NAME".to_owned(),
            )),
            ["remove", name] => Ok(Self::Remove(checked(name)?)),
            ["list"] => Ok(Self::List),
            _ => Err(Error::usage(
                "footbridge relay user takes add NAME, remove NAME or list".to_owned(),
            )),
        }
    }
}

/// As a provider may call somebody: one line, and not too long.
fn checked_who(who: Vec<OidcWho>) -> Result<Vec<OidcWho>, Error> {
    for one in &who {
        let (OidcWho::Subject(text) | OidcWho::Email(text)) = one;
        let is_email = matches!(one, OidcWho::Subject(_)) || text.contains('@');
        let is_line = !text.is_empty() && text.trim() == text && !text.contains(char::is_control);
        if !is_email || !is_line || text.len() > MAX_WHO_BYTES {
            return Err(Error::usage(format!(
                "{text:?} is nobody at a provider: --oidc-subject takes the sub in its tokens, --oidc-email an address"
            )));
        }
    }
    Ok(who)
}

/// Whether somebody may be called so, besides whom a relay runs for.
fn is_name(name: &str) -> bool {
    let is_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let is_name = !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(is_char);
    is_name && name != PERSON
}

/// How many digits follow a person's name.
const DIGITS: usize = 16;

/// Whether this is the name of an account, which is that of a person's file: `NAME.DIGITS`.
pub(in crate::program) fn is_account(name: &str) -> bool {
    let is_digits = |digits: &str| {
        digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    name.split_once('.').is_some_and(|(name, digits)| is_name(name) && is_digits(digits))
}

fn checked(name: &str) -> Result<String, Error> {
    match is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(Error::usage(format!(
            "{name:?} cannot be a person's name here: use a-z, 0-9, - and _, up to {MAX_NAME_BYTES} of them, and not {:?}, which is whom the relay runs for",
            PERSON
        ))),
    }
}
