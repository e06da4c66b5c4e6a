//! The command line and environment of a session's agent (W-5, S-3).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::base::id::SessionId;
use crate::base::secret::Secret;
use crate::contract::action::ProcessSpec;
use crate::wire::work_secret::WorkSecret;
use crate::wire::worker_api::work::Interrupted;
use crate::worker::allowance::SESSION_TOKEN_VARIABLE;
use crate::worker::config::{AgentResume, WorkerConfig};
use crate::worker::inherited::withheld;

/// In which conversation an agent begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) enum Opening<'a> {
    /// In the one that whoever made the session has named, or else in a new one.
    Asked,
    /// In this one, which was cut off so.
    In(&'a str, Interrupted),
    /// In a new one.
    New,
}

/// The command that starts the agent of `session`. The error names what the secret must not request.
pub(in crate::worker) fn agent_command(
    config: &WorkerConfig,
    session: &SessionId,
    url: &str,
    secret: &WorkSecret,
    directory: String,
    opening: Opening<'_>,
) -> Result<ProcessSpec, String> {
    let asked = config.allowance.conversation(secret)?;
    if asked.is_some() && config.agent_resume.is_none() {
        return Err(String::from(
            "the session is to continue a conversation (--resume), which this worker does not know how to do with its agent; say how with --agent-resume",
        ));
    }
    let (conversation, interrupted) = match opening {
        Opening::Asked => (asked, Interrupted::Nothing),
        Opening::In(conversation, interrupted) => (Some(conversation), interrupted),
        Opening::New => (None, Interrupted::Nothing),
    };
    let (program, mut args, own_env): (_, Vec<String>, Vec<_>) =
        match (conversation, &config.agent_resume) {
            (Some(conversation), Some(AgentResume { program, args, env, env_in_turn })) => {
                let args = args.iter().map(|arg| arg.replace("{session}", conversation));
                let in_turn = env_in_turn.iter().filter(|_| interrupted == Interrupted::Turn);
                (program.clone(), args.collect(), env.iter().chain(in_turn).collect())
            }
            _ => (config.agent.program.clone(), config.agent.args.clone(), Vec::new()),
        };
    args.extend(config.allowance.flags(secret)?);
    if secret.mcp_config.is_some() {
        config.allowance.check_mcp_config()?;
        args.extend([String::from("--mcp-config"), mcp_config_path(config, session)?]);
    }
    let mut env: Vec<(String, Secret)> = Vec::new();
    for (name, value) in config.agent.env.iter().chain(own_env) {
        env.push((name.clone(), Secret::from(value.as_str())));
    }
    for (name, value) in &secret.environment_variables {
        config.allowance.check_variable(name, value)?;
        env.push((name.clone(), value.clone()));
    }
    env.push(("FOOTBRIDGE_SESSION_ID".into(), Secret::from(session.as_str())));
    env.push(("FOOTBRIDGE_SESSION_URL".into(), Secret::from(url)));
    // Whatever the agent runs could speak in its place with it.
    if config.allowance.gives_session_token() {
        env.push((SESSION_TOKEN_VARIABLE.into(), secret.session_ingress_token.clone()));
    }
    Ok(ProcessSpec {
        program,
        args,
        env,
        env_remove: withheld(&config.agent_env_remove),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::config::AgentProgram;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn command_where(
        extra: &str,
        change: impl FnOnce(&mut WorkerConfig),
    ) -> Result<ProcessSpec, String> {
        opened(extra, change, Opening::Asked)
    }

    fn opened(
        extra: &str,
        change: impl FnOnce(&mut WorkerConfig),
        opening: Opening<'_>,
    ) -> Result<ProcessSpec, String> {
        let json = format!(r#"{{"version":1,"session_ingress_token":"t",{extra}}}"#);
        let secret = WorkSecret::decode(&URL_SAFE_NO_PAD.encode(json)).expect("a secret");
        let relay = crate::wire::url::BaseUrl::parse("http://localhost").expect("a URL");
        let args = alloc::vec!["-x".into()];
        let agent = AgentProgram { program: "agent".into(), args, env: alloc::vec![] };
        let token = crate::auth::Credential::fixed(Secret::from("a"));
        let mut config = WorkerConfig::new(relay, token, "/w".into(), agent, 1);
        change(&mut config);
        let session = SessionId::new("session_1").expect("an id");
        agent_command(&config, &session, "ws://u", &secret, "/w".into(), opening)
    }

    #[test]
    fn an_agent_that_was_cut_off_in_its_turn_is_told_so_and_one_that_had_asked_is_not() {
        let resuming = |config: &mut WorkerConfig| {
            let [env, env_in_turn] =
                ["ALWAYS", "CUT_OFF"].map(|name| alloc::vec![(name.into(), "1".into())]);
            let (program, args) = (String::from("agent"), alloc::vec![]);
            config.agent_resume = Some(AgentResume { program, args, env, env_in_turn });
        };
        for (interrupted, is_told) in [
            (Interrupted::Nothing, false),
            (Interrupted::Turn, true),
            (Interrupted::Question, false),
        ] {
            let extra = r#""session_id":"x""#;
            let command = opened(extra, resuming, Opening::In("0f8c-4e", interrupted));
            let env = command.expect("a command").env;
            let has = |name| env.iter().any(|(key, _)| key == name);
            assert_eq!((has("ALWAYS"), has("CUT_OFF")), (true, is_told), "{interrupted:?}");
        }
    }

    #[test]
    fn a_conversation_is_continued_by_the_command_for_that_and_by_no_flag() {
        let resuming = |config: &mut WorkerConfig| {
            let args = alloc::vec!["-x".into(), "--continue={session}".into()];
            let program = String::from("other");
            let (env, env_in_turn) = (alloc::vec![], alloc::vec![]);
            config.agent_resume = Some(AgentResume { program, args, env, env_in_turn });
        };
        let asked = r#""claude_code_args":{"model":"m","resume":"0f8c-4e"}"#;
        let command = command_where(asked, resuming).expect("a command");
        assert_eq!(command.program, "other");
        assert_eq!(command.args, ["-x", "--continue=0f8c-4e", "--model", "m"]);
        let other = command_where(r#""claude_code_args":{"model":"m"}"#, resuming);
        assert_eq!(other.expect("a command").program, "agent");
        let error = command_where(asked, |_| {}).expect_err("this agent cannot");
        assert!(error.contains("--agent-resume"), "{error}");
        for bad in ["", "--model", "-x", "a b", "../x"] {
            let asked = format!(r#""claude_code_args":{{"resume":"{bad}"}}"#);
            let error = command_where(&asked, resuming).expect_err(bad);
            assert!(error.contains("--resume"), "{bad}: {error}");
        }
    }

    #[test]
    fn an_agent_gets_its_session_and_the_secrets_flags_and_variables() {
        let extra =
            r#""claude_code_args":{"model":"m","verbose":""},"environment_variables":{"KEY":"v"}"#;
        let command = command_where(extra, |config| config.allowance.variables.push("KEY".into()));
        let command = command.expect("a command");
        assert_eq!(command.args, ["-x", "--model", "m", "--verbose"]);
        let names: Vec<_> = command.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["KEY", "FOOTBRIDGE_SESSION_ID", "FOOTBRIDGE_SESSION_URL"]);
        // Its token only if the owner says so.
        let allowed = |config: &mut WorkerConfig| {
            config.allowance.variables.push(SESSION_TOKEN_VARIABLE.into());
        };
        let env = command_where(r#""x":1"#, allowed).expect("a command").env;
        let given = env.iter().find(|(name, _)| name == SESSION_TOKEN_VARIABLE);
        assert_eq!(given.expect("its token").1.reveal(), "t");
    }

    #[test]
    fn what_the_owner_does_not_allow_is_refused_by_name() {
        for (extra, name) in [
            (r#""environment_variables":{"KEY":"v"}"#, "KEY"),
            (r#""claude_code_args":{"settings":"{}"}"#, "settings"),
            (r#""mcp_config":{"mcpServers":{}}"#, "mcp-config"),
        ] {
            let error = command_where(extra, |config| config.state_directory = Some("/s".into()));
            assert!(error.is_err_and(|error| error.contains(name)), "{extra}");
        }
    }
}
