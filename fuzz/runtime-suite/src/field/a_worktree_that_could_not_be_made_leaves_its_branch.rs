//! `git worktree add` fails, for want of a filter or of space. Its branch stayed behind.

use crate::Runtime;
use crate::scenarios::stage::Worker;
use crate::scenarios::stage::repository::{Stage, git};
use crate::scenarios::stage::worker::script;

pub fn its_branch_goes_and_the_reason_is_told<R: Runtime>() {
    let stage = Stage::new();
    std::fs::write(stage.repository.join(".gitattributes"), "* filter=of-others\n").expect("it");
    git(&stage.repository, &["add", "."]);
    git(&stage.repository, &["commit", "--quiet", "-m", "with a filter"]);
    // A filter that is required and missing fails as a full disk does: halfway.
    let setting = |name: &str, value| {
        git(&stage.repository, &["config", &format!("filter.of-others.{name}"), value]);
    };
    setting("smudge", "no-such-filter");
    setting("clean", "cat");
    setting("required", "true");
    let mut config = stage.config(&stage.repository, script("exit 0"));
    config.trusts_repository = true;
    let worker = Worker::start::<R>(config);
    let session = stage.relay.session();
    let result = session.result();
    assert_eq!(result["status"], "failed", "{result}");
    let message = result["message"].as_str().expect("text");
    assert!(message.contains("its worktree could not be made"), "{result}");
    assert!(message.contains("no-such-filter"), "{result}");
    assert!(stage.worktrees().is_empty(), "{result}");
    assert_eq!(stage.branches(), "main\n");

    // Something is in its way.
    setting("smudge", "cat");
    std::fs::remove_dir(&stage.root).expect("it is empty");
    std::fs::write(&stage.root, "a file").expect("written");
    let session = stage.relay.session();
    let result = session.result();
    assert_eq!(result["status"], "failed", "{result}");
    assert_eq!(stage.branches(), "main\n", "{result}");
    worker.shut_down();
}
