//! Compresses the files of the page, so that the program need not.

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
        let bytes = fs::read(web.join(&name))?;
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
