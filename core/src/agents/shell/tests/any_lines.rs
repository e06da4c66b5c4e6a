//! Any lines at all.

use proptest::prelude::*;

use super::*;

/// Lines that are mostly close to what the agent understands.
fn any_line() -> impl Strategy<Value = String> {
    let id = prop_oneof!["[a-c]", Just("P".to_owned())];
    let subtype = prop_oneof![
        Just("initialize"),
        Just("interrupt"),
        Just("set_permission_mode"),
        Just("set_model"),
        Just("x")
    ];
    let mode = prop_oneof![Just("default"), Just("bypassPermissions"), Just("plan")];
    prop_oneof![
        ".{0,40}",
        (id.clone(), subtype, mode).prop_map(|(id, subtype, mode)| {
            let request = json!({"subtype": subtype, "mode": mode});
            json!({"type": "control_request", "request_id": id, "request": request}).to_string()
        }),
        (id.clone(), "[ab ]{0,3}").prop_map(|(id, text)| {
            json!({"type": "user", "uuid": id, "message": {"content": text}}).to_string()
        }),
        (id.clone(), prop_oneof![Just("allow"), Just("deny"), Just("x")], any::<bool>()).prop_map(
            |(id, behavior, interrupt)| {
                let payload = json!({"behavior": behavior, "message": "m", "interrupt": interrupt});
                let response = json!({"subtype": "success", "request_id": id, "response": payload});
                json!({"type": "control_response", "response": response}).to_string()
            }
        ),
        id.prop_map(|id| json!({"type": "control_cancel_request", "request_id": id}).to_string()),
    ]
}

proptest! {
    #[test]
    fn arbitrary_lines_never_panic_and_every_control_request_gets_one_answer(
        lines in prop::collection::vec((any_line(), 0..4_u8), 0..40)
    ) {
        let mut host = Host::new();
        let mut asked = 0;
        for (line, then) in lines {
            let line = line.replace('\n', " ");
            // Half of the answers name the open question.
            let open = host.machine.runner.role().turn.as_ref().and_then(Turn::question);
            let line = match open {
                Some(question) => line.replace("\"P\"", &question["request_id"].to_string()),
                None => line,
            };
            let value = serde_json::from_str::<Value>(&line).unwrap_or_default();
            asked += usize::from(value["type"] == "control_request" && value["request_id"].is_string());
            host.bytes(format!("{line}\n").as_bytes());
            match then {
                0 => host.pass(Duration::from_secs(1)),
                1 if host.did(|action| matches!(action, Action::Spawn { .. })) => {
                    host.exit(ExitStatus::Code(0));
                }
                _ => {}
            }
        }
        let answers = |host: &Host| {
            host.said.iter().filter(|said| said["type"] == "control_response").count()
        };
        prop_assert_eq!(answers(&host), asked);
        host.command(Command::Shutdown);
        host.drain();
        host.pass(COMMAND_GRACE);
        host.pass(COMMAND_ABANDON_AFTER);
        host.pass(AGENT_FLUSH_TIMEOUT);
        prop_assert_eq!(host.outcome.clone(), Some(Ok(())));
        prop_assert_eq!(answers(&host), asked);
    }
}
