//! Git, as the worker and its check run it.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use core::time::Duration;

use crate::contract::action::ProcessSpec;

/// How long git may take to answer a question about a directory.
pub(super) const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A git command in a directory. It never prompts. Its hooks and helpers are other people's
/// programs, so the variables kept from agents are kept from them as well (S-3, T-5).
pub(super) fn git<S: AsRef<str>>(directory: &str, args: &[S], withheld: &[String]) -> ProcessSpec {
    let args = args.iter().map(AsRef::as_ref);
    let args: Vec<String> = ["-C", directory].into_iter().chain(args).map(String::from).collect();
    // A worker started from a git hook has these set, for another repository.
    let mut env_remove = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"].map(String::from).to_vec();
    env_remove.extend_from_slice(withheld);
    ProcessSpec {
        program: String::from("git"),
        args,
        env: vec![
            (String::from("GIT_TERMINAL_PROMPT"), "0".into()),
            (String::from("LC_ALL"), "C".into()),
        ],
        env_remove,
        directory: None,
    }
}
