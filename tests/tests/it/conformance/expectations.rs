//! What each conformance manifest must do: one row for each file.

use std::net::SocketAddr;

use super::{headers, redirects};
use crate::place::Place;
use crate::question::Question;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    /// A client in the services' own namespace.
    Mesh,
    /// A client in another namespace.
    Consumer,
}

/// Who is asked. Indexes follow names.
#[derive(Debug, Clone, Copy)]
pub(super) enum To {
    Echo = 1,
    EchoV1 = 2,
    EchoV2 = 3,
}

impl From {
    /// Where this client finds a service.
    pub(super) fn service(self, place: &Place, to: To, port: u16) -> SocketAddr {
        let client = &place.workloads[self as usize];
        SocketAddr::from((client.virtual_address(to as u8).expect("the client has a sidecar"), port))
    }
}

/// Questions to one service.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub from: From,
    pub to: To,
    pub port: u16,
    pub questions: Vec<Question>,
}

/// One file and what is asked when it is in force.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub file: &'static str,
    pub asked: Vec<Asked>,
}

/// Asks `echo` on port 80 from its own namespace.
pub(super) fn echo(file: &'static str, questions: Vec<Question>) -> Row {
    Row { file, asked: vec![asked(From::Mesh, To::Echo, 80, questions)] }
}

fn asked(from: From, to: To, port: u16, questions: Vec<Question>) -> Asked {
    Asked { from, to, port, questions }
}

/// Every file that has expectations.
pub(super) fn table() -> Vec<Row> {
    [matches(), headers::rows(), redirects::rows(), meshes()].concat()
}

fn matches() -> Vec<Row> {
    vec![
        echo("httproute-simple-same-namespace.yaml", vec![Question::get("anything", "/any").by("v1")]),
        echo("httproute-matching.yaml", matching()),
        echo("httproute-query-param-matching.yaml", query_params()),
        echo(
            "httproute-named-rule.yaml",
            vec![
                Question::get("named", "/named").by("v1"),
                Question::get("unnamed", "/unnamed").by("v2"),
                Question::get("neither", "/").status(404),
            ],
        ),
    ]
}

fn matching() -> Vec<Question> {
    vec![
        Question::get("the root", "/").by("v1"),
        Question::get("below the root", "/example").by("v1"),
        Question::get("a header", "/").with("version", "one").by("v1"),
        Question::get("a prefix", "/v2").by("v2"),
        Question::get("below a prefix", "/v2/example").by("v2"),
        Question::get("another header", "/").with("version", "two").by("v2"),
        Question::get("a longer prefix than the header's", "/v2/").with("version", "one").by("v2"),
        Question::get("not a whole element", "/v2example").by("v1"),
        Question::get("not at the beginning", "/foo/v2/example").by("v1"),
    ]
}

fn query_params() -> Vec<Question> {
    vec![
        Question::get("whale", "/?animal=whale").by("v1"),
        Question::get("dolphin", "/?animal=dolphin").by("v2"),
        Question::get("another one beside it", "/?animal=whale&otherparam=irrelevant").by("v1"),
        Question::get("a name that has another case", "/?ANIMAL=dolphin").status(404),
        Question::get("with a path", "/path1?animal=whale").by("v1"),
        Question::get("with a header", "/?animal=whale").with("version", "one").by("v2"),
        Question::get("the first of two matches", "/path3?animal=shark").by("v1"),
        Question::get("the second of two matches", "/path4?animal=kraken").with("version", "three").by("v1"),
        Question::get("the path before the query", "/path5?animal=hydra").by("v1"),
        Question::get("the query alone", "/?animal=hydra").by("v2"),
        Question::get("half of a match", "/path4?animal=kraken").status(404),
        Question::get("no query", "/").status(404),
    ]
}

/// Routes that are about who asks whom at which port.
fn meshes() -> Vec<Row> {
    let plain = || vec![Question::get("no header", "/").no_header("x-header-set")];
    let set = |value| vec![Question::get("a header", "/").header("x-header-set", value)];
    let split = || {
        vec![
            Question::get("v1", "/v1").by("v1"),
            Question::get("v2", "/v2").by("v2"),
            Question::get("neither", "/v3").status(404),
        ]
    };
    vec![
        Row {
            file: "mesh-split.yaml",
            asked: vec![asked(From::Mesh, To::Echo, 80, split()), asked(From::Mesh, To::Echo, 8080, split())],
        },
        Row {
            file: "mesh-ports.yaml",
            asked: vec![
                asked(From::Mesh, To::EchoV1, 80, set("v1")),
                asked(From::Mesh, To::EchoV1, 8080, plain()),
                asked(From::Mesh, To::EchoV2, 80, set("v2")),
                asked(From::Mesh, To::EchoV2, 8080, set("v2")),
            ],
        },
        Row {
            file: "mesh-frontend.yaml",
            asked: vec![
                asked(From::Mesh, To::EchoV2, 80, set("set")),
                asked(From::Mesh, To::EchoV1, 80, plain()),
            ],
        },
        // A route in the namespace of its client holds for the clients of that namespace alone (GEP-1294).
        Row {
            file: "mesh-consumer-route.yaml",
            asked: vec![
                asked(From::Consumer, To::EchoV1, 80, set("set")),
                asked(From::Mesh, To::EchoV1, 80, plain()),
            ],
        },
    ]
}
