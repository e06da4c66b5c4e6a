//! People who sign in with a provider: which one the relay was given, and as whom it knows its people.
//!
//! Beside the file of a person's account is another one, under its name and an ending: a line for each
//! name that the provider has for them, `subject` or `email`, a space, and the name. Whom the relay runs
//! for has one too. A relay that runs takes up a change within a second.

use std::path::{Path, PathBuf};

use footbridge_cli::exit::Error;
use footbridge_cli::regular_file;
use footbridge_core::base::secret::Secret;
use footbridge_core::relay::{OidcConfig, OidcPerson, OidcWho};

use super::args::Oidc;
use super::args::user::{PERSON, is_account};
use super::data::USERS;

/// How the files end.
pub(super) const KNOWN_AS: &str = "oidc";

/// What a relay has to know of the provider.
pub(super) fn config(oidc: &Oidc, directory: Option<&Path>) -> Result<OidcConfig, Error> {
    let client_secret = oidc.client_secret_file.as_deref().map(secret).transpose()?;
    Ok(OidcConfig {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret,
        rs256: footbridge_smol::rs256(),
        people: people(directory).0,
    })
}

/// The provider chooses what its secret looks like, so it is no access token of ours.
fn secret(path: &Path) -> Result<Secret, Error> {
    let text = read(path)?;
    match text.trim() {
        "" => Err(Error::usage(format!(
            "{} is empty: put the client secret into it that the provider shows",
            path.display()
        ))),
        text => Ok(Secret::from(text)),
    }
}

fn file(directory: &Path, account: &str) -> PathBuf {
    directory.join(USERS).join(format!("{account}.{KNOWN_AS}"))
}

/// As whom the provider knows the relay's people; and what is wrong with the files of others.
pub(super) fn people(directory: Option<&Path>) -> (Vec<OidcPerson>, Vec<Error>) {
    let (mut all, mut unusable) = (Vec::new(), Vec::new());
    let Some(directory) = directory else { return (all, unusable) };
    let users = directory.join(USERS);
    let Ok(entries) = std::fs::read_dir(&users) else { return (all, unusable) };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(KNOWN_AS)?.strip_suffix('.')?.to_owned()))
        .filter(|name| name == PERSON || is_account(name))
        .collect();
    names.sort_unstable();
    for person in names {
        let text = match read(&file(directory, &person)) {
            Ok(text) => text,
            Err(error) => {
                unusable.push(error);
                continue;
            }
        };
        let who = text.lines().filter_map(|line| match line.split_once(' ')? {
            ("subject", name) => Some(OidcWho::Subject(name.to_owned())),
            ("email", name) => Some(OidcWho::Email(name.to_owned())),
            _ => None,
        });
        all.extend(who.map(|who| OidcPerson { person: person.clone(), who }));
    }
    (all, unusable)
}

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The text of a small regular file.
fn read(path: &Path) -> Result<String, Error> {
    regular_file::read(path, MAX_BYTES)
        .map_err(|error| Error::disk(format_args!("cannot read {}", path.display()), &error))
}

/// Whether a provider that says one of them says the other.
fn is_same(a: &OidcWho, b: &OidcWho) -> bool {
    match (a, b) {
        (OidcWho::Email(a), OidcWho::Email(b)) => a.eq_ignore_ascii_case(b),
        (a, b) => a == b,
    }
}

/// Writes down as whom the provider knows somebody; nobody else may be known so.
pub(super) fn note(directory: &Path, account: &str, who: &[OidcWho]) -> Result<(), Error> {
    let (others, _) = people(Some(directory));
    let is_one = |known: &OidcPerson| who.iter().any(|who| is_same(who, &known.who));
    let taken = others.iter().find(|known| known.person != account && is_one(known));
    if let Some(taken) = taken {
        let name = taken.person.split('.').next().unwrap_or_default();
        return Err(Error::usage(format!(
            "{} is {name} already: one account for each",
            words(core::slice::from_ref(&taken.who))
        )));
    }
    let lines = who.iter().map(|who| match who {
        OidcWho::Subject(name) => format!("subject {name}\n"),
        OidcWho::Email(name) => format!("email {name}\n"),
    });
    let path = file(directory, account);
    let failed = |error: std::io::Error| {
        Error::disk(format_args!("cannot write {}", path.display()), &error)
    };
    std::fs::create_dir_all(directory.join(USERS)).map_err(failed)?;
    // Whole or not at all: a relay may read it at any time.
    let new = directory.join(USERS).join(format!("{account}.{KNOWN_AS}.new"));
    std::fs::write(&new, lines.collect::<String>()).map_err(failed)?;
    std::fs::rename(&new, &path).map_err(failed)
}

/// Somebody was removed.
pub(super) fn forget(directory: &Path, account: &str) {
    let _ = std::fs::remove_file(file(directory, account));
}

/// For people.
pub(super) fn words(who: &[OidcWho]) -> String {
    let all: Vec<String> = who
        .iter()
        .map(|who| match who {
            OidcWho::Subject(name) => format!("the subject {name}"),
            OidcWho::Email(name) => name.clone(),
        })
        .collect();
    all.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_known_by_what_was_written_last_and_nobody_else_by_the_same() {
        let home = tempfile::tempdir().expect("a directory");
        let home = home.path();
        let subject = |name: &str| OidcWho::Subject(name.to_owned());
        let email = OidcWho::Email("eva@example.org".to_owned());
        note(home, "eva.0123456789abcdef", &[subject("a b"), email.clone()]).expect("written");
        let known = |person: &str, who| OidcPerson { person: person.to_owned(), who };
        let expected = [
            known("eva.0123456789abcdef", subject("a b")),
            known("eva.0123456789abcdef", email.clone()),
        ];
        assert_eq!(people(Some(home)).0, expected);
        note(home, "owner", core::slice::from_ref(&email)).expect_err("she is eva");
        let shouted = OidcWho::Email("EVA@Example.org".to_owned());
        note(home, "owner", &[shouted]).expect_err("that is the same address");
        note(home, "eva.0123456789abcdef", &[subject("c")]).expect("written again");
        note(home, "owner", core::slice::from_ref(&email)).expect("nobody is");
        let expected = [known("eva.0123456789abcdef", subject("c")), known("owner", email)];
        assert_eq!(people(Some(home)).0, expected);
        forget(home, "eva.0123456789abcdef");
        assert_eq!(people(Some(home)).0.len(), 1);
        assert_eq!(people(None).0, []);
    }
    #[test]
    fn what_cannot_be_read_is_named_and_waited_for_by_nobody() {
        let home = tempfile::tempdir().expect("a directory");
        let home = home.path();
        note(home, "owner", &[OidcWho::Subject("a".to_owned())]).expect("written");
        std::fs::create_dir(file(home, "eva.0123456789abcdef")).expect("made");
        std::fs::write(file(home, "notes"), "subject a").expect("written");
        rustix::fs::mkfifoat(rustix::fs::CWD, file(home, "bob.0123456789abcdef"), 0o600.into())
            .expect("a pipe");
        let (known, unusable) = people(Some(home));
        assert_eq!((known.len(), unusable.len()), (1, 2), "{unusable:?}");
    }
}
