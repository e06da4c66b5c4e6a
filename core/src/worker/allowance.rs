//! What a relay may decide about the agents on a worker's machine (S-3).
//!
//! Whoever has the relay could otherwise run any program here, by a variable that a shell or a
//! language looks for, or by a flag that switches the questions off. No list of such names is ever
//! complete, so this is a list of what is harmless, which the worker's owner can extend.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::hosting::conversation::is_conversation_id;
use crate::wire::latitude::{self, Latitude};
use crate::wire::message::Head;
use crate::wire::url::BaseUrl;
use crate::wire::work_secret::WorkSecret;

/// Variables that say how to show text, and nothing else.
const VARIABLES: [&str; 5] = ["LANG", "LC_*", "TZ", "NO_COLOR", "COLORTERM"];

/// Flags of Claude Code with a value that choose among what a viewer may choose anyway, or restrict.
const FLAGS: [&str; 15] = [
    "model",
    "fallback-model",
    "effort",
    "max-turns",
    "max-thinking-tokens",
    "system-prompt",
    "append-system-prompt",
    "disallowed-tools",
    "tools",
    "betas",
    "thinking",
    "thinking-display",
    "task-budget",
    "max-budget-usd",
    "json-schema",
];

/// Those of them that may be given an empty value, which means something.
const MAYBE_EMPTY: [&str; 3] = ["system-prompt", "append-system-prompt", "tools"];

/// And those without a value.
const SWITCHES: [&str; 4] =
    ["verbose", "include-partial-messages", "replay-user-messages", "include-hook-events"];

/// The flag that decides which questions are asked at all, and those of its values that switch none
/// off for commands.
const MODE_FLAG: &str = "permission-mode";
const MODES: [&str; 3] = ["default", "plan", "acceptEdits"];

/// The flag that names a conversation of the agent's, to be continued. Whoever may drive an agent in this
/// directory may do that, too. It is started by the command that resumes one, and gets no flag.
const RESUME_FLAG: &str = "resume";

/// The flag of an MCP configuration, which names programs to run.
pub(super) const MCP_FLAG: &str = "mcp-config";

/// The variable that an agent has its session's token in, if its owner names it.
pub(super) const SESSION_TOKEN_VARIABLE: &str = "FOOTBRIDGE_SESSION_TOKEN";

/// Flags that can be given several times: a value of several lines is one for each.
const REPEATED: [&str; 2] = ["add-dir", "plugin-dir"];

/// What the worker's owner lets a relay decide beyond that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Variables, by name; `NAME*` stands for all that begin so. With `FOOTBRIDGE_SESSION_TOKEN` among
    /// them, agents are given their session's token.
    pub variables: Vec<String>,
    /// Flags, by name and without dashes. `mcp-config` also allows a work secret's MCP
    /// configuration.
    pub flags: Vec<String>,
    /// Addresses of sessions' links besides the relay's own.
    pub relays: Vec<BaseUrl>,
}

impl Allowance {
    /// The error names a variable of a work secret that must not be set.
    pub(super) fn check_variable(&self, name: &str, value: &Secret) -> Result<(), String> {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(is_name) || value.reveal().contains('\0') {
            return Err(format!("the variable {name:?} has an invalid name or value"));
        }
        let allowed = VARIABLES.into_iter().chain(self.variables.iter().map(String::as_str));
        let is_allowed = allowed.into_iter().any(|allowed| match allowed.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => allowed == name,
        });
        if !is_allowed {
            return Err(format!(
                "the relay sets the variable {name} for the agent, which this worker does not allow; if that is intended, start it with --allow-variable {name}"
            ));
        }
        Ok(())
    }

    /// `claude_code_args` as flags: `{"model": "m"}` is `--model m`; an empty value is a bare flag.
    pub(super) fn flags(&self, secret: &WorkSecret) -> Result<Vec<String>, String> {
        let mut flags = Vec::new();
        for (name, value) in &secret.claude_code_args {
            if name == RESUME_FLAG {
                continue;
            }
            let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if name.is_empty() || name.starts_with('-') || !name.bytes().all(is_name) {
                return Err(format!(
                    "the work secret asks for the flag {name:?}, which is not a valid flag name"
                ));
            }
            if value.contains('\0') {
                return Err(format!(
                    "the work secret's value for the flag --{name} contains a NUL byte"
                ));
            }
            let is_harmless = match (name.as_str(), value.as_str()) {
                // A value would be an argument of its own, and could be any flag.
                (switch, value) if SWITCHES.contains(&switch) => value.is_empty(),
                (MODE_FLAG, mode) => MODES.contains(&mode),
                (flag, value) => {
                    let may_be_empty = MAYBE_EMPTY.contains(&flag);
                    FLAGS.contains(&flag) && (may_be_empty || !value.is_empty())
                }
            };
            if !is_harmless && !self.allows_flag(name) {
                return Err(refused_flag(name));
            }
            let is_list = REPEATED.contains(&name.as_str()) && value.contains('\n');
            let values = value.split('\n').filter(|value| !value.is_empty());
            match is_list {
                true => values.for_each(|value| push_flag(&mut flags, name, value)),
                false => push_flag(&mut flags, name, value),
            }
        }
        Ok(flags)
    }

    /// The conversation that the agent is to continue, if there is one.
    pub(super) fn conversation<'a>(
        &self,
        secret: &'a WorkSecret,
    ) -> Result<Option<&'a str>, String> {
        let Some(id) = secret.claude_code_args.get(RESUME_FLAG) else { return Ok(None) };
        if !is_conversation_id(id) {
            return Err(String::from(
                "the work secret asks for the flag --resume with what is no id of a conversation",
            ));
        }
        Ok(Some(id))
    }

    /// The error says that a work secret must not contain an MCP configuration.
    pub(super) fn check_mcp_config(&self) -> Result<(), String> {
        if self.allows_flag(MCP_FLAG) { Ok(()) } else { Err(refused_flag(MCP_FLAG)) }
    }

    /// The error says why a viewer's line must not reach the agent: it does what a flag or a variable does
    /// that the relay may not set. Everything else, and which questions a mode leaves, is for those to say
    /// who may answer questions.
    pub(super) fn check_line(&self, head: &Head, line: &Text) -> Result<(), String> {
        let Some(latitude) = Latitude::of(head, line) else { return Ok(()) };
        match latitude.flag() {
            None if latitude == Latitude::Variables => latitude::variables(line)
                .ok_or_else(|| String::from("its variables cannot be read"))?
                .iter()
                .try_for_each(|(name, value)| self.check_variable(name, value)),
            None | Some(MODE_FLAG) => Ok(()),
            Some(flag) if self.allows_flag(flag) => Ok(()),
            Some(flag) => Err(format!(
                "this worker does not let a relay do that: it is what the flag --{flag} does; if that is intended, start the worker with --allow-flag {flag}"
            )),
        }
    }

    /// Whether an agent, and whatever it runs, gets its session's token (S-3).
    pub(super) fn gives_session_token(&self) -> bool {
        self.variables.iter().any(|name| name == SESSION_TOKEN_VARIABLE)
    }

    fn allows_flag(&self, name: &str) -> bool {
        self.flags.iter().any(|allowed| allowed == name)
    }

    /// Where a session's link goes: to the relay that the work came from, unless the owner allows
    /// the other one that the work secret names. Anything else could be any port of this machine.
    pub(super) fn session_base(
        &self,
        relay: &BaseUrl,
        named: Option<&str>,
    ) -> Result<BaseUrl, String> {
        let Some(named) = named.filter(|named| !named.is_empty()) else { return Ok(relay.clone()) };
        let named = BaseUrl::parse(named)
            .map_err(|error| format!("the work secret's api_base_url cannot be used: {error}"))?;
        Ok(if self.relays.contains(&named) { named } else { relay.clone() })
    }
}

fn refused_flag(name: &str) -> String {
    format!(
        "the relay sets the flag --{name} for the agent, which this worker does not allow, or not with that value; if that is intended, start it with --allow-flag {name}"
    )
}

fn push_flag(flags: &mut Vec<String>, name: &str, value: &str) {
    if value.starts_with('-') || value.is_empty() && MAYBE_EMPTY.contains(&name) {
        // Not to be taken for another flag, or for none.
        return flags.push(format!("--{name}={value}"));
    }
    flags.push(format!("--{name}"));
    if !value.is_empty() {
        flags.push(value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn flags(owner: &Allowance, args: &str) -> Result<Vec<String>, String> {
        let json =
            format!(r#"{{"version":1,"session_ingress_token":"t","claude_code_args":{args}}}"#);
        owner.flags(&WorkSecret::decode(&URL_SAFE_NO_PAD.encode(json)).expect("a secret"))
    }

    #[test]
    fn a_relay_sets_no_variable_but_a_harmless_one_and_what_the_owner_allows() {
        let owner = Allowance {
            variables: alloc::vec!["NODE_OPTIONS".into(), "MINE_*".into()],
            ..Allowance::default()
        };
        let value = Secret::from("v");
        for name in [
            "PATH",
            "path",
            "LD_PRELOAD",
            "SHELLOPTS",
            "PS4",
            "_JAVA_OPTIONS",
            "BUN_INSPECT_PRELOAD",
            "CLAUDE_CONFIG_DIR",
            "ANTHROPIC_BASE_URL",
            "HTTPS_PROXY",
            "LCX",
            "lang",
            "API_KEY",
            "FOOTBRIDGE_TOKEN",
            "",
            "A=B",
            "A B",
        ] {
            let error = owner.check_variable(name, &value);
            assert!(error.is_err_and(|error| error.contains(name)), "{name}");
        }
        for name in ["LANG", "LC_ALL", "NODE_OPTIONS", "MINE_KEY"] {
            assert_eq!(owner.check_variable(name, &value), Ok(()), "{name}");
        }
        assert!(Allowance::default().check_variable("NODE_OPTIONS", &value).is_err());
        assert!(owner.check_variable("LANG", &Secret::from("a\0b")).is_err());
    }

    #[test]
    fn a_relay_sets_no_flag_but_a_harmless_one_and_what_the_owner_allows() {
        let strict = Allowance::default();
        let taken = flags(&strict, r#"{"model":"m","permission-mode":"plan","verbose":""}"#);
        assert_eq!(
            taken.expect("they are harmless"),
            ["--model", "m", "--permission-mode", "plan", "--verbose"]
        );
        for args in [
            r#"{"dangerously-skip-permissions":""}"#,
            r#"{"allowed-tools":"Bash"}"#,
            r#"{"settings":"{}"}"#,
            r#"{"mcp-config":"/f"}"#,
            r#"{"permission-mode":"bypassPermissions"}"#,
            r#"{"verbose":"--dangerously-skip-permissions"}"#,
            r#"{"model":""}"#,
            r#"{"":"v"}"#,
            r#"{"-x":"v"}"#,
            r#"{"--model":"v"}"#,
            r#"{"A":"v"}"#,
            r#"{"a b":"v"}"#,
            r#"{"a=b":"v"}"#,
        ] {
            assert!(flags(&strict, args).is_err(), "{args}");
        }
        assert_eq!(flags(&strict, r#"{"resume":"0f8c-4e"}"#), Ok(Vec::new()));
        let disguised = r#"{"system-prompt":"--dangerously-skip-permissions"}"#;
        assert_eq!(
            flags(&strict, disguised).expect("a text"),
            ["--system-prompt=--dangerously-skip-permissions"]
        );
        let none = flags(&strict, r#"{"system-prompt":"","tools":""}"#);
        assert_eq!(none.expect("they mean something"), ["--system-prompt=", "--tools="]);
        let owner = Allowance { flags: alloc::vec!["add-dir".into()], ..Allowance::default() };
        let twice = flags(&owner, r#"{"add-dir":"/a b\n-c\n"}"#);
        assert_eq!(twice.expect("directories"), ["--add-dir", "/a b", "--add-dir=-c"]);
        let owner = Allowance { flags: alloc::vec!["settings".into()], ..Allowance::default() };
        assert!(flags(&owner, r#"{"settings":"{}"}"#).is_ok());
        assert!(owner.check_mcp_config().is_err_and(|error| error.contains("--allow-flag")));
    }

    #[test]
    fn a_link_goes_to_the_relay_itself_or_to_another_that_the_owner_allows() {
        let base = |url: &str| BaseUrl::parse(url).expect("a URL");
        let (relay, other) = (base("http://localhost:8787"), "https://ingress.example");
        let strict = Allowance::default();
        for named in [None, Some(""), Some(other), Some("http://localhost:22")] {
            assert_eq!(strict.session_base(&relay, named), Ok(relay.clone()), "{named:?}");
        }
        let owner = Allowance { relays: alloc::vec![base(other)], ..Allowance::default() };
        assert_eq!(owner.session_base(&relay, Some(&format!("{other}/"))), Ok(base(other)));
        assert!(owner.session_base(&relay, Some("ftp://x")).is_err());
    }
}
