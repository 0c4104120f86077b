//! `Site`: one edge location. Its labels are the object's own (`metadata.labels`).

use crate::bundle::v1::Supervision;

/// One edge location.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Site {
    /// Where it is.
    pub location: Location,
    /// The link to the core.
    pub uplink: Uplink,
    /// How its proxies are run.
    pub data_plane: DataPlane,
    /// How long it shall go on with no link: seconds; 0 is the default, a week. At most [`MAX_OFFLINE_SECONDS`].
    pub offline_seconds: u32,
}

/// The longest time that a site may be meant to go on with no link: half a year, seconds.
pub const MAX_OFFLINE_SECONDS: u32 = 180 * 86_400;

/// Where a site is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Location {
    /// Region, free text.
    pub region: String,
    /// Zone, free text.
    pub zone: String,
    /// Latitude and longitude in degrees.
    pub coordinates: Option<(f64, f64)>,
}

/// The kind of link that a site has to the core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UplinkClass {
    /// Always on, not metered.
    #[default]
    Broadband,
    /// Paid by the byte: no chatter.
    Metered,
    /// Long delay, metered.
    Satellite,
    /// Up for moments: the agent pulls instead of holding a stream.
    Intermittent,
}

/// The link of a site to the core.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uplink {
    /// Its class.
    pub class: UplinkClass,
    /// Budget: bytes each day, both ways; `None` is no limit.
    pub bytes_per_day: Option<u64>,
}

/// How the proxies of a site are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPlane {
    /// Who starts them.
    pub supervision: Supervision,
    /// How long a draining Envoy may take: seconds, 1 to 3600.
    pub drain_seconds: u32,
}

impl Default for DataPlane {
    fn default() -> Self {
        Self { supervision: Supervision::External, drain_seconds: 30 }
    }
}
