//! The real Claude Code in `footbridge chat`, on a terminal and from a viewer at once (B-1). Skipped where
//! `REAL_AGENT` does not say that it is here, or there is no tmux.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::real_agent::{Disk, is_here};
use crate::support::api::Api;
use crate::support::poll;
use crate::support::program::{TOKEN, path};

/// A terminal of its own in a tmux of its own.
struct Terminal<'a> {
    home: &'a Path,
}

impl<'a> Terminal<'a> {
    fn start(home: &'a Path) -> Self {
        let terminal = Self { home };
        let shell = "exec env PS1='ready> ' ENV= sh";
        terminal.tmux(&["new-session", "-d", "-x", "120", "-y", "40", shell]);
        terminal.until("ready>");
        terminal
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command
            .arg("-u")
            .arg("-S")
            .arg(self.home.join("tmux"))
            .args(["-f", "/dev/null"])
            .args(args);
        command.env("FOOTBRIDGE_TOKEN", TOKEN).env("XDG_STATE_HOME", self.home);
        command.env("LANG", "C.UTF-8").env_remove("TMUX").env_remove("NO_COLOR");
        let output = command.stdin(Stdio::null()).output().expect("tmux runs");
        assert!(output.status.success(), "{args:?}: {output:?}");
        output
    }

    fn enter(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    #[track_caller]
    fn until(&self, text: &str) -> String {
        let mut screen = String::new();
        let found = poll(|| {
            let shown = self.tmux(&["capture-pane", "-p"]).stdout;
            screen = String::from_utf8(shown).expect("text");
            screen.contains(text).then_some(())
        });
        assert!(found.is_some(), "no {text:?} in:\n{screen}");
        screen
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command.arg("-S").arg(self.home.join("tmux")).arg("kill-server").output();
    }
}

/// The turns that the relay has of a session.
fn turns(api: &Api, session: &str) -> usize {
    api.log(session).iter().filter(|event| event["message"]["type"] == "result").count()
}

fn have_turns(api: &Api, session: &str, wanted: usize) {
    let counted = poll(|| (turns(api, session) == wanted).then_some(()));
    assert!(counted.is_some(), "{} turns instead of {wanted}", turns(api, session));
}

#[test]
fn a_terminal_and_a_viewer_share_one_conversation_and_no_turn_is_lost_when_it_changes_hands() {
    if !is_here() || Command::new("tmux").arg("-V").output().is_err() {
        return;
    }
    let disk = Disk::new(31);
    let relay = disk.relay();
    let api = relay.api();
    let home = tempfile::tempdir().expect("a directory");
    let terminal = Terminal::start(home.path());
    let (program, at) = (env!("CARGO_BIN_EXE_footbridge"), path(disk.directory.path()));
    let url = relay.url();
    terminal.enter(&format!(
        "clear; {program} chat --relay {url} --agent claude --directory {at} --title shared"
    ));
    let screen = terminal.until("shared as session_");
    let session = screen.split("shared as ").nth(1).and_then(|rest| rest.split(':').next());
    let session = session.expect("a session").to_owned();

    // A turn from here, one from there, and a question that is asked here and there and answered there.
    terminal.enter("the first words");
    terminal.until("echo: the first words");
    have_turns(&api, &session, 1);
    api.say(&session, "words from the phone");
    terminal.until("echo: words from the phone");
    have_turns(&api, &session, 2);
    let call = json!({"command": "touch allowed", "description": "a file"});
    terminal.enter(&format!("TOOL Bash {call}"));
    terminal.until("wants to use Bash");
    api.allow(&session);
    have_turns(&api, &session, 3);
    assert!(disk.directory.path().join("allowed").exists(), "the tool has run");
    terminal.until("your turn");

    // To the phone alone, and back to a terminal.
    terminal.enter("/detach");
    terminal.until("3 turns here, 3 at the relay: the same");
    api.say(&session, "nobody at the terminal");
    have_turns(&api, &session, 4);
    terminal.enter(&format!("clear; {program} attach {session} --relay {url}"));
    terminal.until("echo: nobody at the terminal");
    terminal.enter("and back again");
    terminal.until("echo: and back again");
    have_turns(&api, &session, 5);

    // One agent has had all of it, each message once.
    let log = api.log(&session);
    let is_said = |event: &&Value| event["message"]["type"] == "user";
    let said: Vec<_> = log.iter().filter(is_said).collect();
    for words in ["the first words", "words from the phone", "nobody at the", "and back again"] {
        let times = said.iter().filter(|event| event.to_string().contains(words)).count();
        assert_eq!(times, 1, "{words}: {said:?}");
    }
    let inits = log.iter().filter(|event| event["message"]["subtype"] == "init");
    let mut ids: Vec<_> = inits.filter_map(|it| it["message"]["session_id"].as_str()).collect();
    // The program's own, before the agent has said what it is.
    ids.retain(|id| *id != session);
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    terminal.enter(":stop");
    terminal.until("ended");
    assert_eq!(api.result(&session)["message"], "a person ended it");
}
