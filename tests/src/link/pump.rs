//! One direction of one connection: reads, holds each piece as long as the link says, writes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};

use super::Settings;

/// Pieces that may be on the way at once: with pieces of 16 KiB a delayed link holds up to 4 MiB.
const IN_FLIGHT: usize = 256;
const PIECE: usize = 16 << 10;

/// Bytes on their way, and when they came in.
struct Piece {
    bytes: Vec<u8>,
    arrived: Instant,
}

/// What a connection has carried of its allowance, both ways.
#[derive(Debug, Default)]
pub(super) struct Spent(AtomicU64);

impl Spent {
    /// Spends as much of the allowance as there is; returns how much that was.
    fn spend(&self, wanted: u64, allowance: Option<u64>) -> u64 {
        let Some(allowance) = allowance else { return wanted };
        let before = self.0.fetch_add(wanted, Ordering::Relaxed);
        wanted.min(allowance.saturating_sub(before))
    }
}

/// Moves bytes until one end closes; tells how many were handed on.
pub(super) async fn run(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    (settings, number): (watch::Receiver<Settings>, u64),
    spent: &Spent,
    count: impl Fn(u64),
) {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    tokio::join!(read(from, sender), write(to, receiver, (settings, number), spent, count));
}

async fn read(mut from: ReadHalf<'_>, pieces: mpsc::Sender<Piece>) {
    let mut buffer = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let piece = Piece { bytes: buffer[..length].to_vec(), arrived: Instant::now() };
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut pieces: mpsc::Receiver<Piece>,
    (mut settings, number): (watch::Receiver<Settings>, u64),
    spent: &Spent,
    count: impl Fn(u64),
) {
    while let Some(piece) = pieces.recv().await {
        let Settings { delay, rate, allowance, .. } = *settings.borrow();
        let length = spent.spend(piece.bytes.len() as u64, allowance);
        let allowed = &piece.bytes[..usize::try_from(length).unwrap_or(usize::MAX)];
        let due = piece.arrived + delay;
        tokio::time::sleep_until(due.into()).await;
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs_f64(length as f64 / rate.max(1) as f64)).await;
        }
        let open = settings.wait_for(|settings| settings.lets_through(number)).await.is_ok();
        if !open || to.write_all(allowed).await.is_err() {
            return;
        }
        count(length);
        if allowed.len() < piece.bytes.len() {
            // An end, and no reset: with that, what has arrived and was not read yet would be lost as well.
            let _ = to.shutdown().await;
            return;
        }
    }
    // The end of the stream must not overtake a black hole either.
    let _ = settings.wait_for(|settings| settings.lets_through(number)).await;
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::http::Request;
    use crate::link::{Kept, Link};
    use crate::ports::Net;
    use crate::sample::{Identity, Sample};
    use crate::wait::eventually;

    /// Long enough to see that nothing comes, where nothing can.
    const NEVER: Duration = Duration::from_millis(300);
    const DEADLINE: Duration = Duration::from_secs(60);

    async fn linked() -> (Net, Sample, Link) {
        let net = Net::claim().unwrap();
        let sample = Sample::start(net.socket(9080), Identity::new("core", "v1")).await.unwrap();
        let link = Link::start(net.socket(9080), sample.address()).await.unwrap();
        (net, sample, link)
    }

    async fn ask(to: SocketAddr) -> anyhow::Result<u16> {
        ask_within(DEADLINE, to).await
    }

    async fn ask_within(deadline: Duration, to: SocketAddr) -> anyhow::Result<u16> {
        Ok(Request::get("/").deadline(deadline).send(to).await?.status.as_u16())
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
        let error = format!("{:#}", ask_within(NEVER, link.address()).await.unwrap_err());
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

    #[tokio::test]
    async fn a_narrow_link_takes_its_time() {
        let (_net, _sample, link) = linked().await;
        link.set_rate(Some(2_000));
        let before = Instant::now();
        assert_eq!(ask(link.address()).await.unwrap(), 200);
        let bytes = link.traffic().bytes();
        assert!(bytes > 200, "{bytes}");
        assert!(before.elapsed().as_secs_f64() >= bytes as f64 / 2_000.0, "{:?}", before.elapsed());
    }

    #[tokio::test]
    async fn a_connection_breaks_when_its_allowance_is_spent_and_the_next_has_one_of_its_own() {
        let (_net, listener, link) = linked_to_listener().await;
        link.set_allowance(Some(5));
        for before in [0, 5] {
            let mut site = TcpStream::connect(link.address()).await.unwrap();
            let (mut core, _) = listener.accept().await.unwrap();
            site.write_all(b"abc").await.unwrap();
            let mut heard = [0; 3];
            core.read_exact(&mut heard).await.unwrap();
            core.write_all(b"defg").await.unwrap();
            let mut heard = Vec::new();
            site.read_to_end(&mut heard).await.unwrap();
            assert_eq!((heard, link.traffic().bytes()), (b"de".to_vec(), before + 5));
        }
    }

    /// A server that says `!` to each byte, and a link in front of it.
    async fn linked_to_listener() -> (Net, TcpListener, Link) {
        let net = Net::claim().unwrap();
        let listener = TcpListener::bind(net.socket(9080)).await.unwrap();
        let link = Link::start(net.socket(9080), listener.local_addr().unwrap()).await.unwrap();
        (net, listener, link)
    }

    async fn silent(stream: &mut TcpStream) -> bool {
        tokio::time::timeout(NEVER, stream.read_u8()).await.is_err()
    }

    #[tokio::test]
    async fn of_a_half_open_connection_one_end_does_not_know() {
        for kept in [Kept::Site, Kept::Core] {
            let (_net, listener, link) = linked_to_listener().await;
            let mut site = TcpStream::connect(link.address()).await.unwrap();
            let (mut core, _) = listener.accept().await.unwrap();
            site.write_u8(7).await.unwrap();
            assert_eq!(core.read_u8().await.unwrap(), 7, "all was well");
            link.half_open(kept);
            let (open, closed) =
                if kept == Kept::Site { (&mut site, &mut core) } else { (&mut core, &mut site) };
            assert!(closed.read_u8().await.is_err(), "{kept:?}: the other end is told");
            open.write_u8(8).await.unwrap();
            assert!(silent(open).await, "{kept:?} is not");
            let mut next = TcpStream::connect(link.address()).await.unwrap();
            next.write_u8(9).await.unwrap();
            assert_eq!(listener.accept().await.unwrap().0.read_u8().await.unwrap(), 9, "new ones are whole");
        }
    }

    #[tokio::test]
    async fn a_later_connection_overtakes_the_one_that_is_held() {
        let (_net, listener, link) = linked_to_listener().await;
        link.hold_next();
        let mut first = TcpStream::connect(link.address()).await.unwrap();
        first.write_u8(1).await.unwrap();
        eventually("the first is accepted", DEADLINE, async || {
            anyhow::ensure!(link.traffic().connections == 1);
            Ok(())
        })
        .await
        .unwrap();
        let mut second = TcpStream::connect(link.address()).await.unwrap();
        second.write_u8(2).await.unwrap();
        let (mut core_second, _) = listener.accept().await.unwrap();
        assert_eq!(core_second.read_u8().await.unwrap(), 2);
        link.release();
        let (mut core_first, _) = listener.accept().await.unwrap();
        assert_eq!(core_first.read_u8().await.unwrap(), 1);

        link.hold_newest();
        second.write_u8(3).await.unwrap();
        assert!(silent(&mut core_second).await, "the newest is held in its middle");
        first.write_u8(4).await.unwrap();
        assert_eq!(core_first.read_u8().await.unwrap(), 4, "the older goes on");
        link.release();
        assert_eq!(core_second.read_u8().await.unwrap(), 3, "and nothing was lost");
    }
}
