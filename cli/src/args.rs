//! What can be typed. Plain data: nothing here opens a file or asks a core.

use clap::{Parser, ValueEnum};

pub mod core;
pub mod life;
pub mod range;
pub mod source;

use crate::verb::Verb;

const AFTER_HELP: &str = "\
Examples:
  skerry validate --source policies                 # offline: what is wrong, and where
  skerry diff origin/main..HEAD -o markdown         # offline: which sites a change reaches
  skerry status --watch                             # the fleet, with the age of every figure
  skerry VERB -h                                    # examples of each verb

Exit codes:
  0    done: the answer is there, whatever it says of a policy or a fleet
  1    the policy has errors (of `validate` and `render`; what could be shown was shown)
  2    the arguments are wrong
  3    the source cannot be read: no such folder, revision or path, or an empty repository
  4    there is no such site, workload or object
  5    the core cannot be reached, or cannot answer now
  6    the core refused
  10   there are differences (`diff --exit-code` alone)
  70   a bug of skerry
  74   the output cannot be written
  141  the reader of the output went away";

/// Skerry: a service mesh for edge sites, driven from Git.
#[derive(Debug, Parser)]
#[command(
    name = "skerry",
    version,
    disable_help_subcommand = true,
    after_help = AFTER_HELP,
    max_term_width = 100
)]
pub struct Args {
    /// Options of every verb.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct GlobalArgs {
    /// When to colour the output; `auto` honours NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    pub color: ColorWhen,
    /// Say nothing but the result and errors: no notes, warnings or progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal that takes it, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Forms of an answer that people read as a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For programs, and pleasant to read.
    Yaml,
}
