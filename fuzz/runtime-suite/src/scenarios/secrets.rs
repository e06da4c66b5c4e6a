//! Secrets stay where they belong: in no output, no command line, and no environment but the
//! agent's own (S-3, T-5).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::stage::api::TOKEN;
use super::stage::process::{argv_and_environ, descendants};
use super::stage::program::Program;
use super::stage::worker::{config, script, shell_agent};
use super::stage::{Proxy, Relay, Worker, until};
use crate::Runtime;

const VARIABLE: &str = "marked-variable-77c2";

/// Adds a field to the work secret in the relay's response to a poll.
fn add(answer: &str, name: &str, value: &Value) -> String {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut item: Value = serde_json::from_str(body).expect("JSON");
    let secret = item["secret"].as_str().expect("a secret");
    let secret = URL_SAFE_NO_PAD.decode(secret.trim_end_matches('=')).expect("base64");
    let mut secret: Value = serde_json::from_slice(&secret).expect("JSON");
    secret[name] = value.clone();
    item["secret"] = URL_SAFE_NO_PAD.encode(secret.to_string()).into();
    let body = item.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// The text of a field, wherever the relay has sent it.
fn field(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("\"{name}\":\"")).expect("it was sent");
    rest.split_once('"').expect("its end").0.to_owned()
}

/// The secrets found in a text, by name.
fn found<'a>(text: &str, secrets: &[(&'a str, String)]) -> Vec<&'a str> {
    let held = secrets.iter().filter(|(_, secret)| text.contains(secret));
    held.map(|(name, _)| *name).collect()
}

/// A `git` that records how it was called, then runs git.
fn watched_git(home: &Path) -> String {
    let real = Command::new("sh").args(["-c", "command -v git"]).output().expect("a shell");
    let real = String::from_utf8(real.stdout).expect("text");
    let bin = home.join("bin");
    std::fs::create_dir(&bin).expect("made");
    let script = format!(
        "#!/bin/sh\n{{ printf '%s\\n' \"$@\"; env; }} >> \"$HOME/seen-by-git\"\nexec {} \"$@\"\n",
        real.trim()
    );
    std::fs::write(bin.join("git"), script).expect("written");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("git"), mode).expect("a mode");
    format!("PATH=\"{}:$PATH\"; export PATH", bin.display())
}

fn repository(home: &Path) {
    let script = "git init --quiet && git -c user.name=a -c user.email=a@b \
                  commit --quiet --allow-empty -m first";
    let made = Command::new("sh").args(["-c", script]).current_dir(home).status();
    assert!(made.expect("a shell").success());
}

pub fn the_program_shows_no_secret_and_passes_them_only_to_its_agent<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let home = home.path();
    repository(home);
    let shell = watched_git(home);
    let proxy = Proxy::to(&relay.address);
    let variables = json!({ "API_KEY": VARIABLE });
    let add_variables = move |answer: String| add(&answer, "environment_variables", &variables);
    proxy.rewrite("\"lease_seconds\"", Box::new(add_variables));
    // What the proxy rewrites is an answer, which a stream of work has none of.
    let options = [
        "--verbose",
        "--json",
        "--work-by",
        "poll",
        "--spawn-mode",
        "worktree",
        "--allow-variable",
        "API_KEY",
        "--allow-variable",
        "FOOTBRIDGE_SESSION_TOKEN",
    ];
    let mut program = Program::start::<R>(&proxy.address, home, &shell, &options);
    let session = relay.session();
    let agent = session.running();
    session.say("env > \"$HOME/seen-by-command\"; echo done");
    // Failures are reported in words, and words could reveal too much.
    proxy.cut();
    session.answer(json!({"behavior": "allow"}));
    session.turn(1);

    let [_, of_agent] = argv_and_environ(agent);
    let token = of_agent.lines().find_map(|line| line.strip_prefix("FOOTBRIDGE_SESSION_TOKEN="));
    let sent = proxy.downstream();
    let secrets = [
        ("access token", TOKEN.to_owned()),
        ("environment secret", field(&sent, "environment_secret")),
        ("work secret", field(&sent, "secret")),
        ("session token", token.expect("the agent's own").to_owned()),
        ("variable", VARIABLE.to_owned()),
    ];
    assert_eq!(found(&of_agent, &secrets), ["session token", "variable"]);
    for pid in descendants(program.pid()).into_iter().chain([program.pid()]) {
        let [argv, _] = argv_and_environ(pid);
        assert_eq!(found(&argv, &secrets), [""; 0], "{argv}");
    }
    session.stop();
    session.result();
    assert_eq!(program.end(), Some(0));
    assert_eq!(found(&program.printed(), &secrets), [""; 0]);
    let read = |name: &str| std::fs::read_to_string(home.join(name)).expect("it was seen");
    assert_eq!(found(&read("seen-by-git"), &secrets), [""; 0]);
    // What an agent does with its variables is its own business; its session's token is not.
    assert_eq!(found(&read("seen-by-command"), &secrets), ["variable"]);
}

pub fn a_refused_token_is_not_shown<R: Runtime>() {
    let (mut relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    relay.kill();
    let other = "FOOTBRIDGE_TOKEN=marked-wrong-token-90d1; export FOOTBRIDGE_TOKEN";
    let mut program = Program::start::<R>(&relay.address, home.path(), other, &["--verbose"]);
    relay.restart();
    assert_eq!(program.wait(), Some(3), "{}", program.printed());
    assert!(!program.printed().contains("marked"), "{}", program.printed());
}

pub fn no_printed_action_or_event_shows_a_secret<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let agent = shell_agent::<R>(&["--permission-mode", "bypassPermissions"]);
    let mut config = config(&proxy.address, home.path(), agent);
    let state = home.path().join("state");
    config.state_directory = Some(state.to_str().expect("text").to_owned());
    config.allowance.variables.push("FOOTBRIDGE_SESSION_TOKEN".to_owned());
    let shown = format!("{config:?}");
    let worker = Worker::start::<R>(config);
    let session = relay.session();
    let [_, of_agent] = argv_and_environ(session.running());
    session.say("echo said");
    session.turn(1);
    proxy.cut();
    session.stop();
    session.result();
    let token = of_agent.lines().find_map(|line| line.strip_prefix("FOOTBRIDGE_SESSION_TOKEN="));
    let sent = proxy.downstream();
    let secrets = [
        ("access token", TOKEN.to_owned()),
        ("environment secret", field(&sent, "environment_secret")),
        ("work secret", field(&sent, "secret")),
        ("session token", token.expect("the agent's own").to_owned()),
    ];
    let trace = worker.trace();
    assert!(trace.contains("Spawn") && trace.contains("Save"), "{trace}");
    assert_eq!(found(&(trace + &shown), &secrets), [""; 0]);
    worker.shut_down();
}

pub fn an_mcp_configuration_is_in_a_private_file_that_is_removed_with_its_session<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let mcp = json!({ "mcpServers": { "a": { "env": { "KEY": VARIABLE } } } });
    let add_mcp = move |answer: String| add(&answer, "mcp_config", &mcp);
    proxy.rewrite("\"lease_seconds\"", Box::new(add_mcp));
    let agent = "echo \"$2\" > file; exec cat";
    let mut agent = script(agent);
    agent.args.push("sh".to_owned());
    let mut config = config(&proxy.address, home.path(), agent);
    config.state_directory = Some(home.path().join("state").to_str().expect("text").to_owned());
    config.allowance.flags.push("mcp-config".to_owned());
    let worker = Worker::start::<R>(config);
    let session = relay.session();
    let [argv, environ] = argv_and_environ(session.running());
    let file = until("the file's name", || {
        let name = std::fs::read_to_string(home.path().join("file")).ok()?;
        name.strip_suffix('\n').map(PathBuf::from)
    });
    let held = std::fs::read_to_string(&file).expect("it is there");
    assert!(held.contains(VARIABLE), "{held}");
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    session.stop();
    session.result();
    until("the file is gone", || (!file.exists()).then_some(()));
    let seen = [argv, environ, worker.trace()].concat();
    assert!(!seen.contains(VARIABLE), "{seen}");
    worker.shut_down();
}
