//! A page that is open while another program takes its relay's port.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::page::Page;
use crate::support::poll;
use crate::support::program::Program;

#[test]
fn an_open_page_sends_its_token_to_no_other_program_and_returns_to_its_relay() {
    let relay = Program::start(&["relay", "--listen", "127.94.0.1:0", "--in-memory"]);
    let address = relay.listen().to_owned();
    let mut page = Page::open(relay.page());
    page.see("[data-testid=connection][data-state=connected]");
    let token = page.evaluate("localStorage.getItem('footbridge.token')");
    let token = token.as_str().expect("a token").to_owned();
    assert!(token.starts_with("fbbrowser-"), "{token}");
    relay.kill();

    let listener = poll(|| TcpListener::bind(&address).ok()).expect("the port is free");
    listener.set_nonblocking(true).expect("set");
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let is_over = Arc::new(AtomicBool::new(false));
    let (kept, over) = (Arc::clone(&heard), Arc::clone(&is_over));
    let imposter = std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let Ok((mut stream, _)) = listener.accept() else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            let _ = stream.set_nonblocking(false);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let mut bytes = vec![0; 64 << 10];
            let length = stream.read(&mut bytes).unwrap_or_default();
            kept.lock()
                .expect("no panic")
                .push(String::from_utf8_lossy(&bytes[..length]).into_owned());
            let _ = stream.write_all(
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
        }
    });
    let asked = |text: &&String| text.contains("/v1/proof?");
    let seen = poll(|| {
        let heard = heard.lock().expect("no panic");
        (heard.iter().filter(asked).count() >= 3).then_some(())
    });
    assert!(seen.is_some(), "{:?}", heard.lock().expect("no panic"));
    // Nor when a person presses something.
    page.evaluate("document.querySelector('[data-testid=new-session]')?.click()");
    std::thread::sleep(Duration::from_millis(500));
    is_over.store(true, Ordering::Relaxed);
    imposter.join().expect("no panic");
    for text in heard.lock().expect("no panic").iter() {
        assert!(!text.contains(&token) && !text.to_lowercase().contains("authorization"), "{text}");
        assert!(!text.contains("footbridge.bearer"), "{text}");
    }

    let _relay = Program::start(&["relay", "--listen", &address, "--in-memory"]);
    page.see("[data-testid=connection][data-state=connected]");
}
