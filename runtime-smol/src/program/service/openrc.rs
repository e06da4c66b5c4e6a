//! A service as an init script of OpenRC, kept running by its `supervise-daemon`.

use super::definition::{MARK, Owner, Role, Service, User};

pub(super) fn script(service: &Service) -> String {
    let Service { role, program, args, owner, path, .. } = service;
    let user = match owner {
        Owner::System(User { name, .. }) => name.as_str(),
        Owner::Person => "nobody",
    };
    // OpenRC takes these words apart as a shell does.
    let args = shell_words::join(args);
    let (what, place, stops_within) = match role {
        Role::Relay { .. } => ("Footbridge relay", None, 30),
        Role::Worker { directory, stops_within } => {
            ("Footbridge worker", Some(directory), *stops_within)
        }
    };
    let mut script = format!(
        "#!/sbin/openrc-run\n# {MARK}.\n\ndescription='{what}'\nsupervisor=supervise-daemon\n\
         command={}\ncommand_args={}\ncommand_user={user}\nno_new_privs=yes\numask=077\n\
         respawn_delay=5\nrespawn_max=0\nretry=TERM/{stops_within}/KILL/5\n\
         output_logger='logger -t '\"$RC_SVCNAME\"' -p daemon.info'\n\
         error_logger='logger -t '\"$RC_SVCNAME\"' -p daemon.info'\n",
        shell_words::quote(program),
        shell_words::quote(&args),
    );
    match place {
        Some(directory) => {
            let directory = directory.display().to_string();
            script += &format!("directory={}\n", shell_words::quote(&directory));
            script += "# Where agents and the programs that they use are found.\n";
            script += &format!("export PATH={}\n", shell_words::quote(path));
        }
        None => {
            script += "export XDG_STATE_HOME=/var/lib XDG_CONFIG_HOME=/etc\n\n\
                       start_pre() {\n\tcheckpath --directory --owner \"$command_user\" --mode 0700 /var/lib/footbridge\n}\n";
        }
    }
    script += "\ndepend() {\n\tneed net\n\tafter firewall\n}\n";
    script
}
