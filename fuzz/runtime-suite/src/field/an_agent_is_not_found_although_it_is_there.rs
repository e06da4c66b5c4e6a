//! A script whose interpreter is missing was "not found: the program X", though X is there; a
//! directory that may not be searched was reported as the program's permission.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::Runtime;
use crate::scenarios::stage::program::Program;
use crate::scenarios::stage::{Relay, until};

/// A worker with this agent; what its start and a session say, which must be the same.
#[track_caller]
fn says<R: Runtime>(home: &Path, shell: &str, options: &[&str], words: &str) {
    let relay = Relay::start();
    // Without this, it ends at once: what a session says is to be seen as well.
    let options = [options, &["--allow-missing-agent"]].concat();
    let mut worker = Program::start::<R>(&relay.address, home, shell, &options);
    until("the start says it", || worker.printed().contains(words).then_some(()));
    let session = relay.session();
    let result = session.result();
    assert_eq!(result["status"], "failed", "{result}");
    let message = result["message"].as_str().expect("text");
    assert!(message.contains(words), "{message} instead of {words}");
    assert!(!message.contains("not found"), "{message}");
    assert_eq!(worker.end(), Some(0), "{}", worker.printed());
}

pub fn what_is_really_missing_is_named<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let file = |name: &str, content: &str, mode| {
        fs::write(at(name), content).expect("written");
        fs::set_permissions(at(name), Permissions::from_mode(mode)).expect("a mode");
    };
    file("a-script", "#!/no/such/interpreter\n", 0o755);
    file("windows", "#!/bin/sh\r\necho\r\n", 0o755);
    file("empty", "", 0o755);
    file("plain", "#!/bin/sh\n", 0o644);
    symlink("/no/such/agent", at("dangling")).expect("linked");
    fs::create_dir(at("directory")).expect("made");
    let cases = [
        ("a-script", "its first line asks for /no/such/interpreter, which is not"),
        ("windows", "its lines end as in Windows"),
        ("empty", "it is empty"),
        ("plain", "it is not marked as executable: chmod +x"),
        ("dangling", "it is a link to /no/such/agent, which is not there"),
        ("directory", "it is a directory"),
    ];
    for (name, words) in cases {
        let agent = at(name).to_str().expect("text").to_owned();
        says::<R>(home.path(), "", &["--agent", &agent], words);
    }
    // The name alone is found in PATH.
    let shell = format!("export PATH=\"{}:$PATH\"", home.path().display());
    says::<R>(home.path(), &shell, &["--agent", "a-script"], "asks for /no/such/interpreter");
}

pub fn a_directory_that_may_not_be_searched_is_named<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    let closed = home.path().join("closed");
    fs::create_dir(&closed).expect("made");
    fs::write(closed.join("agent"), "#!/bin/sh\n").expect("written");
    fs::set_permissions(closed.join("agent"), Permissions::from_mode(0o755)).expect("a mode");
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).expect("a mode");
    // Root may search any: then the worker is somebody else's, if that is possible here.
    let mut as_other = "";
    if rustix::process::geteuid().is_root() {
        let other = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "test", "-x"];
        let tried = Command::new("setpriv").args(other).arg(R::WORKER[0]).status();
        if !tried.is_ok_and(|status| status.success()) {
            return;
        }
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).expect("a mode");
        as_other = "set -- setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";
    }
    let agent = closed.join("agent").to_str().expect("text").to_owned();
    let words = format!("the directory {} may not be searched", closed.display());
    says::<R>(home.path(), as_other, &["--agent", &agent], &words);
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).expect("a mode");
}

pub fn a_path_is_meant_from_where_it_was_typed<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    fs::create_dir(home.path().join("project")).expect("made");
    fs::write(home.path().join("agent"), "#!/bin/sh\nexit 3\n").expect("written");
    fs::set_permissions(home.path().join("agent"), Permissions::from_mode(0o755)).expect("it");
    let relay = Relay::start();
    let options = ["--agent", "./agent", "--directory", "project"];
    let mut worker = Program::start::<R>(&relay.address, home.path(), "", &options);
    let session = relay.session();
    let result = session.result();
    assert_eq!(result["exit_code"], 3, "{result}");
    assert_eq!(worker.end(), Some(0), "{}", worker.printed());
}
