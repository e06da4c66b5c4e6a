//! The command line and environment of a session's agent (W-5, S-3).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::base::id::SessionId;
use crate::base::secret::Secret;
use crate::contract::action::ProcessSpec;
use crate::wire::work_secret::WorkSecret;
use crate::worker::config::{AgentResume, WorkerConfig};

/// Variables that change how a program is found or loaded, by name or prefix (S-3).
const REFUSED_NAMES: [&str; 14] = [
    "PATH",
    "HOME",
    "SHELL",
    "IFS",
    "ENV",
    "BASH_ENV",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
];
const REFUSED_PREFIXES: [&str; 4] = ["LD_", "DYLD_", "GIT_", "FOOTBRIDGE_"];

/// The command that starts the agent of `session`, in a new conversation or in one to resume. The
/// error names what the secret must not
/// request.
pub(in crate::worker) fn agent_command(
    config: &WorkerConfig,
    session: &SessionId,
    url: &str,
    secret: &WorkSecret,
    directory: String,
    conversation: Option<&str>,
) -> Result<ProcessSpec, String> {
    let (program, mut args, own_env): (_, Vec<String>, &[_]) =
        match (conversation, &config.agent_resume) {
            (Some(conversation), Some(AgentResume { program, args, env })) => {
                let args = args.iter().map(|arg| arg.replace("{session}", conversation));
                (program.clone(), args.collect(), env)
            }
            _ => (config.agent.program.clone(), config.agent.args.clone(), &[]),
        };
    args.extend(flags(secret)?);
    if secret.mcp_config.is_some() {
        args.extend([String::from("--mcp-config"), mcp_config_path(config, session)?]);
    }
    let mut env: Vec<(String, Secret)> = Vec::new();
    for (name, value) in config.agent.env.iter().chain(own_env) {
        env.push((name.clone(), Secret::from(value.as_str())));
    }
    for (name, value) in &secret.environment_variables {
        check_variable(config, name, value)?;
        env.push((name.clone(), value.clone()));
    }
    env.push(("FOOTBRIDGE_SESSION_ID".into(), Secret::from(session.as_str())));
    env.push(("FOOTBRIDGE_SESSION_URL".into(), Secret::from(url)));
    env.push(("FOOTBRIDGE_SESSION_TOKEN".into(), secret.session_ingress_token.clone()));
    Ok(ProcessSpec {
        program,
        args,
        env,
        env_remove: config.agent_env_remove.clone(),
        directory: Some(directory),
    })
}

/// The file that holds a session's MCP configuration while it runs. It may contain credentials,
/// which do not belong on a command line (T-5).
pub(super) fn mcp_config_path(
    config: &WorkerConfig,
    session: &SessionId,
) -> Result<String, String> {
    let state = config.state_directory.as_ref();
    let path = state.map(|state| format!("{state}/mcp/{session}.json"));
    path.ok_or_else(|| {
        String::from(
            "the work secret contains an MCP configuration, but this worker has no state directory to write it to (is HOME set?)",
        )
    })
}

/// `claude_code_args` as flags: `{"model": "m"}` is `--model m`; an empty value is a bare flag.
fn flags(secret: &WorkSecret) -> Result<Vec<String>, String> {
    let mut flags = Vec::new();
    for (name, value) in &secret.claude_code_args {
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
        flags.push(format!("--{name}"));
        if !value.is_empty() {
            flags.push(value.to_string());
        }
    }
    Ok(flags)
}

fn check_variable(config: &WorkerConfig, name: &str, value: &Secret) -> Result<(), String> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || !name.bytes().all(is_name) || value.reveal().contains('\0') {
        return Err(format!("the work secret's variable {name:?} has an invalid name or value"));
    }
    let upper = name.to_ascii_uppercase();
    let is_refused = REFUSED_NAMES.contains(&upper.as_str())
        || REFUSED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix));
    if is_refused && !config.allowed_variables.iter().any(|allowed| allowed == name) {
        return Err(format!(
            "the work secret sets {name}, which changes how programs are loaded; allow it with --allow-variable if that is intended"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::config::AgentProgram;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn command(extra: &str) -> Result<ProcessSpec, String> {
        command_where(extra, |_| {})
    }

    fn command_where(
        extra: &str,
        change: impl FnOnce(&mut WorkerConfig),
    ) -> Result<ProcessSpec, String> {
        let json = format!(r#"{{"version":1,"session_ingress_token":"t",{extra}}}"#);
        let secret = WorkSecret::decode(&URL_SAFE_NO_PAD.encode(json)).expect("a secret");
        let relay = crate::wire::url::BaseUrl::parse("http://localhost").expect("a URL");
        let args = alloc::vec!["-x".into()];
        let agent = AgentProgram { program: "agent".into(), args, env: alloc::vec![] };
        let token = crate::auth::AccessToken::fixed(Secret::from("a"));
        let mut config = WorkerConfig::new(relay, token, "/w".into(), agent, 1);
        change(&mut config);
        let session = SessionId::new("session_1").expect("an id");
        agent_command(&config, &session, "ws://u", &secret, "/w".into(), None)
    }

    #[test]
    fn an_agent_gets_its_session_and_the_secrets_flags_and_variables() {
        let command = command(
            r#""claude_code_args":{"model":"m","verbose":""},"environment_variables":{"KEY":"v"}"#,
        )
        .expect("a command");
        assert_eq!(command.args, ["-x", "--model", "m", "--verbose"]);
        let names: Vec<_> = command.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["KEY", "FOOTBRIDGE_SESSION_ID", "FOOTBRIDGE_SESSION_URL", "FOOTBRIDGE_SESSION_TOKEN"]
        );
    }

    #[test]
    fn variables_that_change_how_programs_load_are_refused_by_name() {
        for name in [
            "PATH",
            "path",
            "LD_PRELOAD",
            "DYLD_INSERT_LIBRARIES",
            "NODE_OPTIONS",
            "GIT_SSH",
            "",
            "A=B",
            "A B",
        ] {
            let error = command(&format!(r#""environment_variables":{{"{name}":"v"}}"#));
            assert!(error.is_err_and(|error| error.contains(name)), "{name}");
        }
        for name in ["", "-x", "--model", "A", "a b", "a=b"] {
            assert!(command(&format!(r#""claude_code_args":{{"{name}":"v"}}"#)).is_err(), "{name}");
        }
    }
    #[test]
    fn variables_that_the_workers_owner_allows_are_passed_on() {
        let extra = r#""environment_variables":{"NODE_OPTIONS":"v"}"#;
        let allow =
            |config: &mut WorkerConfig| config.allowed_variables.push("NODE_OPTIONS".into());
        assert!(command_where(extra, |_| {}).is_err());
        assert!(command_where(extra, allow).is_ok());
    }
}
