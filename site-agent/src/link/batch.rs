//! How many reports go into one request, and what is to be done when the core refuses them. Pure.

use skerry_proto::REFUSED_REPORT;
use skerry_proto::limits::MAX_REPORTS;

/// The size of the next request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    size: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { size: MAX_REPORTS }
    }
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// One of several reports: fewer are to be sent now.
    Again,
    /// The one report that was sent.
    Report,
    /// No report: the core, or the link.
    Whole,
}

impl Batch {
    /// Returns how many reports may be sent.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The core has kept some: the next ones may be twice as many.
    pub(super) fn handle_kept(&mut self) {
        self.size = (self.size * 2).min(MAX_REPORTS);
    }

    /// The core has ended a call or a stream while so many reports were under way. Only what it says of reports is taken
    /// for a fault of theirs ([`is_about_reports`]). The one that breaks a rule is found in at most seven requests.
    pub(super) fn handle_refusal(&mut self, is_about_reports: bool, sent: usize) -> Refused {
        match sent {
            _ if !is_about_reports => Refused::Whole,
            0 | 1 => Refused::Report,
            _ => {
                self.size = sent.div_ceil(2);
                Refused::Again
            }
        }
    }
}

/// Says whether an error is about the content of reports: the core marks those. An error may have other causes at both
/// ends, a message that is too long for one, and no report is given up for them.
pub(super) fn is_about_reports(status: &tonic::Status) -> bool {
    status.metadata().contains_key(REFUSED_REPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends reports to a core that refuses one of them; returns what it kept, what was given up, and the requests.
    fn send(mut waiting: Vec<u32>, bad: u32) -> (Vec<u32>, Vec<u32>, usize) {
        let (mut batch, mut kept, mut given_up, mut requests) = (Batch::default(), Vec::new(), Vec::new(), 0);
        while !waiting.is_empty() {
            let sent = batch.size().min(waiting.len());
            requests += 1;
            if !waiting[..sent].contains(&bad) {
                kept.extend(waiting.drain(..sent));
                batch.handle_kept();
            } else if batch.handle_refusal(true, sent) == Refused::Report {
                given_up.push(waiting.remove(0));
            }
        }
        (kept, given_up, requests)
    }

    /// A report that the core refuses costs itself: none before and none after it.
    #[test]
    fn one_bad_report_is_found_and_keeps_back_no_other() {
        for bad in 0..200 {
            let all: Vec<u32> = (0..200).collect();
            let (kept, given_up, requests) = send(all.clone(), bad);
            assert_eq!(given_up, [bad]);
            assert_eq!(kept, all.into_iter().filter(|report| *report != bad).collect::<Vec<_>>());
            assert!(requests < 30, "{bad}: {requests}");
        }
    }

    /// An error without the mark is no fault of a report, whatever its code: a message over the cap is `OutOfRange`, and made
    /// here.
    #[test]
    fn what_is_no_fault_of_a_report_drops_none() {
        for code in [tonic::Code::OutOfRange, tonic::Code::InvalidArgument, tonic::Code::Unavailable] {
            let mut status = tonic::Status::new(code, "no");
            for sent in [1, 64] {
                let refused = Batch::default().handle_refusal(is_about_reports(&status), sent);
                assert_eq!(refused, Refused::Whole, "{code:?}");
            }
            status.metadata_mut().insert(REFUSED_REPORT, "7".parse().unwrap());
            assert_eq!(Batch::default().handle_refusal(is_about_reports(&status), 1), Refused::Report);
        }
    }
}
