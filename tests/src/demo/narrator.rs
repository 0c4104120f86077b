//! What the demo says: one line for each step with its time, and a sign of life while it waits.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the demo is there to be read")]

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::process::Seen;
use crate::signals::EndSignal;

/// The column at which times begin.
const WIDTH: usize = 92;

/// What a step has shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    line: String,
    details: Vec<String>,
}

impl Shown {
    /// Says it in one line.
    pub(super) fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), details: Vec::new() }
    }

    /// Adds how it could be seen; left out under `--check`.
    #[must_use]
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }
}

/// Prints the demo.
#[derive(Debug)]
pub(super) struct Narrator {
    terse: bool,
    steps: std::cell::Cell<u32>,
}

impl Narrator {
    /// Makes one; a terse one leaves details out.
    pub(super) fn new(terse: bool) -> Self {
        Self { terse, steps: std::cell::Cell::new(0) }
    }

    /// Runs a step and tells what came of it.
    pub(super) async fn step(&self, title: &str, step: impl Future<Output = Result<Shown>>) -> Result<()> {
        let number = self.steps.get() + 1;
        self.steps.set(number);
        let (shown, took) = timed(title, step).await;
        let shown = shown.with_context(|| format!("step {number} ({title})"))?;
        println!("{number}. {:WIDTH$} {:>7}", shown.line, seconds(took));
        if !self.terse {
            shown.details.iter().for_each(|detail| println!("   {detail}"));
        }
        Ok(())
    }

    /// Runs something that is no step, with a line when it is done.
    pub(super) async fn quietly<T>(&self, title: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (result, took) = timed(title, work).await;
        let result = result.with_context(|| title.to_owned())?;
        println!("   {:WIDTH$} {:>7}", title, seconds(took));
        Ok(result)
    }

    /// Prints a table that another program made.
    pub(super) fn table(&self, table: &str) {
        println!("\n{}", table.trim_end());
    }

    /// Prints a table between two steps; left out under `--check`.
    pub(super) fn aside(&self, table: impl FnOnce() -> Result<String>) -> Result<()> {
        if !self.terse {
            println!();
            table()?.lines().for_each(|line| println!("   {line}"));
            println!();
        }
        Ok(())
    }

    /// Prints what can be tried while the demo is kept up.
    pub(super) fn invite(&self, lines: &[String]) {
        println!("\nEverything stays up until Ctrl-C. Try:");
        lines.iter().for_each(|line| println!("  {line}"));
    }

    /// Tells what went wrong.
    pub(super) fn fail(&self, error: &anyhow::Error) {
        eprintln!("FAILED: {error:#}");
    }

    /// Tells that a signal ended the demo.
    pub(super) fn interrupted(&self, signal: EndSignal) {
        eprintln!("ended by {}", signal.name());
    }

    /// Tells that everything was ended, or what was not.
    pub(super) fn cleaned_up(&self, left: &[Seen]) {
        if left.is_empty() {
            println!("\ncleaned up: no process is left");
        }
        for process in left {
            eprintln!("still there: {} ({})", process.program, process.id);
        }
    }
}

async fn timed<T>(title: &str, work: impl Future<Output = T>) -> (T, Duration) {
    let sign = sign_of_life(title);
    let start = Instant::now();
    let result = work.await;
    sign.finish_and_clear();
    (result, start.elapsed())
}

/// A spinner with the time that has passed; where there is no terminal, the title on a line of its own.
fn sign_of_life(title: &str) -> ProgressBar {
    let sign =
        ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_message(title.to_owned());
    if !std::io::stderr().is_terminal() {
        eprintln!("   {title} …");
        return sign;
    }
    if let Ok(style) = ProgressStyle::with_template("   {spinner} {msg} … {elapsed}") {
        sign.set_style(style);
    }
    sign.enable_steady_tick(Duration::from_millis(100));
    sign
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
