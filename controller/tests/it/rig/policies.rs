//! Policies to commit.

/// Two sites and a service with one route: enough for a bundle.
pub(crate) const SHOP: &[(&str, &str)] =
    &[("sites.yaml", SITES), ("shop/cart.yaml", CART), ("shop/web.yaml", WEB), ("shop/route.yaml", ROUTE)];

pub(crate) const SITES: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: Site
metadata: {name: s1, labels: {tier: retail}}
---
apiVersion: skerry.dev/v1alpha1
kind: Site
metadata: {name: s2, labels: {tier: lab}}
";

pub(crate) const CART: &str = "\
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
";

pub(crate) const WEB: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
";

/// Requests to `cart` below `/old` go to `web`.
pub(crate) const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules:
    - matches: [{path: {type: PathPrefix, value: /old}}]
      backendRefs: [{name: web, port: 80}]
    - backendRefs: [{name: cart, port: 80}]
";

/// The same route with another path.
pub(crate) fn route(path: &str) -> String {
    ROUTE.replace("/old", path)
}

/// A route that cannot be used: `port` is no number. The place is line 9.
pub(crate) const BAD_ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart}]
  rules:
    - backendRefs:
        - name: web
          port: eighty
";
