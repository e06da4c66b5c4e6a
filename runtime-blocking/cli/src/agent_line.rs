//! The program that sessions run.

use std::path::Path;

use footbridge_core::worker::{AgentProgram, AgentResume};

use crate::exit::Error;
use crate::value::{Kind, Value};

/// The flags that make Claude Code speak stream-json on its stdio, ask for permission there,
/// and stream partial messages.
const CLAUDE_FLAGS: [&str; 8] = [
    "--output-format",
    "stream-json",
    "--input-format",
    "stream-json",
    "--verbose",
    "--permission-prompt-tool",
    "stdio",
    "--include-partial-messages",
];

/// Makes Claude Code finish the turn that it was interrupted in, and ask again what it had asked.
const CLAUDE_CONTINUES: [&str; 2] = ["CLAUDE_CODE_RESUME_INTERRUPTED_TURN", "1"];

/// Stands for the id of a conversation.
const SESSION: &str = "{session}";

/// A command line, split into words like a POSIX shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLine(pub String);

impl Value for AgentLine {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        agent_program(Some(text)).map_err(|error| error.message)?;
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

/// The words of `--agent-resume`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeLine(pub String);

impl Value for ResumeLine {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        let agent = agent_program(Some(text)).map_err(|error| error.message)?;
        agent_resume(&agent, Some(text)).map_err(|error| error.message)?;
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

/// Parses `--agent`: split into words like a POSIX shell does. `claude` alone means Claude Code
/// with its flags; without the option, it is this program's own shell agent.
pub fn agent_program(line: Option<&str>) -> Result<AgentProgram, Error> {
    let Some(line) = line else { return own_agent() };
    let words = shell_words::split(line).map_err(|_| {
        Error::usage(format!("{line:?} is not a valid command line: unclosed quote"))
    })?;
    let mut words = words.into_iter();
    let program = words
        .next()
        .filter(|program| !program.is_empty())
        .ok_or_else(|| Error::usage("expected a program, optionally followed by arguments"))?;
    let mut args: Vec<String> = words.collect();
    if program == "claude" && args.is_empty() {
        args = CLAUDE_FLAGS.map(String::from).to_vec();
    }
    Ok(AgentProgram { program, args, env: Vec::new() })
}

/// How an agent is started to resume a conversation: by the words of `--agent-resume`, or, for
/// Claude Code, with its own option. Other agents cannot.
pub fn agent_resume(
    agent: &AgentProgram,
    line: Option<&str>,
) -> Result<Option<AgentResume>, Error> {
    let Some(line) = line else {
        let is_claude = Path::new(&agent.program).file_name().is_some_and(|name| name == "claude");
        let args = [&agent.args[..], &["--resume".to_owned(), SESSION.to_owned()]].concat();
        let env = [CLAUDE_CONTINUES.map(str::to_owned).into()].to_vec();
        let program = agent.program.clone();
        return Ok(is_claude.then_some(AgentResume { program, args, env }));
    };
    let AgentProgram { program, args, .. } = agent_program(Some(line))?;
    if !args.iter().any(|arg| arg.contains(SESSION)) {
        return Err(Error::usage(format!(
            "{line:?} does not say which conversation to resume: write {SESSION} where its id belongs"
        )));
    }
    Ok(Some(AgentResume { program, args, env: Vec::new() }))
}

fn own_agent() -> Result<AgentProgram, Error> {
    let path = std::env::current_exe().map_err(|error| {
        Error::local(format!(
            "cannot find the path of this program, whose \"agent\" command is the default agent ({error}); choose an agent with --agent"
        ))
    })?;
    let program = path.into_os_string().into_string().map_err(|path| {
        Error::local(format!(
            "the path of this program, {}, is not UTF-8; choose an agent with --agent",
            path.display()
        ))
    })?;
    Ok(AgentProgram { program, args: vec!["agent".to_owned()], env: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitKind;

    #[test]
    fn an_agent_is_named_as_in_a_shell() {
        let words = |line| {
            let agent = agent_program(Some(line)).expect("a command");
            [vec![agent.program], agent.args].concat()
        };
        assert_eq!(words("my-agent"), ["my-agent"]);
        assert_eq!(
            words("'/opt/my agent' --x \"a b\" c\\ d"),
            ["/opt/my agent", "--x", "a b", "c d"]
        );
        assert_eq!(words("claude --model m"), ["claude", "--model", "m"]);
        assert_eq!(words("claude")[..3], ["claude", "--output-format", "stream-json"]);
        for wrong in ["", "  ", "''", "a 'b"] {
            assert_eq!(agent_program(Some(wrong)).expect_err(wrong).why, ExitKind::Usage);
        }
        let own = agent_program(None).expect("this program");
        assert!(own.program.starts_with('/'));
        assert_eq!(own.args, ["agent"]);
    }

    #[test]
    fn claude_code_resumes_by_itself_and_others_by_their_owners_command() {
        let resumed = |agent, resume| {
            let agent = agent_program(Some(agent)).expect("a command");
            agent_resume(&agent, resume).map(|resume| {
                resume.map(|AgentResume { program, args, .. }| [vec![program], args].concat())
            })
        };
        let claude = resumed("claude", None).expect("good").expect("it can");
        assert_eq!(claude[..2], ["claude", "--output-format"]);
        assert_eq!(claude[claude.len() - 2..], ["--resume", "{session}"]);
        let path = resumed("/opt/claude -x", None).expect("good").expect("it can");
        assert_eq!(path, ["/opt/claude", "-x", "--resume", "{session}"]);
        assert_eq!(resumed("my-agent", None), Ok(None));
        let own = resumed("my-agent", Some("my-agent 'go on' --in={session}"));
        assert_eq!(own.expect("good").expect("it can"), ["my-agent", "go on", "--in={session}"]);
        let error = resumed("my-agent", Some("my-agent --resume")).expect_err("no place for it");
        assert!(error.message.contains("{session}"), "{error}");
    }
}
