//! What `--help` says.

use footbridge_cli::help::{
    AGENT, AGENT_OPTIONS, CONTINUE, EXIT_CODES, HAND_OVER, HEALTH, LOG, REACH, READY_JSON,
    RELAY as RELAY_URL, SECRETS, TOKEN_FILE, WORK, WORKER, text as of,
};

use super::topic::Topic;

/// The help of the program, or of one command.
pub(super) fn text(topic: Topic) -> String {
    let (usage, parts): (&str, &[&str]) = match topic {
        Topic::Program => (PROGRAM, &[SETTINGS, EXIT_CODES]),
        Topic::Phone => (PHONE, &[]),
        Topic::Up => (
            UP,
            &[
                SERVE,
                SERVE_TLS,
                WORK,
                HAND_OVER,
                TOKEN_FILE,
                HEALTH,
                READY_JSON,
                CONFIG_FILE,
                LOG,
                SETTINGS,
                RELAY_ENVIRONMENT,
                EXIT_CODES,
                UP_EXAMPLE,
            ],
        ),
        Topic::Relay => (
            RELAY_PROGRAM,
            &[
                SERVE,
                SERVE_TLS,
                TOKEN_FILE,
                HEALTH,
                READY_JSON,
                CONFIG_FILE,
                LOG,
                SETTINGS,
                RELAY_ENVIRONMENT,
                EXIT_CODES,
                RELAY_EXAMPLE,
            ],
        ),
        Topic::Work => (
            WORKER,
            &[
                WORK_USAGE,
                RELAY_URL,
                CHECK,
                CONTINUE,
                WORK,
                HAND_OVER,
                REACH,
                TOKEN_FILE,
                SECRETS,
                HEALTH,
                READY_JSON,
                CONFIG_FILE,
                LOG,
                BACKOFF,
                SETTINGS,
                WORK_ENVIRONMENT,
                EXIT_CODES,
                WORK_EXAMPLE,
            ],
        ),
        Topic::SignIn => {
            (SIGN_IN, &[SIGN_IN_RELAY, TOKEN_FILE, CONFIG_FILE, LOG, SETTINGS, EXIT_CODES])
        }
        Topic::LogIn => (
            LOG_IN,
            &[
                LOG_IN_OPTIONS,
                TRUSTED_DEVICE,
                LOG_IN_RELAY,
                SECRETS,
                CONFIG_FILE,
                LOG,
                SETTINGS,
                EXIT_CODES,
                LOG_IN_EXAMPLE,
            ],
        ),
        Topic::LogOut => {
            (LOG_OUT, &[LOG_IN_RELAY, SECRETS, CONFIG_FILE, LOG, SETTINGS, EXIT_CODES])
        }
        Topic::WhoAmI => (
            WHO_AM_I,
            &[ANSWER_JSON, LOG_IN_RELAY, SECRETS, CONFIG_FILE, LOG, SETTINGS, EXIT_CODES],
        ),
        Topic::Devices => (
            DEVICES,
            &[
                DEVICES_OPTIONS,
                OWN_RELAY,
                ANSWER_JSON,
                TOKEN_FILE,
                CONFIG_FILE,
                LOG,
                SETTINGS,
                EXIT_CODES,
            ],
        ),
        Topic::Audit => {
            (AUDIT, &[AUDIT_OPTIONS, OWN_RELAY, TOKEN_FILE, CONFIG_FILE, LOG, SETTINGS, EXIT_CODES])
        }
        Topic::Credential => (
            CREDENTIAL,
            &[
                CREDENTIAL_OPTIONS,
                TOKEN_FILE,
                CONFIG_FILE,
                LOG,
                SETTINGS,
                EXIT_CODES,
                CREDENTIAL_EXAMPLE,
            ],
        ),
        Topic::User => {
            (USER, &[USER_OPTIONS, CONFIG_FILE, LOG, SETTINGS, EXIT_CODES, USER_EXAMPLE])
        }
        Topic::Backup => (
            BACKUP,
            &[BACKUP_DATA, TOKEN_FILE, CONFIG_FILE, LOG, SETTINGS, EXIT_CODES, BACKUP_EXAMPLE],
        ),
        Topic::Mirror => (
            MIRROR,
            &[
                MIRROR_OPTIONS,
                TOKEN_FILE,
                SECRETS,
                CONFIG_FILE,
                LOG,
                SETTINGS,
                EXIT_CODES,
                MIRROR_EXAMPLE,
            ],
        ),
        Topic::Ps => (PS, &[EXIT_CODES]),
        Topic::Send => (
            SEND,
            &[ATTACH_RELAY, TOKEN_FILE, SECRETS, CONFIG_FILE, SEND_HELP, EXIT_CODES, SEND_EXAMPLE],
        ),
        Topic::Mcp => (
            MCP,
            &[ATTACH_RELAY, TOKEN_FILE, SECRETS, CONFIG_FILE, SEND_HELP, EXIT_CODES, MCP_EXAMPLE],
        ),
        Topic::Direct => (DIRECT, &[EXIT_CODES, DIRECT_EXAMPLE]),
        Topic::Config => (
            CONFIG,
            &[
                CONFIG_JSON,
                SERVE,
                SERVE_TLS,
                TRUSTED_DEVICE,
                RELAY_URL,
                WORK,
                HAND_OVER,
                REACH,
                TOKEN_FILE,
                SECRETS,
                HEALTH,
                CONFIG_FILE,
                LOG,
                BACKOFF,
                SETTINGS,
                CONFIG_EXAMPLE,
            ],
        ),
        Topic::Attach => (
            ATTACH,
            &[
                ATTACH_OPTIONS,
                ATTACH_RELAY,
                TOKEN_FILE,
                SECRETS,
                CONFIG_FILE,
                LOG,
                ATTACH_KEYS,
                ATTACH_JSON,
                ATTACH_SDK,
                SETTINGS,
                EXIT_CODES,
                ATTACH_EXAMPLE,
            ],
        ),
        Topic::AnswerLink => (
            ANSWER_LINK,
            &[
                ANSWER_LINK_OPTIONS,
                ATTACH_RELAY,
                TOKEN_FILE,
                SECRETS,
                CONFIG_FILE,
                LOG,
                SETTINGS,
                EXIT_CODES,
                ANSWER_LINK_EXAMPLE,
            ],
        ),
        Topic::Chat => (
            CHAT,
            &[
                CHAT_OPTIONS,
                ATTACH_RELAY,
                TOKEN_FILE,
                SECRETS,
                CONFIG_FILE,
                LOG,
                CHAT_KEYS,
                SETTINGS,
                EXIT_CODES,
                CHAT_EXAMPLE,
            ],
        ),
        Topic::Service => (SERVICE, &[EXIT_CODES, SERVICE_EXAMPLE]),
        Topic::Agent => (AGENT, &[AGENT_USAGE, AGENT_OPTIONS, EXIT_CODES, AGENT_EXAMPLE]),
    };
    of("footbridge", &[&[usage], parts].concat())
}

const PROGRAM: &str = "\
Footbridge: drive an agent on this machine from a browser anywhere else.

Usage: footbridge [COMMAND] [OPTIONS]

Commands:
  up      Relay, web page and worker for this directory in one (the default)
  relay   Only the relay and its web page
  work    A worker for a directory, for a relay that runs elsewhere
  sign-in Print an address that signs a browser in
  login   Log this machine in at a relay, by a code that you approve on its page
  logout  End that log-in
  whoami  Show whose log-in it is, and what it may do
  devices Show who is logged in, and end log-ins
  audit   Show who has done what
  credential
          Make the credential that a worker needs, and nothing more
  user    Let other people use a relay, and take that back
  backup  Copy what a relay keeps, while it works on
  mirror  Keep a copy of a session's log in a file
  direct  Serve a session without a relay, or connect to one
  ps      Show the sessions on this machine
  send    Send a message to another session
  mcp     The same as tools for an agent, by MCP
  config  Show the settings in effect and where each value comes from
  attach  Follow a session, speak in it, answer its agent's questions
  answer-link
          Print a link with which somebody else answers one question
  chat    Talk with an agent here, in a session that your phone sees too
  agent   The built-in shell agent, on standard input and output
  service Define a relay or a worker for systemd, OpenRC or procd
  help    Help for a command: footbridge help work
  completions SHELL
          Completions for bash, zsh or fish
  man     The manual, or that of a command: footbridge man work | man -l -

Options:
  -h, --help      Print this help, or the help of the command before it
  -V, --version   Print the version
";

const UP: &str = "\
Starts a relay with its web page and a worker for a directory in one process,
and prints the page's address, with a code that signs one browser in within ten
minutes. Ctrl-C shuts it down; a second Ctrl-C does so at once.

Usage: footbridge [up] [OPTIONS]

Options:
";

const RELAY_PROGRAM: &str = "\
Starts a relay with its web page, and prints the page's address, with a code
that signs one browser in within ten minutes. Workers and browsers connect to
it.

Usage: footbridge relay [OPTIONS]

Options:
";

const WORK_USAGE: &str = "
Usage: footbridge work --relay URL [OPTIONS]
       footbridge work --relay URL --check [OPTIONS]

Options:
";

const CHECK: &str = "      --check                Check everything a run needs without registering:
                             the credential, the directory and whether another
                             worker has it, the relay and its clock, git, the
                             state directory, the agent. The exit code is the
                             one a run would end with; with --json the findings
                             are one JSON object
";

const SIGN_IN: &str = "\
Prints the address of a relay's page, with a code that signs one browser in. The
code works once, within ten minutes. It takes the relay's access token.

Usage: footbridge sign-in [OPTIONS]

Options:
";

const SIGN_IN_RELAY: &str = "      --relay URL            The relay's address
                             [default: the one that runs on this machine,
                             wherever it listens]
      --listen ADDR:PORT     Where this machine's relay listens, if it keeps
                             no data (--in-memory) [default: 127.0.0.1:8787]
      --public-url URL       What to call the relay in the address that is
                             printed [default: what the relay calls itself]
      --data DIR             Its data directory, if it was started with --data:
                             its access token is there, and where it listens
      --ca-file FILE         Certificates to trust in addition to the well-known
                             authorities' (PEM): an authority's, or the
                             relay's own [default: the certificate of the relay
                             that runs on this machine]
";

const LOG_IN: &str = "\
Logs this machine in at a relay: prints a code and an address, and waits until
you have approved the code in a browser that is signed in there. What it gets is
kept in the state directory, in a file that only you can read, and renewed as
needed; footbridge work uses it.

Usage: footbridge login [OPTIONS] [RELAY]

Options:
";

const LOG_IN_OPTIONS: &str =
    "      --scope SCOPES         What the log-in may do: some of watch, answer,
                             drive and work, with commas between them
                             [default: work, which registers workers and cannot
                             see or answer anything]
      --name NAME            What to call this machine [default: its own name]
";

const TRUSTED_DEVICE: &str =
    "      --no-trusted-device    Do not become a trusted device. Otherwise a log-in
                             that may answer or drive becomes one, which relays
                             can demand: see --demand-trusted-device of
                             footbridge relay
";

const LOG_IN_RELAY: &str = "      --relay URL            The relay's address, as in RELAY
                             [default: the one of a relay on this machine]
      --ca-file FILE         Certificates to trust in addition to the well-known
                             authorities' (PEM): an authority's, or the
                             relay's own
";

const LOG_IN_EXAMPLE: &str = "
Example:
  footbridge login https://relay.example.org
  footbridge work --relay https://relay.example.org
";

const LOG_OUT: &str = "\
Ends this machine's log-in at a relay, and removes it from where it is kept.
Workers that use it are given no work any more, and their sessions end. They go
on running, and wait for the next footbridge login at that relay.

Usage: footbridge logout [OPTIONS] [RELAY]

Options:
";

const WHO_AM_I: &str = "\
Shows whose log-in this machine has at a relay, what it may do, and where it is
kept.

Usage: footbridge whoami [OPTIONS] [RELAY]

Options:
";

const ANSWER_JSON: &str = "      --json                 Print it as a single line of JSON
";

const DEVICES: &str = "\
Shows which machines and programs are logged in at a relay, and ends log-ins. It
takes the relay's access token, as footbridge sign-in does.

Usage: footbridge devices [OPTIONS]

Options:
";

const DEVICES_OPTIONS: &str =
    "      --revoke ID            End this one: its requests are refused from now on,
                             its connections cut, its workers removed
";

const AUDIT: &str = "\
Shows who has done what at a relay: who logged in, approved and revoked log-ins,
answered agents' questions, sent them messages, started, stopped and interrupted
sessions; from which device or browser, and from where. It has nothing in it
that was written to an agent. It takes the relay's access token, as footbridge
sign-in does. A relay keeps 20,000 entries of a person, for a year.

Usage: footbridge audit [OPTIONS]

Options:
";

const AUDIT_OPTIONS: &str = "      --json                 Print each entry as a line of JSON
      --since TIME           Only what was done since then: a time like
                             2026-01-31T12:00:00Z, or a duration like 7d
";

const OWN_RELAY: &str = "      --relay URL            The relay's address
                             [default: the one that runs on this machine,
                             wherever it listens]
      --listen ADDR:PORT     Where this machine's relay listens, if it keeps
                             no data (--in-memory) [default: 127.0.0.1:8787]
      --data DIR             Its data directory, if it was started with --data:
                             its access token is there, and where it listens
      --ca-file FILE         Certificates to trust in addition to the well-known
                             authorities' (PEM): an authority's, or the
                             relay's own [default: the certificate of the relay
                             that runs on this machine]
";

const CREDENTIAL: &str = "\
Prints a credential for workers, which they take in place of the access token:
it registers machines, and can neither read nor answer anything. It is signed
with the access token, is the same each time for the same name, and ends when
the relay gets another access token. The relay need not be running.

Usage: footbridge relay credential [OPTIONS]

Options:
";

const CREDENTIAL_OPTIONS: &str =
    "      --name NAME            Whose it is, such as the worker's machine
                             [default: worker]
      --out FILE             Write it to a new file that only you can read,
                             instead of printing it
      --data DIR             The relay's data directory, where its access token
                             is if it was started with --data
";

const CREDENTIAL_EXAMPLE: &str = "
Example:
  footbridge relay credential --name laptop --out laptop.credential
  footbridge work --relay https://relay.example.org \\
    --token-file laptop.credential
";

const USER: &str = "\
Lets other people use a relay, and takes that back. Each person sees, drives and
ends their own machines, sessions and log-ins, and nobody else's; what was there
before belongs to whom the relay runs for. A relay that is running takes it up
within a second. Whoever is removed is cut off at once, and their log-ins,
browsers and workers end; nobody who is added later gets what was theirs.

Usage: footbridge relay user [OPTIONS] add NAME
       footbridge relay user [OPTIONS] remove NAME
       footbridge relay user [OPTIONS] list

Options:
";

const USER_OPTIONS: &str =
    "      --oidc-email ADDRESS   With add: whom the provider (--oidc-issuer) knows
                             by this address, and has verified it, may sign
                             in as NAME. Also for somebody who is there
                             already, and for owner; can be repeated
      --oidc-subject ID      The same by what the provider calls them (sub),
                             which it gives to nobody else; can be repeated
      --data DIR             The relay's data directory, if it was started with
                             --data
";

const USER_EXAMPLE: &str = "
Example:
  footbridge relay user add eva --oidc-email eva@example.org
  footbridge relay user list
";

const MIRROR: &str = "\
Copies a session's log into a file, event by event as the relay serves them, one
on a line, and goes on as the log grows until the session has ended. However it
ends, the next one continues where it was. Where the relay no longer keeps some
events, a line says so. It waits for a relay that is away and for a disk that is
full, for as long as that takes. A second file, with .mirror after its name,
says whose log it is.

Usage: footbridge mirror [OPTIONS] --to FILE SESSION

Options:
";

const MIRROR_OPTIONS: &str =
    "      --to FILE              The file; one that is no mirror of this session is
                             not touched
      --json                 Print what it does, each as a line of JSON
      --relay URL            The relay's address
                             [default: the one that runs on this machine,
                             wherever it listens]
      --listen ADDR:PORT     Where this machine's relay listens, if it keeps
                             no data (--in-memory) [default: 127.0.0.1:8787]
      --data DIR             Its data directory, if it was started with --data:
                             its access token is there, and where it listens
      --ca-file FILE         Certificates to trust in addition to the well-known
                             authorities' (PEM): an authority's, or the
                             relay's own [default: the certificate of the relay
                             that runs on this machine]
";

const MIRROR_EXAMPLE: &str = "
Example:
  footbridge login https://relay.example.org --scope watch
  footbridge mirror --relay https://relay.example.org --to log.ndjson session_1
";

const DIRECT: &str = "\
One session without a relay. direct serve starts an agent here and lets clients
connect to it by WebSocket, from this machine unless told otherwise; direct
connect is such a client. Whoever shows the token drives the agent. Several may
be connected: the first answer to a question counts. A broken connection is
mended, and nothing is lost or said twice over it.

Usage: footbridge direct serve [OPTIONS]
       footbridge direct connect [OPTIONS] URL

Options of direct serve:
      --agent COMMAND        The agent and its arguments
                             [default: footbridge agent]
      --directory DIR        Where the agent works [default: this directory]
      --listen ADDR:PORT     Where to listen
                             [default: 127.0.0.1 and a free port]
      --allow-host NAME      A further name that clients may use for this
                             machine; may be given more than once

Options of direct connect:
      --give-up SECONDS      How long to try without a connection [default: 600]

Options of both:
      --token-file FILE      The token (mode 0600); serve makes one if there is
                             no such file [default: one for this session, in the
                             runtime directory, where connect finds it]
      --without-tls          Send the token and the conversation in the clear to
                             or from other machines
      --json                 serve: say where it is in a line of JSON. connect:
                             read messages from standard input and print them,
                             each a line of JSON, as the agent does
  -v, --verbose              More about what happens, on stderr
  -q, --quiet                Only errors
  -h, --help                 Print this help

In a terminal, connect sends what you type; y and n answer the oldest question,
Ctrl-C interrupts the agent, and a second one ends the connection. From a pipe,
it sends each line, and leaves when all have had their turn; with nothing to
send, it watches until the session ends.

A client may declare hooks and MCP servers of its own; one at a time does, and
when it is gone, a tool that such a hook guards does not run.
";

const DIRECT_EXAMPLE: &str = "
Example:
  footbridge direct serve --agent claude
  footbridge direct connect ws://127.0.0.1:41234/v1/direct/session_1
";

const PS: &str = "\
Shows the agent sessions of this user on this machine, of workers and of
footbridge direct serve: the process, the session, what it does or waits for,
its name and its addresses. A session with several addresses is shown once.

Usage: footbridge ps [OPTIONS]

Options:
      --json                 Print them as a single line of JSON
  -h, --help                 Print this help
";

const SEND: &str = "\
Sends a message to another session. An address is uds:PATH, or a path;
bridge:SESSION, by its id at a relay; or a name, as footbridge ps shows them. A
session that is not on this machine, or takes nothing here, is reached by the
relay: that of --relay, FOOTBRIDGE_RELAY or the configuration file, or the one
that runs here, with a log-in that drives. Inside a session the message has that
session's address, looked up as it is sent, and one that can be answered from
there; without one, nothing is sent.

Usage: footbridge send [OPTIONS] ADDRESS TEXT

Options:
";

const SEND_HELP: &str = "  -h, --help                 Print this help
";

const SEND_EXAMPLE: &str = "
Example:
  footbridge send my-project 'the tests pass now'
";

const MCP: &str = "\
The tools list_peers and send_message for an agent, as an MCP server on standard
input and output. send_message is there only while the agent's own session can
be answered, so not for an agent that runs in no session of this machine.

Usage: footbridge mcp [OPTIONS]

Options:
";

const MCP_EXAMPLE: &str = "
Example:
  claude mcp add footbridge -- footbridge mcp
";

const BACKUP: &str = "\
Copies what a relay keeps, as it is at one moment, into a new directory: its
sessions, its keys and certificates, and everybody's access tokens. The relay
may be running, and is not held up. To go back to the copy, start a relay with
--data DIRECTORY.

Usage: footbridge backup [OPTIONS] DIRECTORY

Options:
";

const BACKUP_DATA: &str = "      --data DIR             The relay's data directory
                             [default: ~/.local/state/footbridge/relay]
";

const CONFIG: &str = "\
Shows the value in effect for each setting and where it comes from: the default,
a line of the configuration file, an environment variable, or a flag. For the
access token, it shows only whether there is one.

Usage: footbridge config [OPTIONS]

Options:
";

const CONFIG_JSON: &str = "      --json                 Print it as a single line of JSON
";

const SERVE: &str = "      --listen ADDR:PORT     Address to listen on; port 0 picks a free port
                             [default: 127.0.0.1:8787]
      --behind-proxy         Allow an address that other machines can reach
                             without TLS, because a proxy in front handles TLS;
                             it has to append each client's address to
                             X-Forwarded-For
      --public-url URL       The relay's address as seen by others
      --allow-host NAME      Another name that the relay is reached by, such as
                             relay.example or *.example.org; can be repeated.
                             Any address, localhost, this machine's own name,
                             the names in the certificate and the one in
                             --public-url are accepted without it
      --allow-private-push   Let browsers name a push service in this network;
                             otherwise notifications go to public ones alone
      --data DIR             Keep sessions, keys and the access token in DIR
                             [default: ~/.local/state/footbridge/relay, and the
                             token beside it]
      --in-memory            Keep nothing on disk but the access token: whatever
                             ends the relay ends its sessions. Overrides --data
      --max-data SIZE        How much of the disk to use, such as 500M; beyond
                             that, ended sessions are removed, the oldest first,
                             of the person whose sessions take up the most
                             [default: 10G]
      --keep-ended TIME      How long to keep a session after it has ended, such
                             as 30d. Until then its log stays, up to 64 MB of
                             it, however old [default: 90d]
      --code-sessions        Let workers speak version 2, which needs no
                             WebSocket, unless they were told otherwise
      --demand-trusted-device WHAT
                             Take these from trusted devices alone: answer,
                             drive, or answer,drive. A browser is one from its
                             next sign-in on, a log-in from its next footbridge
                             login [default: off]
      --oidc-issuer URL      Let people sign in with this OpenID Connect
                             provider, if footbridge relay user add NAME
                             --oidc-email or --oidc-subject names them.
                             Register the relay there with the redirect URI
                             its address + /v1/oidc/callback
      --oidc-client-id ID    What the provider calls this relay
      --oidc-client-secret-file FILE
                             The secret that it shares with this relay, if any
      --oidc-ca-file FILE    Certificates (PEM) to trust in addition to the
                             well-known ones where this relay asks others: the
                             provider, and services that push notifications
";

const SERVE_TLS: &str =
    "      --own-certificate      Speak TLS with a certificate that the relay makes
                             for this machine's names and addresses. Phones
                             and workers have to trust its authority once: the
                             page /trust says how
      --tls-cert FILE        Certificate chain (PEM); needs --tls-key. When the
                             files are replaced, the new ones are served from
                             the next connection on
      --tls-key FILE         Its private key (PEM)
";

const PHONE: &str = "\
Ways from a phone to a relay, from the simplest. Each ends with an address that
footbridge up or footbridge relay prints at its start, with a QR code for it;
footbridge sign-in prints another one. Agents and commands can be driven by
whoever has such an address, for ten minutes and once: treat it as a key.

In the same network (Wi-Fi at home), with a certificate of the relay's own that
the phone has to trust once (its page /trust says how):
  footbridge up --listen 0.0.0.0:8787 --own-certificate

From anywhere, through Tailscale, with a certificate that phones know already:
  tailscale serve --bg 8787
  footbridge up --behind-proxy --public-url https://MACHINE.TAILNET.ts.net

From anywhere, on a server with a name of its own: behind Caddy, nginx, HAProxy
or cloudflared, or with --tls-cert and --tls-key. What to write into the files
of each is in runtime-smol/docs/ways-to-a-relay.md.

From another computer, through SSH, without anything else:
  ssh -L 8787:127.0.0.1:8787 MACHINE     and open http://127.0.0.1:8787
";

const CONFIG_FILE: &str = "      --config FILE          Configuration file
                             [default: ~/.config/footbridge/config.toml]
";

const BACKOFF: &str = "
Retry delays of footbridge work, in milliseconds. A delay starts at the initial
value and doubles up to the cap; work gives up after nothing but failures for
the give-up time:
      --conn-initial-ms N, --conn-cap-ms N, --conn-give-up-ms N
                             While the relay cannot be reached
                             [default: 2000, 120000, 600000]
      --general-initial-ms N, --general-cap-ms N, --general-give-up-ms N
                             While it answers that it is temporarily unable
                             [default: 500, 30000, 600000]
      --stop-work-base-delay-ms N
                             Initial delay before a result is reported again
                             [default: 1000]
";

const SETTINGS: &str = "
Settings:
  Every option of up, relay and work is a setting, except --check, --config,
  --continue, --help, --json, --quiet and --verbose. A setting can be given in
  three ways, each overriding the one above it:
    max_sessions = 8            a line of the configuration file
    FOOTBRIDGE_MAX_SESSIONS=8   an environment variable
    --max-sessions 8            an option
  The file is TOML without tables; a relative path in it is relative to the
  file. It must not contain secrets. footbridge config shows what is in effect.
";

const CONFIG_EXAMPLE: &str = "
Example configuration file:
  relay = \"https://relay.example.org\"
  directory = \"~/project\"
  agent = \"claude\"
  max_sessions = 8
  session_limit = \"12h\"
  allow_variable = [\"NODE_OPTIONS\"]
";

const RELAY_ENVIRONMENT: &str = "
Environment:
  FOOTBRIDGE_TOKEN   The access token; takes precedence over the file. If there
                     is neither, a new token is created and kept in the file
  FOOTBRIDGE_CONFIG  The configuration file, unless --config is given
  XDG_CONFIG_HOME    Where footbridge/config.toml is, instead of ~/.config
  XDG_STATE_HOME     Where footbridge/ with the token and the relay's data is,
                     instead of ~/.local/state
";

const WORK_ENVIRONMENT: &str = "
Environment:
  FOOTBRIDGE_TOKEN   A worker credential, or the relay's access token; takes
                     precedence over the file
  FOOTBRIDGE_CONFIG  The configuration file, unless --config is given
  XDG_CONFIG_HOME    Where footbridge/config.toml is, instead of ~/.config
  XDG_STATE_HOME     Where footbridge/token is, instead of ~/.local/state
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                     The proxy to use for reaching the relay
";

const UP_EXAMPLE: &str = "
Example:
  footbridge up --agent claude
";

const RELAY_EXAMPLE: &str = "
Example:
  footbridge relay --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem
";

const BACKUP_EXAMPLE: &str = "
Example:
  footbridge backup ~/backups/footbridge-$(date +%F)
";

const WORK_EXAMPLE: &str = "
Example:
  footbridge work --relay https://relay.example.org --agent claude
";

const ATTACH: &str = "\
Follows a session from this terminal: shows what its agent does, sends it what
you type, and asks you what it asks. A connection that breaks is made again, and
nothing is lost or said twice. Without SESSION, shows those that there are and
asks which one.

Usage: footbridge attach [OPTIONS] [SESSION]

Options:
";

const ATTACH_OPTIONS: &str = "      --new                  Make a new session, and follow that
      --environment ID       Where to make it [default: the only one that is
                             online]
      --title TEXT           What to call it
      --viewer-only          A window beside others: Ctrl-C leaves, and nothing
                             here interrupts or stops the agent
      --plain                Append lines and draw nothing: for screen readers,
                             and for terminals that cannot do more
      --after N              Show only what came after the event N
      --json                 For programs: one JSON object a line, in both
                             directions (see below)
      --stream-json          Stand in for an agent's program, for an SDK (see
                             below); the agent's own options follow
";

const ATTACH_RELAY: &str = "      --relay URL            The relay's address
                             [default: the one that runs on this machine,
                             wherever it listens]
      --ca-file FILE         Certificates to trust in addition to the well-known
                             authorities' (PEM): an authority's, or the
                             relay's own [default: the certificate of the relay
                             that runs on this machine]
";

const ATTACH_KEYS: &str = "
In a terminal:
  What you type goes to the agent, once you press Enter; Alt-Enter, Ctrl-J or a
  backslash before Enter begins a new line, and a paste is never sent by itself.
  When it asks, y allows, n denies, w denies with words, a allows always what is
  said beside it; more than fits is seen to its end before it can be allowed.
  Page Up or the wheel shows what is above, Tab chooses a card that Enter
  unfolds, Ctrl-O unfolds all. / completes the agent's commands, @ files that it
  has used. Ctrl-C ends its turn; pressed twice, or Ctrl-D, it leaves, and the
  session continues. F1 shows what else there is. NO_COLOR turns colours off.

  With --plain, where TERM is dumb, and in a pipe, lines are appended; y, n
  (with words after it, if you like) and a answer, and :help shows what else
  there is. From a pipe, every line is a message; after the last one it leaves
  when the agent's turn is over.
";

const ATTACH_JSON: &str = "
With --json:
  Standard output has one object a line, by type: connected; disconnected,
  reconnecting (reason, retry_in_ms); session; event (seq, at, from, message, as
  the agent printed it); gap; live; permission_asked and permission_withdrawn
  (request_id, seq, tool_use_id); receipts; accepted, refused and unsent, of
  what was sent. What this program has sent does not come back as an event.
  Standard input takes one object a line:
    {\"type\":\"say\",\"text\":\"…\"}              a message
    {\"type\":\"user\", …}                       any message as it is, likewise
                                             control_request
    {\"type\":\"answer\",\"request_id\":\"…\",\"behavior\":\"allow\"}
                                             an answer, or with \"deny\" and
                                             \"message\"; also updatedInput,
                                             updatedPermissions, interrupt, seq
    {\"type\":\"interrupt\"}, {\"type\":\"stop\"}, {\"type\":\"disconnect\"}
  It goes on after the end of standard input, until the session ends.
";

const ATTACH_SDK: &str = "
For an SDK:
  Any program that drives Claude Code by an Agent SDK drives a session somewhere
  else if its cli_path, or pathToClaudeCodeExecutable, is this program, by a
  link with the name footbridge-agent. SDKs pass only the agent's options, so
  what is ours comes by environment:
  FOOTBRIDGE_RELAY        The relay; FOOTBRIDGE_TOKEN, FOOTBRIDGE_TOKEN_FILE and
                          FOOTBRIDGE_CA_FILE likewise, or a log-in is used
  FOOTBRIDGE_SESSION      The session [default: a new one, which ends with the
                          program]
  FOOTBRIDGE_ENVIRONMENT  Where a new one is made [default: the only one that is
                          online]
  An option that cannot be passed on is named on standard error, where what the
  agent writes there comes too. If the agent fails, the exit code is its own, or
  128 and the signal's number.
";

const ATTACH_EXAMPLE: &str = "
Example:
  footbridge login --scope watch,answer,drive https://relay.example.org
  footbridge attach --relay https://relay.example.org --new
";

const ANSWER_LINK: &str = "\
Prints a link with which somebody answers one question of a session's agent: a
colleague without a sign-in, or yourself on a phone. It works once, and allows
or denies what was asked, as it was asked; nothing else. Whoever has it can use
it, so hand it to nobody else. It takes a credential that may answer, and a
trusted device where the relay demands one.

Usage: footbridge answer-link [OPTIONS] SESSION

Options:
";

const ANSWER_LINK_OPTIONS: &str =
    "      --request ID           Which question, if there are several
      --expires-in SPAN      For how long it works, a day at most [default: 1h]
      --json                 Print it as a single line of JSON
";

const ANSWER_LINK_EXAMPLE: &str = "
Example:
  footbridge answer-link --relay https://relay.example.org session_1
";

const CHAT: &str = "\
Runs an agent in this terminal as a conversation that is a session on the relay
at the same time: a phone, the page or footbridge attach see it and speak in it.
A question is answered by whoever is first, here or there. Without the relay the
conversation goes on here, and is passed on once the relay is back.

Usage: footbridge chat [OPTIONS]

Options:
";

const CHAT_OPTIONS: &str = "      --agent COMMAND        The agent, such as claude
                             [default: footbridge agent, which runs what you
                             type in a shell]
      --directory DIR        Where it works [default: this directory]
      --title TEXT           What to call the session
      --plain                Append lines and draw nothing: for screen readers,
                             and terminals that cannot do more
      --name NAME            What to call this machine [default: its host name]
      --shutdown-grace SPAN  How long it may take to end [default: 30s]
      --transport VERSION    How the session travels: auto, v1 or v2
                             [default: auto]
";

const CHAT_KEYS: &str = "
In the terminal:
  The keys are those of footbridge attach (F1 shows them). Ctrl-C ends the
  agent's turn; pressed twice, or Ctrl-D, it ends the agent and the session.
  /detach  Gives the terminal back. The agent goes on in a process of its own,
           in the middle of a turn too, until somebody ends the session: drive
           it from the page, or from any terminal with footbridge attach. How
           many turns there were here and how many the relay has are compared
           first, and shown; while the relay cannot be reached it is refused.
  /exit    Ends the agent and the session.
  :mode, :model, :help
  If the process with the agent is killed, the next footbridge chat in that
  directory takes its session up again, and says how many turns there were and
  how many the relay has. Claude Code knows what was said; other agents begin
  anew.
  Other slash commands are the agent's. If the terminal is closed, the agent
  ends. If a viewer ends the session, the conversation goes on here, unshared;
  after /detach it ends the agent.

  With --plain, where TERM is dumb, and in a pipe, lines are appended; y, n
  (with words after it, if you like) and a answer, and :help shows what else
  there is. From a pipe, every line is a message; after the last one it ends
  when the agent's turn is over.

  The credential has to be one that registers and drives: an access token, or a
  log-in with --scope watch,answer,drive,work.
";

const CHAT_EXAMPLE: &str = "
Example:
  footbridge chat --agent claude
";

const SERVICE: &str = "\
Writes the definition of a service that runs a relay or a worker: a unit of
systemd, or an init script of OpenRC or of OpenWrt's procd. It runs without
root and may write only where it has to. print shows it; install puts it where
the service manager looks, and says how to start it.

Usage: footbridge service print [OPTIONS] COMMAND …
       footbridge service install [OPTIONS] COMMAND …

COMMAND is up, relay or work, with its own options. The access token or a
worker's credential is read from its file.

Options:
      --user                 A service of yours, that runs while you are logged
                             in, or always after loginctl enable-linger
                             [default, except for root; only with systemd]
      --system               A service of the system [default for root]
      --manager MANAGER      systemd, openrc or procd [default: this machine's]
      --run-as USER          Who a service of the system runs as [default:
                             footbridge for a relay, you for a worker]
      --program FILE         Program to run, such as
                             /usr/bin/footbridge-worker [default: this one]
      --unit NAME            What the service is called
                             [default: footbridge-COMMAND]
  -h, --help                 Print this help
";

const SERVICE_EXAMPLE: &str = "
Example:
  footbridge service install work --relay https://relay.example.org \\
    --agent claude --never-give-up
  systemctl --user enable --now footbridge-work
";

const AGENT_USAGE: &str = "
Usage: footbridge agent [OPTIONS]
";

const AGENT_EXAMPLE: &str = r#"
Example:
  echo '{"type":"user","message":{"role":"user","content":"date"}}' |
    footbridge agent
"#;
