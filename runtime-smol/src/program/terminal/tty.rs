//! The terminal itself: its mode, its size, and that it is given back as it was found, whatever happens.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, Once, PoisonError, TryLockError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::model::Size;

/// How long a terminal that takes nothing is waited for when it is left.
const LEAVE_WITHIN: Duration = Duration::from_millis(300);

/// A screen of its own, no wrapping by the terminal, pastes that are marked.
const ENTER: &str = "\x1b[?1049h\x1b[?7l\x1b[?2004h";
const LEAVE: &str = "\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Its wheel, as keys of their own.
const MOUSE: &str = "\x1b[?1000h\x1b[?1006h";
const NO_MOUSE: &str = "\x1b[?1006l\x1b[?1000l";

/// Held while a frame is written.
static WRITING: Mutex<()> = Mutex::new(());
/// How the terminal was found, while it is not so.
static FOUND: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// The terminal, in this program's hands until it is dropped.
#[derive(Debug)]
pub(in crate::program) struct Tty {
    has_mouse: bool,
}

impl Tty {
    pub(in crate::program) fn enter() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                give_back();
                before(info);
            }));
        });
        let tty = Self { has_mouse: true };
        tty.take()?;
        Ok(tty)
    }

    fn take(&self) -> io::Result<()> {
        let stdin = io::stdin();
        let found = tcgetattr(stdin.as_fd())?;
        let mut raw = found.clone();
        raw.make_raw();
        *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &raw)?;
        let mouse = if self.has_mouse { MOUSE } else { "" };
        write(&[ENTER, mouse].concat())
    }

    /// Its size; what most have if it does not say.
    pub(in crate::program) fn size() -> Size {
        let size = tcgetwinsize(io::stdout().as_fd()).ok();
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(Size { columns: 80, rows: 24 }, |size| Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        })
    }

    /// Whether its wheel scrolls here, or its own way.
    pub(in crate::program) fn mouse(&mut self, is_ours: bool) {
        self.has_mouse = is_ours;
        let _ = write(if is_ours { MOUSE } else { NO_MOUSE });
    }

    /// Gives it back and stops this program, as Ctrl-Z does. [`resume`](Self::resume) is for when it is
    /// continued.
    pub(in crate::program) fn suspend(&self) {
        give_back();
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::STOP);
    }

    /// It is ours again.
    pub(in crate::program) fn resume(&self) {
        let is_ours = FOUND.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if !is_ours {
            let _ = self.take();
        }
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        give_back();
    }
}

fn write(text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a frame, unless the terminal has been given back.
pub(in crate::program) fn write_frame(frame: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    if FOUND.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(frame)?;
    stdout.flush()
}

/// Waits until no frame is being written, or a while at most.
fn wait_until_written() {
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 0..LEAVE_WITHIN.as_millis() / PAUSE.as_millis() {
        if !matches!(WRITING.try_lock(), Err(TryLockError::WouldBlock)) {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Gives the terminal back as it was found, once.
fn give_back() {
    let found = FOUND.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(found) = found else { return };
    // What is written of a frame after this would be on the screen that was there before.
    wait_until_written();
    // Its mode first: that needs nobody who reads.
    let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &found);
    let stdout = rustix::stdio::stdout();
    let mut ready = [PollFd::new(&stdout, PollFlags::OUT)];
    let within = Timespec::try_from(LEAVE_WITHIN).ok();
    if poll(&mut ready, within.as_ref()).is_ok_and(|ready| ready > 0) {
        let _ = rustix::io::write(stdout, [NO_MOUSE, LEAVE].concat().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::{Command, Output};
    use std::time::Instant;

    #[test]
    #[ignore = "the other half of the test below"]
    #[should_panic(expected = "on purpose")]
    fn panics_with_the_terminal_in_hand() {
        let _tty = Tty::enter().expect("a terminal");
        write_frame(b"in the middle").expect("written");
        panic!("on purpose");
    }

    fn tmux(socket: &Path, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(socket).args(["-f", "/dev/null"]).args(args);
        command.env_remove("TMUX").output().expect("tmux runs")
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        if Command::new("tmux").arg("-V").output().is_err() {
            return eprintln!("skipped: there is no tmux here");
        }
        let home = tempfile::tempdir().expect("a directory");
        let (socket, done) = (home.path().join("tmux"), home.path().join("done"));
        let test = std::env::current_exe().expect("this test");
        let name = "program::terminal::tty::tests::panics_with_the_terminal_in_hand";
        let run =
            format!("RUST_BACKTRACE=0 {} --ignored --exact {name} --nocapture", test.display());
        let shell = format!("stty -a > a; {run} > /dev/tty; stty -a > b; touch done; sleep 60");
        let cwd = home.path().to_str().expect("a path");
        tmux(&socket, &["new-session", "-d", "-x", "80", "-y", "24", "-c", cwd, &shell]);
        let begun = Instant::now();
        while !done.exists() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let format = "#{alternate_on} #{mouse_any_flag} #{cursor_flag} #{wrap_flag}";
        let modes = tmux(&socket, &["display-message", "-p", format]).stdout;
        let screen = tmux(&socket, &["capture-pane", "-p"]).stdout;
        tmux(&socket, &["kill-server"]);
        let screen = String::from_utf8_lossy(&screen);
        assert_eq!(String::from_utf8_lossy(&modes).trim(), "0 0 1 1", "{screen}");
        assert!(screen.contains("on purpose") && screen.contains("1 passed"), "{screen}");
        assert!(!screen.contains("in the middle"), "{screen}");
        let mode = |name: &str| std::fs::read_to_string(home.path().join(name)).expect("text");
        assert_eq!(mode("a"), mode("b"));
    }
}
