//! The real Agent SDKs, from PyPI and npm, with the real Claude Code behind a relay: what their
//! programs see is what they see of an agent on their own machine. Skipped, and that is said, where
//! `REAL_AGENT` does not say that the agent is there, or an SDK is not installed: `SDK_PYTHON` is a Python
//! that has `claude-agent-sdk`, `SDK_NODE` a directory whose `node_modules` have
//! `@anthropic-ai/claude-agent-sdk`.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::real_agent::{Disk, is_here};
use crate::support::program::{Program, path};

/// What the programs do, by name.
const PYTHON: &str = include_str!("real_sdk/scenarios.py");
const NODE: &str = include_str!("real_sdk/scenarios.mjs");

/// One kind of SDK, as a command that runs its scenarios.
struct Sdk {
    command: Vec<String>,
    scripts: TempDir,
}

impl Sdk {
    fn python() -> Option<Self> {
        let python = std::env::var("SDK_PYTHON").ok()?;
        Some(Self::of(vec![python], "scenarios.py", PYTHON))
    }

    fn node() -> Option<Self> {
        let modules = std::env::var("SDK_NODE").ok()?;
        let sdk = Self::of(vec!["node".to_owned()], "scenarios.mjs", NODE);
        let link = sdk.scripts.path().join("node_modules");
        symlink(Path::new(&modules).join("node_modules"), link).expect("a link");
        Some(sdk)
    }

    fn of(mut command: Vec<String>, name: &str, text: &str) -> Self {
        let scripts = tempfile::tempdir().expect("a directory");
        let script = scripts.path().join(name);
        std::fs::write(&script, text).expect("written");
        command.push(path(&script).to_owned());
        Self { command, scripts }
    }

    /// Those that are installed; says which are not.
    fn all() -> Vec<Self> {
        let (python, node) = (Self::python(), Self::node());
        if python.is_none() {
            eprintln!("skipped: SDK_PYTHON names no Python with claude-agent-sdk");
        }
        if node.is_none() {
            eprintln!("skipped: SDK_NODE names no directory with @anthropic-ai/claude-agent-sdk");
        }
        python.into_iter().chain(node).collect()
    }

    /// Starts one of its programs, with this agent, in this directory.
    fn start(&self, agent: &Path, name: &str, at: &Path, env: &[(&str, &str)]) -> Running {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).arg(agent).arg(name).current_dir(at);
        command.envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Running { child, stdout }
    }
}

/// A program of an SDK that runs.
struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Running {
    /// What it prints until this line, or until its end.
    #[track_caller]
    fn until(&mut self, last: Option<&str>) -> Vec<String> {
        let mut lines = Vec::new();
        let begun = Instant::now();
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).expect("text");
            assert!(begun.elapsed() < Duration::from_secs(120), "{lines:?}");
            if read == 0 {
                assert!(last.is_none(), "it ended: {lines:?}");
                return lines;
            }
            let line = line.trim_end().to_owned();
            let is_last = Some(line.as_str()) == last;
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    #[track_caller]
    fn ends(mut self) -> Vec<String> {
        let lines = self.until(None);
        let status = self.child.wait().expect("a child");
        assert!(status.success() && lines.last().is_some_and(|line| line == "done"), "{lines:?}");
        lines
    }
}

/// `footbridge` under the name by which it stands in for an agent.
fn stand_in(home: &Path) -> PathBuf {
    let link = home.join("footbridge-agent");
    symlink(env!("CARGO_BIN_EXE_footbridge"), &link).expect("a link");
    link
}

/// What a program needs to find its session.
fn reach<'a>(program: &'a Program, token: &'a str) -> [(&'a str, &'a str); 2] {
    [("FOOTBRIDGE_RELAY", program.url()), ("FOOTBRIDGE_TOKEN", token)]
}

#[test]
fn a_program_sees_the_same_through_a_relay_as_of_an_agent_beside_it() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(21);
    let program = disk.up();
    let token = program.api().token().to_owned();
    let (home, beside) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let agent = stand_in(home.path());
    for sdk in Sdk::all() {
        for name in
            ["turns", "permission", "interrupt", "partial", "one_shot", "hook", "mcp", "image"]
        {
            let direct = sdk.start(Path::new("claude"), name, beside.path(), &[]).ends();
            let remote = sdk.start(&agent, name, home.path(), &reach(&program, &token)).ends();
            assert_eq!(remote, direct, "{name} of {:?}", sdk.command);
        }
        for (file, is_there) in [("allowed", true), ("denied", false), ("hooked", false)] {
            assert_eq!(disk.directory.path().join(file).exists(), is_there, "{file}");
        }
    }
}

#[test]
fn another_viewers_answer_withdraws_the_question_from_the_program() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(22);
    let program = disk.up();
    let api = program.api();
    let token = api.token().to_owned();
    let home = tempfile::tempdir().expect("a directory");
    let agent = stand_in(home.path());
    for sdk in Sdk::all() {
        let session = api.new_session();
        let [relay, token] = reach(&program, &token);
        let env = [relay, token, ("FOOTBRIDGE_SESSION", session.as_str())];
        let mut running = sdk.start(&agent, "other", home.path(), &env);
        running.until(Some("asked Bash"));
        api.allow(&session);
        let lines = running.ends();
        assert!(lines.contains(&"withdrawn".to_owned()), "{lines:?}");
        // It was there before, and stays.
        assert_eq!(api.session(&session)["state"], "running");
    }
}

#[test]
fn a_relay_that_is_killed_in_mid_turn_costs_the_program_only_time() {
    if !is_here() {
        return;
    }
    let (disk, machine) = (Disk::new(23), Disk::new(24));
    let mut relay = disk.relay();
    let _worker = machine.work(relay.url());
    let home = tempfile::tempdir().expect("a directory");
    let agent = stand_in(home.path());
    for sdk in Sdk::all() {
        let token = relay.api().token().to_owned();
        let mut running = sdk.start(&agent, "slow", home.path(), &reach(&relay, &token));
        running.until(Some("working"));
        std::thread::sleep(Duration::from_secs(2));
        relay.kill();
        relay = disk.relay();
        let lines = running.ends();
        let results = lines.iter().filter(|line| line.starts_with("result success")).count();
        assert_eq!(results, 2, "{lines:?}");
    }
}

#[test]
fn options_reach_the_agent_or_are_refused_by_name() {
    if !is_here() {
        return;
    }
    let disk = Disk::new(25);
    let program = disk.up();
    let token = program.api().token().to_owned();
    let home = tempfile::tempdir().expect("a directory");
    let agent = stand_in(home.path());
    for sdk in Sdk::all() {
        let lines = sdk.start(&agent, "model", home.path(), &reach(&program, &token)).ends();
        assert!(lines.contains(&"model some-model".to_owned()), "{lines:?}");
        let lines = sdk.start(&agent, "allowed", home.path(), &reach(&program, &token)).ends();
        let words = "allow-flag allowed-tools";
        assert!(lines.iter().any(|line| line.contains(words)), "{lines:?}");
    }
}
