//! Writes the inputs that the corpus begins with, `seed-…`: one or more of each target that go all the way, and their halves.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use skerry_core::bundle::{Contents, EncodedFragment, v1};
use skerry_core::id::Timestamp;
use skerry_core::ledger::encode;
use skerry_fuzz_bodies::accept::{self, Ran};
use skerry_fuzz_bodies::bundle::BEFORE;
use skerry_fuzz_bodies::{parts, trust};
use skerry_identity::ca::{Authority as _, TransportCa};
use skerry_identity::csr;
use skerry_identity::envelope::{PayloadType, Signatures, sign};
use skerry_identity::key::{EcdsaKey, SigningKey};
use skerry_identity::lifetimes::Validity;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::token::{JoinToken, TokenSecret};
use skerry_identity::trust_root::{Role, SignedRoot, TrustRoot};
use skerry_proto::codec::encode_list;
use skerry_proto::codec::list::Step;
use skerry_proto::v1::{EnrolRequest, Offer, RenewRequest};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    policy()?;
    bundle()?;
    accept()?;
    trust()?;
    enrolment()?;
    token()
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Writes an input, and the first half of it.
fn write(target: &str, name: &str, bytes: &[u8]) -> Outcome {
    let folder = top().join("fuzz/corpus").join(target);
    fs_err::create_dir_all(&folder)?;
    fs_err::write(folder.join(format!("seed-{name}")), bytes)?;
    Ok(fs_err::write(folder.join(format!("seed-{name}-half")), &bytes[..bytes.len() / 2])?)
}

/// Documents of an example, one after the other.
fn documents(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut paths: Vec<PathBuf> =
        fs_err::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let mut text = String::new();
    for path in paths {
        if path.is_dir() {
            text += &documents(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            text += &format!("---\n{}", fs_err::read_to_string(path)?);
        }
    }
    Ok(text)
}

const LOCAL: &str = "apiVersion: skerry.dev/v1alpha1
kind: Workload
metadata: {name: echo-1, namespace: shop, labels: {app: echo}}
spec:
  serviceAccount: echo
  address: 127.0.0.1
  ports: [{name: http, port: 9080}]
  proxy: {role: Sidecar, outboundCIDR: 127.70.0.0/16, inboundPort: 15006}
---
apiVersion: skerry.dev/v1alpha1
kind: PolicySource
metadata: {name: policy}
spec:
  url: https://git.example/policy.git
  ref: {branch: main}
  interval: 1m
";

const AWKWARD: &str = "a: &a [1, &b {k: *a}, *b]
---
- [unclosed
---
{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"Service\",
 \"metadata\": {\"name\": \"a\", \"namespace\": \"b\"}, \"spec\": {\"ports\": [{\"port\": 80}]}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{kind: Service, group: '', name: echo, port: 80}]
  rules: [{matches: [{path: {type: RegularExpression, value: '/(a|b)+$'}}], backendRefs: [{name: gone, port: 1}]}]
...
%YAML 1.2
---
? on
: |+
  yes

";

fn policy() -> Outcome {
    for example in ["three-sites", "bookinfo-style", "online-boutique"] {
        write("policy", example, documents(&top().join("examples").join(example))?.as_bytes())?;
    }
    write("policy", "local", LOCAL.as_bytes())?;
    write("policy", "awkward", AWKWARD.as_bytes())
}

/// The bundle of an example's services, as they are compiled, would be long: this has one of each thing.
fn next() -> Contents {
    let service = v1::Service {
        namespace: "shop".to_owned(),
        name: "echo".to_owned(),
        index: 1,
        selector: [("app".to_owned(), "echo".to_owned())].into(),
        ports: vec![v1::ServicePort { port: 80, ..v1::ServicePort::default() }],
        tables: vec![v1::RouteTable { port: 80, routes: vec![route()], ..v1::RouteTable::default() }],
        ..v1::Service::default()
    };
    let other = v1::Service { name: "other".to_owned(), index: 2, tables: Vec::new(), ..service.clone() };
    let settings = v1::Settings { deny_by_default: true, ..v1::Settings::default() };
    let fragments = [
        EncodedFragment::settings(settings),
        EncodedFragment::service(service),
        EncodedFragment::service(other),
    ];
    Contents::new(fragments.map(Arc::new).to_vec())
}

fn route() -> v1::Route {
    let backend = |name: &str, weight| v1::Backend {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        port: 80,
        weight,
        ..v1::Backend::default()
    };
    let forward =
        v1::Forward { backends: vec![backend("echo", 90), backend("other", 10)], ..v1::Forward::default() };
    v1::Route {
        name: "shop/echo/0/0".to_owned(),
        action: Some(v1::route::Action::Forward(forward)),
        ..v1::Route::default()
    }
}

fn bundle() -> Outcome {
    let next = next();
    let starts = [
        ("whole", None, &[][..], usize::MAX),
        ("step", Some(&BEFORE.digest), BEFORE.fragments.as_slice(), usize::MAX),
        ("names", Some(&BEFORE.digest), BEFORE.fragments.as_slice(), 0),
    ];
    for (name, base, old, room) in starts {
        let Step { list, fragments } = encode_list(base, old, &next.fragments, room);
        let offer =
            Offer { manifest: manifest(|_| ()), list: Some(list), fragments, number: 1, ..Offer::default() };
        write("bundle", name, &offer.encode_to_vec())?;
    }
    Ok(())
}

fn manifest(change: impl FnOnce(&mut v1::Manifest)) -> Vec<u8> {
    let mut manifest = v1::Manifest {
        site: accept::SITE.to_owned(),
        epoch: 1_790_000_000,
        generation: 5,
        list: vec![7; 32],
        schema: 1,
        issued_at_ms: 1_790_000_000_000,
        ..v1::Manifest::default()
    };
    change(&mut manifest);
    encode(&manifest).0
}

fn accept() -> Outcome {
    let now = trust::NOW.0;
    let write = |name: &str, floor, ran, manifest: &[u8]| {
        write("accept", name, &accept::to_bytes(floor, now, ran, manifest))
    };
    write("first", (0, 0), Ran::Nothing, &manifest(|_| ()))?;
    write("newer", (1_790_000_000, 4), Ran::Other, &manifest(|_| ()))?;
    write("same", (1_790_000_000, 5), Ran::This, &manifest(|_| ()))?;
    write("twice", (1_790_000_000, 5), Ran::Other, &manifest(|_| ()))?;
    write("older", (1_790_000_001, 1), Ran::Other, &manifest(|_| ()))?;
    write("highest", (1, u64::MAX), Ran::Other, &manifest(|manifest| manifest.generation = u64::MAX))?;
    write("last", (1, 1), Ran::Other, &manifest(|manifest| manifest.epoch = u64::MAX))?;
    write("late", (1, 1), Ran::Other, &manifest(|manifest| manifest.accept_until_ms = now - 1))?;
    write("other-site", (1, 1), Ran::Other, &manifest(|manifest| manifest.site = "bergen".to_owned()))
}

fn trust() -> Outcome {
    let [one, two, policy] = [SigningKey::generate()?, SigningKey::generate()?, SigningKey::generate()?];
    let root = TrustRoot {
        mesh: MeshDomain::new("mesh.local")?,
        version: 1,
        expires: 1_900_000_000,
        core: Role::new(2, [one.public(), two.public()]),
        policy: Some(Role::new(1, [policy.public()])),
        require_policy: true,
    };
    let next = TrustRoot { version: 2, core: Role::new(1, [two.public()]), ..root.clone() };
    let signed = |root: &TrustRoot| -> Result<Vec<u8>, Box<dyn Error>> {
        let mut signed = SignedRoot::new(root)?;
        for key in [&one, &two, &policy] {
            signed.sign(key)?;
        }
        Ok(serde_json::to_vec(&signed)?)
    };
    let manifest = manifest(|_| ());
    for (name, keys, next) in [
        ("one-root", vec![&one, &two, &policy], Vec::new()),
        ("two-roots", vec![&two, &policy], signed(&next)?),
        ("too-few", vec![&one, &one, &policy], Vec::new()),
        ("no-policy", vec![&one, &two], Vec::new()),
    ] {
        let signatures = keys
            .iter()
            .map(|key| sign(PayloadType::Manifest, &manifest, key))
            .collect::<Result<Vec<_>, _>>()?;
        let signatures = Signatures::from_iter(signatures).to_bytes();
        write("trust", name, &parts::join(&[&signed(&root)?, &next, &manifest], &signatures))?;
    }
    Ok(())
}

fn enrolment() -> Outcome {
    let [agent, authority] = [csr::create(&EcdsaKey::generate()?)?, csr::create(&EcdsaKey::generate()?)?];
    let site = accept::SITE.to_owned();
    let secret = TokenSecret::generate()?.as_bytes().to_vec();
    let enrol =
        EnrolRequest { site: site.clone(), secret, agent: agent.clone(), authority: authority.clone() };
    write("enrolment", "enrol", &enrol.encode_to_vec())?;
    let renew = RenewRequest { site, agent, authority, ..RenewRequest::default() };
    write("enrolment", "renew", &renew.encode_to_vec())
}

fn token() -> Outcome {
    let mesh = MeshDomain::new("mesh.local")?;
    let now = trust::NOW;
    let validity = Validity::starting(now, Duration::from_secs(3600));
    let pin = TransportCa::create(&mesh, &validity)?.certificate().thumbprint();
    for (name, core) in [("bare", None), ("with-core", Some("https://core.example:7443".to_owned()))] {
        let token = JoinToken {
            site: accept::SITE.parse()?,
            mesh: mesh.clone(),
            core,
            pin,
            issued: now,
            expires: Timestamp(now.0 + 86_400_000),
            secret: TokenSecret::generate()?,
        };
        write("token", name, token.to_text().ok_or("the address is too long")?.as_bytes())?;
    }
    Ok(())
}
