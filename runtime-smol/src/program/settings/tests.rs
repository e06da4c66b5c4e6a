//! Where a setting's value comes from, and the errors for invalid ones.

use std::path::Path;

use super::*;
use footbridge_cli::exit::ExitKind;

fn place(directory: &Path) -> Place {
    let home = Some("/home/me".into());
    Place { path: directory.join("config.toml"), is_named: false, home }
}

fn given(flag: &str, text: &str) -> Given {
    let setting = Setting::of_flag(flag).expect("a setting");
    Given { setting, flag: format!("--{flag}"), text: text.to_owned() }
}

fn from_file(text: &str) -> Result<Settings, Error> {
    let directory = tempfile::tempdir().expect("a directory");
    let place = place(directory.path());
    std::fs::write(&place.path, text).expect("written");
    Settings::gather(Some(&place), [], &[]).map(|(settings, _)| settings)
}

#[test]
fn a_flag_overrides_a_variable_which_overrides_the_file_which_overrides_the_default() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = place(directory.path());
    let file = |line| Origin::File { path: place.path.clone(), line };
    let variable = || Origin::Variable("FOOTBRIDGE_MAX_SESSIONS".to_owned());
    let flag = || Origin::Flag("--max-sessions".to_owned());
    let cases = [
        (None, None, None, 32, Origin::Default),
        (Some("# mine\nmax_sessions = 1_0"), None, None, 10, file(2)),
        (Some("max_sessions = 10"), Some("20"), None, 20, variable()),
        (Some("max_sessions = 10"), Some(""), None, 10, file(1)),
        (Some("max_sessions = 10"), None, Some("30"), 30, flag()),
        (Some("max_sessions = 10"), Some("20"), Some("30"), 30, flag()),
        (None, Some("20"), Some("30"), 30, flag()),
    ];
    for (in_file, in_environment, on_line, value, origin) in cases {
        std::fs::write(&place.path, in_file.unwrap_or_default()).expect("written");
        let variables = in_environment
            .map(|text: &str| ("FOOTBRIDGE_MAX_SESSIONS".to_owned(), text.to_owned()));
        let flags: Vec<_> = on_line.map(|text| given("max-sessions", text)).into_iter().collect();
        let (settings, unknown) =
            Settings::gather(Some(&place), variables, &flags).expect("good settings");
        assert_eq!(settings.max_sessions, Slot { value: Count(value), origin });
        assert!(unknown.is_empty());
    }
}

#[test]
fn every_setting_can_be_given_in_every_way() {
    // What it shows is also what it accepts.
    let examples = [
        ("listen", "\"[::1]:1\"", "[::1]:1"),
        ("behind_proxy", "true", "true"),
        ("public_url", "\"https://a.example\"", "https://a.example"),
        ("allow_host", "[\"a.example\", \"*.b.example\"]", "a.example,*.b.example"),
        ("allow_private_push", "true", "true"),
        ("own_certificate", "true", "true"),
        ("tls_cert", "\"/c\"", "/c"),
        ("tls_key", "\"/k\"", "/k"),
        ("data", "\"/data\"", "/data"),
        ("in_memory", "true", "true"),
        ("max_data", "\"500M\"", "500M"),
        ("keep_ended", "\"168h\"", "7d"),
        ("code_sessions", "true", "true"),
        ("demand_trusted_device", "\"answer,drive\"", "answer,drive"),
        ("oidc_issuer", "\"https://id.example/\"", "https://id.example/"),
        ("oidc_client_id", "\"footbridge\"", "footbridge"),
        ("oidc_client_secret_file", "\"/s\"", "/s"),
        ("oidc_ca_file", "\"/o\"", "/o"),
        ("no_trusted_device", "true", "true"),
        ("relay", "\"https://b.example\"", "https://b.example"),
        ("ca_file", "\"/ca\"", "/ca"),
        ("token_file", "\"/t\"", "/t"),
        ("secrets", "\"keyring\"", "keyring"),
        ("agent", "'''a \"b c\"'''", "a \"b c\""),
        ("agent_resume", "\"a --in {session}\"", "a --in {session}"),
        ("allow_missing_agent", "true", "true"),
        ("directory", "\"/d\"", "/d"),
        ("name", "\"n\"", "n"),
        ("spawn_mode", "\"worktree\"", "worktree"),
        ("disposable", "[\"out\", \"*.log\"]", "out,*.log"),
        ("max_sessions", "7", "7"),
        ("session_limit", "\"90m\"", "1h30m"),
        ("shutdown_grace", "\"1500ms\"", "1s500ms"),
        ("allow_variable", "[\"A\", \"B\"]", "A,B"),
        ("allow_flag", "[\"--settings\", \"mcp-config\"]", "settings,mcp-config"),
        ("allow_relay", "[\"https://i.example\"]", "https://i.example"),
        ("trust_repository", "true", "true"),
        ("hand_over", "true", "true"),
        ("never_give_up", "true", "true"),
        ("trust_relay", "true", "true"),
        ("transport", "\"v2\"", "v2"),
        ("work_by", "\"poll\"", "poll"),
        ("health", "\"127.0.0.1:1\"", "127.0.0.1:1"),
        ("conn_initial_ms", "1", "1"),
        ("conn_cap_ms", "2", "2"),
        ("conn_give_up_ms", "3", "3"),
        ("general_initial_ms", "4", "4"),
        ("general_cap_ms", "5", "5"),
        ("general_give_up_ms", "6", "6"),
        ("stop_work_base_delay_ms", "7", "7"),
        ("log_level", "\"debug\"", "debug"),
        ("log_format", "\"json\"", "json"),
    ];
    assert_eq!(
        examples.map(|(key, ..)| key).to_vec(),
        SETTINGS.iter().map(|s| s.key).collect::<Vec<_>>()
    );
    for ((key, in_file, text), setting) in examples.into_iter().zip(SETTINGS) {
        let value = |settings: &Settings| settings.rows_of(setting).expect("a value").0;
        let settings = from_file(&format!("{key} = {in_file} # so")).expect(key);
        assert_eq!(value(&settings), text, "{key}");
        let variable = [(setting.variable(), text.to_owned())];
        let (settings, _) = Settings::gather(None, variable, &[]).expect(key);
        assert_eq!(value(&settings), text, "{key}");
        let flag = [given(&setting.flag(), text)];
        let (settings, _) = Settings::gather(None, [], &flag).expect(key);
        assert_eq!(value(&settings), text, "{key}");
    }
}

#[test]
fn a_path_in_the_file_is_relative_to_the_file_or_to_home() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = place(directory.path());
    let text = "directory = \"work\"\ntoken_file = \"~/token\"\nca_file = \"/etc/ca\"";
    std::fs::write(&place.path, text).expect("written");
    let (settings, _) = Settings::gather(Some(&place), [], &[]).expect("good settings");
    assert_eq!(settings.directory.value, Some(directory.path().join("work")));
    assert_eq!(settings.token_file.value, Some("/home/me/token".into()));
    assert_eq!(settings.ca_file.value, Some("/etc/ca".into()));
}

#[test]
fn an_error_in_the_file_names_its_line_and_what_is_allowed() {
    let cases = [
        ("\n\nmax_session = 3", ":3: unknown setting max_session; did you mean max_sessions?"),
        ("max-sessions = 3", ":1: unknown setting max-sessions; did you mean max_sessions?"),
        ("colour = 3", "unknown setting colour; the settings are listen, behind_proxy,"),
        ("max_sessions = \"3\"", ":1: max_sessions must be a whole number"),
        ("max_sessions = 0x3", ":1: max_sessions must be a whole number"),
        ("max_sessions = 3.5", ":1: max_sessions must be a whole number"),
        ("max_sessions = [3]", ":1: max_sessions must be a whole number"),
        ("max_sessions = 0", ":1: max_sessions: \"0\" is not a number from 1 to 1024"),
        ("never_give_up = \"true\"", ":1: never_give_up must be true or false"),
        ("name = 3", ":1: name must be text in quotes"),
        ("directory = true", ":1: directory must be text in quotes"),
        ("allow_variable = \"A\"", ":1: allow_variable must be a list"),
        ("allow_variable = [\"A\", 3]", ":1: allow_variable must be a list"),
        ("allow_variable = [[\"A\"]]", ":1: allow_variable must be a list"),
        ("session_limit = \"5\"", ":1: session_limit: \"5\" is not a duration"),
        ("spawn_mode = \"tree\"", "is not same-dir, worktree or single-session"),
        ("relay = \"http://example.org\"", ":1: relay: "),
        ("agent = \"a 'b\"", "unclosed quote"),
        ("name = \"a\"\nname = \"b\"", ":2: name is set twice"),
        ("\n[worker]\nname = \"a\"", ":2: settings are written as"),
        ("worker.name = \"a\"", ":1: settings are written as"),
        ("name = { a = 1 }", ":1: name must be text in quotes"),
        ("name =", ":1: invalid TOML"),
        ("transport = nope", ":1: invalid TOML: string values must be quoted"),
        ("transport = info", ":1: invalid TOML: string values must be quoted"),
        ("session_limit = 12h", ":1: invalid TOML: string values must be quoted"),
        ("name = \"a\" b", ":1: invalid TOML"),
        ("name = \"a", ":1: invalid TOML"),
        ("\nname", ":2: invalid TOML"),
    ];
    for (text, expected) in cases {
        let error = from_file(text).expect_err(text);
        assert_eq!(error.why, ExitKind::Usage, "{text}");
        assert!(error.message.contains(expected), "{text}: {error}");
        assert!(error.message.contains("config.toml:"), "{text}: {error}");
    }
}

#[test]
fn a_secret_in_the_file_is_an_error_that_says_where_it_belongs_without_showing_it() {
    for text in [
        "token = \"hunter2-hunter2\"",
        "access_token = 'hunter2-hunter2'",
        "FOOTBRIDGE_TOKEN = \"hunter2-hunter2\"",
        "secret = \"hunter2-hunter2\"",
        "\"my password\" = \"hunter2-hunter2\"",
    ] {
        let error = from_file(text).expect_err(text);
        assert!(error.message.contains("FOOTBRIDGE_TOKEN"), "{text}: {error}");
        assert!(error.message.contains("token_file"), "{text}: {error}");
        assert!(!error.message.contains("hunter2"), "{text}: {error}");
    }
    // Nor is any other value that is not one of ours.
    for text in
        ["key = \"hunter2\"", "token = \"hunter2", "name = [\"hunter2\"]", "hunter2 hunter2 ="]
    {
        let error = from_file(text).expect_err(text);
        let shown = error.message.matches("hunter2").count();
        assert_eq!(shown, 0, "{text}: {error}");
    }
}

#[test]
fn an_invalid_variable_is_an_error_that_names_it_and_an_unknown_one_is_only_a_warning() {
    let set =
        |name: &str, text: &str| Settings::gather(None, [(name.to_owned(), text.to_owned())], &[]);
    let error = set("FOOTBRIDGE_MAX_SESSIONS", "many").expect_err("no number");
    assert!(error.message.starts_with("FOOTBRIDGE_MAX_SESSIONS: \"many\" is not"), "{error}");
    let (_, unknown) = set("FOOTBRIDGE_MAX_SESSION", "1").expect("no error");
    let warning =
        "FOOTBRIDGE_MAX_SESSION is set but is not a setting; did you mean FOOTBRIDGE_MAX_SESSIONS?";
    assert_eq!(unknown, [warning]);
    for other in OTHER_VARIABLES {
        assert!(set(other, "x").expect("no error").1.is_empty(), "{other}");
    }
}

#[test]
fn a_higher_source_replaces_a_list_and_repeated_flags_build_one() {
    let variables = [("FOOTBRIDGE_ALLOW_VARIABLE".to_owned(), "A, B".to_owned())];
    let (settings, _) = Settings::gather(None, variables.clone(), &[]).expect("good settings");
    assert_eq!(settings.allow_variable.value.0, ["A", "B"]);
    let flags = [given("allow-variable", "C"), given("allow-variable", "D")];
    let (settings, _) = Settings::gather(None, variables, &flags).expect("good settings");
    assert_eq!(settings.allow_variable.value.0, ["C", "D"]);
}

#[test]
fn the_file_is_the_one_named_or_the_one_in_the_default_place() {
    let found = |flag: Option<&str>, variables: &[(&str, &str)]| {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.into())
        };
        let place = Place::find(flag.map(Path::new), variable);
        place.map(|place| (place.path.display().to_string(), place.is_named))
    };
    let home = ("HOME", "/h");
    let xdg = ("XDG_CONFIG_HOME", "/x");
    let named = ("FOOTBRIDGE_CONFIG", "v.toml");
    let is = |path: &str, is_named| Some((path.to_owned(), is_named));
    assert_eq!(found(None, &[]), None);
    assert_eq!(found(None, &[home]), is("/h/.config/footbridge/config.toml", false));
    assert_eq!(found(None, &[home, xdg]), is("/x/footbridge/config.toml", false));
    let relative = ("XDG_CONFIG_HOME", "x");
    assert_eq!(found(None, &[home, relative]), is("/h/.config/footbridge/config.toml", false));
    assert_eq!(found(None, &[home, xdg, named]), is("v.toml", true));
    assert_eq!(found(Some("f.toml"), &[home, xdg, named]), is("f.toml", true));

    let missing = Place { path: "/nowhere/config.toml".into(), is_named: false, home: None };
    assert!(Settings::gather(Some(&missing), [], &[]).is_ok());
    let missing = Place { is_named: true, ..missing };
    let error = Settings::gather(Some(&missing), [], &[]).expect_err("it was named");
    assert!(
        error.message.contains("/nowhere/config.toml") && error.why == ExitKind::Usage,
        "{error}"
    );
}

#[test]
fn a_file_that_is_none_is_refused_at_once_and_one_that_leads_nowhere_is_not_passed_over() {
    let home = tempfile::tempdir().expect("a directory");
    let place = place(home.path());
    let read = || Settings::gather(Some(&place), [], &[]).expect_err("no file").message;
    std::os::unix::fs::symlink("gone", &place.path).expect("a link");
    assert!(read().contains("a link to gone"), "{}", read());
    std::fs::remove_file(&place.path).expect("removed");
    let pipe = std::process::Command::new("mkfifo").arg(&place.path).status();
    assert!(pipe.expect("mkfifo runs").success());
    assert!(read().contains("not a regular file"), "{}", read());
    let none = Place { path: "/dev/null".into(), is_named: true, home: None };
    Settings::gather(Some(&none), [], &[]).expect("an empty one");
}
