//! The Workload API, with a client of others: the pip package `spiffe`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::authority::Mesh;
use crate::backend::Backend;
use crate::bundle::plan;
use crate::core::Core;
use crate::site::Site;

/// The version that is tested with.
const PACKAGE: &str = "spiffe==0.3.2";

/// Asks for everything that there is, and checks what it gets as the library does.
const SCRIPT: &str = r#"
import sys
from cryptography.hazmat.primitives import serialization
from spiffe import WorkloadApiClient
from spiffe.errors import PySpiffeError
try:
    with WorkloadApiClient(socket_path="unix:" + sys.argv[1]) as client:
        svid = client.fetch_x509_svid()
        print("id", svid.spiffe_id)
        print("chain", len(svid.cert_chain))
        key = svid.private_key.public_key()
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        print("key", key.public_bytes(*form) == svid.leaf.public_key().public_bytes(*form))
        bundles = client.fetch_x509_bundles()
        bundle = bundles.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        print("roots", len(bundle.x509_authorities))
        print("serial", "%x" % list(bundle.x509_authorities)[0].serial_number)
except PySpiffeError as error:
    print("refused", type(error).__name__, error)
"#;

/// A Python that has the package, in a folder of the build; says so where there is none, and the case is skipped.
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/spiffe-0.3.2");
    let python = folder.join("bin/python");
    let has_it = |python: &Path| run(python, &["-c", "import spiffe, cryptography"]);
    let made = has_it(&python)
        || (run(Path::new("python3"), &["-m", "venv", folder.to_str().unwrap()])
            && run(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE])
            && has_it(&python));
    if !made {
        let words = b"skipped: the pip package `spiffe` cannot be had here\n";
        let _unheard = std::io::Write::write_all(&mut std::io::stderr(), words);
    }
    made.then_some(python)
}

fn run(program: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What the client says about a socket.
async fn ask(python: &Path, socket: &Path) -> String {
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(socket).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Asks until the answer begins like that. Each question takes a Python half a second.
async fn ask_until(python: &Path, socket: &Path, beginning: &str) -> String {
    let mut said = String::new();
    for _ in 0..40 {
        said = ask(python, socket).await;
        if said.starts_with(beginning) {
            return said;
        }
    }
    panic!("waited in vain for `{beginning}`; the last answer was: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_gets_its_certificate_by_the_workload_api() {
    let Some(python) = tokio::task::spawn_blocking(python).await.unwrap() else { return };
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    let mesh = Mesh::new("mesh.local");
    site.enrol(&mesh.enrol(&[]));
    let uid = rustix::process::getuid().as_raw();
    let workloads = site.folder.path().join("workloads");
    let write = |uid: u32| {
        let text = format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: Workload\nmetadata: {{name: billing-1, namespace: shop}}\n\
             spec: {{serviceAccount: billing, address: 127.0.0.1, ports: [{{port: {}}}], uid: {uid}}}\n",
            backend.address.port()
        );
        let file = workloads.join("billing-1.yaml");
        fs_err::write(file.with_extension("new"), text).unwrap();
        fs_err::rename(file.with_extension("new"), file).unwrap();
    };
    write(uid);
    let socket = site.data().join("workload.sock");
    site.start();
    let said = ask_until(&python, &socket, "id ").await;
    let expected = format!(
        "id spiffe://store-1.mesh.local/ns/shop/sa/billing\nchain 2\nkey True\nroots 1\nserial {}\n",
        mesh.root().serial().trim_start_matches('0')
    );
    assert_eq!(said, expected);

    write(uid + 1);
    let said = ask_until(&python, &socket, "refused ").await;
    assert!(said.contains("PermissionDenied") || said.contains("PERMISSION_DENIED"), "{said}");
}
