//! What agents pass on when their model's service says no.

use super::Case;

const RESULT: &str = "[data-testid=message][data-kind=result][data-error]";

#[test]
fn a_usage_limit_reads_as_one_with_the_time_in_the_readers_own_clock() {
    let mut case = Case::of(
        r#"printf '{"type":"result","subtype":"success","is_error":true,"result":"Claude AI usage limit reached|1760000000"}\n'
        say 'Claude AI usage limit reached|1760000000'
        printf '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":4102444800,"rateLimitType":"five_hour"}}\n'
        printf '{"type":"rate_limit_event","rate_limit_info":{"status":"allowed"}}\n'
        exec sleep 600"#,
    );
    case.page.see_text(RESULT, "Usage limit reached");
    case.page.see_text("[data-testid=message]", "The five-hour limit is reached. It resets on");
    let shown = case.page.evaluate("document.querySelector('.log').innerText");
    let shown = shown.as_str().expect("text");
    for raw in ["1760000000", "4102444800", "success", "rate_limit_event"] {
        assert!(!shown.contains(raw), "{raw} in {shown}");
    }
    let reset = "new Date(1760000000000).toLocaleTimeString(undefined, {hour: '2-digit', minute: '2-digit'})";
    let reset = case.page.evaluate(reset);
    assert!(shown.contains(reset.as_str().expect("text")), "{reset} in {shown}");
    case.page.assert_no_complaints();
}

#[test]
fn each_way_in_which_a_turn_fails_has_plain_words() {
    let of_service = |status: u16, kind: &str| {
        let error = format!(
            r#"{{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"Told so\"}}}}"#
        );
        format!(r#""subtype":"success","is_error":true,"result":"API Error: {status} {error}""#)
    };
    let cases = [
        (of_service(529, "overloaded_error"), "The model is overloaded"),
        (of_service(429, "rate_limit_error"), "The model is taking no more requests for now"),
        (of_service(401, "authentication_error"), "The agent is not signed in to its model"),
        (of_service(500, "api_error"), "The model’s service failed"),
        (of_service(400, "invalid_request_error"), "The model’s service refused the request"),
        (
            r#""subtype":"success","is_error":true,"result":"Prompt is too long""#.into(),
            "too long for the model",
        ),
        (
            r#""subtype":"success","is_error":true,"result":"Credit balance is too low""#.into(),
            "no credit left",
        ),
        (
            r#""subtype":"success","is_error":true,"result":"5-hour limit reached ∙ resets 6pm""#
                .into(),
            "Usage limit reached",
        ),
        (
            r#""subtype":"success","is_error":false,"stop_reason":"refusal""#.into(),
            "The model declined to answer",
        ),
        (r#""subtype":"error_max_turns","is_error":false"#.into(), "used up its number of turns"),
        (
            r#""subtype":"error_during_execution","is_error":true,"errors":["boom"]"#.into(),
            "The turn ended with an error",
        ),
        (r#""subtype":"error_of_tomorrow","is_error":true"#.into(), "error of tomorrow"),
        (r#""is_error":true"#.into(), "The turn ended with an error"),
    ];
    let lines: Vec<String> =
        cases.iter().map(|(fields, _)| format!("{{\"type\":\"result\",{fields}}}")).collect();
    let mut case = Case::of("while [ ! -e lines ]; do sleep 0.05; done; cat lines; exec sleep 600");
    let partial = case.file("partial");
    std::fs::write(&partial, lines.join("\n") + "\n").expect("a file");
    std::fs::rename(partial, case.file("lines")).expect("a file");
    for (_, words) in &cases {
        case.page.see_text(RESULT, words);
    }
    assert_eq!(case.page.count(RESULT), cases.len() as u64);
    let shown = case.page.evaluate("document.querySelector('.log').innerText");
    assert!(!shown.as_str().expect("text").contains("success"), "{shown}");
    case.page.assert_no_complaints();
}
