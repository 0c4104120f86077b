//! The `skerry` command: parses arguments, runs one verb, ends with its exit code. All else is in the library.

fn main() -> std::process::ExitCode {
    skerry::main()
}
