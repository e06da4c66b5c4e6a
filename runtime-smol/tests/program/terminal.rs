//! `footbridge attach` on a terminal, driven through tmux as a person would.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{PATIENCE, Running, footbridge, until};

/// An agent that streams without end, attacks the terminal, or asks.
const AGENT: &str = r#"
answer() { printf '{"type":"assistant","message":{"content":[{"type":"text","text":"%s"}]}}\n' "$1"; }
end='{"type":"result","subtype":"success","is_error":false,"duration_ms":100}'
while read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"request_id":"\([^"]*\)".*/\1/p')
  case $line in
    *'"subtype":"interrupt"'*)
      printf '{"type":"control_response","response":{"subtype":"success","request_id":"%s"}}\n' "$id"
      printf '{"type":"result","subtype":"error_during_execution","is_error":true,"duration_ms":100,"terminal_reason":"aborted_streaming"}\n' ;;
    *'"type":"control_request"'*)
      printf '{"type":"control_response","response":{"subtype":"success","request_id":"%s","response":{"commands":[{"name":"compact","description":"make it short"}]}}}\n' "$id" ;;
    *'"type":"control_response"'*)
      case $line in *'"allow"'*) answer 'it was allowed' ;; *) answer "it was denied" ;; esac
      echo "$end" ;;
    *stream*)
      printf '{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"half a"}}}\n' ;;
    *attack*)
      answer '**safe**\u001b]52;c;ZXZpbA==\u0007\u001b]0;stolen\u0007\u001b[2J\u001b[H\u009b2J\u202e'
      echo "$end" ;;
    *ask*)
      printf '{"type":"control_request","request_id":"P1","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"t1","input":{"command":"rm -r /tmp/x"}}}\n' ;;
    *many*)
      n=0; while [ $n -lt 700 ]; do n=$((n+1)); answer "number $n"; done; echo "$end" ;;
  esac
done
"#;

/// How long a question has to be there before a key answers it, and a little.
const SEEN: std::time::Duration = std::time::Duration::from_millis(1200);

/// A terminal of its own in a tmux of its own.
struct Terminal<'a> {
    home: &'a Path,
}

impl<'a> Terminal<'a> {
    /// A shell in it.
    fn start(home: &'a Path, columns: u16, rows: u16) -> Self {
        let terminal = Self { home };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let size = ["-x", columns.as_str(), "-y", rows.as_str()];
        let shell = "exec env PS1='ready> ' ENV= sh";
        terminal.tmux(&[&["new-session", "-d"], &size[..], &[shell]].concat());
        terminal.until("ready>");
        terminal
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        let socket = self.home.join("tmux");
        command.arg("-u").arg("-S").arg(socket).args(["-f", "/dev/null"]).args(args);
        let is_setting = |name: &str| name.starts_with("FOOTBRIDGE_") || name == "NO_COLOR";
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_setting))
        {
            command.env_remove(name);
        }
        let command = command.env("HOME", self.home).env_remove("TMUX").env("LANG", "C.UTF-8");
        let output = command.stdin(Stdio::null()).output().expect("tmux runs");
        assert!(output.status.success(), "{args:?}: {output:?}");
        output
    }

    fn run(&self, line: &str) {
        self.type_text(line);
        self.press("Enter");
    }

    fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Its screen, with or without its styles.
    fn screen(&self, with_styles: bool) -> String {
        let styles: &[&str] = if with_styles { &["-e"] } else { &[] };
        let output = self.tmux(&[&["capture-pane", "-p"], styles].concat());
        String::from_utf8(output.stdout).expect("text")
    }

    fn until(&self, text: &str) -> String {
        let start = std::time::Instant::now();
        loop {
            let screen = self.screen(false);
            if screen.contains(text) {
                return screen;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no {text:?} in:
{screen}"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// What of the terminal a program may have changed.
    fn modes(&self) -> String {
        let format = "#{alternate_on} #{mouse_any_flag} #{cursor_flag} #{wrap_flag} #{pane_title}";
        let output = self.tmux(&["display-message", "-p", format]);
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command.arg("-S").arg(self.home.join("tmux")).arg("kill-server").output();
    }
}

fn has_colours(terminal: &Terminal<'_>) -> bool {
    let screen = terminal.screen(true);
    (31..=36).any(|colour| screen.contains(&format!("\u{1b}[{colour}m")))
}

fn has_tmux() -> bool {
    let found = Command::new("tmux").arg("-V").output().is_ok();
    if !found {
        eprintln!("skipped: there is no tmux here");
    }
    found
}

#[test]
fn a_person_at_a_terminal_speaks_answers_interrupts_resizes_and_gets_it_back() {
    if !has_tmux() {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("agent.sh"), AGENT).expect("written");
    let listen = "127.94.0.1:8787";
    let relay_program = || {
        let mut command = footbridge(home.path());
        Running::start(command.args(["relay", "--listen", listen, "--json"]))
    };
    let mut relay = relay_program();
    let found = ready(&mut relay);
    let mut command = footbridge(home.path());
    let work = [
        "work",
        "--relay",
        &found.url,
        "--json",
        "--agent",
        "sh agent.sh",
        "--conn-initial-ms",
        "100",
    ];
    let mut worker = Running::start(command.args(work));
    let found = Ready { environment: ready(&mut worker).environment, ..found };
    let session = found.new_session();
    let program = env!("CARGO_BIN_EXE_footbridge");
    let attach = format!("{program} attach {session} --relay {}", found.url);

    let terminal = Terminal::start(home.path(), 80, 24);
    let before = terminal.modes();
    terminal.run(&attach);
    terminal.until("your turn");
    assert!(terminal.modes().starts_with("1 1 1 0 "), "{}", terminal.modes());

    // Text as it comes, and an interrupt.
    terminal.run("stream it");
    terminal.until("half a");
    terminal.until("working");
    terminal.press("C-c");
    terminal.until("— stopped after 0.1 s");

    // Nothing of an attack reaches the terminal.
    terminal.run("attack");
    let screen = terminal.until("safe␛]52;c;ZXZpbA==␇␛]0;stolen␇␛[2J");
    assert!(screen.contains("> stream it") && !terminal.modes().contains("stolen"), "{screen}");
    assert!(terminal.screen(true).contains("\u{1b}[1msafe"), "{}", terminal.screen(true));
    assert!(has_colours(&terminal), "{screen}");
    assert!(terminal.tmux(&["list-buffers"]).stdout.is_empty(), "the clipboard is not written to");

    // A question, on a terminal that becomes narrow, answered by a key; nothing typed before counts.
    terminal.run("ask");
    terminal.until("$ rm -r /tmp/x");
    terminal.tmux(&["resize-window", "-x", "40", "-y", "16"]);
    let screen = terminal.until("w deny, and say why");
    assert!(screen.lines().all(|line| line.chars().count() <= 40), "{screen}");
    std::thread::sleep(SEEN);
    terminal.press("y");
    terminal.until("it was allowed");

    // A connection that is lost and mended; what is said meanwhile is sent then.
    relay.signal(Signal::KILL);
    relay.wait();
    terminal.until("not connected");
    terminal.run("stream later");
    terminal.until("on its way");
    let mut relay = relay_program();
    ready(&mut relay);
    terminal.until("half a");
    terminal.until("working");
    let (_, log) =
        found.call("GET", &format!("/v1/sessions/{session}/events?limit=1000"), &Value::Null);
    let said = log["events"].as_array().expect("events").iter();
    let said = said.filter(|event| event["from"] == "viewer" && event["message"]["type"] == "user");
    assert_eq!(said.count(), 4, "nothing is said twice");
    terminal.press("C-c");
    terminal.until("· interrupted");

    // Suspended and continued, it is what it was.
    terminal.press("C-z");
    terminal.until("ready>");
    assert!(terminal.modes().starts_with("0 0 1 1 "), "{}", terminal.modes());
    terminal.run("fg");
    terminal.until("> say something");
    assert!(terminal.modes().starts_with("1 1 1 0 "), "{}", terminal.modes());

    // Ended by a signal, by Ctrl-D, by two presses of Ctrl-C: the terminal is as it was found.
    terminal.tmux(&["resize-window", "-x", "160", "-y", "24"]);
    terminal.press("C-d");
    terminal.until(&format!("left {session}"));
    assert_eq!(terminal.modes(), before);
    for signal in [Signal::TERM, Signal::HUP] {
        terminal.run(&format!("clear; NO_COLOR=1 {attach}"));
        terminal.until("> say something");
        let screen = terminal.until("safe");
        assert!(!has_colours(&terminal), "{screen}");
        let pid = std::fs::read_dir("/proc").expect("processes").flatten().find_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let is_it = line.starts_with(format!("{program}\0attach\0{session}\0").as_bytes());
            entry.file_name().to_str()?.parse::<i32>().ok().filter(|_| is_it)
        });
        let pid = pid.and_then(rustix::process::Pid::from_raw).expect("it runs");
        rustix::process::kill_process(pid, signal).expect("it is running");
        terminal.until("left session");
        assert_eq!(terminal.modes(), before);
    }
    terminal.run("clear; stty -a | tr ' ' '\\n' | grep -qx icanon && echo line'' by line");
    terminal.until("line by line");

    // More than a screen begins with is read as somebody scrolls up.
    let message = json!({"role": "user", "content": "many"});
    let body = json!({"messages": [{"type": "user", "message": message}]});
    found.call("POST", &format!("/v1/sessions/{session}/messages"), &body);
    until("all of it", || {
        let view = found.call("GET", &format!("/v1/sessions/{session}"), &Value::Null).1;
        (view["last_seq"].as_u64() > Some(700)).then_some(())
    });
    terminal.run(&format!("clear; {attach}"));
    terminal.until("number 700");
    until("stream it", || {
        for _ in 0..40 {
            terminal.press("PageUp");
        }
        let screen = terminal.screen(false);
        screen.contains("> stream it").then_some(screen)
    });
    terminal.press("Escape");
    terminal.until("number 700");
    terminal.press("C-c");
    terminal.press("C-c");
    terminal.until("left session");
    assert_eq!(terminal.modes(), before);

    // A terminal that is dumb, and one that says so, gets lines.
    terminal.run(&format!("clear; TERM=dumb {attach}"));
    terminal.until("number 700");
    assert!(terminal.modes().starts_with("0 0 "), "{}", terminal.modes());
    terminal.press("C-d");
    terminal.until("ready>");
    terminal.run(&format!("clear; {attach} --plain --viewer-only"));
    terminal.until("number 700");
    assert!(terminal.modes().starts_with("0 0 "), "{}", terminal.modes());
    terminal.press("C-c");
    terminal.until("ready>");
}

#[test]
fn an_agent_of_this_terminal_is_drawn_like_any_other_and_goes_on_when_the_terminal_is_given_back() {
    if !has_tmux() {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("agent.sh"), AGENT).expect("written");
    let mut command = footbridge(home.path());
    let mut relay =
        Running::start(command.args(["relay", "--listen", "127.94.0.2:8787", "--json"]));
    let found = ready(&mut relay);
    let terminal = Terminal::start(home.path(), 80, 24);
    let before = terminal.modes();
    let program = env!("CARGO_BIN_EXE_footbridge");
    terminal.run("cd \"$HOME\"");
    terminal.run(&format!("clear; {program} chat --relay {} --agent 'sh agent.sh'", found.url));
    terminal.until("your turn");
    let link = terminal.until("shared as session_");
    assert!(link.contains("/#/session/session_"), "{link}");

    // Text as it comes; a paste of several lines is one message.
    terminal.run("stream it");
    terminal.until("half a");
    terminal.until("working");
    terminal.press("C-c");
    terminal.until("— stopped after 0.1 s");
    let paste = home.path().join("paste");
    std::fs::write(&paste, b"ask\nwith caf\xe9").expect("written");
    let paste = paste.to_str().expect("a path");
    terminal.tmux(&["load-buffer", paste]);
    terminal.tmux(&["paste-buffer", "-p"]);
    terminal.until("  with caf");
    terminal.press("Enter");
    terminal.until("$ rm -r /tmp/x");
    std::thread::sleep(SEEN);
    terminal.press("y");
    let screen = terminal.until("it was allowed");
    assert!(!screen.contains("waits for"), "{screen}");

    terminal.run(":detach");
    let screen = terminal.until("the agent goes on; footbridge attach session_");
    assert!(screen.contains("2 turns here, 2 at the relay: the same"), "{screen}");
    assert_eq!(terminal.modes(), before);
    let session = screen.rsplit("attach ").next().and_then(|rest| rest.split_whitespace().next());
    let session = session.expect("a session");
    terminal.run(&format!("clear; {program} attach {session} --relay {}", found.url));
    terminal.until("it was allowed");
    let screen = terminal.until("your turn");
    assert!(!screen.contains("waits for its machine"), "{screen}");
    terminal.run(":stop");
    terminal.until("ended");
    terminal.press("C-d");
    terminal.until("left session");
}
