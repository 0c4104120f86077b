//! Routes that have no effect, since none of their sites is one of their parent's.
//!
//! Only selectors are compared, each pair by the classes that have both: which objects there are is not asked.

use std::collections::BTreeSet;

use crate::diagnostic::{Code, Diagnostic};
use crate::id::{Kind, ObjectKey};
use crate::policy::http_route::ParentRef;
use crate::policy::{HttpRoute, OfSpec as _};

use super::Index;
use super::board::Owner;
use super::classes::SelectorId;
use super::variants::Variant;

impl Index {
    /// Looks at the routes among these objects, and at those that attach to a service among them.
    pub(super) fn check_apart(&mut self, objects: BTreeSet<ObjectKey>, selectors: &BTreeSet<SelectorId>) {
        let users = selectors.iter().flat_map(|selector| self.classes.users(*selector)).cloned();
        let touched: BTreeSet<ObjectKey> = objects.into_iter().chain(users).collect();
        let attached = touched.iter().filter(|key| key.kind == Kind::Service);
        let attached: Vec<ObjectKey> = attached
            .flat_map(|key| self.links.routes(&key.namespaced_name()).cloned().collect::<Vec<_>>())
            .collect();
        let routes = touched.into_iter().chain(attached).filter(|key| key.kind == Kind::HttpRoute);
        let routes: BTreeSet<ObjectKey> = routes.collect();
        for route in routes {
            let found: BTreeSet<Diagnostic> =
                self.forms(&route).flat_map(|variant| self.apart(variant)).collect();
            self.board.set(Owner::Apart(route), found.into_iter().collect());
        }
    }

    fn apart(&self, route: &Variant) -> Vec<Diagnostic> {
        let parents = HttpRoute::of(&route.form.object().spec).map_or(&[][..], |route| &route.parents);
        parents.iter().filter_map(|parent| self.apart_from(route, parent)).collect()
    }

    fn apart_from(&self, route: &Variant, parent: &ParentRef) -> Option<Diagnostic> {
        let service = self.objects.get(&ObjectKey::service(&parent.service))?;
        let (ours, theirs) = (route.sites?, service.sites?);
        let matches = |selector| self.classes.unmatched(selector).is_none();
        // A selector that matches nothing is said to; without any site nothing is said.
        if self.classes.sites().is_empty() || !matches(ours) || !matches(theirs) {
            return None;
        }
        if self.classes.all().any(|(_, class)| class.has(Some(ours)) && class.has(Some(theirs))) {
            return None;
        }
        let sites = service.form.object().sites.as_ref()?;
        let message = format!(
            "Service {} is at sites with `{sites}` only, and none of this route's sites is one: it has no effect there",
            parent.service
        );
        let warning = route.form.warning(Code::MatchesNothing, &parent.pointer, message);
        Some(warning.help("give both the same sites, or take the parent out"))
    }
}
