//! The steps of an apply, at which tests kill an agent.

use super::*;

/// Every step of `step::STEPS` that the site takes itself is named, in the order of the table.
#[test]
fn an_apply_names_its_steps() {
    let mut bench = Bench::new();
    let steps = named_steps(|| {
        let mut site = bench.boot(&["a"]);
        site.handle(publish(1).offer());
        site.handle(news("a", ads::News::Connected));
        site.handle(publish(2).offer());
        site.handle(news("a", refused(bench.served("a"), "no")));
        drop(site);
        bench.store.put_candidate(&publish(3).slot(), &publish(3).fragments()).unwrap();
        bench.boot(&["a"]);
    });
    let first = steps.iter().position(|step| step == "agent.apply.snapshot-written").unwrap();
    let in_order: Vec<&str> = crate::step::STEPS[..13].iter().map(|(name, _)| *name).collect();
    let expected = in_order.iter().filter(|name| **name != "agent.apply.fragments-staged");
    assert!(steps[..=first].iter().filter(|step| !step.starts_with("agent.spool")).eq(expected), "{steps:?}");
    for name in
        ["agent.apply.condemned", "agent.apply.rolled-back", "agent.apply.resumed", "agent.spool.queued"]
    {
        assert!(steps.iter().any(|step| step == name), "{name}: {steps:?}");
    }
}

fn named_steps(run: impl FnOnce()) -> Vec<String> {
    use tracing_subscriber::prelude::*;
    let steps = Arc::new(parking_lot::Mutex::new(Vec::new()));
    // With a single dispatcher alive, tracing asks that of the thread that first comes by a place, which
    // may be another test's and have none, and keeps the answer.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Ear(steps.clone())), run);
    std::mem::take(&mut steps.lock())
}

/// Hears the steps.
struct Ear(Arc<parking_lot::Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Ear {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == crate::step::TARGET {
            event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                assert_eq!(field.name(), "step");
                self.0.lock().push(format!("{value:?}").trim_matches('"').to_owned());
            });
        }
    }
}
