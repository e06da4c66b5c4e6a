//! The command line, combined with the other sources of settings.

pub(super) mod answer_link;
pub(super) mod attach;
pub(super) mod chat;
pub(super) mod direct;
pub(super) mod log_in;
pub(super) mod mirror;
pub(super) mod peers;
pub(super) mod service;
pub(super) mod user;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use footbridge_cli::args::{Agent, LogArgs, RelayArgs, Work, text};
use footbridge_cli::exit::Error;
use footbridge_cli::near::nearest;
use footbridge_cli::token::TOKEN_VARIABLE;
use footbridge_cli::value::{Format, Kind, Level};
use footbridge_core::base::id::DeviceId;
use footbridge_core::base::limits::DEFAULT_STOP_WORK_BASE_DELAY;
use footbridge_core::engine::backoff::BackoffConfig;
use footbridge_core::relay::OidcWho;
use footbridge_core::wire::device::Scopes;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::Allowance;
use lexopt::{Arg, Parser, ValueExt};

use self::answer_link::{AnswerLink, Asked};
use self::attach::{Attach, Wanted};
use self::chat::Chat;
use self::direct::Direct;
use self::log_in::{Audit, Devices, LogIn, OwnLogIn, scopes};
use self::mirror::Mirror;
use self::peers::Peers;
use self::service::ServiceArgs;
use self::user::{Change, User};
use super::ready::local_url;
use super::reference::{Page, SMALL, Shell};
use super::settings::{Given, Origin, Place, SETTINGS, Setting, Settings};
use super::topic::Topic;

/// What the program should do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Invocation {
    Up { serve: Serve, work: Work },
    Relay { serve: Serve },
    Work { relay: BaseUrl, reach: RelayArgs, work: Work, is_check: bool },
    SignIn(SignIn),
    AnswerLink(AnswerLink),
    LogIn(LogIn),
    LogOut(OwnLogIn),
    WhoAmI(OwnLogIn),
    Devices(Devices),
    Audit(Audit),
    Credential(Credential),
    User(User),
    Backup(Backup),
    Mirror(Mirror),
    Direct(Direct),
    Peers(Peers),
    Config(Box<ConfigQuery>),
    Agent(Agent),
    Attach(Attach),
    Chat(Chat),
    Service(ServiceArgs),
    Completions(Shell),
    Man(Page),
    Help(Topic),
    Version,
}

impl Invocation {
    /// How it reports errors.
    pub(super) const fn format(&self) -> Format {
        match self {
            Self::Up { serve, .. } | Self::Relay { serve } => serve.reports.format,
            Self::Work { reach, .. } => reach.reports.format,
            Self::SignIn(ask) => ask.reach.reports.format,
            Self::LogIn(ask) => ask.reach.reports.format,
            Self::LogOut(ask) | Self::WhoAmI(ask) => ask.reach.reports.format,
            Self::Devices(ask) => ask.sign_in.reach.reports.format,
            Self::Audit(ask) => ask.sign_in.reach.reports.format,
            Self::Credential(make) => make.reports.format,
            Self::User(ask) => ask.reports.format,
            Self::Backup(backup) => backup.reports.format,
            Self::Mirror(mirror) => mirror.source.reach.reports.format,
            Self::Config(inquiry) => inquiry.reports.format,
            Self::Attach(ask) => ask.reach.reports.format,
            Self::AnswerLink(ask) => ask.reach.reports.format,
            Self::Chat(ask) => ask.reach.reports.format,
            Self::Agent(_)
            | Self::Direct(_)
            | Self::Peers(_)
            | Self::Service(_)
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Help(_)
            | Self::Version => Format::Text,
        }
    }
}

/// How a relay is served.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Serve {
    pub(super) reports: LogArgs,
    pub(super) listen: SocketAddr,
    pub(super) public_url: Option<BaseUrl>,
    /// Further names that it is known by.
    pub(super) hosts: Vec<String>,
    pub(super) is_behind_proxy: bool,
    /// Whether push services may be in its own network.
    pub(super) allows_private_push: bool,
    pub(super) tls: Option<Tls>,
    pub(super) data: Data,
    pub(super) keeping: Keeping,
    /// Whether sessions speak version 2.
    pub(super) has_code_sessions: bool,
    /// What takes a trusted device.
    pub(super) demand_trusted: Option<Scopes>,
    /// With which provider people may sign in.
    pub(super) oidc: Option<Box<Oidc>>,
    /// Where to answer those who ask for its health.
    pub(super) health: Option<SocketAddr>,
}

/// A provider of `OpenID` Connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Oidc {
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret_file: Option<PathBuf>,
    /// Whom to trust in addition where the provider is asked.
    pub(super) ca_file: Option<PathBuf>,
}

/// What a relay presents to those who connect by TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// These files.
    Files { chain: PathBuf, key: PathBuf },
    /// A certificate that it makes itself.
    Own,
}

/// How much a relay keeps on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keeping {
    /// Bytes in all.
    pub(super) max_data: u64,
    /// How long a session is kept that has ended.
    pub(super) keep_ended: Duration,
}

/// Where a relay keeps what has to outlive it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Data {
    /// In the state directory.
    #[default]
    Default,
    /// In a directory of its own, together with its access token.
    In(PathBuf),
    /// Nowhere.
    InMemory,
}

/// A request for a copy of what a relay keeps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Backup {
    pub(super) reports: LogArgs,
    pub(super) data: Data,
    /// The directory that is to be made.
    pub(super) target: PathBuf,
}

/// A request for an address that signs a browser in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SignIn {
    /// The relay, and what it is called elsewhere, if the command line says so.
    pub(super) relay: Option<BaseUrl>,
    pub(super) page: Option<BaseUrl>,
    pub(super) assumed: Assumed,
    pub(super) reach: RelayArgs,
    pub(super) data: Data,
}

/// What the settings say of this machine's relay, for where it has not written down where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assumed {
    pub(super) relay: BaseUrl,
    pub(super) page: Option<BaseUrl>,
}

/// A request for what a worker holds instead of the access token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Credential {
    pub(super) reports: LogArgs,
    /// Where the access token is, if the relay was started with a data directory.
    pub(super) data: Data,
    pub(super) name: Option<String>,
    /// The file to write it to.
    pub(super) out: Option<PathBuf>,
}

/// A request to show the settings in effect.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConfigQuery {
    pub(super) settings: Settings,
    pub(super) place: Option<Place>,
    pub(super) reports: LogArgs,
}

/// The variables of an environment.
pub(super) type Environment = [(OsString, OsString)];

/// Parses the command line, without the program's own name, along with the environment and the
/// configuration file.
pub(super) fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Invocation, Error> {
    let mut parser = Parser::from_args(args);
    let mut topic = None;
    let mut is_named = false;
    let mut taken: Vec<String> = Vec::new();
    let mut line = Line::default();
    while let Some(arg) = parser.next()? {
        let name = match arg {
            Arg::Long("help") | Arg::Short('h') => {
                return Ok(Invocation::Help(topic.unwrap_or(Topic::Program)));
            }
            Arg::Long("version") | Arg::Short('V') => {
                return and_no_more(&mut parser, Invocation::Version);
            }
            Arg::Long("verbose") | Arg::Short('v') => {
                line.tell("--verbose", Level::Debug);
                continue;
            }
            Arg::Long("quiet") | Arg::Short('q') => {
                line.tell("--quiet", Level::Error);
                continue;
            }
            Arg::Value(word) if !is_named => {
                let word = word.string()?;
                match &*word {
                    "help" => return help(&mut parser),
                    "version" => return and_no_more(&mut parser, Invocation::Version),
                    "completions" => return completions(&mut parser),
                    "man" => return man(&mut parser),
                    _ => {}
                }
                let command = Topic::parse(&word)?;
                if command == Topic::Service && taken.is_empty() {
                    let asked = service::parse(&mut parser)?;
                    let help = Invocation::Help(Topic::Service);
                    return Ok(asked.map_or(help, Invocation::Service));
                }
                if command.is_about_peers() && taken.is_empty() {
                    let asked = peers::parse(command, &mut parser)?;
                    return Ok(asked.map_or(Invocation::Help(command), Invocation::Peers));
                }
                if command == Topic::Direct && taken.is_empty() {
                    let asked = direct::parse(&mut parser)?;
                    let help = Invocation::Help(Topic::Direct);
                    return Ok(asked.map_or(help, Invocation::Direct));
                }
                // Options that every command has may stand before it.
                if let Some(name) = taken.iter().find(|name| !has(command, name)) {
                    return Err(not_here(command, name));
                }
                (topic, is_named) = (Some(command), true);
                continue;
            }
            // `footbridge relay credential` is how people look for it.
            Arg::Value(word) if topic == Some(Topic::Relay) && word == "credential" => {
                topic = Some(Topic::Credential);
                continue;
            }
            Arg::Value(word) if topic == Some(Topic::Relay) && word == "user" => {
                topic = Some(Topic::User);
                continue;
            }
            Arg::Value(word) if topic == Some(Topic::User) && line.words.len() < 2 => {
                line.words.push(word.string()?);
                continue;
            }
            Arg::Value(target)
                if matches!(topic, Some(Topic::Backup | Topic::Mirror | Topic::AnswerLink))
                    && line.target.is_none() =>
            {
                line.target = Some(target.into());
                continue;
            }
            Arg::Value(id) if topic == Some(Topic::Attach) && line.attach.session.is_none() => {
                line.attach.name(&id.string()?)?;
                continue;
            }
            Arg::Value(relay) if topic.is_some_and(Topic::takes_relay) && !line.has_relay => {
                line.name_relay(relay.string()?);
                continue;
            }
            Arg::Long(name) => name.to_owned(),
            Arg::Short(_) | Arg::Value(_) => return Err(arg.unexpected().into()),
        };
        // `up` is the default command.
        let command = *topic.get_or_insert(Topic::Up);
        if !has(command, &name) {
            return Err(not_here(command, &name));
        }
        line.take(command, &name, &mut parser)?;
        taken.push(name);
    }
    line.invocation(topic.unwrap_or(Topic::Up), environment)
}

/// What was asked for, unless more follows, which would be ignored.
fn and_no_more(parser: &mut Parser, asked: Invocation) -> Result<Invocation, Error> {
    match parser.next()? {
        None => Ok(asked),
        Some(more) => Err(more.unexpected().into()),
    }
}

/// What words of the command line are about. Those of commands that only print are all in the
/// program's own text.
fn about(word: &str) -> Result<Topic, Error> {
    match word {
        "help" | "version" | "completions" | "man" => Ok(Topic::Program),
        _ => Topic::parse(word),
    }
}

fn help(parser: &mut Parser) -> Result<Invocation, Error> {
    match parser.next()? {
        None => Ok(Invocation::Help(Topic::Program)),
        Some(Arg::Value(word)) => {
            let word = word.string()?;
            let topic = match &*word {
                "phone" => Topic::Phone,
                _ => about(&word)?,
            };
            match parser.next()? {
                // What they do in particular is in the same text.
                Some(Arg::Value(_)) if matches!(topic, Topic::Direct | Topic::Service) => {
                    Ok(Invocation::Help(topic))
                }
                Some(Arg::Value(word)) if topic == Topic::Relay && word == "credential" => {
                    Ok(Invocation::Help(Topic::Credential))
                }
                Some(Arg::Value(word)) if topic == Topic::Relay && word == "user" => {
                    Ok(Invocation::Help(Topic::User))
                }
                Some(other) => Err(other.unexpected().into()),
                None => Ok(Invocation::Help(topic)),
            }
        }
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(Invocation::Help(Topic::Program)),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn completions(parser: &mut Parser) -> Result<Invocation, Error> {
    match parser.next()? {
        Some(Arg::Value(shell)) => {
            let shell = Shell::parse(&shell.string()?)?;
            and_no_more(parser, Invocation::Completions(shell))
        }
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(Invocation::Help(Topic::Program)),
        Some(other) => Err(other.unexpected().into()),
        None => Err(Error::usage(format!(
            "footbridge completions needs a shell: {}",
            Shell::NAMES.join(", ")
        ))),
    }
}

fn man(parser: &mut Parser) -> Result<Invocation, Error> {
    match parser.next()? {
        None => Ok(Invocation::Man(Page::Of(Topic::Program))),
        Some(Arg::Value(word)) => {
            let page = if word == SMALL { Page::Small } else { Page::Of(about(&word.string()?)?) };
            and_no_more(parser, Invocation::Man(page))
        }
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(Invocation::Help(Topic::Program)),
        Some(other) => Err(other.unexpected().into()),
    }
}

/// Whether a command has this long option.
fn has(command: Topic, option: &str) -> bool {
    command.own_options().contains(&option)
        || Setting::of_flag(option).is_some_and(|setting| setting.applies_to(command))
}

/// All long options of a command except `--help`, `--version`, `--verbose` and `--quiet`.
fn options(command: Topic) -> Vec<String> {
    let settings = SETTINGS.iter().filter(|setting| setting.applies_to(command)).map(Setting::flag);
    command.own_options().iter().map(ToString::to_string).chain(settings).collect()
}

fn not_here(topic: Topic, name: &str) -> Error {
    let elsewhere: Vec<_> = Topic::COMMANDS
        .iter()
        .filter(|(_, topic)| *topic != Topic::Config && has(*topic, name))
        .map(|(command, _)| format!("footbridge {command}"))
        .collect();
    let command = topic.name();
    Error::usage(if elsewhere.is_empty() {
        match nearest(name, options(topic).iter().map(String::as_str)) {
            Some(near) => format!("unknown option --{name}; did you mean --{near}?"),
            None => format!("unknown option --{name}; see footbridge help {command}"),
        }
    } else {
        let elsewhere = match &elsewhere[..] {
            [first, second, _, _, ..] => format!("{first}, {second} and others"),
            [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            all => all.concat(),
        };
        format!("footbridge {command} has no option --{name}; it belongs to {elsewhere}")
    })
}

/// What the command line says.
#[derive(Debug, Default)]
struct Line {
    settings: Vec<Given>,
    config: Option<PathBuf>,
    json: bool,
    is_check: bool,
    /// Where a backup goes, or which session is mirrored or asks.
    target: Option<PathBuf>,
    /// Where a credential goes, or a mirror.
    out: Option<PathBuf>,
    continues: bool,
    agent: Agent,
    attach: Wanted,
    /// Whether the relay was named, without a flag.
    has_relay: bool,
    /// What is done about which person.
    words: Vec<String>,
    /// As whom the provider knows them.
    who: Vec<OidcWho>,
    scope: Option<String>,
    revoke: Option<String>,
    since: Option<String>,
    request: Option<String>,
    expires_in: Option<String>,
}

impl Line {
    fn tell(&mut self, flag: &str, level: Level) {
        if let Some(setting) = Setting::of_flag("log-level") {
            let text = level.word().to_owned();
            self.settings.push(Given { setting, flag: flag.to_owned(), text });
        }
    }

    fn name_relay(&mut self, text: String) {
        self.has_relay = true;
        if let Some(setting) = Setting::of_flag("relay") {
            self.settings.push(Given { setting, flag: "the relay's address".to_owned(), text });
        }
    }

    fn take(&mut self, command: Topic, name: &str, parser: &mut Parser) -> Result<(), Error> {
        match (command, name) {
            (_, "json") => self.json = true,
            (_, "check") => self.is_check = true,
            (_, "continue") => self.continues = true,
            (_, "oidc-subject") => self.who.push(OidcWho::Subject(text(parser)?)),
            (_, "oidc-email") => self.who.push(OidcWho::Email(text(parser)?)),
            (_, "scope") => self.scope = Some(text(parser)?),
            (_, "since") => self.since = Some(text(parser)?),
            (_, "request") => self.request = Some(text(parser)?),
            (_, "expires-in") => self.expires_in = Some(text(parser)?),
            (_, "revoke") => self.revoke = Some(text(parser)?),
            (_, "out" | "to") => self.out = Some(parser.value()?.into()),
            (_, "config") => self.config = Some(parser.value()?.into()),
            (Topic::Chat, "title" | "plain") => self.attach.take(name, parser)?,
            (Topic::Agent, _) => self.agent.take(name, parser)?,
            (Topic::Attach, name) if Wanted::OPTIONS.contains(&name) => {
                self.attach.take(name, parser)?;
            }
            _ => {
                let Some(setting) = Setting::of_flag(name) else {
                    return Err(not_here(command, name));
                };
                let text = if setting.kind == Kind::Switch {
                    let value = parser.optional_value().map(ValueExt::string).transpose()?;
                    value.unwrap_or_else(|| true.to_string())
                } else {
                    text(parser)?
                };
                self.settings.push(Given { setting, flag: format!("--{name}"), text });
            }
        }
        Ok(())
    }

    fn invocation(self, command: Topic, environment: &Environment) -> Result<Invocation, Error> {
        match command {
            Topic::Program
            | Topic::Service
            | Topic::Direct
            | Topic::Ps
            | Topic::Send
            | Topic::Mcp
            | Topic::Phone => {
                return Ok(Invocation::Help(command));
            }
            Topic::Agent => return self.agent().map(Invocation::Agent),
            Topic::Up
            | Topic::Relay
            | Topic::Work
            | Topic::SignIn
            | Topic::LogIn
            | Topic::LogOut
            | Topic::WhoAmI
            | Topic::Devices
            | Topic::Audit
            | Topic::Credential
            | Topic::User
            | Topic::Backup
            | Topic::Mirror
            | Topic::Attach
            | Topic::AnswerLink
            | Topic::Chat
            | Topic::Config => {}
        }
        let variable = |name: &str| {
            let found = environment.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        let place = Place::find(self.config.as_deref(), variable);
        let (settings, unknown_variables) =
            Settings::gather(place.as_ref(), ours(environment)?, &self.settings)?;
        // An SDK's program does not want to hear that all is well.
        let is_quiet = self.attach.agent.is_some() && settings.log_level.origin == Origin::Default;
        let reports = LogArgs {
            level: if is_quiet { Level::Warn } else { settings.log_level.value },
            format: settings.log_format.value,
            json: self.json,
            token_file: settings.token_file.value.clone(),
            secrets: settings.secrets.value,
            unknown_variables,
        };
        match command {
            Topic::Up => {
                let serve = serve(&settings, reports)?;
                // It is never far from its relay.
                let backoff = BackoffConfig::default();
                let stop_work_base_delay = DEFAULT_STOP_WORK_BASE_DELAY;
                let work = Work { backoff, stop_work_base_delay, ..work(settings) };
                Ok(Invocation::Up { serve, work })
            }
            Topic::Relay => Ok(Invocation::Relay { serve: serve(&settings, reports)? }),
            Topic::Work => {
                let relay = settings.relay.value.clone().ok_or_else(|| {
                    Error::usage("footbridge work needs --relay URL, the address of the relay; it can also be set in FOOTBRIDGE_RELAY or in the configuration file")
                })?;
                let reach = RelayArgs { reports, ca_file: settings.ca_file.value.clone() };
                let work = Work { continues: self.continues, ..work(settings) };
                Ok(Invocation::Work { relay, reach, work, is_check: self.is_check })
            }
            Topic::LogIn => Ok(Invocation::LogIn(LogIn {
                relay: settings.relay.value.clone().map_or_else(|| own_relay(&settings), Ok)?,
                reach: RelayArgs { reports, ca_file: settings.ca_file.value.clone() },
                scopes: scopes(self.scope.as_deref())?,
                name: settings.name.value.map(|name| name.0),
                is_enrolled: !settings.no_trusted_device.value,
            })),
            Topic::LogOut | Topic::WhoAmI => {
                let relay = settings.relay.value.clone();
                let relay = relay.map_or_else(|| own_relay(&settings), Ok)?;
                let reach = RelayArgs { reports, ca_file: settings.ca_file.value.clone() };
                let own = OwnLogIn { relay, reach };
                Ok(match command {
                    Topic::LogOut => Invocation::LogOut(own),
                    _ => Invocation::WhoAmI(own),
                })
            }
            Topic::SignIn | Topic::Devices | Topic::Audit | Topic::Mirror => {
                let is_given = |origin: &Origin| matches!(origin, Origin::Flag(_));
                let named = settings.relay.value.clone();
                // The page that the configuration file names is this machine's relay's.
                let page = settings.public_url.value.clone();
                let (given, configured) = match is_given(&settings.public_url.origin) {
                    true => (page, None),
                    false => (None, page.filter(|_| named.is_none())),
                };
                let own = named.clone().map_or_else(|| own_relay(&settings), Ok)?;
                let listens = is_given(&settings.listen.origin).then(|| own.clone());
                let assumed = Assumed { relay: own, page: configured };
                let reach = RelayArgs { reports, ca_file: settings.ca_file.value.clone() };
                let (relay, data) = (named.or(listens), data(&settings));
                let sign_in = SignIn { relay, page: given, assumed, reach, data };
                if command == Topic::SignIn {
                    return Ok(Invocation::SignIn(sign_in));
                }
                if command == Topic::Mirror {
                    return Mirror::of(sign_in, self.target, self.out).map(Invocation::Mirror);
                }
                if command == Topic::Audit {
                    return Audit::of(sign_in, self.since.as_deref()).map(Invocation::Audit);
                }
                let id = self.revoke.as_deref().map(DeviceId::new).transpose();
                let revoke = id.map_err(|error| Error::usage(format!("--revoke: {error}")))?;
                Ok(Invocation::Devices(Devices { sign_in, revoke }))
            }
            Topic::AnswerLink => Ok(Invocation::AnswerLink(AnswerLink {
                relay: settings.relay.value.clone(),
                assumed: own_relay(&settings)?,
                reach: RelayArgs { reports, ca_file: settings.ca_file.value.clone() },
                asked: Asked::of(self.target.as_deref(), self.request, self.expires_in.as_deref())?,
            })),
            Topic::Attach => Ok(Invocation::Attach(Attach {
                relay: settings.relay.value.clone(),
                assumed: own_relay(&settings)?,
                reach: RelayArgs { reports, ca_file: settings.ca_file.value.clone() },
                wanted: self.attach.check(environment)?,
            })),
            Topic::Chat => Ok(Invocation::Chat(Chat {
                relay: settings.relay.value.clone(),
                assumed: own_relay(&settings)?,
                reach: RelayArgs { reports, ca_file: settings.ca_file.value.clone() },
                agent: settings.agent.value.map(|agent| agent.0),
                directory: settings.directory.value,
                name: settings.name.value.map(|name| name.0),
                title: self.attach.title,
                grace: settings.shutdown_grace.value.0,
                transport: settings.transport.value,
                is_plain: self.attach.is_plain,
            })),
            Topic::Credential => Ok(Invocation::Credential(Credential {
                reports,
                data: data(&settings),
                name: settings.name.value.map(|name| name.0),
                out: self.out,
            })),
            Topic::User => {
                let (data, change) = (data(&settings), Change::of(&self.words, self.who)?);
                Ok(Invocation::User(User { reports, data, change }))
            }
            Topic::Backup => {
                let target = self.target.ok_or_else(|| {
                    Error::usage("footbridge backup needs the directory to make, such as footbridge backup relay-today")
                })?;
                Ok(Invocation::Backup(Backup { reports, data: data(&settings), target }))
            }
            _ => Ok(Invocation::Config(Box::new(ConfigQuery { settings, place, reports }))),
        }
    }

    fn agent(self) -> Result<Agent, Error> {
        let (settings, _) = Settings::gather(None, [], &self.settings)?;
        Ok(Agent { level: settings.log_level.value, ..self.agent })
    }
}

/// The variables that may be settings.
fn ours(environment: &Environment) -> Result<Vec<(String, String)>, Error> {
    let mut ours = Vec::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with("FOOTBRIDGE_")) else {
            continue;
        };
        // A secret is read where it is needed.
        if name == TOKEN_VARIABLE {
            continue;
        }
        let value = value
            .to_str()
            .ok_or_else(|| Error::usage(format!("the value of {name} is not UTF-8")))?;
        ours.push((name.to_owned(), value.to_owned()));
    }
    Ok(ours)
}

fn tls(settings: &Settings) -> Result<Option<Tls>, Error> {
    match (&settings.tls_cert.value, &settings.tls_key.value) {
        (Some(_), _) | (_, Some(_)) if settings.own_certificate.value => Err(Error::usage(
            "--own-certificate makes a certificate, and --tls-cert and --tls-key name another one: give one of the two",
        )),
        (Some(chain), Some(key)) => Ok(Some(Tls::Files { chain: chain.clone(), key: key.clone() })),
        (None, None) => Ok(settings.own_certificate.value.then_some(Tls::Own)),
        _ => Err(Error::usage("--tls-cert and --tls-key go together; give both")),
    }
}

fn oidc(settings: &Settings) -> Result<Option<Box<Oidc>>, Error> {
    let secret = settings.oidc_client_secret_file.value.clone();
    let ca_file = settings.oidc_ca_file.value.clone();
    match (&settings.oidc_issuer.value, &settings.oidc_client_id.value, (secret, ca_file)) {
        (Some(issuer), Some(client), (client_secret_file, ca_file)) => Ok(Some(Box::new(Oidc {
            issuer: issuer.0.clone(),
            client_id: client.0.clone(),
            client_secret_file,
            ca_file,
        }))),
        (None, None, (None, None)) => Ok(None),
        _ => Err(Error::usage(
            "--oidc-issuer and --oidc-client-id go together, and --oidc-client-secret-file and --oidc-ca-file with both: the provider shows them where this relay is registered as its client",
        )),
    }
}

fn serve(settings: &Settings, reports: LogArgs) -> Result<Serve, Error> {
    let tls = tls(settings)?;
    let (listen, origin) = (settings.listen.value, &settings.listen.origin);
    if !listen.ip().is_loopback() && tls.is_none() && !settings.behind_proxy.value {
        return Err(Error::usage(format!(
            "{origin}: {listen} can be reached from other machines, and without TLS the access token would be sent in the clear; use --own-certificate, --tls-cert and --tls-key, or --behind-proxy if a proxy in front of it handles TLS"
        )));
    }
    let (public_url, data) = (settings.public_url.value.clone(), data(settings));
    let keeping =
        Keeping { max_data: settings.max_data.value.0, keep_ended: settings.keep_ended.value.0 };
    Ok(Serve {
        reports,
        listen,
        public_url,
        hosts: settings.allow_host.value.0.clone(),
        is_behind_proxy: settings.behind_proxy.value,
        allows_private_push: settings.allow_private_push.value,
        tls,
        data,
        keeping,
        has_code_sessions: settings.code_sessions.value,
        demand_trusted: settings.demand_trusted_device.value.into(),
        oidc: oidc(settings)?,
        health: settings.health.value,
    })
}

/// The relay of this machine, which listens where the settings say.
fn own_relay(settings: &Settings) -> Result<BaseUrl, Error> {
    let is_tls = settings.tls_cert.value.is_some() || settings.own_certificate.value;
    let url = local_url(&settings.listen.value.to_string(), is_tls);
    BaseUrl::parse(&url).map_err(|error| {
        Error::usage(format!("{url} is not a relay's address ({error}): name it with --relay URL"))
    })
}

fn data(settings: &Settings) -> Data {
    match &settings.data.value {
        _ if settings.in_memory.value => Data::InMemory,
        Some(directory) => Data::In(directory.clone()),
        None => Data::Default,
    }
}

fn work(settings: Settings) -> Work {
    Work {
        backoff: settings.backoff(),
        stop_work_base_delay: settings.stop_work_base_delay_ms.value.0,
        continues: false,
        hand_over: settings.hand_over.value,
        take_up: None,
        state_directory: None,
        agent: settings.agent.value.map(|line| line.0),
        agent_resume: settings.agent_resume.value.map(|line| line.0),
        directory: settings.directory.value,
        name: settings.name.value.map(|name| name.0),
        spawn_mode: settings.spawn_mode.value,
        max_sessions: settings.max_sessions.value.0,
        session_limit: settings.session_limit.value.0,
        shutdown_grace: settings.shutdown_grace.value.0,
        allowance: Allowance {
            variables: settings.allow_variable.value.0,
            flags: settings.allow_flag.value.0,
            relays: settings.allow_relay.value.0,
        },
        trusts_repository: settings.trust_repository.value,
        disposable: settings.disposable.value.0,
        trusts_relay: settings.trust_relay.value,
        transport: settings.transport.value,
        work_by: settings.work_by.value,
        may_lack_agent: settings.allow_missing_agent.value,
        health: settings.health.value,
    }
}

#[cfg(test)]
mod tests;
