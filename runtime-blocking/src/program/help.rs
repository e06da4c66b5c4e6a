//! What `--help` says.

pub(super) const WORK: &str = "\
Registers a directory of this machine at a relay and runs its sessions: the
worker of Footbridge for small machines. Ctrl-C ends them and deregisters; a
second one does so without waiting.

Usage: footbridge-worker --relay URL [OPTIONS]
       footbridge-worker agent [OPTIONS]    the built-in shell agent

Options:
      --relay URL            The relay's address: https://…, or http:// on this
                             machine
      --agent 'COMMAND …'    The program of each session, split into words as a
                             shell does. \"claude\" alone means Claude Code
                             with the flags it needs
                             [default: footbridge-worker agent]
      --directory DIR        Where the sessions work [default: this directory]
      --name NAME            The machine's name [default: its host name]
      --spawn-mode MODE      same-dir; worktree, a git worktree for each
                             session; or single-session [default: same-dir]
      --max-sessions N       Sessions at once, 1 to 1024 [default: 32]
      --session-limit TIME   The longest that a session may last [default: 24h]
      --shutdown-grace TIME  From asking an agent to end to killing it
                             [default: 30s]
      --allow-variable NAME  A variable that a session may set for its agent
                             although it changes how programs are loaded, as
                             NODE_OPTIONS does; may be repeated
      --never-give-up        Try for ever to reach the relay, not for 10 min
      --ca-file FILE         Certificate authorities to trust besides the
                             well-known ones (PEM)
      --token-file FILE      The file of the access token; nobody else may be
                             able to read it
                             [default: ~/.local/state/footbridge/token]
      --json                 Print one line of JSON on standard output once it
                             is ready, and nothing else
      --log-level LEVEL      What is told on standard error: error, warn, info,
                             or debug, with every event [default: info]
      --log-format FORMAT    text, or json: an object a line [default: text]
  -v, --verbose              As --log-level debug
  -q, --quiet                As --log-level error
  -h, --help                 This help
  -V, --version              The version

Environment:
  FOOTBRIDGE_TOKEN   The relay's access token; comes before the file
  XDG_STATE_HOME     Where footbridge/token is, instead of ~/.local/state

Exit codes:
  0  a clean end
  1  something unexpected
  2  the command line or the configuration is wrong
  3  the relay refused: the token, a permission, or it does not know of this
  4  the relay could not be reached for too long
  5  something on this machine: an agent or a file not found

Example:
  footbridge-worker --relay https://relay.example.org
";

pub(super) const AGENT: &str = "\
The built-in agent: a shell. It reads stream-json messages on standard input,
takes each as a command line, asks for permission, runs it by /bin/sh and
writes what happens to standard output.

Usage: footbridge-worker agent [OPTIONS]

Options:
      --directory DIR          Where commands run [default: this directory]
      --session-id ID          The conversation's id [default: a new one]
      --permission-mode MODE   default, acceptEdits, or bypassPermissions,
                               which runs commands without asking
                               [default: default]
  -q, --quiet                  Tell errors alone
  -h, --help                   This help

Environment:
  FOOTBRIDGE_SESSION_ID   The conversation's id, unless --session-id names it
";
