//! A row of the state store that cannot be read is a problem of its site, and of no other one.

use redb::{Database, TableDefinition};
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{EventRow, Report, SiteEvent, report::Body};

use crate::rig::core::Home;
use crate::rig::shop;
use crate::rig::site::TestSite;

const REPORTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("reports");
const EVENTS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("events");

/// No message of protobuf: it ends within its first field.
const DAMAGED: &[u8] = &[0x0a, 0xff];

fn event(seq: u64, detail: &str) -> Report {
    let event =
        SiteEvent { kind: Kind::RolledBack.into(), detail: detail.to_owned(), ..SiteEvent::default() };
    Report { seq, observed_at_ms: 1_000 + seq, body: Some(Body::Event(event)), ..Default::default() }
}

/// Damages what a core that does not run keeps of `s1`: its row, and the first of its events.
fn damage(home: &Home) -> Result<(), redb::Error> {
    let write = Database::open(home.data_dir().join("state.redb"))?.begin_write()?;
    write.open_table(REPORTS)?.insert("s1", DAMAGED)?;
    write.open_table(EVENTS)?.insert(("s1", 0), DAMAGED)?;
    Ok(write.commit()?)
}

fn words(rows: &[EventRow]) -> Vec<(Kind, &str)> {
    let events = rows.iter().filter_map(|row| row.event.as_ref());
    events.map(|event| (event.kind(), event.detail.as_str())).collect()
}

/// Invariant 7: one bad site hurts only itself.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_7_a_damaged_row_is_a_problem_of_its_site_until_it_reports_again() {
    let (shop, core) = shop().await;
    let other = TestSite::new("s2");
    shop.site.send(&core, vec![event(1, "one"), event(2, "two")]).await.unwrap();
    other.report(&core, 1).await;
    core.stop().await;
    damage(&shop.home).unwrap();

    let core = shop.home.start_ready().await;
    let status = core.status().await;

    let [damaged, good] = status.sites.as_slice() else { panic!("two sites: {status:?}") };
    let [(Kind::ReportDropped, why)] = words(&damaged.open)[..] else { panic!("{damaged:?}") };
    assert!(why.starts_with("the core cannot read what this site reported: "), "{why}");
    assert!(damaged.open[0].received_at_ms > 0 && damaged.state.is_none(), "{damaged:?}");
    assert!(good.state.is_some() && good.open.is_empty(), "{good:?}");
    let events = core.site("s1").await.events;
    let [two, (Kind::ReportDropped, lost)] = words(&events)[..] else { panic!("{events:?}") };
    assert_eq!(two, (Kind::RolledBack, "two"));
    assert!(lost.contains("an event cannot be read"), "{lost}");

    // Its next report begins a new row, which says what is lost; what was kept of its events stays.
    assert_eq!(shop.site.send(&core, vec![event(3, "three")]).await.unwrap(), 3);
    assert_eq!(shop.site.report(&core, 4).await, 4);
    let detail = core.site("s1").await;
    let summary = detail.summary.unwrap();
    let [three, (Kind::ReportDropped, why)] = words(&summary.open)[..] else { panic!("{summary:?}") };
    assert_eq!(three, (Kind::RolledBack, "three"));
    assert!(why.starts_with("the core has lost what this site had reported: "), "{why}");
    assert!(summary.state.is_some());
    assert_eq!(detail.events.len(), 4, "{:?}", detail.events);
    core.stop().await;
}
