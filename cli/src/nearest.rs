//! Names that somebody may have meant.

/// How many names an error lists.
const SHOWN: usize = 10;

/// Lists names, those most like `typed` first, in backquotes; and how many more there are.
pub fn list(typed: &str, names: impl IntoIterator<Item = String>) -> String {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_cached_key(|name| (strsim::osa_distance(typed, name), name.clone()));
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_name_comes_first() {
        let names = ["harbour", "store-12", "store-1"].map(str::to_owned);
        assert_eq!(list("stroe-1", names), "`store-1`, `store-12`, `harbour`");
    }

    #[test]
    fn a_long_list_is_cut() {
        let names = (0..25).map(|number| format!("site-{number:02}"));
        assert!(list("site-07", names).ends_with(" and 15 more"));
    }
}
