//! Who vouches for a commit: every kind of signature, of signer and of mistake, each with its verdict and its words.

mod allowed_signers;
mod commit;
mod git;
mod openpgp;
mod signed;
mod signers;
mod ssh;

use skerry_crds::policy_source::VerifyMode;
use skerry_gitops::provenance::distrust::Distrust;
use skerry_gitops::provenance::{Admission, Verdict, decide};

/// Renders a verdict as people see it.
fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Trusted { signer } => format!("trusted: {signer}"),
        other => format!("{}\n    help: {}", other.reason(), other.help()),
    }
}

/// Renders a table of cases.
fn table(cases: impl IntoIterator<Item = (&'static str, Verdict)>) -> String {
    let row = |(case, verdict): (&str, Verdict)| format!("{case}\n    {}\n", shown(&verdict));
    cases.into_iter().map(row).collect()
}

/// Nothing but trust is admitted where signatures are enforced, and everything where they are audited.
#[test]
fn what_comes_of_a_verdict() {
    let trusted = Verdict::Trusted { signer: "ada@example.org".to_owned() };
    let untrusted = Verdict::Untrusted(Distrust::NoCommitter);
    let cases = [
        (VerifyMode::Enforce, &trusted, Admission::Admit),
        (VerifyMode::Enforce, &Verdict::Unsigned, Admission::Hold),
        (VerifyMode::Enforce, &untrusted, Admission::Hold),
        (VerifyMode::Audit, &trusted, Admission::Admit),
        (VerifyMode::Audit, &Verdict::Unsigned, Admission::Admit),
        (VerifyMode::Audit, &untrusted, Admission::Admit),
    ];
    for (mode, verdict, expected) in cases {
        assert_eq!(decide(mode, verdict), expected, "{mode:?}, {verdict:?}");
    }
}
