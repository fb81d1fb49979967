//! A proxy between an origin that can be made to wait and clients, all in one process. For the
//! tests and for the measuring programs.
#![allow(dead_code, unreachable_pub, reason = "each program uses a part of it")]

pub mod client;
pub mod origin;

use client::{Answer, Begun};
use http::{Method, StatusCode};
use origin::Origin;
use pingora_cache::{MemCache, Storage};
use pingora_core::apps::ServerApp;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::http_proxy;
use pingora_storage::control::Control;
use pingora_storage::proxy::Proxy;
use pingora_storage::sites::Sites;
use pingora_storage::storage::Indexed;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The host that requests are for, unless they name another one.
pub const HOST: &str = "shop.example";
/// Another tenant.
pub const OTHER_HOST: &str = "news.example";
/// Bodies that are longer are not stored.
pub const MAX_BODY: usize = 1 << 20;

/// A proxy with its origin.
pub struct Rig {
    pub origin: Origin,
    pub proxy: SocketAddr,
    pub sites: Arc<Sites>,
    pub storage: &'static (dyn Storage + Sync),
    /// None for `MemCache`, which has no control port.
    control: Option<(SocketAddr, &'static Indexed)>,
}

impl Rig {
    /// The proxy with the storage on the index, for objects of `limit` bytes.
    pub async fn indexed(limit: usize) -> Self {
        let storage: &'static Indexed = Box::leak(Box::new(Indexed::new(limit)));
        let sites = Arc::new(Sites::new(storage.index(), [HOST, OTHER_HOST]).unwrap());
        let origin = Origin::start().await;
        let proxy = Proxy::new(Arc::clone(&sites), origin.address, storage, MAX_BODY);
        let proxy = serve(http_proxy(&Arc::new(ServerConf::default()), proxy)).await;
        let control = serve(Control::new(Arc::clone(&sites), storage)).await;
        Self { origin, proxy, sites, storage, control: Some((control, storage)) }
    }

    /// The same proxy with Pingora's own storage in memory.
    pub async fn mem_cache() -> Self {
        let storage: &'static (dyn Storage + Sync) = Box::leak(Box::new(MemCache::new()));
        // Only for the tenants' handles.
        let sites = Arc::new(Sites::new(Indexed::new(0).index(), [HOST, OTHER_HOST]).unwrap());
        let origin = Origin::start().await;
        let proxy = Proxy::new(Arc::clone(&sites), origin.address, storage, MAX_BODY);
        let proxy = proxy.with_purge_method();
        let proxy = serve(http_proxy(&Arc::new(ServerConf::default()), proxy)).await;
        Self { origin, proxy, sites, storage, control: None }
    }

    pub fn index(&self) -> &'static Indexed {
        self.control.expect("a rig with the index").1
    }

    pub async fn get(&self, target: &str) -> Answer {
        client::get(self.proxy, HOST, target, &[]).await
    }

    /// Sends a request, and returns when the first part of the body has come through the proxy.
    pub async fn begin(&self, target: &str) -> Begun {
        Begun::open(self.proxy, HOST, target).await
    }

    /// Sends a request to the control port, and returns the status and the text of the reply.
    pub async fn control(&self, method: Method, target: &str) -> (StatusCode, String) {
        let address = self.control.expect("a rig with the index").0;
        let answer = client::send(address, method, HOST, target, &[]).await;
        (answer.status, answer.text().unwrap().to_owned())
    }

    /// Sends an invalidation, which must be accepted.
    pub async fn invalidate(&self, target: &str) -> String {
        let (status, text) = self.control(Method::POST, target).await;
        assert_eq!(status, StatusCode::OK, "{target}: {text}");
        text
    }

    /// Purges by Pingora's own way, one rendition at a time.
    pub async fn purge_method(&self, target: &str) -> StatusCode {
        let method = Method::from_bytes(b"PURGE").unwrap();
        client::send(self.proxy, method, HOST, target, &[]).await.status
    }
}

/// Serves an application of Pingora on a port of its own. `Server` would not tell the port.
async fn serve<A: ServerApp + Send + Sync + 'static>(app: A) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Arc::new(app);
    tokio::spawn(async move {
        let (_running, shutdown) = watch::channel(false);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (app, shutdown) = (Arc::clone(&app), shutdown.clone());
            tokio::spawn(async move {
                app.process_new(Box::new(Stream::from(stream)), &shutdown).await;
            });
        }
    });
    address
}

/// Waits until `condition` holds. Fails when it has not come true for two minutes.
#[track_caller]
pub fn eventually(text: &str, condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let text = format!("{text}, at {}", std::panic::Location::caller());
    async move {
        let patience = tokio::time::timeout(Duration::from_secs(120), async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(patience.await.is_ok(), "not within two minutes: {text}");
    }
}
