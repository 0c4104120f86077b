//! Who is let in: what a real Envoy does with the rules of policies. Callers have no certificate here.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use skerry_core::bundle::v1::service_port::Target;
use skerry_core::bundle::v1::{self, Protocol};
use skerry_xds::audit;

use crate::authorization::{anyone, everything, methods, paths, ports, rule, sources};
use crate::backend::Backend;
use crate::client::{get, send};
use crate::envoy::{DEADLINE, Envoy, free_cidr};
use crate::site::{ServiceBuilder as _, Site, WorkloadBuilder as _, service, site, workload};

use super::inbound::free_port;

/// A proxy with a guarded workload behind it.
struct Guarded {
    envoy: Envoy,
    at: SocketAddr,
}

impl Guarded {
    /// Serves the workload `shop/a-1`, which listens at `to`.
    fn start(site: Site, to: SocketAddr) -> Self {
        let site = site.workload(workload("shop/a-1").at(to).proxy(&free_cidr(), free_port()));
        let at = site.workloads.last().unwrap().endpoint(to.port().try_into().unwrap());
        let set = site.lower("shop/a-1");
        assert_eq!(set.problems, []);
        assert_eq!(skerry_xds::check::check(&set), Vec::<String>::new());
        Self { envoy: Envoy::serve(&set), at }
    }

    /// A workload of one HTTP service.
    fn http(authorization: v1::Authorization) -> (Self, Backend) {
        let backend = Backend::start("a");
        let a = service("shop/a").http(80, backend.address.port().into());
        let site = site().service(v1::Service { authorization: Some(authorization), ..a });
        (Self::start(site, backend.address), backend)
    }

    /// Asks `METHOD /path`, and returns the status.
    fn ask(&self, request: &str) -> u16 {
        let (method, path) = request.split_once(' ').unwrap();
        send(self.at, method, path, &[("host", "svc")]).status
    }

    fn check(&self, table: &[(&str, u16)]) {
        let answers: Vec<_> = table.iter().map(|(request, _)| (*request, self.ask(request))).collect();
        assert_eq!(answers, table);
    }
}

fn allow(rules: Vec<v1::AuthorizationRule>) -> v1::Authorization {
    v1::Authorization { allow: rules, closed: true, ..v1::Authorization::default() }
}

fn deny(rules: Vec<v1::AuthorizationRule>) -> v1::Authorization {
    v1::Authorization { deny: rules, ..v1::Authorization::default() }
}

#[test]
fn what_a_rule_allows_passes_and_nothing_else() {
    let public = paths(methods(&["GET", "HEAD"]), &["/public"], &[]);
    let order = paths(methods(&["POST"]), &[], &["/order"]);
    let (guarded, backend) = Guarded::http(allow(vec![
        rule("0", anyone(), vec![public]),
        rule("1", anyone(), vec![order]),
        rule("2", anyone(), vec![methods(&["OPTIONS"])]),
    ]));
    guarded.check(&[
        ("GET /public", 200),
        ("HEAD /public/a", 200),
        ("GET /public?a=/b", 200),
        ("GET /a/../public", 200),
        ("GET /%70ublic", 200),
        ("POST /order?x", 200),
        ("OPTIONS /anything", 200),
        ("POST /public", 403),
        ("GET /publicity", 403),
        ("GET /", 403),
        ("GET /Public", 403),
        ("GET //public", 403),
        ("POST /order/1", 403),
        ("GET /public/../admin", 403),
        ("GET /public/%2e%2e/admin", 403),
        // To some servers this is `/admin`, to others it is not.
        ("GET /public/..%2fadmin", 400),
        ("GET /public/..%5Cadmin", 400),
    ]);
    assert_eq!(backend.seen().len(), 7, "what is refused reaches nobody");
}

#[test]
fn what_a_rule_denies_is_refused_however_it_is_written() {
    let admin = paths(v1::Operation::default(), &["/admin"], &["/a/b"]);
    let (guarded, _backend) = Guarded::http(deny(vec![
        rule("0", anyone(), vec![admin]),
        rule("1", anyone(), vec![methods(&["DELETE"])]),
    ]));
    guarded.check(&[
        ("GET /", 200),
        ("GET /administrator", 200),
        ("GET /a/b/c", 200),
        ("GET /x//y", 200),
        ("GET /admin", 403),
        ("PUT /admin/x?y", 403),
        ("GET //admin", 403),
        ("GET ///admin//x", 403),
        ("GET /x/../admin", 403),
        ("GET /./admin", 403),
        ("GET /%61dmin", 403),
        ("GET /a//b", 403),
        ("DELETE /x", 403),
        ("GET /x%2Fadmin", 400),
    ]);
}

#[test]
fn a_denial_comes_before_an_allowance() {
    let both = v1::Authorization {
        deny: vec![rule("d", anyone(), vec![paths(v1::Operation::default(), &["/a/b"], &[])])],
        ..allow(vec![rule("a", anyone(), vec![paths(v1::Operation::default(), &["/a"], &[])])])
    };
    let (guarded, _backend) = Guarded::http(both);
    guarded.check(&[("GET /a", 200), ("GET /a/b", 403), ("GET /b", 403)]);
    let counts = audit::read(&guarded.envoy.admin(audit::QUERY).unwrap());
    assert_eq!((counts.denied, counts.not_allowed), (1, 1));
}

#[test]
fn without_a_certificate_nobody_is_who_a_rule_names() {
    let office = || sources(v1::Source { namespaces: vec!["office".to_owned()], ..v1::Source::default() });
    let (guarded, _backend) = Guarded::http(allow(vec![rule("0", office(), everything())]));
    guarded.check(&[("GET /", 403)]);
    let (guarded, _backend) = Guarded::http(deny(vec![rule("0", office(), everything())]));
    guarded.check(&[("GET /", 200)]);
}

#[test]
fn what_is_closed_lets_nobody_in() {
    let (guarded, backend) = Guarded::http(allow(Vec::new()));
    guarded.check(&[("GET /", 403)]);
    assert_eq!(backend.seen(), []);
}

#[test]
fn the_default_of_the_mesh_closes_what_no_policy_speaks_of() {
    let closed = || {
        let mut site = site();
        site.bundle.settings.deny_by_default = true;
        site
    };
    let backend = Backend::start("a");
    let web = || service("shop/a").http(80, backend.address.port().into());
    assert_eq!(Guarded::start(closed().service(web()), backend.address).ask("GET /"), 403);
    let open = allow(vec![rule("0", anyone(), everything())]);
    let open = v1::Service { authorization: Some(open), ..web() };
    assert_eq!(Guarded::start(closed().service(open), backend.address).ask("GET /"), 200);
    // A workload of no service has a listener all the same.
    let guarded = Guarded::start(closed(), backend.address);
    assert_eq!(exchange(guarded.at, b"GET / HTTP/1.0\r\n\r\n"), b"");
    assert_eq!(backend.seen().len(), 1);
}

/// Two services are before one workload: a caller cannot choose whose policies hold.
#[test]
fn the_policies_of_all_services_of_a_port_hold() {
    let backend = Backend::start("a");
    let of = |name: &str, authorization| v1::Service {
        name: name.to_owned(),
        authorization,
        ..service("shop/a").http(80, backend.address.port().into())
    };
    let one = allow(vec![rule("a", anyone(), vec![paths(v1::Operation::default(), &["/a"], &[])])]);
    let other = v1::Authorization {
        deny: vec![rule("d", anyone(), vec![methods(&["DELETE"])])],
        ..allow(vec![rule("b", anyone(), vec![paths(v1::Operation::default(), &["/b"], &[])])])
    };
    let site = site().service(of("a", Some(one))).service(of("b", Some(other))).service(of("c", None));
    let guarded = Guarded::start(site, backend.address);
    guarded.check(&[("GET /a", 200), ("GET /b", 200), ("GET /c", 403), ("DELETE /a", 403)]);
}

#[test]
fn a_rule_about_a_port_is_about_no_other() {
    let (a, b) = (Backend::start("a"), Backend::start("b"));
    let web = service("shop/a")
        .port("one", 80, Target::TargetNumber(a.address.port().into()), Protocol::Http)
        .port("two", 81, Target::TargetNumber(b.address.port().into()), Protocol::Http);
    let one = allow(vec![rule("0", anyone(), vec![ports(&[80])])]);
    let site = site().service(v1::Service { authorization: Some(one), ..web });
    let both = workload("shop/a-1").at(a.address).port("two", b.address.port());
    let site = site.workload(both.proxy(&free_cidr(), free_port()));
    let _envoy = Envoy::serve(&site.lower("shop/a-1"));
    let at = |backend: &Backend| site.workloads[0].endpoint(backend.address.port().try_into().unwrap());
    assert_eq!((get(at(&a), "/").status, get(at(&b), "/").status), (200, 403));
}

#[test]
fn what_is_audited_passes_and_is_counted_by_policy() {
    let audit_of = |name: &str, path: &str| v1::Audit {
        name: name.to_owned(),
        rules: vec![rule(
            &format!("{name}/0"),
            anyone(),
            vec![paths(v1::Operation::default(), &[path], &[])],
        )],
    };
    let audits = vec![audit_of("shop/a.b", "/a"), audit_of("shop/c", "/c")];
    let (guarded, _backend) = Guarded::http(v1::Authorization {
        audits,
        ..deny(vec![rule("d", anyone(), vec![methods(&["PUT"])])])
    });
    guarded.check(&[("GET /a", 200), ("GET /a/x", 200), ("GET //a", 200), ("GET /x", 200), ("PUT /a", 403)]);
    let counts = audit::read(&guarded.envoy.admin(audit::QUERY).unwrap());
    let expected = [("shop/a.b", 4, 1), ("shop/c", 0, 5)];
    let expected =
        expected.map(|(name, matched, unmatched)| (name.to_owned(), audit::Audited { matched, unmatched }));
    assert_eq!(counts, audit::Counts { audits: expected.into(), denied: 1, not_allowed: 0 });
}

/// A server of bytes that says `greeting` to whoever comes, then echoes four bytes.
fn greeter(greeting: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (at, met) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&met);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
            std::thread::spawn(move || {
                let _ = stream.write_all(greeting);
                let mut bytes = [0; 4];
                if stream.read_exact(&mut bytes).is_ok() {
                    let _ = stream.write_all(&bytes);
                }
            });
        }
    });
    (at, met)
}

/// Sends bytes and reads to the end.
fn exchange(at: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    // A refused connection may end with a reset.
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn of_bytes(at: SocketAddr, server_first: bool, authorization: v1::Authorization) -> Guarded {
    let mut a = service("shop/a").port("", 7007, Target::TargetNumber(at.port().into()), Protocol::Tcp);
    a.ports[0].server_first = server_first;
    Guarded::start(site().service(v1::Service { authorization: Some(authorization), ..a }), at)
}

#[test]
fn connections_are_let_in_or_closed() {
    let (at, met) = greeter(b"");
    let open = allow(vec![rule("0", anyone(), everything())]);
    assert_eq!(exchange(of_bytes(at, false, open).at, b"ping"), b"ping");
    assert_eq!(met.load(Ordering::Relaxed), 1);
    let audited = v1::Authorization {
        audits: vec![v1::Audit { name: "shop/p".to_owned(), rules: vec![rule("0", anyone(), everything())] }],
        ..v1::Authorization::default()
    };
    let guarded = of_bytes(at, false, audited);
    assert_eq!(exchange(guarded.at, b"ping"), b"ping");
    let counts = audit::read(&guarded.envoy.admin(audit::QUERY).unwrap());
    assert_eq!(counts.audits["shop/p"], audit::Audited { matched: 1, unmatched: 0 });
    for closed in [allow(Vec::new()), deny(vec![rule("0", anyone(), everything())])] {
        let guarded = of_bytes(at, false, closed);
        assert_eq!(exchange(guarded.at, b"ping"), b"");
        let counts = audit::read(&guarded.envoy.admin(audit::QUERY).unwrap());
        assert_eq!(counts.denied + counts.not_allowed, 1);
    }
    assert_eq!(met.load(Ordering::Relaxed), 2, "a refused connection never reaches the workload");
}

/// There are no methods and paths in bytes: no allowance can be kept there, and a denial is.
#[test]
fn rules_about_requests_fail_closed_on_a_port_of_bytes() {
    let (at, _) = greeter(b"");
    for operation in [methods(&["GET"]), paths(v1::Operation::default(), &["/"], &[])] {
        let rules = || vec![rule("0", anyone(), vec![operation.clone()])];
        assert_eq!(exchange(of_bytes(at, false, allow(rules())).at, b"ping"), b"");
        assert_eq!(exchange(of_bytes(at, false, deny(rules())).at, b"ping"), b"");
    }
}

/// Envoy judges a connection by its first bytes. Until they come, nothing that the server says goes out, unless the
/// service says that its server speaks first.
#[test]
fn a_refused_caller_does_not_hear_what_the_server_says_first() {
    let (at, met) = greeter(b"hello");
    let closed = of_bytes(at, false, allow(Vec::new()));
    let mut silent = TcpStream::connect(closed.at).unwrap();
    assert_eq!(exchange(closed.at, b"ping"), b"", "another one has been judged in the meantime");
    silent.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    let _ = silent.read_to_end(&mut heard);
    assert_eq!((heard.as_slice(), met.load(Ordering::Relaxed)), (&b""[..], 0));
    let open = || allow(vec![rule("0", anyone(), everything())]);
    assert_eq!(
        exchange(of_bytes(at, false, open()).at, b"ping"),
        b"helloping",
        "who speaks first gets all of it"
    );
    let speaks_first = of_bytes(at, true, open());
    let mut caller = TcpStream::connect(speaks_first.at).unwrap();
    let mut greeting = [0; 5];
    caller.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"hello");
}
