//! The program that sessions run.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::worker::{AgentProgram, AgentResume};

use rustix::fs::{Access, access};

use crate::exit::Error;
use crate::value::{Kind, SpawnMode, Value};

/// The options that make Claude Code speak stream-json on its stdio, ask for permission there,
/// and stream partial messages.
const CLAUDE_OPTIONS: [(&str, Option<&str>); 5] = [
    ("--output-format", Some("stream-json")),
    ("--input-format", Some("stream-json")),
    ("--verbose", None),
    ("--permission-prompt-tool", Some("stdio")),
    ("--include-partial-messages", None),
];

/// Makes Claude Code finish the turn that it was interrupted in, and ask again what it had asked.
const CLAUDE_CONTINUES: [&str; 2] = ["CLAUDE_CODE_RESUME_INTERRUPTED_TURN", "1"];

/// Makes it see which calls were cut off, instead of making them a second time. What it had asked is not
/// asked again then, but left to it.
const CLAUDE_SEES_CUT_OFF: [&str; 2] = ["CLAUDE_CODE_RESUME_SHOWS_CUT_OFF_CALLS", "1"];

/// Makes Claude Code say whether it works, waits for an answer, or has nothing to do.
const CLAUDE_SAYS_STATE: [&str; 2] = ["CLAUDE_CODE_SDK_READS_SESSION_STATE", "1"];

/// Stands for the id of a conversation.
const SESSION: &str = "{session}";

/// The names of this program, and of the command that is its own agent.
const OWN_NAMES: [&str; 2] = ["footbridge", "footbridge-worker"];
const OWN_AGENT: &str = "agent";

/// The names that Claude Code is installed under, by its installers and as a package.
const CLAUDE_NAMES: [&str; 2] = ["claude", "claude-code"];

/// Programs that run the program that follows on their command line.
const WRAPPERS: [&str; 14] = [
    "bunx", "chrt", "doas", "env", "firejail", "ionice", "nice", "nohup", "npx", "pnpx", "setsid",
    "stdbuf", "sudo", "time",
];

/// Where programs are if nobody says.
const USUAL_PATH: &str = "/bin:/usr/bin";

/// What a script says in a comment to be taken for Claude Code.
const SCRIPT_MARK: &str = "footbridge-agent: claude-code";
/// It says so within this much of its beginning.
const SCRIPT_BYTES: u64 = 4 << 10;

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

/// Parses `--agent`: split into words like a POSIX shell does. Claude Code gets the options that it
/// needs and does not have yet; without the option, it is this program's own shell agent.
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
    let program = from_here(program);
    let mut args: Vec<String> = words.collect();
    // As the help and `footbridge config` call it, wherever this program is.
    if OWN_NAMES.contains(&&*program) && args.first().is_some_and(|first| first == OWN_AGENT) {
        return Ok(AgentProgram { args, ..own_agent()? });
    }
    let mut env = Vec::new();
    if let Some(at) = claude_in(&program, &args) {
        let own = args.split_off(at);
        args.extend(missing_options(&own));
        args.extend(own);
        env.push(CLAUDE_SAYS_STATE.map(str::to_owned).into());
    }
    Ok(AgentProgram { program, args, env })
}

/// A path is meant from where it is typed, if there is something; an agent runs in its session's
/// directory.
fn from_here(program: String) -> String {
    let is_path = program.contains('/') && Path::new(&program).exists();
    let absolute = is_path.then(|| std::path::absolute(&program).ok()).flatten();
    absolute.and_then(|path| path.into_os_string().into_string().ok()).unwrap_or(program)
}

/// How an agent is started to resume a conversation: by the words of `--agent-resume`, or, for
/// Claude Code, with its own option. Other agents cannot.
pub fn agent_resume(
    agent: &AgentProgram,
    line: Option<&str>,
) -> Result<Option<AgentResume>, Error> {
    let Some(line) = line else {
        let is_claude = claude_in(&agent.program, &agent.args).is_some();
        let args = [&agent.args[..], &["--resume".to_owned(), SESSION.to_owned()]].concat();
        let env = [CLAUDE_CONTINUES.map(str::to_owned).into()].to_vec();
        let env_in_turn = [CLAUDE_SEES_CUT_OFF.map(str::to_owned).into()].to_vec();
        let program = agent.program.clone();
        return Ok(is_claude.then_some(AgentResume { program, args, env, env_in_turn }));
    };
    let AgentProgram { program, args, .. } = agent_program(Some(line))?;
    if !args.iter().any(|arg| arg.contains(SESSION)) {
        return Err(Error::usage(format!(
            "{line:?} does not say which conversation to resume: write {SESSION} where its id belongs"
        )));
    }
    Ok(Some(AgentResume { program, args, env: Vec::new(), env_in_turn: Vec::new() }))
}

/// Fails if the agent's program is not there, or cannot be run: every session would end at once (W-15).
/// A relative path is looked for where sessions run; in worktrees, which do not exist yet, it is not.
pub fn require_program(
    agent: &AgentProgram,
    directory: &str,
    mode: SpawnMode,
) -> Result<(), Error> {
    let program = &agent.program;
    let has_slash = program.contains('/');
    if has_slash && !program.starts_with('/') && mode == SpawnMode::Worktree {
        return Ok(());
    }
    let why = if has_slash || in_search_path(program).is_some() {
        let spec = ProcessSpec {
            program: program.clone(),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: Vec::new(),
            directory: Some(directory.to_owned()),
        };
        let Some(error) = footbridge_supervision::why_not(&spec) else { return Ok(()) };
        error.detail
    } else {
        format!(
            "the agent {program:?} is in no directory of PATH: check its name, give its path with \
             --agent, or add its directory to PATH"
        )
    };
    Err(Error::local(why))
}

/// Whether a command line runs Claude Code: the place of its first argument.
fn claude_in(program: &str, args: &[String]) -> Option<usize> {
    if is_claude(program) {
        return Some(0);
    }
    let is_wrapper = WRAPPERS.contains(&file_name(Path::new(program)));
    let at = args.iter().position(|word| is_wrapper && is_claude(word))?;
    Some(at + 1)
}

/// Whether this is Claude Code: by its name, by the file that it is a link to, or a script that
/// says so.
fn is_claude(word: &str) -> bool {
    if CLAUDE_NAMES.contains(&file_name(Path::new(word))) {
        return true;
    }
    let Some(path) = found(word) else { return false };
    is_installed_claude(&path) || says_so(&path)
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Where a program is, without links.
fn found(word: &str) -> Option<PathBuf> {
    if word.contains('/') {
        return Path::new(word).canonicalize().ok();
    }
    in_search_path(word)?.canonicalize().ok()
}

/// The first file of this name that a shell would find, one that may be run before any other.
fn in_search_path(word: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    let places = std::env::split_paths(&path).map(|place| place.join(word));
    let mut found: Vec<_> = places.filter(|place| place.is_file()).collect();
    let at = found.iter().position(|file| access(file, Access::EXEC_OK).is_ok()).unwrap_or(0);
    (!found.is_empty()).then(|| found.swap_remove(at))
}

/// `…/claude`, `…/claude/versions/2.1.3`, `…/claude-code/cli.js`.
fn is_installed_claude(path: &Path) -> bool {
    let mut names = path.iter().rev().filter_map(|name| name.to_str());
    let (file, parent, above) = (names.next(), names.next(), names.next());
    file.is_some_and(|name| CLAUDE_NAMES.contains(&name))
        || parent == Some("claude-code")
        || (parent == Some("versions") && above == Some("claude"))
}

/// Whether it is a script with a comment that says so.
fn says_so(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut lines = BufReader::new(file.take(SCRIPT_BYTES)).lines().map_while(Result::ok);
    lines.next().is_some_and(|first| first.starts_with("#!"))
        && lines.any(|line| {
            line.trim_start().strip_prefix('#').is_some_and(|said| said.trim() == SCRIPT_MARK)
        })
}

/// What Claude Code has to be told beside the owner's arguments. Those stay as they are.
fn missing_options(own: &[String]) -> Vec<String> {
    let has = |option: &str| {
        own.iter().any(|word| {
            word.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    let missing = CLAUDE_OPTIONS.into_iter().filter(|(option, _)| !has(option));
    missing.flat_map(|(option, value)| [Some(option), value]).flatten().map(str::to_owned).collect()
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
    Ok(AgentProgram { program, args: vec![OWN_AGENT.to_owned()], env: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitKind;
    use std::os::unix::fs::symlink;

    fn words(line: &str) -> Vec<String> {
        let agent = agent_program(Some(line)).expect("a command");
        [vec![agent.program], agent.args].concat()
    }

    const ALL: &str = "--output-format stream-json --input-format stream-json --verbose \
                       --permission-prompt-tool stdio --include-partial-messages";

    #[test]
    fn an_agent_that_cannot_run_is_said_before_the_first_session() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name).display().to_string();
        std::fs::write(at("file"), "").expect("a file");
        std::fs::create_dir(at("directory")).expect("a directory");
        let directory = home.path().to_str().expect("text");
        let tried = |program: &str, mode| {
            let agent =
                AgentProgram { program: program.to_owned(), args: Vec::new(), env: Vec::new() };
            require_program(&agent, directory, mode).map_err(|error| error.message)
        };
        for program in ["sh", "/bin/sh"] {
            assert_eq!(tried(program, SpawnMode::SameDir), Ok(()));
        }
        for (program, words) in [
            ("none-such", "PATH"),
            ("/none/such", "No such file"),
            ("./none-such", "No such file"),
            ("./file", "chmod +x"),
            (&at("directory"), "not a program"),
        ] {
            let error = tried(program, SpawnMode::SameDir).expect_err(program);
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(tried("./in-the-worktree", SpawnMode::Worktree), Ok(()));
    }

    #[test]
    fn an_agent_is_named_as_in_a_shell() {
        assert_eq!(words("my-agent"), ["my-agent"]);
        assert_eq!(
            words("'/opt/my agent' --x \"a b\" c\\ d"),
            ["/opt/my agent", "--x", "a b", "c d"]
        );
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
        assert_eq!(path[path.len() - 3..], ["-x", "--resume", "{session}"]);
        assert_eq!(resumed("my-agent", None), Ok(None));
        let own = resumed("my-agent", Some("my-agent 'go on' --in={session}"));
        assert_eq!(own.expect("good").expect("it can"), ["my-agent", "go on", "--in={session}"]);
        let error = resumed("my-agent", Some("my-agent --resume")).expect_err("no place for it");
        assert!(error.message.contains("{session}"), "{error}");
    }

    #[test]
    fn claude_code_is_told_to_say_what_it_does_and_others_are_not() {
        let env = |line| agent_program(Some(line)).expect("a command").env;
        assert_eq!(
            env("npx @anthropic-ai/claude-code"),
            [CLAUDE_SAYS_STATE.map(str::to_owned).into()]
        );
        assert_eq!(env("my-agent --model claude"), []);
    }

    #[test]
    fn claude_code_gets_its_options_in_any_spelling() {
        let cases = [
            ("claude", "claude ALL"),
            ("claude --model m", "claude ALL --model m"),
            ("/opt/bin/claude -c", "/opt/bin/claude ALL -c"),
            ("npx -y @anthropic-ai/claude-code", "npx -y @anthropic-ai/claude-code ALL"),
            ("env A=1 nice -n 5 claude --model m", "env A=1 nice -n 5 claude ALL --model m"),
            // The owner's word counts.
            (
                "claude --input-format=stream-json --verbose --output-format stream-json",
                "claude --permission-prompt-tool stdio --include-partial-messages \
                 --input-format=stream-json --verbose --output-format stream-json",
            ),
            // These are something else.
            ("my-agent --model claude", "my-agent --model claude"),
            ("sh -c claude", "sh -c claude"),
            ("claude-wrapper", "claude-wrapper"),
        ];
        for (line, expected) in cases {
            let expected = expected.replace("ALL", ALL);
            let expected: Vec<_> = expected.split_whitespace().collect();
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn claude_code_is_known_behind_a_link_and_behind_a_script_that_says_so() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir_all(at("claude/versions")).expect("a directory");
        std::fs::write(at("claude/versions/2.1.3"), "").expect("a file");
        symlink(at("claude/versions/2.1.3"), at("cc")).expect("a link");
        std::fs::write(
            at("wrapper"),
            "#!/bin/sh\n# footbridge-agent: claude-code\nexec x \"$@\"\n",
        )
        .expect("a file");
        std::fs::write(at("other"), "#!/bin/sh\nexec claude \"$@\"\n").expect("a file");
        for (name, is_known) in [("cc", true), ("wrapper", true), ("other", false), ("none", false)]
        {
            let line = at(name).display().to_string();
            assert_eq!(words(&line).len() > 1, is_known, "{name}");
        }
    }
}
