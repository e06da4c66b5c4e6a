//! A service as an init script of OpenWrt, kept running by procd. What outlives a restart there is in
//! `/etc`; `/var` is in memory.

use super::definition::{MARK, Owner, Role, Service, User};

pub(super) fn script(service: &Service) -> String {
    let Service { role, program, args, owner, path, .. } = service;
    let user = match owner {
        Owner::System(User { name, .. }) => name.as_str(),
        Owner::Person => "nobody",
    };
    let words = shell_words::join([program].into_iter().chain(args));
    let (place, stops_within) = match role {
        Role::Relay { .. } => (None, 30),
        Role::Worker { directory, stops_within } => (Some(directory), *stops_within),
    };
    // procd has no directory to start in, and a shell that takes its words.
    let command = match place {
        Some(directory) => {
            let directory = directory.display().to_string();
            let line = format!("cd {} && exec {words}", shell_words::quote(&directory));
            format!("/bin/sh -c {}", shell_words::quote(&line))
        }
        None => words,
    };
    let home = match owner {
        Owner::System(User { home: Some(home), .. }) => home.display().to_string(),
        _ => "/tmp".to_owned(),
    };
    let variables = [format!("PATH={path}"), format!("HOME={home}"), "XDG_STATE_HOME=/etc".into()];
    let variables = shell_words::join(&variables);
    format!(
        "#!/bin/sh /etc/rc.common\n# {MARK}.\n\nUSE_PROCD=1\nSTART=95\nSTOP=10\n\n\
         start_service() {{\n\
         \tmkdir -p -m 0700 /etc/footbridge && chown {user} /etc/footbridge\n\
         \tprocd_open_instance\n\
         \tprocd_set_param command {command}\n\
         \tprocd_set_param env {variables}\n\
         \tprocd_set_param user {user}\n\
         \tprocd_set_param no_new_privs 1\n\
         \tprocd_set_param limits nofile='8192 8192'\n\
         \tprocd_set_param respawn 3600 5 0\n\
         \tprocd_set_param term_timeout {stops_within}\n\
         \tprocd_set_param stdout 1\n\
         \tprocd_set_param stderr 1\n\
         \tprocd_close_instance\n}}\n"
    )
}
