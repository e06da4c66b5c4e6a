//! `footbridge config`: the settings in effect, and where each value comes from.

use std::fmt::Write as _;
use std::path::Path;

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::token::{Sources, TOKEN_VARIABLE};
use footbridge_cli::value::Kind;
use footbridge_cli::{print, worker};
use serde::Serialize;
use serde_json::Value as Json;

use super::args::ConfigQuery;
use super::data::default_directory;
use super::settings::{Origin, Row};

pub(super) fn run(inquiry: &ConfigQuery) -> Result<(), Error> {
    let reports = &inquiry.reports;
    EventLog::new("footbridge", reports.level, reports.format)
        .unknown_variables(&reports.unknown_variables);
    let file = inquiry
        .place
        .as_ref()
        .map(|place| File { path: place.path.display().to_string(), exists: place.path.exists() });
    let sources = Sources::of(reports);
    let report = Report {
        file,
        settings: inquiry.settings.rows().iter().map(|row| in_force(row, &sources)).collect(),
        access_token: access_token(&sources),
    };
    if !reports.json {
        return print(&report.text());
    }
    let line = serde_json::to_string(&report)
        .map_err(|error| Error::local(format!("cannot write JSON: {error}")))?;
    print(&(line + "\n"))
}

#[derive(Serialize)]
struct Report {
    /// The configuration file; `None` if there is no place for one.
    file: Option<File>,
    settings: Vec<InForce>,
    access_token: Token,
}

#[derive(Serialize)]
struct File {
    path: String,
    exists: bool,
}

#[derive(Serialize)]
struct InForce {
    name: &'static str,
    value: Json,
    source: &'static str,
    /// File and line, variable, or flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

/// The one secret: whether it is set, and where.
#[derive(Serialize)]
struct Token {
    is_set: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

fn in_force(row: &Row<'_>, sources: &Sources) -> InForce {
    let text = row.value.clone().or_else(|| usual(row.setting.key, sources));
    let value = text.map_or(Json::Null, |text| match row.setting.kind {
        Kind::Text | Kind::Path => Json::String(text),
        Kind::Switch => Json::Bool(text == "true"),
        Kind::Integer => text.parse::<u64>().map_or(Json::Null, Json::from),
        Kind::List => text.split(',').map(|name| Json::String(name.to_owned())).collect(),
    });
    let value = if value.is_null() && row.setting.kind == Kind::List {
        Json::Array(Vec::new())
    } else {
        value
    };
    let source = match row.origin {
        Origin::Default => "default",
        Origin::File { .. } => "file",
        Origin::Variable(_) => "variable",
        Origin::Flag(_) => "flag",
    };
    let from = (*row.origin != Origin::Default).then(|| row.origin.to_string());
    InForce { name: row.setting.key, value, source, from }
}

/// The value that applies if nothing is set, if any.
fn usual(key: &str, sources: &Sources) -> Option<String> {
    match key {
        "agent" => Some("footbridge agent".to_owned()),
        "directory" => Some(".".to_owned()),
        "name" => Some(worker::host_name()),
        "data" => {
            let directory = default_directory(sources).ok()?;
            Some(directory.display().to_string())
        }
        "token_file" => sources.path().ok().map(|path| path.display().to_string()),
        _ => None,
    }
}

fn access_token(sources: &Sources) -> Token {
    let from = if sources.variable.as_ref().is_some_and(|token| !token.is_empty()) {
        Some(TOKEN_VARIABLE.to_owned())
    } else {
        let file = sources.path().ok().filter(|path: &std::path::PathBuf| Path::exists(path));
        file.map(|path| path.display().to_string())
    };
    Token { is_set: from.is_some(), from }
}

impl Report {
    fn text(&self) -> String {
        let mut text = String::new();
        let file = self.file.as_ref().map_or_else(
            || "none, because HOME is not set".to_owned(),
            |file| format!("{}{}", file.path, if file.exists { "" } else { " (does not exist)" }),
        );
        let shown = |value: &Json| match value {
            Json::Null => "-".to_owned(),
            Json::String(text) => text.clone(),
            Json::Array(names) if names.is_empty() => "-".to_owned(),
            Json::Array(names) => {
                names.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        let mut rows = vec![("configuration file", file, String::new())];
        for setting in &self.settings {
            let from = setting.from.as_deref().unwrap_or(setting.source);
            rows.push((setting.name, shown(&setting.value), from.to_owned()));
        }
        let token = &self.access_token;
        let is_set = if token.is_set { "set" } else { "unset" };
        rows.push(("access token", is_set.to_owned(), token.from.clone().unwrap_or_default()));
        let width = |of: fn(&(&str, String, String)) -> usize| rows.iter().skip(1).map(of).max();
        let names = width(|row| row.0.chars().count()).unwrap_or_default();
        let values = width(|row| row.1.chars().count()).unwrap_or_default().min(40);
        for (name, value, from) in rows {
            let line = format!("{name:names$}  {value:values$}  {from}");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}
