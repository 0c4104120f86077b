//! `skerry operator list`: who may ask the core.

use serde::Serialize;
use skerry_proto::v1::OperatorRow;

use crate::args::TableFormat;
use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::age::{Moment, age_or_never, rfc3339, span};
use crate::output::table::{Cell, Tone, table};
use crate::output::{Output, serialized};

const EXAMPLES: &str = "\
Examples:
  skerry operator list
  skerry operator list -o json | jq -r '.[] | select(.seconds < 604800) | .name'";

/// List the keys with which the core may be asked
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// The form of the answer
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = TableFormat::Table)]
    pub output: TableFormat,
}

/// A key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OperatorView {
    name: String,
    /// SHA-256, hexadecimal.
    key: String,
    made: Option<Moment>,
    made_by: String,
    until: String,
    /// What is left by the core's clock; 0: it is over.
    seconds: u64,
    /// A rotation of the link root has ended it.
    is_rotated_out: bool,
    /// It ends with the rotation of the link root that is under way.
    is_ending: bool,
    /// It may change nothing.
    is_read_only: bool,
    is_you: bool,
}

impl OperatorView {
    fn of(row: OperatorRow, now_ms: u64) -> Self {
        Self {
            name: row.name,
            key: row.key.iter().map(|byte| format!("{byte:02x}")).collect(),
            made: Moment::at(row.since_ms, now_ms),
            made_by: row.by,
            until: rfc3339(row.until_ms),
            seconds: if row.is_rotated_out { 0 } else { row.until_ms.saturating_sub(now_ms) / 1000 },
            is_rotated_out: row.is_rotated_out,
            is_ending: row.is_ending,
            is_read_only: row.is_read_only,
            is_you: row.is_you,
        }
    }

    fn row(&self) -> Vec<Cell> {
        let ends = match self.seconds {
            _ if self.is_rotated_out => Cell::toned("over: the link root was rotated", Tone::Dim),
            0 => Cell::toned("over", Tone::Dim),
            _ if self.is_ending => Cell::toned("with the rotation: make another", Tone::Warning),
            seconds => format!("in {}", span(seconds * 1000)).into(),
        };
        let key = self.key.get(..12).unwrap_or_default();
        vec![
            Cell::from(&*self.name),
            key.into(),
            if self.is_read_only { "look" } else { "change" }.into(),
            age_or_never(self.made.as_ref()).into(),
            Cell::from(&*self.made_by),
            ends,
            Cell::toned(if self.is_you { "you" } else { "" }, Tone::Dim),
        ]
    }
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let answer = args.core.connect()?.operators()?;
    let now = answer.now_ms;
    let operators: Vec<OperatorView> =
        answer.operators.into_iter().map(|row| OperatorView::of(row, now)).collect();
    let heading = ["NAME", "KEY", "MAY", "MADE", "BY", "ENDS", ""];
    let text = serialized::in_form(&operators, args.output, |operators| {
        table(output.paint(), &heading, operators.iter().map(OperatorView::row))
    })?;
    output.result(&text)?;
    Ok(Outcome::Done)
}
