//! `footbridge config`, and settings that take effect.

use std::path::Path;

use serde_json::Value;

use crate::running::{footbridge, output};

const TOKEN: &str = "a-token-that-must-not-show";

fn write_config(home: &Path, text: &str) {
    let directory = home.join(".config/footbridge");
    std::fs::create_dir_all(&directory).expect("made");
    std::fs::write(directory.join("config.toml"), text).expect("written");
}

fn setting<'a>(report: &'a Value, name: &str) -> &'a Value {
    let settings = report["settings"].as_array().expect("a list");
    settings.iter().find(|setting| setting["name"] == name).expect("a setting")
}

#[test]
fn config_shows_each_value_with_its_source_and_no_secret() {
    let home = tempfile::tempdir().expect("a directory");
    write_config(home.path(), "max_sessions = 3\nname = \"from the file\"\n");
    for args in [&["config", "--listen", ":1", "--json"][..], &["config", "--listen", ":1"]] {
        let mut command = footbridge(home.path());
        command.args(args).env("FOOTBRIDGE_TOKEN", TOKEN).env("FOOTBRIDGE_NAME", "from outside");
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(0));
        let stdout = String::from_utf8(output.stdout).expect("text");
        assert!(!stdout.contains(TOKEN), "{stdout}");
        let Ok(report) = serde_json::from_str::<Value>(&stdout) else {
            let file = home.path().join(".config/footbridge/config.toml:1");
            let has = |words: &[&str]| {
                stdout.lines().any(|line| words.iter().all(|word| line.contains(word)))
            };
            assert!(has(&["max_sessions", "3", &file.to_string_lossy()]), "{stdout}");
            assert!(has(&["name", "from outside", "FOOTBRIDGE_NAME"]), "{stdout}");
            assert!(has(&["session_limit", "24h", "default"]), "{stdout}");
            assert!(has(&["access token", "set", "FOOTBRIDGE_TOKEN"]), "{stdout}");
            continue;
        };
        assert_eq!(report["access_token"]["is_set"], true);
        assert_eq!(report["access_token"]["from"], "FOOTBRIDGE_TOKEN");
        assert_eq!(setting(&report, "max_sessions")["value"], 3);
        assert_eq!(setting(&report, "max_sessions")["source"], "file");
        assert_eq!(setting(&report, "name")["value"], "from outside");
        assert_eq!(setting(&report, "name")["source"], "variable");
        assert_eq!(setting(&report, "listen")["value"], "127.0.0.1:1");
        assert_eq!(setting(&report, "listen")["source"], "flag");
        assert_eq!(setting(&report, "session_limit")["source"], "default");
    }
    let unset = output(home.path(), &["config", "--json"]);
    let report: Value = serde_json::from_slice(&unset.stdout).expect("JSON");
    assert_eq!(report["access_token"]["is_set"], false);
}

#[test]
fn a_wrong_file_ends_every_command_that_reads_it_with_code_2() {
    let home = tempfile::tempdir().expect("a directory");
    write_config(home.path(), "access_token = \"a-token-that-must-not-show\"\n");
    for args in [&["up"][..], &["relay"], &["work", "--relay", "http://127.0.0.1:9"], &["config"]] {
        let output = output(home.path(), args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains("config.toml:1: this file must not contain secrets"), "{stderr}");
        assert!(!stderr.contains(TOKEN), "{stderr}");
    }
}

#[test]
fn a_worker_that_cannot_reach_its_relay_for_too_long_gives_up_with_code_4_in_the_wanted_format() {
    let home = tempfile::tempdir().expect("a directory");
    write_config(
        home.path(),
        "relay = \"http://127.0.0.1:9\"\nconn_initial_ms = 5\nconn_give_up_ms = 50\nlog_format = \"json\"\n",
    );
    let mut command = footbridge(home.path());
    let output = command.arg("work").env("FOOTBRIDGE_TOKEN", TOKEN).output().expect("it runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(!stderr.contains(TOKEN), "{stderr}");
    let lines: Vec<Value> =
        stderr.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for line in &lines {
        for field in ["time", "level", "component", "event", "message"] {
            assert!(line[field].is_string(), "{line}: {field}");
        }
    }
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().expect("text")).collect();
    assert_eq!(events.first(), Some(&"starting"));
    assert!(events.contains(&"retrying"), "{events:?}");
    let last = lines.last().expect("a line");
    assert_eq!((&last["event"], &last["level"]), (&"failed".into(), &"error".into()), "{last}");
}
