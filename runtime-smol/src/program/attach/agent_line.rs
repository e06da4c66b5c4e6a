//! The command line of an agent's program, as SDKs write it.

use std::collections::BTreeMap;
use std::ffi::OsString;

use footbridge_cli::exit::Error;

/// Options that take a value. Of one that is not known, the next word is its value if it is no option.
const WITH_VALUE: [&str; 30] = [
    "output-format",
    "input-format",
    "system-prompt",
    "append-system-prompt",
    "system-prompt-file",
    "append-system-prompt-file",
    "tools",
    "allowed-tools",
    "disallowed-tools",
    "max-turns",
    "max-budget-usd",
    "task-budget",
    "model",
    "fallback-model",
    "betas",
    "permission-prompt-tool",
    "permission-mode",
    "session-id",
    "settings",
    "add-dir",
    "mcp-config",
    "setting-sources",
    "plugin-dir",
    "thinking",
    "max-thinking-tokens",
    "thinking-display",
    "effort",
    "json-schema",
    "agents",
    "debug-file",
];

/// Options without one.
const SWITCHES: [&str; 14] = [
    "print",
    "verbose",
    "include-partial-messages",
    "include-hook-events",
    "strict-mcp-config",
    "fork-session",
    "continue",
    "session-mirror",
    "replay-user-messages",
    "debug",
    "debug-to-stderr",
    "dangerously-skip-permissions",
    "allow-dangerously-skip-permissions",
    "no-session-persistence",
];

/// What every agent of a worker has, or what is about this process alone.
const SETTLED: [&str; 9] = [
    "output-format",
    "input-format",
    "verbose",
    "permission-prompt-tool",
    "print",
    "debug",
    "debug-to-stderr",
    "debug-file",
    "include-partial-messages",
];

/// Options whose values can stand in one list, with commas. Another one is given once.
const LISTS: [&str; 5] = ["allowed-tools", "disallowed-tools", "tools", "betas", "setting-sources"];

/// Options that can be given several times: their values stand in one, a line for each.
const REPEATED: [&str; 2] = ["add-dir", "plugin-dir"];

/// What a command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AgentLine {
    pub(super) asks_version: bool,
    pub(super) shows_partials: bool,
    pub(super) shows_replays: bool,
    /// The conversation to continue, by whatever name.
    pub(super) resume: Option<String>,
    /// All that an agent has to be started with, by name; empty for an option without a value.
    pub(super) flags: BTreeMap<String, String>,
    /// Configurations of MCP servers: JSON, or the names of files.
    pub(super) mcp_configs: Vec<String>,
}

impl AgentLine {
    pub(super) fn read(args: &[OsString]) -> Result<Self, Error> {
        let mut line = Self::default();
        let mut words = Vec::with_capacity(args.len());
        for arg in args {
            let word = arg.to_str();
            words.push(word.ok_or_else(|| Error::usage("an option of the agent is not UTF-8"))?);
        }
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let Some(option) = word.strip_prefix("--") else {
                match word {
                    "-v" => line.asks_version = true,
                    "-p" => {}
                    _ => {
                        return Err(Error::usage(format!(
                            "unexpected argument {word:?} of the agent"
                        )));
                    }
                }
                continue;
            };
            let (name, mut value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (option, None),
            };
            let name = dashed(name);
            let may_have_value = WITH_VALUE.contains(&&*name)
                || !SWITCHES.contains(&&*name)
                    && words.peek().is_some_and(|next| !next.starts_with('-'));
            if value.is_none() && may_have_value && name != "version" {
                value = words.next().map(str::to_owned);
            }
            line.take(name, value)?;
        }
        Ok(line)
    }

    fn take(&mut self, name: String, value: Option<String>) -> Result<(), Error> {
        match (&*name, value) {
            ("version", _) => self.asks_version = true,
            ("help", _) => {
                return Err(Error::usage(
                    "it stands in for an agent's program, for an SDK to start; see footbridge attach --help",
                ));
            }
            ("include-partial-messages", _) => self.shows_partials = true,
            ("resume", Some(id)) => self.resume = Some(id),
            ("mcp-config", Some(config)) => self.mcp_configs.push(config),
            (settled, _) if SETTLED.contains(&settled) => {}
            (other, value) => {
                self.shows_replays |= other == "replay-user-messages";
                let value = value.unwrap_or_default();
                let before = self.flags.get_mut(other);
                match before {
                    Some(before) if LISTS.contains(&other) => *before = format!("{before},{value}"),
                    Some(before) if *before == value => {}
                    Some(before) if REPEATED.contains(&other) && !value.contains('\n') => {
                        *before = format!("{before}\n{value}");
                    }
                    Some(_) => {
                        return Err(Error::usage(format!(
                            "--{other} is given twice, and a session takes it once: give one value"
                        )));
                    }
                    None => drop(self.flags.insert(name, value)),
                }
            }
        }
        Ok(())
    }
}

/// `allowedTools` is `allowed-tools`: agents know both.
fn dashed(name: &str) -> String {
    name.chars().fold(String::new(), |mut all, c| {
        if c.is_ascii_uppercase() {
            all.push('-');
        }
        all.push(c.to_ascii_lowercase());
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> AgentLine {
        let args: Vec<OsString> = line.iter().map(OsString::from).collect();
        AgentLine::read(&args).expect("a command line")
    }

    #[test]
    fn what_sdks_write_is_understood() {
        let line = read(&[
            "--output-format",
            "stream-json",
            "--verbose",
            "--system-prompt",
            "",
            "--allowedTools",
            "Read,Bash(ls)",
            "--permission-prompt-tool",
            "stdio",
            "--resume=session_1",
            "--continue",
            "--include-partial-messages",
            "--of-tomorrow",
            "value",
            "--another",
            "--input-format",
            "stream-json",
        ]);
        assert!(line.shows_partials && !line.shows_replays && !line.asks_version);
        assert_eq!(line.resume.as_deref(), Some("session_1"));
        let flags: Vec<_> = line.flags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            flags,
            [
                ("allowed-tools", "Read,Bash(ls)"),
                ("another", ""),
                ("continue", ""),
                ("of-tomorrow", "value"),
                ("system-prompt", ""),
            ]
        );
        assert!(read(&["-v"]).asks_version && read(&["--version"]).asks_version);
        let lists = read(&["--allowedTools", "Read", "--allowed-tools", "Bash"]);
        assert_eq!(lists.flags["allowed-tools"], "Read,Bash");
        let directories = read(&["--add-dir", "/a", "--add-dir=/b"]);
        assert_eq!(directories.flags["add-dir"], "/a\n/b");
        let refused: [&[&str]; 3] = [&["prompt"], &["--model", "a", "--model", "b"], &["--help"]];
        for line in refused {
            let args: Vec<OsString> = line.iter().map(OsString::from).collect();
            assert!(AgentLine::read(&args).is_err(), "{line:?}");
        }
    }
}
