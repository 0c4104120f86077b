//! `xds/src/gen/envoy.binpb`: the descriptors of the messages that bootstraps hold, from the `.proto`
//! files that the `envoy-types` crate ships. What prints a bootstrap as JSON reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use protox::prost_reflect::prost::Message as _;
use protox::prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, FieldOptions, FileDescriptorProto, FileDescriptorSet,
    MessageOptions,
};

use super::outputs::Owned;

const OUTPUT: &str = "xds/src/gen/envoy.binpb";

/// The folders that hold nothing else.
pub(crate) const OWNED: &[Owned] = &[Owned { folder: "xds/src/gen", extension: "binpb" }];

/// What is packed into `Any` by lowering, and the start file itself.
const ROOTS: &[&str] = &[
    "envoy/config/bootstrap/v3/bootstrap.proto:Bootstrap",
    "envoy/config/rbac/v3/rbac.proto:Action",
    "envoy/extensions/filters/http/rbac/v3/rbac.proto:RBAC",
    "envoy/extensions/filters/http/rbac/v3/rbac.proto:RBACPerRoute",
    "envoy/extensions/filters/http/router/v3/router.proto:Router",
    "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.proto:TlsInspector",
    "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto:HttpConnectionManager",
    "envoy/extensions/filters/network/rbac/v3/rbac.proto:RBAC",
    "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto:TcpProxy",
    "envoy/extensions/filters/udp/dns_filter/v3/dns_filter.proto:DnsFilterConfig",
    "envoy/extensions/matching/common_inputs/ssl/v3/ssl_inputs.proto:UriSanInput",
    "envoy/extensions/rbac/principals/mtls_authenticated/v3/mtls_authenticated.proto:Config",
    "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto:PreviousHostsPredicate",
    "envoy/extensions/transport_sockets/tls/v3/tls.proto:DownstreamTlsContext",
    "envoy/extensions/transport_sockets/tls/v3/tls.proto:UpstreamTlsContext",
    "envoy/extensions/upstreams/http/v3/http_protocol_options.proto:HttpProtocolOptions",
];

/// The folders of `.proto` files in the crate.
const INCLUDES: &[&str] = &[
    "proto/data-plane-api",
    "proto/xds",
    "proto/googleapis",
    "proto/protoc-gen-validate",
    "proto/opentelemetry-proto",
    "proto/client_model",
    "proto/cel-spec/proto",
];

/// Compiles what the roots need, and writes it below `out`.
pub(crate) fn generate(out: &Path) -> Result<()> {
    let mut set = compile(&envoy_types()?)?;
    let roots: Vec<String> = ROOTS.iter().map(|root| full_name(root)).collect();
    prune(&mut set, &roots);
    let path = out.join(OUTPUT);
    fs_err::create_dir_all(path.parent().context("the output is in a folder")?)?;
    let compressed = zstd::bulk::compress(&set.encode_to_vec(), 19)?;
    fs_err::write(path, compressed)?;
    Ok(())
}

/// Finds the sources of the `envoy-types` that the workspace is locked to.
fn envoy_types() -> Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new().exec()?;
    let package = metadata.packages.iter().find(|package| package.name == "envoy-types");
    let manifest = &package.context("the workspace does not use envoy-types")?.manifest_path;
    Ok(manifest.parent().context("a manifest is in a folder")?.as_std_path().to_owned())
}

fn compile(root: &Path) -> Result<FileDescriptorSet> {
    let mut compiler = protox::Compiler::new(INCLUDES.iter().map(|include| root.join(include)))?;
    compiler.include_imports(true).include_source_info(false);
    for entry in ROOTS {
        let (file, _) = split(entry);
        compiler.open_file(file).map_err(|error| anyhow!("{file}: {error}"))?;
    }
    Ok(compiler.file_descriptor_set())
}

fn split(root: &str) -> (&str, &str) {
    root.split_once(':').expect("roots are written FILE:MESSAGE")
}

fn full_name(root: &str) -> String {
    let (file, message) = split(root);
    let folder = file.rsplit_once('/').expect("files are in folders").0;
    format!(".{}.{message}", folder.replace('/', "."))
}

/// Keeps what the roots reach. Options go too: validation rules and annotations are most of the
/// bytes, and printing needs none of them.
fn prune(set: &mut FileDescriptorSet, roots: &[String]) {
    let reached = reach(set, roots);
    for file in &mut set.file {
        let scope = format!(".{}", file.package());
        file.message_type.retain_mut(|message| keep_message(message, &scope, &reached));
        file.enum_type.retain_mut(|kept| keep_enum(kept, &scope, &reached));
        file.service.clear();
        file.extension.clear();
        file.options = None;
    }
    set.file.retain(|file| !file.message_type.is_empty() || !file.enum_type.is_empty());
    fix_imports(&mut set.file);
}

/// All types that are reached through fields, with those that they are nested in.
fn reach(set: &FileDescriptorSet, roots: &[String]) -> BTreeSet<String> {
    let mut fields = BTreeMap::new();
    for file in &set.file {
        for message in &file.message_type {
            index(message, &format!(".{}", file.package()), &mut fields);
        }
    }
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> = roots.to_vec();
    while let Some(name) = open.pop() {
        if reached.insert(name.clone()) {
            open.extend(fields.get(&name).into_iter().flatten().cloned());
        }
    }
    reached
}

fn index(message: &DescriptorProto, scope: &str, fields: &mut BTreeMap<String, Vec<String>>) {
    let name = format!("{scope}.{}", message.name());
    let types = message.field.iter().filter_map(|field| field.type_name.clone()).collect();
    for nested in &message.nested_type {
        index(nested, &name, fields);
    }
    fields.insert(name, types);
}

/// Drops nested types that are not reached; a message stays for the sake of those that are.
fn keep_message(message: &mut DescriptorProto, scope: &str, reached: &BTreeSet<String>) -> bool {
    let name = format!("{scope}.{}", message.name());
    message.nested_type.retain_mut(|nested| keep_message(nested, &name, reached));
    message.enum_type.retain_mut(|nested| keep_enum(nested, &name, reached));
    let is_reached = reached.contains(&name);
    if !is_reached {
        message.field.clear();
        message.oneof_decl.clear();
    }
    let is_map = message.options.as_ref().is_some_and(MessageOptions::map_entry);
    message.options = is_map.then(|| MessageOptions { map_entry: Some(true), ..Default::default() });
    for field in &mut message.field {
        let packed = field.options.as_ref().and_then(|options| options.packed);
        field.options = packed.map(|packed| FieldOptions { packed: Some(packed), ..Default::default() });
    }
    message.oneof_decl.iter_mut().for_each(|oneof| oneof.options = None);
    is_reached || !message.nested_type.is_empty() || !message.enum_type.is_empty()
}

fn keep_enum(kept: &mut EnumDescriptorProto, scope: &str, reached: &BTreeSet<String>) -> bool {
    let has_alias = kept.options.as_ref().is_some_and(EnumOptions::allow_alias);
    kept.options = has_alias.then(|| EnumOptions { allow_alias: Some(true), ..Default::default() });
    kept.value.iter_mut().for_each(|value| value.options = None);
    reached.contains(&format!("{scope}.{}", kept.name()))
}

/// Imports of files that are gone (annotations, above all) are dropped.
fn fix_imports(files: &mut [FileDescriptorProto]) {
    let names: BTreeSet<String> = files.iter().map(|file| file.name().to_owned()).collect();
    for file in files {
        file.dependency.retain(|import| names.contains(import));
        // These count among the imports by position. Names are whole, so nothing is found through them.
        file.public_dependency.clear();
        file.weak_dependency.clear();
    }
}
