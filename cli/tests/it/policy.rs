//! Policies for tests: a small shop at three sites.

/// Three sites, two of them stores.
pub(crate) const SITES: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: Site
metadata: {name: store-1, labels: {tier: retail}}
---
apiVersion: skerry.dev/v1alpha1
kind: Site
metadata: {name: store-2, labels: {tier: retail}}
---
apiVersion: skerry.dev/v1alpha1
kind: Site
metadata: {name: harbour, labels: {tier: port}}
";

/// Three services.
pub(crate) const SERVICES: &str = "\
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews-v1, namespace: shop}
spec:
  selector: {app: reviews, version: v1}
  ports: [{name: http, port: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews-v2, namespace: shop}
spec:
  selector: {app: reviews, version: v2}
  ports: [{name: http, port: 9080}]
";

/// A split, with a timeout of its own.
pub(crate) const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: reviews
  namespace: shop
spec:
  parentRefs:
    - {group: \"\", kind: Service, name: reviews}
  rules:
    - name: all
      timeouts: {request: 2s}
      backendRefs:
        - {name: reviews-v1, port: 9080, weight: 90}
        - {name: reviews-v2, port: 9080, weight: 10}
";

/// Retries for the whole namespace.
pub(crate) const RETRIES: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: patience, namespace: shop}
spec:
  targetRefs: [{kind: Namespace, name: shop}]
  timeouts: {request: 5s}
  retries: {attempts: 2, codes: [503]}
";

/// Another split at the harbour.
pub(crate) const OVERRIDE: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: SiteOverride
metadata: {name: harbour, namespace: shop}
spec:
  sites:
    matchLabels: {tier: port}
  precedence: 10
  patches:
    - target: {kind: HTTPRoute, name: reviews}
      json:
        - {op: replace, path: /spec/rules/0/backendRefs/0/weight, value: 100}
        - {op: replace, path: /spec/rules/0/backendRefs/1/weight, value: 0}
";

/// Nobody may delete a review.
pub(crate) const DENY: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: no-deletes, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: reviews}]
  action: Deny
  rules: [{to: [{methods: [DELETE]}]}]
";

/// A workload with a proxy, and one without.
pub(crate) const WORKLOADS: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: Workload
metadata: {name: reviews-1, namespace: shop, labels: {app: reviews, version: v1}}
spec:
  serviceAccount: reviews
  address: 127.0.0.1
  ports: [{name: http, port: 9080}]
  proxy: {role: Sidecar, outboundCIDR: 127.65.0.0/16, inboundPort: 15006}
---
apiVersion: skerry.dev/v1alpha1
kind: Workload
metadata: {name: reviews-2, namespace: shop, labels: {app: reviews, version: v2}}
spec:
  serviceAccount: reviews
  address: 127.0.0.1
  ports: [{name: http, port: 9081}]
";

/// All of the policy, by path.
pub(crate) const SHOP: &[(&str, &str)] = &[
    ("sites.yaml", SITES),
    ("shop/services.yaml", SERVICES),
    ("shop/reviews.yaml", ROUTE),
    ("shop/retries.yaml", RETRIES),
    ("shop/harbour.yaml", OVERRIDE),
];
