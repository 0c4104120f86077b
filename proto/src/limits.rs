//! Every cap of the protocol, with its arithmetic.
//!
//! A peer that goes over one of them is refused with a message that names the cap; nothing here is
//! negotiated.

use skerry_core::bundle::{MAX_FRAGMENT_BYTES, MAX_FRAGMENTS};

/// The protocol version that `sync.proto` describes, sent in `Hello.protocol`.
pub const PROTOCOL: u32 = 1;

/// The oldest protocol version that is served: one release back once there is one.
pub const OLDEST_PROTOCOL: u32 = 1;

/// The longest message, both ways. The longest one that is ever due is a request with 64 reports of 60 KiB.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// How many bytes of fragments ride in an offer, and how long the change of the list in it may be: with these one
/// round trip does it. More than that is fetched in chunks, which can be resumed.
pub const MAX_INLINE_BYTES: usize = 16 << 10;

/// How many bytes the fragments of one offer may have when they are decoded: 16 of the longest ones. More would let
/// an offer of 4 MiB ask for gigabytes of memory.
pub const MAX_INLINE_DECODED_BYTES: usize = 16 << 20;

/// The longest `Chunk.data`: 2 s of a link of 64 kbit/s, so a link that breaks loses little, and one that is up for
/// seconds gets on. What is around it is 60 B, less than half a percent.
pub const MAX_CHUNK_BYTES: usize = 16 << 10;

/// How many bytes of chunks ride in one `PullResponse`. It comes whole or not at all: with an offer it is 100 KiB,
/// which a link of 40 kbit/s carries within the 20 s that an agent waits.
pub const MAX_PULL_CHUNK_BYTES: usize = 64 << 10;

/// The longest fragment list: 10,000 × (8 + 2 × 64 key + 34 id + 4 length + 8) B = 1.7 MiB.
pub const MAX_LIST_BYTES: usize = 2 << 20;

/// The longest encoded form of a fragment: see [`encoded_bound`].
pub const MAX_ENCODED_FRAGMENT_BYTES: usize = encoded_bound(MAX_FRAGMENT_BYTES);

/// Returns zstd's own bound for data that does not compress: 1/256 more, and headers.
pub const fn encoded_bound(bytes: usize) -> usize {
    bytes + bytes / 256 + 1024
}

/// The most wants that one `Need` names: a whole bundle. 10,000 × (34 id + 4 offset + 4) B = 410 KiB.
pub const MAX_WANTS: usize = MAX_FRAGMENTS;

/// The most reports in one `ReportRequest`.
pub const MAX_REPORTS: usize = 64;

/// The longest single report: 64 × 60 KiB = 3.75 MiB stay below the message cap.
pub const MAX_REPORT_BYTES: usize = 60 << 10;

/// The most proxies of one `SiteState`: 50 × (1 KiB detail + 2 × 64 workload + 64 hash) B = 60 KiB
/// when every one of them complains; those that are ready take 150 B.
pub const MAX_PROXIES: usize = 256;

/// The most policies of one `Counted`: 64 × (2 × 64 name + 20) B = 9 KiB.
pub const MAX_AUDITS: usize = 64;

/// The most `SiteState.workload_problems`.
pub const MAX_WORKLOAD_PROBLEMS: usize = 20;

/// The longest free text of a report (what Envoy said, why a bundle was refused).
pub const MAX_DETAIL_BYTES: usize = 1 << 10;

/// How often a site says something at least, while it has a link: seconds. A site that is silent for longer, and
/// [`REPORT_SLACK_SECONDS`], is not well.
/// A site whose uplink is metered takes longer: see [`skerry_core::pace`].
pub const REPORT_INTERVAL_SECONDS: u32 = 300;

/// How late a report may be: two tries of 20 s over a link that is bad.
pub const REPORT_SLACK_SECONDS: u32 = 45;

/// The most refusals of one `SiteSummary.open`: 8 × (1 KiB detail + 100 B) = 9 KiB, when every one is as long as may be.
pub const MAX_OPEN: usize = 8;

/// The most diagnostics of one `SourceStatus`. Most take 1 KiB; of longer ones the core sends as many as fit into
/// an eighth of a message, 512 KiB.
pub const MAX_DIAGNOSTICS: usize = 200;

/// The most events of one `SiteDetail`, and the most that the core keeps of a site:
/// 100 × (1 KiB detail + 100) B = 110 KiB.
pub const MAX_EVENTS: usize = 100;

/// The most sites of one `FleetStatus`: 1,000 × 2 KiB = 2 MiB stay below the message cap; what is
/// longer is cut to another page.
pub const MAX_SITES_A_PAGE: usize = 1_000;

/// The most sites of one `AttachPolicyRequest`, whose every signature is verified before it is answered: 4,096 × 60 µs is a
/// quarter of a second, and with 8 signatures each 4,096 × (8 × 72 + 80) B = 2.6 MiB stay below the message cap.
pub const MAX_ATTACHED_SITES: usize = 4_096;

/// The longest file of policy signatures: 100,000 sites × (8 × 72 + 80) B = 63 MiB; with one key 15 MiB.
pub const MAX_POLICY_FILE_BYTES: usize = 64 << 20;

/// The length of `Hello.boot` and `ReportRequest.boot`.
pub const BOOT_BYTES: usize = 12;

/// So many bytes of a boot id name the agent's data folder.
pub const BOOT_FOLDER_BYTES: usize = 4;

/// So many bytes of it name the folder and the store in it: reports are numbered over the life of a store.
pub const BOOT_STORE_BYTES: usize = 8;
