//! The reference of the command line, as Markdown, from the same description that parses it.

use clap::{Arg, Command};

/// Renders the reference.
pub fn render(command: &mut Command) -> String {
    command.build();
    let codes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        "# The `{0}` command\n\n<!-- Written by `cargo xtask codegen`: change cli/src, not this file. -->\n\n{1}\n\n",
        command.get_name(),
        sentences(command),
    );
    text.push_str(&format!("```text\n{codes}\n```\n\n## Options of every verb\n\n"));
    text.push_str(&items(command.get_arguments().filter(|arg| arg.is_global_set())));
    for verb in verbs(command) {
        section(verb, command.get_name(), &mut text);
    }
    text
}

fn section(command: &Command, parent: &str, text: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    if command.has_subcommands() {
        verbs(command).for_each(|verb| section(verb, &name, text));
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    text.push_str(&format!("\n## `{name}`\n\n{}\n\n```text\n{usage}\n```\n\n", sentences(command)));
    let own = command.get_arguments().filter(|arg| !arg.is_global_set() && !is_built_in(arg));
    text.push_str(&items(own));
    if let Some(examples) = command.get_after_help() {
        text.push_str(&format!("\n```text\n{examples}\n```\n"));
    }
}

fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

fn sentences(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let (first, rest) = about.split_once("\n\n").unwrap_or((&about, ""));
    let first = if first.ends_with('.') { first.to_owned() } else { format!("{first}.") };
    if rest.is_empty() { first } else { format!("{first}\n\n{rest}") }
}

fn is_built_in(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version")
}

fn items<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    args.filter(|arg| !arg.is_hide_set()).map(item).collect()
}

fn item(arg: &Arg) -> String {
    let values = if arg.get_action().takes_values() { value_names(arg) } else { String::new() };
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}{values}`"),
        (None, Some(long)) => format!("`--{long}{values}`"),
        (Some(short), None) => format!("`-{short}{values}`"),
        (None, None) => format!("`{}`", values.trim_start()),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    format!("* {name}: {help}{}\n", remarks(arg))
}

fn value_names(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(|name| format!(" {name}")).collect()
}

fn remarks(arg: &Arg) -> String {
    let mut remarks = Vec::new();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if arg.get_action().takes_values() {
        let values = arg.get_possible_values();
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !values.is_empty() {
            remarks.push(format!("one of {}", values.join(", ")));
        }
        if !defaults.is_empty() && !arg.is_hide_default_value_set() {
            remarks.push(format!("default `{}`", defaults.join(" ")));
        }
    }
    remarks.extend(arg.get_env().map(|name| format!("environment `{}`", name.to_string_lossy())));
    if arg.is_required_set() {
        remarks.push("required".to_owned());
    }
    if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) }
}
