//! What a worker that was killed has left is continued by another one, or left alone.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use super::stage::process::until_gone;
use super::stage::program::Program;
use super::stage::repository::{git, repository};
use super::stage::{Relay, until};
use super::worker_restarts::{AGENT, environments, killed_in_conversation, next_agent, subtype};
use crate::Runtime;

const POINTER: &str = "bridge-pointer.json";

/// Starts workers with an agent that resumes, from one home.
struct Place {
    relay: Relay,
    home: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { relay: Relay::start(), home: tempfile::tempdir().expect("a directory") };
        fs::write(place.home().join("agent.sh"), AGENT).expect("written");
        place
    }

    fn home(&self) -> PathBuf {
        self.home.path().canonicalize().expect("there")
    }

    /// A worker for a directory, with more options.
    fn start<R: Runtime>(&self, directory: &Path, options: &[&str]) -> Program {
        let directory = directory.to_str().expect("text");
        let agent = format!("sh {}", self.home().join("agent.sh").display());
        let (fresh, again) = (format!("{agent} new"), format!("{agent} again-{{session}}"));
        let usual = ["--directory", directory, "--agent", &fresh, "--agent-resume", &again];
        Program::start::<R>(&self.relay.address, self.home.path(), "", &[&usual, options].concat())
    }

    /// A repository, and a worktree of it.
    fn repository(&self) -> (PathBuf, PathBuf) {
        let (main, tree) = (self.home().join("main"), self.home().join("tree"));
        repository(&main);
        git(&main, &["worktree", "add", "--quiet", tree.to_str().expect("text")]);
        (main, tree)
    }

    fn worktree_of(&self, session: &str) -> PathBuf {
        let workers = self.home().join(".local/state/footbridge/workers");
        let parts = fs::read_dir(workers).expect("there").filter_map(Result::ok);
        let mut trees = parts.map(|part| part.path().join("worktrees").join(session));
        trees.find(|tree| tree.exists()).expect("it is kept")
    }
}

fn directory_of(agent: u32) -> PathBuf {
    fs::read_link(format!("/proc/{agent}/cwd")).expect("it runs")
}

pub fn without_its_state_a_worker_continues_what_a_pointer_names_if_it_is_told_to<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let project = home.path().join("project");
    fs::create_dir(&project).expect("made");
    let directory = ["--directory", "project"];
    let worker = Program::start::<R>(&relay.address, home.path(), "", &directory);
    let session = relay.session();
    let agent = session.running();
    let pointer = project.join(POINTER);
    until("a pointer", || pointer.exists().then_some(()));
    worker.kill();
    until_gone(agent);
    fs::remove_dir_all(home.path().join(".local")).expect("its state");

    let options = [directory[0], directory[1], "--continue"];
    let mut worker = Program::start::<R>(&relay.address, home.path(), "", &options);
    next_agent(&session, agent);
    let restarted = session.event("it is said", subtype("agent_restarted"));
    let why = restarted["message"].as_str().expect("text");
    assert!(why.contains("what its worker knew of the conversation is gone"), "{why}");
    assert_eq!(environments(&relay), 1);
    assert!(worker.printed().contains("continuing what ran in"), "{}", worker.printed());
    assert_eq!(worker.end(), Some(0));

    // One that nobody can continue is not fatal.
    fs::write(&pointer, "{").expect("written");
    let mut worker = Program::start::<R>(&relay.address, home.path(), "", &options);
    until("it is registered", || (environments(&relay) == 1).then_some(()));
    assert_eq!(worker.end(), Some(0));
    assert!(!pointer.exists());
}

pub fn what_another_worker_left_is_continued_as_that_worker<R: Runtime>() {
    let place = Place::new();
    let project = place.home().join("project");
    repository(&project);
    let worker = place.start::<R>(&project, &["--name", "one", "--spawn-mode", "worktree"]);
    let (session, agent) = killed_in_conversation(worker, &place.relay, &place.home());
    let tree = place.worktree_of(&session.id);
    session.say("two");

    let mut worker = place.start::<R>(&project, &["--name", "two", "--continue"]);
    session.event("it is said", subtype("agent_resumed"));
    session.echo("again-talk-1: two");
    assert_eq!(directory_of(next_agent(&session, agent)), tree);
    assert_eq!(environments(&place.relay), 1);
    let printed = worker.printed();
    assert!(printed.contains("runs as one did"), "{printed}");
    assert!(printed.contains("with --spawn-mode worktree"), "{printed}");
    assert_eq!(worker.end(), Some(0));
    assert!(!project.join(POINTER).exists());
}

pub fn what_ran_in_a_worktree_that_was_moved_goes_on_there<R: Runtime>() {
    let place = Place::new();
    let (main, tree) = place.repository();
    let worker = place.start::<R>(&tree, &["--spawn-mode", "worktree"]);
    let (session, agent) = killed_in_conversation(worker, &place.relay, &place.home());
    let own = place.worktree_of(&session.id);
    let moved = place.home().join("moved");
    git(&main, &["worktree", "move", tree.to_str().expect("text"), moved.to_str().expect("text")]);

    let mut worker = place.start::<R>(&moved, &["--continue"]);
    session.event("it is said", subtype("agent_resumed"));
    assert_eq!(directory_of(next_agent(&session, agent)), own);
    assert_eq!(environments(&place.relay), 1);
    assert!(worker.printed().contains("which was"), "{}", worker.printed());
    let mut another = place.start::<R>(&moved, &[]);
    assert_eq!(another.wait(), Some(6), "{}", another.printed());
    assert_eq!(worker.end(), Some(0));
    assert!(!moved.join(POINTER).exists());
}

pub fn a_sibling_whose_worker_runs_is_passed_over_for_one_that_was_killed<R: Runtime>() {
    let place = Place::new();
    let (main, tree) = place.repository();
    let third = place.home().join("third");
    git(&main, &["worktree", "add", "--quiet", third.to_str().expect("text")]);
    let worker = place.start::<R>(&tree, &[]);
    let (session, agent) = killed_in_conversation(worker, &place.relay, &place.home());
    let mut other = place.start::<R>(&third, &[]);
    until("it is registered", || (environments(&place.relay) == 2).then_some(()));
    let all = place.relay.api.environments();
    let its = all.iter().find(|one| one["directory"] == third.to_str().expect("text"));
    let its = its.and_then(|its| its["id"].as_str()).expect("an id");
    let living = place.relay.api.session_at(its);
    living.running();
    until("its pointer", || third.join(POINTER).exists().then_some(()));

    let mut worker = place.start::<R>(&main, &["--continue"]);
    session.event("it is said", subtype("agent_resumed"));
    assert_eq!(directory_of(next_agent(&session, agent)), tree);
    assert!(worker.printed().contains("which still runs"), "{}", worker.printed());
    assert_eq!(environments(&place.relay), 2);
    assert_eq!((worker.end(), other.end()), (Some(0), Some(0)));
}

pub fn a_session_whose_worker_runs_is_left_to_it<R: Runtime>() {
    let place = Place::new();
    let project = place.home().join("project");
    fs::create_dir(&project).expect("made");
    let mut first = place.start::<R>(&project, &["--name", "one"]);
    let session = place.relay.session();
    session.running();
    until("its pointer", || project.join(POINTER).exists().then_some(()));
    let mut second = place.start::<R>(&project, &["--name", "two", "--continue"]);
    assert_eq!(second.wait(), Some(6));
    let printed = second.printed();
    assert!(printed.contains("which still runs; stop that one first"), "{printed}");
    let pid = format!("(process {})", first.pid());
    assert!(printed.contains(&pid), "{printed}");
    session.say("one");
    session.echo("new: one");
    assert_eq!(first.end(), Some(0));
}

pub fn a_pointer_that_was_copied_with_its_directory_is_ignored_and_removed<R: Runtime>() {
    let place = Place::new();
    let (project, copy) = (place.home().join("project"), place.home().join("copy"));
    fs::create_dir_all(&project).and_then(|()| fs::create_dir_all(&copy)).expect("made");
    let worker = place.start::<R>(&project, &[]);
    killed_in_conversation(worker, &place.relay, &place.home());
    fs::copy(project.join(POINTER), copy.join(POINTER)).expect("copied");
    let mut worker = place.start::<R>(&copy, &["--continue"]);
    until("it is registered", || (environments(&place.relay) == 2).then_some(()));
    assert!(worker.printed().contains("is a copy"), "{}", worker.printed());
    assert!(!copy.join(POINTER).exists() && project.join(POINTER).exists());
    assert_eq!(worker.end(), Some(0));
}

pub fn what_another_user_has_left_is_theirs_to_continue<R: Runtime>() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a file away.
        return;
    }
    let place = Place::new();
    let project = place.home().join("project");
    fs::create_dir(&project).expect("made");
    let worker = place.start::<R>(&project, &["--name", "one"]);
    let (session, _) = killed_in_conversation(worker, &place.relay, &place.home());
    let state = fs::read_dir(place.home().join(".local/state/footbridge/workers"));
    let state = state.expect("there").next().expect("one").expect("readable").path();
    for theirs in [project.join(POINTER), state] {
        chown(&theirs, Some(1), None).expect("given away");
        let mut worker = place.start::<R>(&project, &["--name", "two", "--continue"]);
        assert_eq!(worker.wait(), Some(5));
        let printed = worker.printed();
        assert!(printed.contains("belongs to another user (id 1)"), "{printed}");
        chown(&theirs, Some(0), None).expect("taken back");
    }
    assert_eq!(session.now()["result"], serde_json::Value::Null);
}
