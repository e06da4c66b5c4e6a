//! The program `footbridge-worker`.

mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
