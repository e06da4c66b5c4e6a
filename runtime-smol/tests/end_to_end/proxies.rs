//! Real proxies between relay, worker and browser, configured as the documentation says (Y-10). A proxy
//! that is not installed is skipped, and that is said.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::page::send;
use crate::support::page::{Page, hook};
use crate::support::poll;
use crate::support::program::{Program, path};

const WAYS: &str = include_str!("../../docs/ways-to-a-relay.md");
const OUTPUT: &str = "[data-testid=message][data-part=result]";

/// A proxy, in front of a relay whose worker reaches it through the proxy as well.
struct Front {
    _proxy: Child,
    _relay: Program,
    _worker: Program,
    _files: TempDir,
    page: Page,
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self._proxy.kill();
        let _ = self._proxy.wait();
    }
}

/// What the documentation says to write into a proxy's file.
fn documented(language: &str) -> &'static str {
    let (_, rest) = WAYS.split_once(&format!("```{language}\n")).expect("it is documented");
    rest.split_once("```").expect("a block ends").0
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A certificate for this machine, its key, and both in one file.
fn certify(files: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let both = format!("{certificate}{key}");
    for (name, content) in [("cert.pem", certificate), ("key.pem", key), ("both.pem", both)] {
        let file = files.join(name);
        std::fs::write(&file, content).expect("written");
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).expect("set");
    }
}

/// Starts all of it, unless the proxy is not installed. `file` makes its configuration from the folder
/// of the certificate, its port and the relay's address.
#[track_caller]
fn front(
    program: &str,
    below: &str,
    args: &[&str],
    file: impl FnOnce(&str, u16, &str) -> String,
) -> Option<Front> {
    let mut installed = Command::new(program);
    installed.arg(args[0]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if installed.status().is_err() {
        eprintln!("skipped: {program} is not installed");
        return None;
    }
    let files = tempfile::tempdir().expect("a directory");
    certify(files.path());
    let port = free_port();
    let public = format!("https://localhost:{port}{below}");
    let args_of_relay =
        ["relay", "--listen", "127.0.0.1:0", "--behind-proxy", "--public-url", &public];
    let relay = Program::start(&args_of_relay);
    let folder = path(files.path());
    let configuration = files.path().join("configuration");
    std::fs::write(&configuration, file(folder, port, relay.listen())).expect("written");
    let mut proxy = Command::new(program);
    proxy.args(&args[1..]).arg(&configuration).env("HOME", folder).current_dir(folder);
    let log = std::fs::File::create(files.path().join("log")).expect("a file");
    proxy.stdout(log.try_clone().expect("a file")).stderr(log).stdin(Stdio::null());
    let child = proxy.spawn().expect("it starts");
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
    poll(listens).unwrap_or_else(|| {
        panic!("{program} never listens: {:?}", std::fs::read_to_string(files.path().join("log")))
    });
    let (directory, ca) = (path(files.path()), files.path().join("cert.pem"));
    let worker = ["work", "--relay", &public, "--ca-file", path(&ca), "--directory", directory];
    let worker = Program::start(&worker);
    let page = Page::open_trusting_any_certificate(relay.page());
    Some(Front { _proxy: child, _relay: relay, _worker: worker, _files: files, page })
}

impl Front {
    /// A session from its start to what a command has printed, with a reload in the middle.
    #[track_caller]
    fn carries_a_session(&mut self) {
        let page = &mut self.page;
        page.click(&hook("new-session"));
        page.see("[data-testid=session-state][data-state=running]");
        send(page, "echo through a prox''y");
        page.click(&hook("allow"));
        page.see_text(OUTPUT, "through a proxy");
        page.reload();
        page.see_text(OUTPUT, "through a proxy");
        send(page, "echo and aga''in");
        page.click(&hook("allow"));
        page.see_text(OUTPUT, "and again");
        page.assert_no_complaints();
    }
}

fn nginx(limits: &str) -> Option<Front> {
    front("nginx", "/footbridge", &["-v", "-e", "stderr", "-c"], |folder, port, relay| {
        let block = documented("nginx")
            .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
            .replace("server_name relay.example", "server_name localhost")
            .replace("/etc/ssl/relay.example.pem", &format!("{folder}/cert.pem"))
            .replace("/etc/ssl/relay.example.key", &format!("{folder}/key.pem"))
            .replace("127.0.0.1:8787", relay);
        let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
            .concat();
        format!(
            "daemon off; master_process off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{limits}\n{places}{block}}}\n"
        )
    })
}

#[test]
fn a_session_through_nginx_under_a_path() {
    if let Some(mut front) = nginx("") {
        front.carries_a_session();
    }
}

#[test]
fn a_session_through_an_nginx_that_ends_what_is_silent_for_three_seconds() {
    if let Some(mut front) = nginx("proxy_read_timeout 3s; proxy_send_timeout 3s;") {
        front.carries_a_session();
        // Longer than any connection may be silent.
        std::thread::sleep(std::time::Duration::from_secs(7));
        send(&mut front.page, "echo after a whil''e");
        front.page.click(&hook("allow"));
        front.page.see_text(OUTPUT, "after a while");
    }
}

#[test]
fn a_session_through_caddy_which_speaks_http_2_to_the_browser() {
    let front = front(
        "caddy",
        "",
        &["version", "run", "--adapter", "caddyfile", "--config"],
        |folder, port, relay| {
            let tls = format!("{{\n\ttls {folder}/cert.pem {folder}/key.pem");
            let block = documented("caddyfile")
                .replacen('{', &tls, 1)
                .replace("relay.example", &format!("https://localhost:{port}"))
                .replace("127.0.0.1:8787", relay);
            format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{block}")
        },
    );
    if let Some(mut front) = front {
        // Before a service worker answers in its place.
        let protocol = "performance.getEntriesByType('navigation')[0]?.nextHopProtocol";
        assert_eq!(front.page.wait_for("a protocol", protocol), "h2");
        front.carries_a_session();
    }
}

#[test]
fn a_session_through_haproxy() {
    let front = front("haproxy", "", &["-v", "-db", "-f"], |folder, port, relay| {
        documented("haproxy")
            .replace("bind :443", &format!("bind 127.0.0.1:{port}"))
            .replace("/etc/ssl/relay.example.pem", &format!("{folder}/both.pem"))
            .replace("127.0.0.1:8787", relay)
    });
    if let Some(mut front) = front {
        front.carries_a_session();
    }
}
