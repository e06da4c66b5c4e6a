//! The page's files, which are built into the program.

use footbridge_core::relay::Asset;

macro_rules! assets {
    ($($path:literal: $file:literal, $content_type:expr;)*) => {
        &[$(Asset {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!(env!("OUT_DIR"), "/web/", $file)),
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/web/", $file, ".gz")),
        }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const PNG: &str = "image/png";
const SVG: &str = "image/svg+xml";
const MANIFEST: &str = "application/manifest+json";

/// How to trust a relay that makes its own certificate; only such a relay has it.
pub(super) const TRUST: Asset = Asset {
    path: "/trust",
    content_type: HTML,
    bytes: include_bytes!("../../web/trust.html"),
    gzip: include_bytes!(concat!(env!("OUT_DIR"), "/web/trust.html.gz")),
};

/// All of them, by path.
pub(super) const ASSETS: &[Asset] = assets! {
    "/": "index.html", HTML;
    "/acts.js": "acts.js", JS;
    "/agent-facts.js": "agent-facts.js", JS;
    "/always.js": "always.js", JS;
    "/answer": "answer.html", HTML;
    "/answer.html": "answer.html", HTML;
    "/answer.js": "answer.js", JS;
    "/answer-link.js": "answer-link.js", JS;
    "/api.js": "api.js", JS;
    "/app.css": "app.css", CSS;
    "/asked.js": "asked.js", JS;
    "/attention.js": "attention.js", JS;
    "/blocks.js": "blocks.js", JS;
    "/call-card.js": "call-card.js", JS;
    "/calls.js": "calls.js", JS;
    "/card.js": "card.js", JS;
    "/checklist.js": "checklist.js", JS;
    "/completion.js": "completion.js", JS;
    "/composer.css": "composer.css", CSS;
    "/composer.js": "composer.js", JS;
    "/connection.js": "connection.js", JS;
    "/continuing.js": "continuing.js", JS;
    "/controls.js": "controls.js", JS;
    "/copy.js": "copy.js", JS;
    "/device": "device.html", HTML;
    "/device.html": "device.html", HTML;
    "/device.js": "device.js", JS;
    "/diff.js": "diff.js", JS;
    "/dom.js": "dom.js", JS;
    "/draft.js": "draft.js", JS;
    "/editor.js": "editor.js", JS;
    "/ending.js": "ending.js", JS;
    "/entries.css": "entries.css", CSS;
    "/entries.js": "entries.js", JS;
    "/excerpt.js": "excerpt.js", JS;
    "/facts.js": "facts.js", JS;
    "/format.js": "format.js", JS;
    "/housekeeping.js": "housekeeping.js", JS;
    "/icon-192.png": "icon-192.png", PNG;
    "/icon-512.png": "icon-512.png", PNG;
    "/icon-maskable.png": "icon-maskable.png", PNG;
    "/icon.svg": "icon.svg", SVG;
    "/inline.js": "inline.js", JS;
    "/ledger.js": "ledger.js", JS;
    "/long.js": "long.js", JS;
    "/main.js": "main.js", JS;
    "/manifest.webmanifest": "manifest.webmanifest", MANIFEST;
    "/messages.js": "messages.js", JS;
    "/notifications.css": "notifications.css", CSS;
    "/notifications.js": "notifications.js", JS;
    "/kept-answers.js": "kept-answers.js", JS;
    "/outbox.js": "outbox.js", JS;
    "/outcomes.js": "outcomes.js", JS;
    "/overview.js": "overview.js", JS;
    "/permission.js": "permission.js", JS;
    "/pictures.js": "pictures.js", JS;
    "/proof.js": "proof.js", JS;
    "/prose.js": "prose.js", JS;
    "/push.js": "push.js", JS;
    "/questions.css": "questions.css", CSS;
    "/questions.js": "questions.js", JS;
    "/readable.js": "readable.js", JS;
    "/reading.js": "reading.js", JS;
    "/receipts.js": "receipts.js", JS;
    "/reports.js": "reports.js", JS;
    "/results.js": "results.js", JS;
    "/rhythm.js": "rhythm.js", JS;
    "/screens.css": "screens.css", CSS;
    "/search-all.js": "search-all.js", JS;
    "/search.js": "search.js", JS;
    "/session.css": "session.css", CSS;
    "/session.js": "session.js", JS;
    "/sign-in.js": "sign-in.js", JS;
    "/states.js": "states.js", JS;
    "/status.js": "status.js", JS;
    "/stopping.js": "stopping.js", JS;
    "/stream.js": "stream.js", JS;
    "/sw-push.js": "sw-push.js", JS;
    "/sw.js": "sw.js", JS;
    "/tasks.js": "tasks.js", JS;
    "/tidying.js": "tidying.js", JS;
    "/token.js": "token.js", JS;
    "/transcript.js": "transcript.js", JS;
    "/values.js": "values.js", JS;
    "/visible.js": "visible.js", JS;
    "/way.js": "way.js", JS;
    "/worktree.js": "worktree.js", JS;
};

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser fetches at its first visit.
    #[test]
    fn the_page_is_small_on_the_way() {
        let size = |file: &Asset| if file.gzip.is_empty() { file.bytes } else { file.gzip }.len();
        let (sent, whole) = ASSETS
            .iter()
            .fold((0, 0), |(sent, whole), file| (sent + size(file), whole + file.bytes.len()));
        eprintln!("{whole} bytes, {sent} on the way");
        assert!(sent * 2 < whole, "{sent} of {whole} bytes");
        for file in ASSETS.iter().filter(|file| [JS, CSS].contains(&file.content_type)) {
            assert!(!file.gzip.is_empty(), "{} is not compressed", file.path);
            assert_eq!(file.gzip.first_chunk(), Some(&[0x1f, 0x8b]), "{}", file.path);
        }
    }

    /// Found one after the other, they would take a phone's time as often as they are deep.
    #[test]
    fn the_page_names_all_modules_that_it_needs() {
        let text = |path: &str| {
            let file = ASSETS.iter().find(|asset| asset.path == path).expect(path);
            std::str::from_utf8(file.bytes).expect("text")
        };
        let page = text("/");
        let mut needed = vec!["main.js"];
        let mut at = 0;
        while let Some(name) = needed.get(at).copied() {
            for (start, _) in text(&format!("/{name}")).match_indices(" from './") {
                let rest = &text(&format!("/{name}"))[start + " from './".len()..];
                let module = rest.split('\'').next().expect("a name");
                if !needed.contains(&module) {
                    needed.push(module);
                }
            }
            at += 1;
        }
        assert!(needed.len() > 50, "{needed:?}");
        for module in &needed[1..] {
            let link = format!("<link rel=\"modulepreload\" href=\"a/VERSION/{module}\">");
            assert!(page.contains(&link), "{module}");
        }
        assert_eq!(page.matches("modulepreload").count(), needed.len() - 1);
    }

    #[test]
    fn every_file_of_the_page_is_served_under_its_own_name() {
        let web = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
        let files = std::fs::read_dir(web).expect("the page's directory");
        for file in files.map(|file| file.expect("a file")) {
            let name = file.file_name().into_string().expect("text");
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            let is_served = name == "trust.html" || ASSETS.iter().any(|asset| asset.path == path);
            assert!(is_served, "{name} is not listed");
        }
    }

    /// The parts of the page that need no browser are tested beside it, by Node's own test runner.
    #[test]
    fn the_modules_of_the_page_keep_their_promises() {
        let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/web");
        let files = std::fs::read_dir(tests).expect("a directory of tests");
        let files = files.map(|file| file.expect("a file").path());
        let ran = std::process::Command::new("node").arg("--test").args(files).output();
        let Ok(ran) = ran else {
            eprintln!("skipped: there is no node here");
            return;
        };
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    }

    /// What a peer wrote can be anything, and these throw on some of it.
    #[test]
    fn values_of_peers_become_text_and_numbers_in_one_file_of_the_page() {
        let of_own = ["String(error)", "String(busy)", "Number(/** @type {HTMLElement} */"];
        for name in [
            "agent-facts",
            "always",
            "asked",
            "attention",
            "blocks",
            "call-card",
            "calls",
            "card",
            "checklist",
            "completion",
            "continuing",
            "diff",
            "draft",
            "editor",
            "ending",
            "entries",
            "excerpt",
            "facts",
            "housekeeping",
            "inline",
            "ledger",
            "messages",
            "outcomes",
            "permission",
            "prose",
            "questions",
            "readable",
            "receipts",
            "reports",
            "search",
            "states",
            "stream",
            "tasks",
            "transcript",
        ] {
            let path = format!("/{name}.js");
            let file = ASSETS.iter().find(|asset| asset.path == path).expect("a file");
            let mut text = String::from_utf8(file.bytes.to_vec()).expect("text");
            for call in of_own {
                text = text.replace(call, "");
            }
            for call in
                [" String(", "(String(", "(String)", " Number(", "(Number(", "JSON.stringify("]
            {
                assert!(!text.contains(call), "{path} has{call}: use values.js");
            }
        }
    }
}
