//! The program `footbridge-worker`.

mod commands;

fn main() -> std::process::ExitCode {
    commands::main()
}
