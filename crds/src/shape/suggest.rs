//! "Did you mean": the nearest of a list of names, and the list itself.

/// The most names that a help line lists.
const MAX_LISTED: usize = 20;

/// The most letters of a name that are compared; longer texts are near to nothing.
const MAX_COMPARED: usize = 100;

/// Words a help line: the nearest name when one is near, else all of them.
pub(crate) fn did_you_mean<'n>(text: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    match nearest(text, names.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => one_of(names),
    }
}

/// Words a help line that lists names: `one of: a, b, c`.
pub(crate) fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => "remove it".to_owned(),
        [name] => format!("the only one is `{name}`"),
        names if names.len() <= MAX_LISTED => format!("one of: {}", names.join(", ")),
        names => format!("one of: {}, …", names[..MAX_LISTED].join(", ")),
    }
}

/// Says whether a text is a name but for a slip: at most two letters, and less than a fifth of them.
pub(crate) fn is_near(text: &str, name: &str) -> bool {
    let distance = distance(&text.to_lowercase(), &name.to_lowercase());
    distance <= 2 && distance * 5 < name.chars().count().max(1)
}

/// Finds the nearest name, if it is near: at most a third of the letters differ, or it holds the text as a
/// whole (`Prefix` in `PathPrefix`). The first wins a tie.
fn nearest<'n>(text: &str, names: impl Iterator<Item = &'n str> + Clone) -> Option<&'n str> {
    let lower = text.to_lowercase();
    let ranked = names.clone().map(|name| (distance(&lower, &name.to_lowercase()), name));
    let (distance, name) = ranked.min_by_key(|(distance, _)| *distance)?;
    let longest = text.chars().count().max(name.chars().count());
    if distance * 3 <= longest && longest <= MAX_COMPARED {
        return Some(name);
    }
    let holds = |name: &&str| lower.len() >= 4 && name.to_lowercase().contains(&lower);
    names.into_iter().find(holds)
}

/// Counts letters that are replaced, added, left out, or swapped with their neighbour (optimal string
/// alignment), with three rows of the table kept.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(MAX_COMPARED).collect();
    let right: Vec<char> = right.chars().take(MAX_COMPARED).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row];
        for column in 1..=right.len() {
            let replaced = above[column - 1] + usize::from(left[row - 1] != right[column - 1]);
            let mut least = replaced.min(above[column] + 1).min(current[column - 1] + 1);
            let is_swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if is_swapped {
                least = least.min(before[column - 2] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_or_all() {
        let names = ["timeouts", "retries", "targetRefs", "spec"];
        let cases = [
            ("timeout", "did you mean `timeouts`?"),
            ("TargetRef", "did you mean `targetRefs`?"),
            ("retires", "did you mean `retries`?"),
            ("sepc", "did you mean `spec`?"),
            ("Refs", "did you mean `targetRefs`?"),
            ("circuitBreaker", "one of: timeouts, retries, targetRefs, spec"),
            ("", "one of: timeouts, retries, targetRefs, spec"),
        ];
        for (text, expected) in cases {
            assert_eq!(did_you_mean(text, names.into_iter()), expected, "{text}");
        }
        assert_eq!(did_you_mean("x", [].into_iter()), "remove it");
    }
}
