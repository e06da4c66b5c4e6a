//! The program that sessions run.

use footbridge_core::worker::AgentProgram;

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
}
