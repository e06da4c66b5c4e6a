use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

fn asked(line: &str) -> Request {
    let args = shell_words::split(line).expect("words").into_iter().map(OsString::from);
    let args = [OsString::from("service"), "print".into()].into_iter().chain(args);
    match args::parse(args, &[]).expect("a command line") {
        Invocation::Service(args) => request(&args, &[]).expect("a service"),
        other => panic!("{other:?}"),
    }
}

fn defined(line: &str) -> String {
    let Request { manager, service } = asked(line);
    definition(manager, &service)
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found.trim() == *line), "{line:?} is not in\n{text}");
    }
}

const WORK: &str =
    "work --relay https://r.example --directory '/srv/a b' --agent 'my agent --x=$1 100%'";

#[test]
fn a_relay_of_the_system_may_do_next_to_nothing() {
    let unit = defined(
        "--system --manager systemd --program /usr/bin/footbridge relay --listen 0.0.0.0:443 \
         --tls-cert /etc/c.pem --tls-key /etc/k.pem --data /srv/relay",
    );
    has(
        &unit,
        &[
            "ExecStart=/usr/bin/footbridge relay --listen 0.0.0.0:443 --tls-cert /etc/c.pem --tls-key /etc/k.pem --data /srv/relay",
            "User=footbridge",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "ProtectHome=yes",
            "StateDirectory=footbridge",
            "ReadWritePaths=\"/srv/relay\"",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "Type=notify",
            "WantedBy=multi-user.target",
        ],
    );
    let unit = defined("--system --manager systemd --program /home/me/footbridge relay");
    has(&unit, &["ProtectHome=read-only", "CapabilityBoundingSet="]);
}

#[test]
fn a_worker_is_read_only_except_where_its_agents_work() {
    let unit = defined(&format!(
        "--system --manager systemd --run-as daemon --program /usr/bin/footbridge {WORK}"
    ));
    has(
        &unit,
        &[
            "ExecStart=/usr/bin/footbridge work --relay https://r.example --directory \"/srv/a b\" --agent \"my agent --x=$$1 100%%\"",
            "User=daemon",
            "WorkingDirectory=/srv/a b",
            "TimeoutStopSec=90",
            "Delegate=yes",
        ],
    );
    let places = unit.lines().find(|line| line.starts_with("ReadWritePaths=\"/srv/a b\" \"-/"));
    assert!(places.is_some(), "{unit}");
    let path = unit.lines().find(|line| line.starts_with("Environment=\"PATH=/"));
    assert!(path.is_some_and(|line| line.contains("/bin")), "{unit}");
    let unit = defined(&format!("--user --manager systemd {WORK}"));
    has(&unit, &["NoNewPrivileges=yes", "WantedBy=default.target"]);
    // The manager of a person's services may not have what these need.
    assert!(!unit.contains("ProtectSystem") && !unit.contains("User="), "{unit}");
}

#[test]
fn the_small_program_has_no_word_for_its_only_command() {
    let Request { service, .. } = asked(&format!(
        "--manager procd --run-as daemon --program /usr/bin/footbridge-worker {WORK}"
    ));
    assert_eq!(service.args[0], "--relay");
}

/// Runs a script in which everything that its service manager offers prints its arguments.
fn ran(script: &str, calls: &str) -> String {
    let mut shell =
        Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut stdin = shell.stdin.take().expect("a pipe");
    let stubs = "show() { printf '<%s>' \"$@\"; echo; }\nfor f in procd_open_instance procd_set_param procd_close_instance mkdir chown checkpath need after; do eval \"$f() { show $f \\\"\\$@\\\"; }\"; done\n";
    write!(stdin, "{stubs}{script}\n{calls}\n").expect("written");
    drop(stdin);
    let output = shell.wait_with_output().expect("an end");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_scripts_of_other_managers_pass_every_word_on_as_it_is() {
    let script = defined(&format!(
        "--manager procd --run-as daemon --program '/usr/bin/foot bridge' {WORK}"
    ));
    let line = "cd '/srv/a b' && exec '/usr/bin/foot bridge' work --relay https://r.example \
         --directory '/srv/a b' --agent 'my agent --x=$1 100%'";
    let printed = ran(&script, "start_service");
    let expected = format!("<procd_set_param><command></bin/sh><-c><{line}>");
    has(&printed, &[&expected, "<procd_set_param><user><daemon>"]);

    let script = defined(&format!(
        "--manager openrc --run-as daemon --program '/usr/bin/foot bridge' {WORK}"
    ));
    let printed =
        ran(&script, "depend; eval show \"$command_args\"; show \"$command\" \"$directory\"");
    let expected = "<work><--relay><https://r.example><--directory></srv/a b><--agent>\
         <my agent --x=$1 100%>";
    has(&printed, &[expected, "</usr/bin/foot bridge></srv/a b>", "<need><net>"]);
    let printed = ran(&defined("--manager openrc relay"), "start_pre");
    assert!(printed.contains("</var/lib/footbridge>"), "{printed}");
}

#[test]
fn what_a_service_could_not_run_is_refused_now() {
    for (line, words) in [
        ("print", "needs what to do"),
        ("show relay", "service print"),
        ("print agent", "up, relay or work"),
        ("print work", "--relay"),
        ("print work --relay https://r.example --check", "up, relay or work"),
        ("print --usr relay", "did you mean --user?"),
        ("print relay --lissten :0", "--listen"),
        ("print --manager launchd relay", "systemd, openrc or procd"),
        ("print --system --run-as root relay", "root"),
        ("print --user --manager systemd --run-as bob relay", "--run-as"),
        ("print --user --manager openrc relay", "only systemd"),
        ("print --unit ../x relay", "--unit"),
        ("print --program /usr/bin/footbridge-worker relay", "footbridge work"),
        ("print relay --public-url 'https://a\nExecStart=/bin/sh'", "http"),
    ] {
        let args = shell_words::split(line).expect("words").into_iter().map(OsString::from);
        let args = [OsString::from("service")].into_iter().chain(args);
        let error = match args::parse(args, &[]) {
            Ok(Invocation::Service(args)) => request(&args, &[]).expect_err(line),
            Ok(other) => panic!("{other:?}"),
            Err(error) => error,
        };
        assert!(error.message.contains(words), "{line}: {error}");
    }
}

#[test]
fn systemd_takes_the_units() {
    let has_tool = Command::new("systemd-analyze").arg("--version").output().is_ok();
    if !has_tool {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    for (name, line) in [
        (
            "relay.service",
            "--system --manager systemd --run-as daemon --program /bin/sh relay --listen 127.0.0.1:443",
        ),
        (
            "work.service",
            &format!("--system --manager systemd --run-as daemon --program /bin/sh {WORK}"),
        ),
        ("user.service", &format!("--user --manager systemd --program /bin/sh {WORK}")),
    ] {
        let file = home.path().join(name);
        let unit = defined(line).replace("/srv/a b", "/tmp");
        fs::write(&file, unit).expect("written");
        let mut command = Command::new("systemd-analyze");
        let output = command.args(["verify", "--man=no"]).arg(&file).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let about_it = said.lines().filter(|line| line.contains(name));
        assert_eq!(about_it.count(), 0, "{said}");
    }
}
