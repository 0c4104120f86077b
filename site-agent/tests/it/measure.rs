//! tmp
use crate::backend::Backend;
use crate::bundle::{Plan, plan};
use crate::core::Core;
use crate::envoy;
use crate::http::get;
use crate::site::Site;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
#[ignore]
async fn measure() {
    let envoy = envoy::find().unwrap();
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    core.log().inline = false;
    core.publish(&Plan { more: 199, ..plan(1) }.supervised().publish());
    let mut site = Site::new(&core).with(&["--envoy", envoy.to_str().unwrap()]);
    site.write_workload("client-1", "client", 9, true);
    site.write_workload("echo-1", "echo", backend.address.port(), false);
    site.start();
    site.await_answer("one").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let rss = |pid: &str| {
        let s = fs_err::read_to_string(format!("/proc/{pid}/status")).unwrap();
        s.lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("Rss") || l.starts_with("VmHWM")).collect::<Vec<_>>().join(" | ")
    };
    eprintln!("agent {}", rss(&site.pid().to_string()));
    eprintln!("launcher {}", rss(&site.launcher("client-1")["launcher"].to_string()));
    let address = site.service(1);
    let mut times = Vec::new();
    for round in 2..32 {
        let path: &'static str = Box::leak(format!("/p{round}").into_boxed_str());
        let mut p = Plan { more: 0, ..plan(round) }.supervised().path(path);
        p.more = 0;
        let mut published = Plan { more: 199, ..plan(round) }.supervised();
        published.first = Some(path);
        let published = published.publish();
        let start = Instant::now();
        core.publish(&published);
        loop {
            if get(&address, path).await.is_ok_and(|a| a.status == 200) { break; }
        }
        times.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    times.sort();
    eprintln!("publish to served: median {:?} max {:?}", times[times.len() / 2], times.last());
    eprintln!("agent {}", rss(&site.pid().to_string()));
    eprintln!("{}", site.log().lines().rev().take(12).collect::<Vec<_>>().join("\n"));
}
