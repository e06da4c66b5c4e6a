//! The page's files, which are built into the program.

use footbridge_core::relay::Asset;

macro_rules! assets {
    ($($path:literal: $file:literal, $content_type:expr;)*) => {
        &[$(Asset {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../web/", $file)),
        }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const MANIFEST: &str = "application/manifest+json";

/// All of them, by path.
pub(super) const ASSETS: &[Asset] = assets! {
    "/": "index.html", HTML;
    "/always.js": "always.js", JS;
    "/api.js": "api.js", JS;
    "/app.css": "app.css", CSS;
    "/asked.js": "asked.js", JS;
    "/calls.js": "calls.js", JS;
    "/card.js": "card.js", JS;
    "/composer.js": "composer.js", JS;
    "/connection.js": "connection.js", JS;
    "/device": "device.html", HTML;
    "/device.html": "device.html", HTML;
    "/device.js": "device.js", JS;
    "/diff.js": "diff.js", JS;
    "/dom.js": "dom.js", JS;
    "/editor.js": "editor.js", JS;
    "/facts.js": "facts.js", JS;
    "/format.js": "format.js", JS;
    "/housekeeping.js": "housekeeping.js", JS;
    "/icon.svg": "icon.svg", SVG;
    "/long.js": "long.js", JS;
    "/main.js": "main.js", JS;
    "/manifest.webmanifest": "manifest.webmanifest", MANIFEST;
    "/messages.js": "messages.js", JS;
    "/overview.js": "overview.js", JS;
    "/permission.js": "permission.js", JS;
    "/proof.js": "proof.js", JS;
    "/prose.js": "prose.js", JS;
    "/questions.js": "questions.js", JS;
    "/reading.js": "reading.js", JS;
    "/readable.js": "readable.js", JS;
    "/receipts.js": "receipts.js", JS;
    "/results.js": "results.js", JS;
    "/rhythm.js": "rhythm.js", JS;
    "/session.js": "session.js", JS;
    "/sign-in.js": "sign-in.js", JS;
    "/status.js": "status.js", JS;
    "/stream.js": "stream.js", JS;
    "/token.js": "token.js", JS;
    "/transcript.js": "transcript.js", JS;
    "/values.js": "values.js", JS;
    "/visible.js": "visible.js", JS;
    "/worktree.js": "worktree.js", JS;
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_under_its_own_name() {
        let web = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
        let files = std::fs::read_dir(web).expect("the page's directory");
        for file in files.map(|file| file.expect("a file")) {
            let name = file.file_name().into_string().expect("text");
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            assert!(ASSETS.iter().any(|asset| asset.path == path), "{name} is not listed");
        }
    }

    /// What a peer wrote can be anything, and these throw on some of it.
    #[test]
    fn values_of_peers_become_text_and_numbers_in_one_file_of_the_page() {
        let of_own = ["String(error)", "String(busy)", "Number(/** @type {HTMLElement} */"];
        for name in [
            "always",
            "asked",
            "calls",
            "card",
            "diff",
            "editor",
            "facts",
            "housekeeping",
            "messages",
            "permission",
            "prose",
            "questions",
            "readable",
            "receipts",
            "stream",
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
