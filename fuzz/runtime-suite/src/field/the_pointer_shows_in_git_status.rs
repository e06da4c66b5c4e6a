//! While a session runs, `git status` showed `bridge-pointer.json`; after a kill,
//! `.bridge-pointer.json.*.new` was left behind.

use std::fs;

use crate::Runtime;
use crate::scenarios::stage::program::Program;
use crate::scenarios::stage::repository::{git, repository};
use crate::scenarios::stage::{Relay, until};

pub fn it_is_excluded_and_what_a_crash_left_is_removed<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let top = home.path().join("a repository");
    repository(&top);
    let tree = home.path().join("a tree");
    git(&top, &["worktree", "add", "--quiet", "--detach", tree.to_str().expect("text")]);
    fs::create_dir(top.join("below [it]")).expect("made");
    for place in [top.join("below [it]"), tree, top.clone()] {
        let left = place.join(".bridge-pointer.json.2147483647.new");
        fs::write(&left, "half").expect("written");
        let options = ["--directory", place.to_str().expect("text"), "--agent", "cat"];
        let mut worker = Program::start::<R>(&relay.address, home.path(), "", &options);
        let session = relay.session();
        until("a pointer", || place.join("bridge-pointer.json").exists().then_some(()));
        assert_eq!(git(&place, &["status", "--porcelain", "--untracked-files=all"]), "");
        assert!(!left.exists(), "nobody is writing it");
        // One that a killed worker leaves later is not shown either.
        fs::write(&left, "half").expect("written");
        assert_eq!(git(&place, &["status", "--porcelain", "--untracked-files=all"]), "");
        session.stop();
        session.result();
        assert_eq!(worker.end(), Some(0), "{}", worker.printed());
        fs::remove_file(left).expect("removed");
    }
}
