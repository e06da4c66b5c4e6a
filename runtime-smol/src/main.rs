//! The program `footbridge`.

mod program;

fn main() -> std::process::ExitCode {
    program::main()
}
