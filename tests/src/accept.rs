//! The connections of a listener, each in a task of its own. What is said on them is for others.

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Serves each connection until it is dropped, and ends them with itself.
pub(crate) async fn each<Served>(listener: TcpListener, serve: impl Fn(TcpStream) -> Served)
where
    Served: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
