//! A worker written only from the specification's basics, over real sockets: HTTP and plain NDJSON,
//! without fences, without a subprotocol.

use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::client::{Ready, ready};
use crate::running::{Running, footbridge};

/// The same relay, for the holder of this credential.
fn with_token(relay: &Ready, token: &Value) -> Ready {
    let token = token.as_str().expect("a credential").to_owned();
    let (url, environment) = (relay.url.clone(), relay.environment.clone());
    Ready { url, token, environment, certificate: None }
}

/// The next line for the agent.
fn read_line(link: &mut WebSocket<TcpStream>) -> Value {
    loop {
        match link.read().expect("a message") {
            Message::Text(line) => return serde_json::from_str(&line).expect("one line of JSON"),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("not a line: {other:?}"),
        }
    }
}

#[test]
fn a_worker_that_knows_only_the_basics_runs_a_session() {
    let home = tempfile::tempdir().expect("a directory");
    let mut program =
        Running::start(footbridge(home.path()).args(["relay", "--listen", ":0", "--json"]));
    let relay = ready(&mut program);

    let registration = json!({"machine_name": "seed", "directory": "/", "max_sessions": 1});
    let (status, registered) = relay.call("POST", "/v1/environments/bridge", &registration);
    assert_eq!(status, 200, "{registered}");
    let environment = registered["environment_id"].as_str().expect("an id").to_owned();
    let worker = with_token(&relay, &registered["environment_secret"]);
    let relay = Ready { environment: environment.clone(), ..relay };
    let session = relay.new_session();
    relay.send(&session, "hello");

    let base = format!("/v1/environments/{environment}/work");
    let (status, item) = worker.call("GET", &format!("{base}/poll"), &Value::Null);
    assert_eq!((status, &item["data"]["id"]), (200, &json!(session)));
    let secret = item["secret"].as_str().expect("a work secret");
    let secret = URL_SAFE_NO_PAD.decode(secret).expect("base64url");
    let secret: Value = serde_json::from_slice(&secret).expect("JSON");
    let lease = with_token(&relay, &secret["session_ingress_token"]);
    let base = format!("{base}/{}", item["id"].as_str().expect("an id"));
    assert_eq!(lease.call("POST", &format!("{base}/ack"), &Value::Null).0, 200);

    let (_, address) = relay.url.split_once("://").expect("a URL");
    let url = format!("ws://{address}/v2/session_ingress/ws/{session}");
    let mut request = url.into_client_request().expect("a request");
    let bearer = format!("Bearer {}", lease.token).parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    let tcp = TcpStream::connect(address).expect("it listens");
    let (mut link, _) = tungstenite::client(request, tcp).expect("a plain connection");
    assert_eq!(read_line(&mut link)["type"], "user");

    let question = json!({"type": "control_request", "request_id": "q", "request":
        {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "ls"}}});
    link.send(Message::text(question.to_string())).expect("sent");
    relay.allow(&session);
    let answer = read_line(&mut link);
    assert_eq!(answer["response"]["response"]["behavior"], "allow");
    link.send(Message::text(r#"{"type":"result","subtype":"success"}"#)).expect("sent");
    relay.event(&session, |message| message["type"] == "result");

    let (status, heartbeat) = lease.call("POST", &format!("{base}/heartbeat"), &Value::Null);
    assert_eq!((status, &heartbeat["state"]), (200, &json!("running")));
    let (status, stopped) = worker.call("POST", &format!("{base}/stop"), &json!({"force": false}));
    assert_eq!((status, &stopped["state"]), (200, &json!("stopped")));
    // It said nothing of a result, and none is made up for it.
    assert_eq!(relay.ended(&session)["result"]["status"], "lost");
}
