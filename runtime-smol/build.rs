//! Prepares the files of the page: compressed, so that the program need not, and with a list of its modules,
//! so that browsers need not find them one after the other.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=web");
    let web = Path::new("web");
    let out = env::var_os("OUT_DIR").map(|out| Path::new(&out).join("web"));
    let out = out.ok_or_else(|| io::Error::other("cargo says where to write"))?;
    fs::create_dir_all(&out)?;
    for file in fs::read_dir(web)? {
        let name = file?.file_name();
        let mut bytes = fs::read(web.join(&name))?;
        if name == "index.html" {
            bytes = with_modules(web, &bytes)?;
        }
        fs::write(out.join(&name), &bytes)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        let mut compressed = encoder.finish()?;
        // Pictures are compressed already.
        if compressed.len() * 10 > bytes.len() * 9 {
            compressed.clear();
        }
        let mut name = name;
        name.push(".gz");
        fs::write(out.join(name), compressed)?;
    }
    Ok(())
}

/// The page that names all modules that it needs.
fn with_modules(web: &Path, page: &[u8]) -> io::Result<Vec<u8>> {
    let page = text(page.to_vec())?;
    let links = modules(web, MAIN)?
        .into_iter()
        .map(|name| format!("  <link rel=\"modulepreload\" href=\"a/VERSION/{name}\">\n"));
    let (head, rest) = page.split_once("</head>").ok_or_else(|| wrong("index.html has no head"))?;
    Ok(format!("{head}{}</head>{rest}", links.collect::<String>()).into_bytes())
}

/// The module that the page starts.
const MAIN: &str = "main.js";

/// What a module needs, and what those do, nearest first; without itself.
fn modules(web: &Path, first: &str) -> io::Result<Vec<String>> {
    let mut found = vec![first.to_owned()];
    let mut known = BTreeSet::from([first.to_owned()]);
    let mut at = 0;
    while let Some(name) = found.get(at) {
        let source = text(fs::read(web.join(name))?)?;
        for line in source.lines() {
            let named = line.split_once(" from './").and_then(|(_, rest)| rest.split_once("';"));
            if let Some((needed, _)) = named
                && known.insert(needed.to_owned())
            {
                found.push(needed.to_owned());
            }
        }
        at += 1;
    }
    found.remove(0);
    Ok(found)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| wrong("a file of the page is no text"))
}

fn wrong(words: &str) -> io::Error {
    io::Error::other(words)
}
