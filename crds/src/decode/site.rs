//! `Site` → one edge location.

use std::sync::LazyLock;

use skerry_core::bundle::v1::Supervision;
use skerry_core::policy::site::{DataPlane, Location, MAX_OFFLINE_SECONDS, Uplink, UplinkClass};
use skerry_core::policy::{Site, Spec};

use crate::api;
use crate::findings::Findings;
use crate::shape::Shape;

use super::{Body, duration, sites, spec};

static SHAPE: LazyLock<Shape> = LazyLock::new(spec::shape_of_crd::<api::site::Site>);

/// The whole spec may be left out.
pub(super) fn convert(findings: &mut Findings<'_>) -> Option<Body> {
    let spec: api::site::SiteSpec = spec::read_on(&SHAPE, findings)?;
    sites::refuse_annotation("remove it: a Site is itself what is selected, by its labels", findings);
    let site = Site {
        location: spec.location.map(location).unwrap_or_default(),
        uplink: spec.uplink.map(|uplink| to_uplink(&uplink)).unwrap_or_default(),
        data_plane: data_plane(&spec.data_plane.unwrap_or_default(), findings)?,
        offline_seconds: match &spec.offline_budget {
            Some(budget) => {
                duration::seconds(budget, 3_600..=MAX_OFFLINE_SECONDS, "/spec/offlineBudget", findings)?
            }
            None => 0,
        },
    };
    Some(Body { spec: Spec::Site(site), sites: None })
}

fn location(location: api::site::Location) -> Location {
    Location {
        region: location.region.unwrap_or_default(),
        zone: location.zone.unwrap_or_default(),
        coordinates: location.coordinates.map(|at| (at.latitude, at.longitude)),
    }
}

fn to_uplink(uplink: &api::site::Uplink) -> Uplink {
    let class = match uplink.class {
        Some(api::site::UplinkClass::Broadband) | None => UplinkClass::Broadband,
        Some(api::site::UplinkClass::Metered) => UplinkClass::Metered,
        Some(api::site::UplinkClass::Satellite) => UplinkClass::Satellite,
        Some(api::site::UplinkClass::Intermittent) => UplinkClass::Intermittent,
    };
    Uplink { class, bytes_per_day: uplink.bytes_per_day.and_then(|bytes| u64::try_from(bytes).ok()) }
}

fn data_plane(data_plane: &api::site::DataPlane, findings: &mut Findings<'_>) -> Option<DataPlane> {
    let supervision = match data_plane.supervision {
        Some(api::site::Supervision::External) | None => Supervision::External,
        Some(api::site::Supervision::Agent) => Supervision::Agent,
    };
    let drain_seconds = match &data_plane.drain_timeout {
        Some(drain) => duration::seconds(drain, 1..=3_600, "/spec/dataPlane/drainTimeout", findings)?,
        None => DataPlane::default().drain_seconds,
    };
    Some(DataPlane { supervision, drain_seconds })
}
