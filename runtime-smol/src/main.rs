//! The program `footbridge`.

mod program;

fn main() -> std::process::ExitCode {
    footbridge_supervision::intercept().unwrap_or_else(program::main)
}
