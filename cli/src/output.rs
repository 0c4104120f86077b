//! The one place that prints: results to standard output, everything about the work to standard error.
//!
//! Rendering is pure and lives in the modules below; they return text.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};

use crate::args::{ColorWhen, GlobalArgs};
use crate::error::{CliError, ErrorKind};

pub mod age;
pub mod bundle;
pub mod diagnostics;
pub mod difference;
pub mod explanation;
pub mod fleet;
pub mod github;
pub mod markdown;
pub mod paint;
pub mod printable;
pub mod progress;
pub mod reference;
pub mod serialized;
pub mod table;
pub mod trust;

use paint::Paint;
use printable::on_one_line;
use progress::Progress;

/// Writes what the parser of arguments has to say, help or an error, and returns the exit code.
pub fn parser(said: &clap::Error) -> u8 {
    let written = said.print().and_then(|()| io::stdout().flush());
    match written {
        // What went to standard error is all that there is to say.
        _ if said.use_stderr() => ErrorKind::Usage.exit_code(),
        Ok(()) => 0,
        Err(error) => {
            let global = GlobalArgs { color: ColorWhen::Auto, quiet: false };
            Output::new(&global).error(&CliError::write(&error))
        }
    }
}

/// Where a verb's words go.
#[derive(Debug)]
pub struct Output {
    stdout: AutoStream<io::Stdout>,
    stderr: AutoStream<io::Stderr>,
    quiet: bool,
}

impl Output {
    /// Looks at the two streams and decides on colour.
    pub fn new(args: &GlobalArgs) -> Self {
        let choice = match args.color {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::AlwaysAnsi,
            ColorWhen::Never => ColorChoice::Never,
        };
        let stdout = AutoStream::new(io::stdout(), choice);
        Self { stdout, stderr: AutoStream::new(io::stderr(), choice), quiet: args.quiet }
    }

    /// Says how results are painted.
    pub fn paint(&self) -> Paint {
        Paint::of(self.stdout.current_choice())
    }

    /// Says how words about the work are painted.
    pub fn paint_stderr(&self) -> Paint {
        Paint::of(self.stderr.current_choice())
    }

    /// Says whether a person looks at the results.
    pub fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Says whether long work shows a sign of life.
    pub fn progress(&self) -> Progress {
        if !self.quiet && io::stderr().is_terminal() { Progress::Shown } else { Progress::Hidden }
    }

    /// Writes a result.
    pub fn result(&mut self, text: &str) -> Result<(), CliError> {
        let written = self.stdout.write_all(text.as_bytes()).and_then(|()| self.stdout.flush());
        written.map_err(|error| CliError::write(&error))
    }

    /// Writes a result that is no text, past the stream that would take some of it for colours.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(|error| CliError::write(&error))
    }

    /// Writes words about the work: nothing when quiet.
    pub fn note(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Writes an error and returns its exit code.
    pub fn error(&mut self, error: &CliError) -> u8 {
        if error.kind != ErrorKind::BrokenPipe {
            let paint = self.paint_stderr();
            let mut text = format!("{} {}\n", paint.error("error:"), on_one_line(&error.message));
            for hint in &error.hints {
                text.push_str(&format!("{} {}\n", paint.help("help:"), on_one_line(hint)));
            }
            self.say(&text);
        }
        error.kind.exit_code()
    }

    /// Writes to standard error. When that is gone, too, there is nobody left to tell.
    pub fn say(&mut self, text: &str) {
        let _ = self.stderr.write_all(text.as_bytes()).and_then(|()| self.stderr.flush());
    }
}
