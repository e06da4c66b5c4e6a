//! Which programs a repository's configuration names, and the settings that override them (W-16).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::base::limits::MAX_GIT_OVERRIDES;
use crate::worker::git::FIRST_SETTING;

/// Settings that name programs which a command of the worker's could run, and the first of the
/// worker's own.
const NAMES: &str = "^((filter|hook|lfs\\.extension|lfs\\.customtransfer)\\.\
    |lfs\\.(.*\\.)?standalonetransferagent$\
    |credential\\.(.*\\.)?helper$\
    |core\\.(sshcommand|askpass|gitproxy|hookspath)$)";

/// The question.
pub(super) const QUESTION: [&str; 6] =
    ["config", "--includes", "--show-scope", "-z", "--get-regexp", NAMES];

/// The settings that override what the repository names by what its owner has set, or by nothing.
/// The error says why that cannot be told.
pub(super) fn overrides(answer: &str) -> Result<Vec<(String, String)>, String> {
    let mut entries = Vec::new();
    let mut parts = answer.split_terminator('\0');
    while let (Some(scope), Some(entry)) = (parts.next(), parts.next()) {
        let (key, value) = entry.split_once('\n').unwrap_or((entry, ""));
        entries.push((scope, key, value));
    }
    if entries.last() != Some(&("command", FIRST_SETTING.0, FIRST_SETTING.1)) {
        return Err(String::from(
            "git could not be kept from running what the repository's configuration names: it has to be version 2.31 or newer",
        ));
    }
    if answer.contains(char::REPLACEMENT_CHARACTER) {
        return Err(String::from(
            "the repository's configuration names a program by what is not text",
        ));
    }
    let mut found: Vec<(String, String)> = Vec::new();
    let mut seen = Vec::new();
    for (scope, key, _) in &entries {
        let is_hook = key.starts_with("hook.");
        if *scope == "command" || (is_of_owner(scope) && !is_hook) || seen.contains(key) {
            continue;
        }
        seen.push(*key);
        if seen.len() > MAX_GIT_OVERRIDES {
            return Err(String::from("the repository's configuration names too many programs"));
        }
        if is_hook {
            let name = key.rsplit_once('.').map_or(*key, |(name, _)| name);
            found.push((format!("{name}.enabled"), String::from("false")));
            continue;
        }
        // Where values add up, an empty one discards those before it.
        found.push((key.to_string(), String::new()));
        let of_owner =
            entries.iter().filter(|(scope, other, _)| is_of_owner(scope) && other == key);
        found.extend(of_owner.map(|(_, key, value)| (key.to_string(), value.to_string())));
    }
    Ok(found)
}

fn is_of_owner(scope: &str) -> bool {
    scope == "system" || scope == "global"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overridden(entries: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        let own = ("command", "core.hookspath\n/dev/null");
        let entries = entries.iter().chain([&own]);
        overrides(&entries.map(|(scope, entry)| format!("{scope}\0{entry}\0")).collect::<String>())
    }

    #[test]
    fn what_a_repository_names_is_overridden_by_what_its_owner_has_set_or_by_nothing() {
        let found = overridden(&[
            ("system", "credential.helper\nstore"),
            ("global", "filter.lfs.smudge\ngit-lfs smudge -- %f"),
            ("global", "filter.lfs.required\ntrue"),
            ("global", "hook.lint.command\nlint"),
            ("local", "filter.lfs.smudge\nevil"),
            ("local", "filter.a=b.clean\nevil\n# in two lines"),
            ("worktree", "filter.a=b.clean\nevil"),
            ("local", "filter.x.required"),
            ("local", "credential.helper\nevil"),
        ]);
        let expected = [
            ("hook.lint.enabled", "false"),
            ("filter.lfs.smudge", ""),
            ("filter.lfs.smudge", "git-lfs smudge -- %f"),
            ("filter.a=b.clean", ""),
            ("filter.x.required", ""),
            ("credential.helper", ""),
            ("credential.helper", "store"),
        ];
        assert_eq!(found.expect("told"), expected.map(|(key, value)| (key.into(), value.into())));
        assert_eq!(overridden(&[("global", "filter.lfs.smudge\nx")]), Ok(Vec::new()));
    }

    #[test]
    fn an_answer_that_does_not_tell_everything_is_an_error() {
        for answer in ["", "local\0filter.x.clean\nevil\0", "command\0core.hookspath\n/els"] {
            assert!(overrides(answer).is_err_and(|error| error.contains("2.31")), "{answer:?}");
        }
        assert!(overridden(&[("local", "filter.\u{fffd}.clean\nevil")]).is_err());
        let many: Vec<_> =
            (0..=MAX_GIT_OVERRIDES).map(|n| format!("filter.{n}.clean\nx")).collect();
        let many: Vec<_> = many.iter().map(|entry| ("local", entry.as_str())).collect();
        assert!(overridden(&many).is_err_and(|error| error.contains("too many")));
    }
}
