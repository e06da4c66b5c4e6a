//! The configuration file: flat TOML, one setting per line.
//!
//! Error messages show nothing of the file but setting names and the values of known settings:
//! someone may have put a secret in it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use footbridge_cli::exit::Error;
use footbridge_cli::near::nearest;
use footbridge_cli::regular_file;
use footbridge_cli::value::Kind;
use toml_parser::decoder::IntegerRadix;
use toml_parser::decoder::ScalarKind;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};
use toml_parser::{ParseError, Source, Span};

use super::{Origin, SETTINGS, Setting};

/// Largest file accepted.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// How deep arrays may be nested before the parser gives up; ours are flat.
const MAX_DEPTH: u32 = 8;

/// Where the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) struct Place {
    pub(in crate::program) path: PathBuf,
    /// It was named explicitly, so it must exist.
    pub(in crate::program) is_named: bool,
    /// What `~/` stands for.
    pub(in crate::program) home: Option<PathBuf>,
}

impl Place {
    /// `--config` takes precedence over `FOOTBRIDGE_CONFIG`, and that over the default path, which
    /// needs a home directory.
    pub(in crate::program) fn find(
        flag: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Option<Self> {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("HOME").filter(|dir| dir.is_absolute());
        let named = flag.map(PathBuf::from).or_else(|| set("FOOTBRIDGE_CONFIG"));
        let is_named = named.is_some();
        // The XDG base directory specification says to ignore a relative one.
        let usual = || {
            let xdg = set("XDG_CONFIG_HOME").filter(|dir| dir.is_absolute());
            let config = xdg.or_else(|| home.as_ref().map(|home| home.join(".config")))?;
            Some(config.join("footbridge/config.toml"))
        };
        let path = named.or_else(usual)?;
        Some(Self { path, is_named, home })
    }
}

/// One setting in the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: &'static str,
    /// As it would be written in the environment.
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// Reads the file; one that does not exist and was not named counts as empty.
pub(super) fn read(place: &Place) -> Result<Vec<Entry>, Error> {
    let shown = place.path.display();
    let cannot =
        |error| Error::usage(format!("cannot read the configuration file {shown}: {error}"));
    // The usual way to have none.
    if place.path == Path::new("/dev/null") {
        return Ok(Vec::new());
    }
    let file = match regular_file::open(&place.path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !place.is_named => {
            return Ok(Vec::new());
        }
        other => other.map_err(cannot)?,
    };
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let limit = MAX_FILE_BYTES;
        return Err(Error::usage(format!(
            "the configuration file {shown} is larger than {limit} bytes"
        )));
    }
    parse(place, &text)
}

/// Parses the content of the file at a place.
pub(super) fn parse(place: &Place, text: &str) -> Result<Vec<Entry>, Error> {
    let mut document = Document { place, text, source: Source::new(text), entries: Vec::new() };
    let tokens = document.source.lex().into_vec();
    let (mut events, mut errors) = (Vec::new(), Vec::<ParseError>::new());
    let mut guard = RecursionGuard::new(&mut events, MAX_DEPTH);
    parse_document(&tokens, &mut guard, &mut errors);
    for event in events.iter().filter(|event| event.kind() == EventKind::Scalar) {
        if let Some(raw) = document.source.get(event) {
            let before = errors.len();
            let _ = raw.decode_scalar(&mut Cow::Borrowed(""), &mut errors);
            // Words that begin as a number may are taken for one: `nope` for nan, `12h` for 12.
            let is_word = !raw.as_str().starts_with(['"', '\''])
                && raw.as_str().contains(|c: char| c.is_ascii_alphabetic());
            if is_word && before == 0 && !errors.is_empty() {
                let wrong = "invalid TOML: string values must be quoted";
                return Err(document.wrong(event.span(), wrong));
            }
        }
    }
    document.no_errors(&errors)?;
    let is_meant = |event: &Event| {
        let kind = event.kind();
        !matches!(kind, EventKind::Whitespace | EventKind::Comment | EventKind::Newline)
    };
    document.take(events.into_iter().filter(is_meant))?;
    Ok(document.entries)
}

struct Document<'a> {
    place: &'a Place,
    text: &'a str,
    source: Source<'a>,
    entries: Vec<Entry>,
}

impl Document<'_> {
    fn take(&mut self, mut events: impl Iterator<Item = Event>) -> Result<(), Error> {
        while let Some(event) = events.next() {
            let span = event.span();
            let follows = events.next();
            let is_setting = event.kind() == EventKind::SimpleKey
                && follows.is_some_and(|event| event.kind() == EventKind::KeyValSep);
            if !is_setting {
                let wrong = "settings are written as name = value, without tables";
                return Err(self.wrong(span, wrong));
            }
            let setting = self.setting(&event)?;
            let value = events.next();
            let text = match value.map(|value| (value.kind(), value)) {
                Some((EventKind::Scalar, value)) => self.scalar(setting, &value),
                Some((EventKind::ArrayOpen, _)) if setting.kind == Kind::List => {
                    let inner = std::iter::from_fn(|| {
                        events.next().filter(|event| event.kind() != EventKind::ArrayClose)
                    });
                    let elements = inner.filter(|event| event.kind() != EventKind::ValueSep);
                    let elements: Vec<_> = elements.collect();
                    let texts = elements.iter().map(|event| self.element(setting, event));
                    texts.collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
                }
                _ => None,
            };
            let text = text.ok_or_else(|| {
                self.wrong(span, &format!("{} must be {}", setting.key, setting.kind))
            })?;
            let line = self.line(span);
            if self.entries.iter().any(|entry| entry.key == setting.key) {
                return Err(self.wrong(span, &format!("{} is set twice", setting.key)));
            }
            let origin = Origin::File { path: self.place.path.clone(), line };
            self.entries.push(Entry { key: setting.key, text, origin });
        }
        Ok(())
    }

    fn setting(&self, event: &Event) -> Result<&'static Setting, Error> {
        let mut key = Cow::Borrowed("");
        if let Some(raw) = self.source.get(event) {
            raw.decode_key(&mut key, &mut ());
        }
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
            return Ok(setting);
        }
        let name = key.to_ascii_lowercase().replace('-', "_");
        let is_secret = ["token", "secret", "password"].iter().any(|word| name.contains(word));
        let all: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
        let key: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
        // Who writes `secret` there means one, and not where log-ins are kept.
        let others = all.iter().copied().filter(|key| !is_secret || *key != "secrets");
        let wrong = match nearest(&name, others) {
            Some(near) => format!("unknown setting {key}; did you mean {near}?"),
            None if is_secret => format!(
                "this file must not contain secrets, and {key} looks like one: remove it, and put the access token in FOOTBRIDGE_TOKEN, or by itself in a file with mode 0600 that token_file names"
            ),
            None => format!("unknown setting {key}; the settings are {}", all.join(", ")),
        };
        Err(self.wrong(event.span(), &wrong))
    }

    fn scalar(&self, setting: &Setting, event: &Event) -> Option<String> {
        let (kind, text) = self.decoded(event)?;
        match (setting.kind, kind) {
            (Kind::Text, ScalarKind::String) => Some(text),
            (Kind::Path, ScalarKind::String) => Some(self.resolved(&text)),
            (Kind::Integer, ScalarKind::Integer(IntegerRadix::Dec))
            | (Kind::Switch, ScalarKind::Boolean(_)) => Some(text),
            _ => None,
        }
    }

    fn element(&self, setting: &Setting, event: &Event) -> Option<String> {
        let (kind, text) = self.decoded(event)?;
        (setting.kind == Kind::List && kind == ScalarKind::String).then_some(text)
    }

    fn decoded(&self, event: &Event) -> Option<(ScalarKind, String)> {
        if event.kind() != EventKind::Scalar {
            return None;
        }
        let mut text = Cow::Borrowed("");
        let kind = self.source.get(event)?.decode_scalar(&mut text, &mut ());
        Some((kind, text.into_owned()))
    }

    /// A path in the file is relative to the file, or to home.
    fn resolved(&self, text: &str) -> String {
        let from_home = text.strip_prefix("~/").zip(self.place.home.as_ref());
        let path = match (from_home, self.place.path.parent()) {
            (Some((rest, home)), _) => home.join(rest),
            (None, Some(directory)) => directory.join(text),
            (None, None) => text.into(),
        };
        path.into_os_string().into_string().unwrap_or_else(|_| text.to_owned())
    }

    fn no_errors(&self, errors: &[ParseError]) -> Result<(), Error> {
        let Some(error) = errors.first() else { return Ok(()) };
        let span = error.unexpected().or(error.context()).unwrap_or_default();
        Err(self.wrong(span, &format!("invalid TOML: {}", error.description())))
    }

    fn wrong(&self, span: Span, what: &str) -> Error {
        Error::usage(format!("{}:{}: {what}", self.place.path.display(), self.line(span)))
    }

    /// Lines are counted from 1.
    fn line(&self, span: Span) -> usize {
        let before = self.text.as_bytes().iter().take(span.start());
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}
