//! One direction of one connection: reads, holds each piece as long as the link says, writes.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

use super::{Settings, State};

/// Pieces that may be on the way at once: with pieces of 16 KiB a delayed link holds up to 4 MiB.
const IN_FLIGHT: usize = 256;
const PIECE: usize = 16 << 10;

/// Bytes on their way, and when they came in.
struct Piece {
    bytes: Vec<u8>,
    arrived: Instant,
}

/// Moves bytes until one end closes; tells how many were handed on.
pub(super) async fn run(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    settings: watch::Receiver<Settings>,
    count: impl Fn(u64),
) {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    tokio::join!(read(from, sender), write(to, receiver, settings, count));
}

async fn read(mut from: OwnedReadHalf, pieces: mpsc::Sender<Piece>) {
    let mut buffer = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let piece = Piece { bytes: buffer[..length].to_vec(), arrived: Instant::now() };
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
}

async fn write(
    mut to: OwnedWriteHalf,
    mut pieces: mpsc::Receiver<Piece>,
    mut settings: watch::Receiver<Settings>,
    count: impl Fn(u64),
) {
    while let Some(piece) = pieces.recv().await {
        let Settings { delay, rate, .. } = *settings.borrow();
        let length = piece.bytes.len() as u64;
        let due = piece.arrived + delay;
        tokio::time::sleep_until(due.into()).await;
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs_f64(length as f64 / rate.max(1) as f64)).await;
        }
        let open = settings.wait_for(|settings| settings.state == State::Up).await.is_ok();
        if !open || to.write_all(&piece.bytes).await.is_err() {
            return;
        }
        count(length);
    }
    // The end of the stream must not overtake a black hole either.
    let _ = settings.wait_for(|settings| settings.state == State::Up).await;
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::http::Request;
    use crate::link::Link;
    use crate::ports::Net;
    use crate::sample::{Identity, Sample};

    const SOON: Duration = Duration::from_millis(300);

    async fn linked() -> (Net, Sample, Link) {
        let net = Net::claim().unwrap();
        let sample = Sample::start(net.socket(9080), Identity::new("core", "v1")).await.unwrap();
        let link = Link::start(net.socket(9080), sample.address()).await.unwrap();
        (net, sample, link)
    }

    async fn ask(to: SocketAddr) -> anyhow::Result<u16> {
        Ok(Request::get("/").deadline(SOON).send(to).await?.status.as_u16())
    }

    #[tokio::test]
    async fn a_cut_link_refuses_and_comes_back() {
        let (_net, _sample, mut link) = linked().await;
        assert_eq!(ask(link.address()).await.unwrap(), 200);
        link.cut().await;
        let error = format!("{:#}", ask(link.address()).await.unwrap_err());
        assert!(error.contains("refused"), "{error}");
        link.restore().await;
        assert_eq!(ask(link.address()).await.unwrap(), 200);
        assert_eq!(link.traffic().connections, 2);
    }

    #[tokio::test]
    async fn a_black_hole_accepts_and_says_nothing() {
        let (_net, sample, mut link) = linked().await;
        link.black_hole().await;
        let error = format!("{:#}", ask(link.address()).await.unwrap_err());
        assert!(error.contains("no reply within"), "{error}");
        assert_eq!((sample.requests(), link.traffic().bytes()), (0, 0));
    }

    #[tokio::test]
    async fn counts_and_delays_each_way() {
        let (_net, _sample, link) = linked().await;
        link.set_delay(Duration::from_millis(40));
        let before = Instant::now();
        assert_eq!(ask(link.address()).await.unwrap(), 200);
        assert!(before.elapsed() >= Duration::from_millis(80), "{:?}", before.elapsed());
        let traffic = link.traffic();
        assert!(traffic.up > 20 && traffic.down > traffic.up, "{traffic:?}");
    }
}
