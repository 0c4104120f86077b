//! Which regular expressions are safe to hand to Envoy's RE2.
//!
//! Conservative: parsed by another engine's grammar, then everything is refused that RE2 would refuse or
//! read in another way (RE2 syntax: <https://github.com/google/re2/wiki/Syntax>). Needs no RE2.

use std::fmt;

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    AssertionKind, Ast, ClassSetBinaryOp, ClassSetItem, ClassUnicode, ClassUnicodeKind, Flag, Flags,
    FlagsItemKind, GroupKind, HexLiteralKind, Literal, LiteralKind, Repetition, RepetitionKind,
    RepetitionRange, SpecialLiteralKind, Visitor, visit,
};

/// The most nesting of groups and classes.
const MAX_NESTING: u32 = 50;

/// The most repeats of one part (RE2: `kMaxRepeat`), also of repeats inside repeats.
const MAX_REPEAT: u32 = 1_000;

/// The largest expression, counted in parts with repeats written out: it bounds RE2's program.
const MAX_PARTS: u32 = 1_000;

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is not of RE2's syntax.
    Syntax(String),
    /// It has too many parts; `None` is too many to count.
    TooLarge(Option<u32>),
}

impl Flaw {
    /// Says what would help.
    pub(super) fn help(&self) -> String {
        match self {
            Self::Syntax(_) => "use the syntax of RE2, without look-around and back-references".to_owned(),
            Self::TooLarge(_) => {
                "each character, class and group is a part, and `a{100}` is 101 of them: repeat less often \
                                  (`+` and `*` count once), or split it into several matches"
                    .to_owned()
            }
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = match self {
            Self::Syntax(reason) => return f.write_str(reason),
            Self::TooLarge(parts) => parts.map_or("billions of".to_owned(), |parts| parts.to_string()),
        };
        write!(
            f,
            "it is too large: {parts} parts with repeats written out, and at most {MAX_PARTS} are taken"
        )
    }
}

/// Says why an expression cannot be used.
pub(super) fn check(pattern: &str) -> Result<(), Flaw> {
    let syntax = |reason: String| Flaw::Syntax(reason);
    if pattern.is_empty() {
        return Err(syntax("it is empty".to_owned()));
    }
    let ast = ParserBuilder::new().nest_limit(MAX_NESTING).build().parse(pattern);
    let ast =
        ast.map_err(|error| syntax(format!("{} at character {}", error.kind(), error.span().start.column)))?;
    visit(&ast, Dialect { pattern }).map_err(syntax)?;
    match parts(&ast) {
        Some(parts) if parts <= MAX_PARTS => Ok(()),
        parts => Err(Flaw::TooLarge(parts)),
    }
}

/// Refuses what RE2 does not have.
struct Dialect<'p> {
    pattern: &'p str,
}

impl Visitor for Dialect<'_> {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Flags(set) => check_flags(&set.flags),
            Ast::Group(group) => match &group.kind {
                GroupKind::NonCapturing(flags) => check_flags(flags),
                GroupKind::CaptureIndex(_) | GroupKind::CaptureName { .. } => Ok(()),
            },
            Ast::Literal(literal) => check_literal(literal),
            Ast::Assertion(assertion) => check_assertion(&assertion.kind),
            Ast::ClassUnicode(class) => check_class(class),
            Ast::Repetition(repetition) => self.check_repetition(repetition),
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Bracketed(_) => Err("a class inside a class".to_owned()),
            ClassSetItem::Literal(literal) => check_literal(literal),
            ClassSetItem::Range(range) => {
                check_literal(&range.start).and_then(|()| check_literal(&range.end))
            }
            ClassSetItem::Unicode(class) => check_class(class),
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), String> {
        Err("an operation on classes (`&&`, `--` or `~~`)".to_owned())
    }
}

impl Dialect<'_> {
    fn check_repetition(&self, repetition: &Repetition) -> Result<(), String> {
        if matches!(*repetition.ast, Ast::Repetition(_)) {
            return Err("a repeat of a repeat".to_owned());
        }
        let RepetitionKind::Range(range) = &repetition.op.kind else { return Ok(()) };
        let text = self.pattern.get(repetition.op.span.start.offset..repetition.op.span.end.offset);
        if text.is_none_or(|text| text.starts_with("{,") || text.contains(' ')) {
            return Err("a repeat without a lower bound".to_owned());
        }
        let most = match range {
            RepetitionRange::Exactly(count) | RepetitionRange::AtLeast(count) => *count,
            RepetitionRange::Bounded(_, most) => *most,
        };
        if most > MAX_REPEAT { Err(format!("a repeat of more than {MAX_REPEAT}")) } else { Ok(()) }
    }
}

fn check_flags(flags: &Flags) -> Result<(), String> {
    let is_known = |kind: &FlagsItemKind| match kind {
        FlagsItemKind::Negation => true,
        FlagsItemKind::Flag(flag) => {
            matches!(
                flag,
                Flag::CaseInsensitive | Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed
            )
        }
    };
    match flags.items.iter().all(|item| is_known(&item.kind)) {
        true => Ok(()),
        false => Err("a flag other than i, m, s and U".to_owned()),
    }
}

fn check_literal(literal: &Literal) -> Result<(), String> {
    match &literal.kind {
        LiteralKind::HexFixed(kind) | LiteralKind::HexBrace(kind) if *kind != HexLiteralKind::X => {
            Err("an escape `\\u` or `\\U`; write `\\x{…}`".to_owned())
        }
        LiteralKind::Special(SpecialLiteralKind::Space) => Err("an escaped blank".to_owned()),
        _ => Ok(()),
    }
}

fn check_assertion(kind: &AssertionKind) -> Result<(), String> {
    match kind {
        AssertionKind::StartLine
        | AssertionKind::EndLine
        | AssertionKind::StartText
        | AssertionKind::EndText
        | AssertionKind::WordBoundary
        | AssertionKind::NotWordBoundary => Ok(()),
        _ => Err("a word boundary other than `\\b` and `\\B`".to_owned()),
    }
}

/// General categories (`\pL`, `\p{Lu}`) mean the same everywhere; names of scripts and properties do not.
fn check_class(class: &ClassUnicode) -> Result<(), String> {
    match &class.kind {
        ClassUnicodeKind::OneLetter(_) => Ok(()),
        ClassUnicodeKind::Named(name) if name.len() <= 2 => Ok(()),
        _ => Err("a Unicode class other than a general category such as `\\p{Lu}`".to_owned()),
    }
}

/// Counts the parts with repeats written out; `None` is too many to count.
fn parts(ast: &Ast) -> Option<u32> {
    let sum = |asts: &[Ast]| asts.iter().try_fold(1_u32, |sum, ast| sum.checked_add(parts(ast)?));
    match ast {
        Ast::Concat(concat) => sum(&concat.asts),
        Ast::Alternation(alternation) => sum(&alternation.asts),
        Ast::Group(group) => parts(&group.ast)?.checked_add(1),
        Ast::Repetition(repetition) => {
            let times = match &repetition.op.kind {
                RepetitionKind::Range(RepetitionRange::Bounded(_, most)) => *most,
                RepetitionKind::Range(RepetitionRange::Exactly(count) | RepetitionRange::AtLeast(count)) => {
                    *count
                }
                _ => 1,
            };
            parts(&repetition.ast)?.checked_mul(times.max(1))?.checked_add(1)
        }
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn takes_what_re2_takes() {
        let good = [
            "/api/v[0-9]+/.*",
            "^/users/(?P<id>\\d{1,10})$",
            "(?i)foo|bar",
            "[[:alpha:]_-]+",
            "\\pL\\p{Lu}\\x{1F600}\\x41",
            "a\\.b\\/c",
            "(a+)+",
            ".*?",
            "(?:ab){1,200}",
            "canary|stable",
        ];
        for pattern in good {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn refuses_what_re2_refuses_or_reads_otherwise() {
        let bad = [
            "",
            "(",
            "a**",
            "(?=a)",
            "(a)\\1",
            "(?x)a b",
            "[a-z&&[aeiou]]",
            "[[a]b]",
            "\\u0041",
            "\\p{Greek}",
            "\\b{start}a",
            "a{,3}",
            "a{1001}",
            "((a{100}){100}){100}",
            "*",
            "[z-a]",
        ];
        for pattern in bad {
            assert!(check(pattern).is_err(), "{pattern}");
        }
    }
}
