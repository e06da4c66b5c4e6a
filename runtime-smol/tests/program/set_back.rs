//! A relay that is set back to a backup while its worker goes on.

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge, output, until};
use crate::storm::{log, worker};

/// It notes each word that it is given before it repeats it, and asks a question about some.
const AGENT: &str = r#"
while read -r line; do
    case $line in
    *'"type":"user"'*)
        word=$(printf '%s' "$line" | sed 's/.*"content":"\([^"]*\)".*/\1/')
        printf '%s\n' "$word" >> given
        printf '{"type":"said","word":"%s"}\n' "$word"
        case $word in ask*)
            printf '{"type":"control_request","request_id":"%s","request":{"subtype":"can_use_tool","tool_name":"T","input":{}}}\n' "$word" ;;
        esac ;;
    *'"type":"control_response"'*)
        printf 'answered\n' >> given ;;
    esac
done
"#;

fn relay(home: &Path, listen: &str, data: &str) -> Running {
    let args = ["relay", "--listen", listen, "--json", "--data", data, "--token-file", "token"];
    Running::start(footbridge(home).args(args))
}

fn given(home: &Path, words: &[&str]) {
    until("what the agent was given", || {
        let given = std::fs::read_to_string(home.join("given")).unwrap_or_default();
        let given: Vec<_> = given.lines().collect();
        assert!(words.starts_with(&given), "{given:?}");
        (given == words).then_some(())
    });
}

fn said(relay: &Ready, session: &str, word: &str) {
    relay.event(session, |message| message["type"] == "said" && message["word"] == word);
}

#[test]
fn a_session_goes_on_at_a_relay_that_was_set_back_and_its_agent_gets_everything_once() {
    for (transport, listen) in [("v1", "127.93.0.8:0"), ("v2", "127.93.0.9:0")] {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().canonicalize().expect("there");
        std::fs::write(home.join("agent.sh"), AGENT).expect("written");
        let mut original = relay(&home, listen, "data");
        let mut known = ready(&mut original);
        let mut work = Running::start(&mut worker(&home, &known.url, transport));
        known.environment = ready(&mut work).environment;
        let session = known.new_session();
        known.send(&session, "one");
        said(&known, &session, "one");
        let made = output(&home, &["backup", "--data", "data", "copy"]);
        assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
        known.send(&session, "two");
        known.send(&session, "ask");
        known.event(&session, |message| message["type"] == "control_request");

        original.signal(Signal::KILL);
        original.wait();
        let address = known.url.split_once("://").expect("a URL").1;
        let mut set_back = relay(&home, address, "copy");
        ready(&mut set_back);
        // They get the numbers that the copy has never heard of.
        let later = ["three", "four", "five"];
        later.iter().for_each(|word| known.send(&session, word));
        given(&home, &["one", "two", "ask", "three", "four", "five"]);
        // Nobody knew of the question any more.
        known.allow(&session);
        given(&home, &["one", "two", "ask", "three", "four", "five", "answered"]);
        said(&known, &session, "five");
        let events = log(&known, &session).expect("a log");
        let of = |subtype: &str| {
            events.iter().filter(|event| event["message"]["subtype"] == subtype).count()
        };
        let numbers = [of("relay_set_back"), of("lines_lost"), of("agent_started")];
        assert_eq!(numbers, [1, 0, 1], "{transport}: {events:#?}");
        let mut words: Vec<_> =
            events.iter().filter_map(|event| event["message"]["word"].as_str()).collect();
        words.sort_unstable();
        assert_eq!(words, ["ask", "five", "four", "one", "three", "two"], "{transport}");
        let path = format!("/v1/sessions/{session}");
        let (_, seen) = known.call("GET", &path, &Value::Null);
        assert_eq!(seen["state"], "running");
        assert_eq!(seen["pending_permissions"], json!([]));
        work.signal(Signal::TERM);
        work.wait();
    }
}
