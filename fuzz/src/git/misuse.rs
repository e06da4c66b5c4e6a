//! How a deliberately broken worker runs git.

use crate::mutants::Mutant;

/// Changes a command's arguments as a mutant would have them.
pub(crate) fn misuse(mutant: Mutant, args: &mut Vec<String>) {
    let at = |word: &str| args.iter().position(|arg| arg == word);
    match (mutant, at("remove"), at("rev-list"), at("switch"), at("update-ref")) {
        (Mutant::ForcedRemoval, Some(at), ..) => args.insert(at + 1, String::from("--force")),
        (Mutant::BlindRemoval, Some(at), ..) if args[at - 3] == "-c" => {
            drop(args.drain(at - 3..at - 1));
        }
        (Mutant::SkipsRemoval, Some(at), ..) => {
            args.truncate(at);
            args.extend(["list", "--porcelain"].map(String::from));
        }
        // Along with its branch, so that nothing hints at it.
        (Mutant::SkipsRemoval, .., Some(at)) => {
            args.truncate(at);
            args.extend(["worktree", "list", "--porcelain"].map(String::from));
        }
        // Git then prints none.
        (Mutant::CommitBlind, _, Some(at), ..) if args[at + 1] == "--max-count=1" => {
            args[at + 1] = String::from("--max-count=0");
        }
        // What only a session's branch has is in its reflog as well.
        (Mutant::CommitBlind | Mutant::ReflogBlind, _, Some(at), ..)
            if args[at + 1] == "--walk-reflogs" =>
        {
            args[at + 3] = String::from("--max-count=0");
        }
        (Mutant::Detacher, _, _, Some(at), ..) => {
            args.truncate(at + 2);
            args.push(String::from("--detach"));
        }
        // What the branch has come to since is in its reflog as well.
        (Mutant::AnyTip, _, Some(at), ..)
            if args[at + 1] == "--walk-reflogs" && !args.iter().any(|arg| arg == "HEAD") =>
        {
            args[at + 3] = String::from("--max-count=0");
        }
        (Mutant::AnyTip, .., Some(at)) if args[at + 1] == "-d" => drop(args.pop()),
        _ => {}
    }
}
