//! Whatever becomes of a session, its agent or its worker: nothing that the agent started stays.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use super::stage::process::{
    argv_and_environ, descendants, is_alive, kill, pid_in, signal, until_gone,
};
use super::stage::program::Program;
use super::stage::{Relay, until};
use crate::Runtime;

/// An agent that cares for neither the end of its input nor SIGTERM, and its tools: in sessions of
/// their own, one below the other, one whose parent has gone. Each writes its id to a file.
const AGENT: &str = r#"[ -n "$FOOTBRIDGE_SESSION_ID" ] || exit 0
trap "" TERM HUP
tool() { setsid sh -c "trap \"\" TERM HUP; echo \$\$ > $1; exec sleep 1000" >/dev/null 2>&1 & }
tool one; tool two; ( tool three )
setsid sh -c "setsid sh -c \"echo \\\$\\\$ > four; exec sleep 1000\" & echo \$\$ > five; exec sleep 1000" &
echo $$ > agent
while :; do sleep 1000; done"#;
const TOOLS: [&str; 6] = ["agent", "one", "two", "three", "four", "five"];

/// In a shell before the worker: a place where no cgroup can be made, if the system has one.
const NO_CGROUP: &str = r#"
own=$(awk '$0 ~ / - cgroup2 / {print $5}' /proc/self/mountinfo | head -1)/footbridge-test-$$
if mkdir "$own" 2>/dev/null; then
    echo 0 > "$own/cgroup.max.descendants"; echo $$ > "$own/cgroup.procs"
fi"#;

struct Stage {
    relay: Relay,
    home: tempfile::TempDir,
    program: Program,
}

impl Stage {
    fn new<R: Runtime>(agent: &str, shell: &str, options: &[&str]) -> Self {
        let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
        let program = start::<R>(&relay, home.path(), agent, shell, options);
        Self { relay, home, program }
    }

    /// The agent and its tools, once all of them run.
    fn tools(&self) -> Vec<u32> {
        TOOLS.map(|name| pid_in(&self.home.path().join(name))).to_vec()
    }
}

fn start<R: Runtime>(
    relay: &Relay,
    home: &Path,
    agent: &str,
    shell: &str,
    options: &[&str],
) -> Program {
    std::fs::write(home.join("agent.sh"), agent).expect("a file");
    let mine = ["--agent", "sh ./agent.sh", "--shutdown-grace", "1s"];
    Program::start::<R>(&relay.address, home, shell, &[&mine, options].concat())
}

fn all_gone(tools: Vec<u32>) {
    tools.into_iter().for_each(until_gone);
}

/// The process that would end a tool if its worker died. While a worker tries its agent there is
/// another one, which watches over that.
fn guard_of(stage: &Stage, tool: u32) -> u32 {
    let marks = until("its marks", || {
        let [_, environ] = argv_and_environ(tool);
        environ.lines().find(|line| line.starts_with("FOOTBRIDGE_TREE=")).map(str::to_owned)
    });
    until("its guard", || {
        descendants(stage.program.pid()).into_iter().find(|pid| {
            let [argv, _] = argv_and_environ(*pid);
            let mut args = argv.lines().skip_while(|arg| *arg != "--footbridge-guard").skip(1);
            args.next().is_some_and(|run| marks.contains(run))
        })
    })
}

/// Kills a worker and what watches over a tool, so that neither sees the other's death.
fn kill_with_guard(stage: &Stage, tool: u32) {
    let guard = guard_of(stage, tool);
    signal(guard, Signal::STOP);
    kill(stage.program.pid());
    until_gone(stage.program.pid());
    kill(guard);
    until_gone(guard);
}

/// A stage whose worker is dead, and the tools that nobody has ended.
fn left_alone<R: Runtime>(shell: &str) -> (Stage, Vec<u32>) {
    let stage = Stage::new::<R>(AGENT, shell, &[]);
    let _session = stage.relay.session();
    let tools = stage.tools();
    kill_with_guard(&stage, tools[1]);
    until_gone(tools[0]);
    (stage, tools)
}

/// In both ways that a system may offer: with cgroups, and without.
fn both(each: impl Fn(&str)) {
    each("");
    each(NO_CGROUP);
}

pub fn a_stop_ends_the_whole_tree_before_the_result_is_told<R: Runtime>() {
    both(|shell| {
        let mut stage = Stage::new::<R>(AGENT, shell, &[]);
        let session = stage.relay.session();
        let tools = stage.tools();
        session.stop();
        assert_eq!(session.result()["status"], "interrupted");
        assert!(!tools.into_iter().any(is_alive), "all is over when the result is told");
        assert_eq!(stage.program.end(), Some(0));
    });
}

pub fn a_time_limit_ends_the_whole_tree<R: Runtime>() {
    both(|shell| {
        let mut stage = Stage::new::<R>(AGENT, shell, &["--session-limit", "5s"]);
        let session = stage.relay.session();
        let tools = stage.tools();
        assert_eq!(session.result()["status"], "timed_out");
        all_gone(tools);
        assert_eq!(stage.program.end(), Some(0));
    });
}

pub fn the_death_of_the_agent_ends_the_whole_tree<R: Runtime>() {
    both(|shell| {
        let mut stage = Stage::new::<R>(AGENT, shell, &[]);
        let session = stage.relay.session();
        let tools = stage.tools();
        kill(tools[0]);
        assert_eq!(session.result()["status"], "failed");
        all_gone(tools);
        assert_eq!(stage.program.end(), Some(0));
    });
}

pub fn the_end_of_the_worker_ends_the_whole_tree<R: Runtime>() {
    both(|shell| {
        let mut stage = Stage::new::<R>(AGENT, shell, &[]);
        let _session = stage.relay.session();
        let tools = stage.tools();
        assert_eq!(stage.program.end(), Some(0), "{}", stage.program.printed());
        assert!(!tools.into_iter().any(is_alive), "all is over when the worker is");
    });
}

/// Without another worker that would see to it.
pub fn the_death_of_the_worker_ends_the_whole_tree<R: Runtime>() {
    both(|shell| {
        let stage = Stage::new::<R>(AGENT, shell, &[]);
        let _session = stage.relay.session();
        let tools = stage.tools();
        kill(stage.program.pid());
        all_gone(tools);
    });
}

/// If what watches over a worker dies with it, the kernel ends the agent, and the next worker the
/// rest.
pub fn the_next_worker_ends_what_nobody_else_has<R: Runtime>() {
    both(|shell| {
        let (stage, tools) = left_alone::<R>(shell);
        assert!(is_alive(tools[1]), "nobody knows of it");
        // What it starts must not run beside what is left.
        let look = "for tool in one two three four five; do \
            grep -q 'State:.[^ZX]' /proc/$(cat $tool)/status && echo $tool >> beside; done; \
            echo > looked";
        let _second = start::<R>(&stage.relay, stage.home.path(), look, shell, &[]);
        let path = |name: &str| stage.home.path().join(name);
        until("its first agent", || path("looked").exists().then_some(()));
        assert_eq!(std::fs::read_to_string(path("beside")).unwrap_or_default(), "");
        all_gone(tools);
    });
}

/// It is for that worker's next run to end, whoever else starts on this machine.
pub fn what_a_killed_worker_left_is_left_alone_by_the_workers_of_other_directories<R: Runtime>() {
    both(|shell| {
        let (stage, tools) = left_alone::<R>(shell);
        let mut other = Stage::new::<R>("echo > ran", shell, &[]);
        let _session = other.relay.session();
        until("its agent", || other.home.path().join("ran").exists().then_some(()));
        assert_eq!(other.program.end(), Some(0));
        assert!(tools[1..].iter().all(|tool| is_alive(*tool)), "they are not its own");
        let _second = start::<R>(&stage.relay, stage.home.path(), "exit 0", shell, &[]);
        all_gone(tools);
    });
}

/// Its environment says nothing, and its parent is gone: only the worker, which has got it, knows.
pub fn a_tool_that_hides_ends_with_the_last_session<R: Runtime>() {
    let hidden = r#"[ -n "$FOOTBRIDGE_SESSION_ID" ] || exit 0
        (env -i setsid sh -c "echo \$\$ > hidden; exec sleep 1000" &); exec sleep 1000"#;
    both(|shell| {
        let mut stage = Stage::new::<R>(hidden, shell, &[]);
        let session = stage.relay.session();
        let tool = pid_in(&stage.home.path().join("hidden"));
        session.stop();
        session.result();
        assert!(!is_alive(tool));
        assert_eq!(stage.program.end(), Some(0));
    });
}

/// What begins just then has no mark yet, and could be taken for an orphan.
pub fn a_session_that_begins_while_the_last_one_ends_is_left_alone<R: Runtime>() {
    let stage = Stage::new::<R>(r#"echo "{\"type\":\"x\"}"; exec cat"#, "", &[]);
    for _ in 0..25 {
        let session = stage.relay.session();
        session.event("its agent prints something", |message| message["type"] == "x");
        session.stop();
    }
}

/// What has ended by itself and come to the worker does not stay in the table of processes.
pub fn orphans_that_have_exited_are_reaped<R: Runtime>() {
    let orphans = r#"[ -n "$FOOTBRIDGE_SESSION_ID" ] || exit 0
        for n in 1 2 3 4 5; do (setsid true &); done
        sleep 0.3; for n in 1 2 3; do (setsid true &); done; exec sleep 1000"#;
    let stage = Stage::new::<R>(orphans, "", &["--session-limit", "1h"]);
    let session = stage.relay.session();
    session.running();
    let own = stage.program.pid();
    std::thread::sleep(Duration::from_millis(500));
    until("no zombie is left", || {
        let children = super::stage::process::descendants(own);
        children.into_iter().all(is_alive).then_some(())
    });
}
