//! JSON and YAML for programs.

use serde::Serialize;

use crate::args::TableFormat;
use crate::error::CliError;

/// Writes a value in the form that was asked for; `table` writes it for people.
pub fn in_form<T: Serialize>(
    value: &T,
    form: TableFormat,
    table: impl FnOnce(&T) -> String,
) -> Result<String, CliError> {
    match form {
        TableFormat::Table => Ok(table(value)),
        TableFormat::Json => json(value),
        TableFormat::Yaml => yaml(value),
    }
}

/// Writes a value as indented JSON.
pub fn json(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| CliError::internal(format!("no JSON: {error}")))
}

/// Writes a value as one line of JSON.
pub fn json_line(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string(value);
    text.map(|text| text + "\n").map_err(|error| CliError::internal(format!("no JSON: {error}")))
}

/// Writes a value as YAML.
pub fn yaml(value: &impl Serialize) -> Result<String, CliError> {
    // By way of plain values: what is left out of the JSON is left out here.
    let value =
        serde_json::to_value(value).map_err(|error| CliError::internal(format!("no YAML: {error}")))?;
    let text = serde_saphyr::to_string(&value);
    text.map_err(|error| CliError::internal(format!("no YAML: {error}")))
}
