//! The server: opens two listeners, passes each connection to delivery or to control, and shuts
//! down gracefully.
//!
//! Invariant: no client can hold a connection for long without sending, or without reading the
//! answer. HTTP/1 only, without a parser of our own. A body that was not read is either drained or
//! the connection is closed, so its bytes never count as the next request.

use super::control;
use super::delivery::deliver;
use super::edge::Edge;
use super::orphans;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::{self, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

/// How much of a head is read, in bytes: room for the longest URL, four times over.
const HEAD_BYTES: usize = 32 << 10;

/// How many connections there may be at a time to each listener. Further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 4096;

/// The time for in-flight requests to end when the server shuts down.
const LAST_ORDERS: Duration = Duration::from_secs(5);

/// How long to wait when a connection can't be accepted because files or memory have run out;
/// others must end first.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// How a client has reached the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// By an address that only this machine has.
    pub(crate) loopback: bool,
}

/// Both ports.
pub(crate) struct Listeners {
    pub(crate) delivery: TcpListener,
    pub(crate) control: TcpListener,
}

impl Listeners {
    /// Opens the ports.
    pub(crate) async fn open(delivery: &str, control: &str) -> Result<Self, String> {
        Ok(Self { delivery: listen(delivery).await?, control: listen(control).await? })
    }

    /// Where both are.
    pub(crate) fn addresses(&self) -> Result<(SocketAddr, SocketAddr), String> {
        let address = |listener: &TcpListener| listener.local_addr().map_err(|e| e.to_string());
        Ok((address(&self.delivery)?, address(&self.control)?))
    }
}

async fn listen(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => error.to_string(),
        };
        format!("can't listen on {address}: {reason}")
    })
}

/// Serves until `shutdown` is ready, and then until the requests under way have ended.
pub(crate) async fn serve(
    listeners: Listeners,
    edge: Arc<Edge>,
    shutdown: impl Future<Output = ()>,
) {
    let reclaiming = tokio::spawn(Arc::clone(&edge).keep_reclaiming());
    let cleared = Arc::clone(&edge);
    let clearing = task::spawn_blocking(move || orphans::delete_orphans(&cleared));
    let orphans = Arc::clone(&edge);
    let (stop, stopped) = watch::channel(());

    let pictures = Arc::clone(&edge);
    let delivery =
        accept_all(listeners.delivery, Arc::clone(&edge), stopped.clone(), move |peer| {
            let edge = Arc::clone(&pictures);
            service_fn(move |request: Request<Incoming>| {
                let edge = Arc::clone(&edge);
                async move { Ok::<_, Infallible>(deliver(edge, peer, request).await) }
            })
        });
    let router = TowerToHyperService::new(control::routes(Arc::clone(&edge)));
    let told = Arc::clone(&edge);
    let control = accept_all(listeners.control, edge, stopped, move |peer| {
        let (edge, router) = (Arc::clone(&told), router.clone());
        service_fn(move |mut request: Request<Incoming>| {
            let edge = Arc::clone(&edge);
            let call = control::receive(&edge, peer, &mut request);
            let answering = router.call(request);
            async move {
                let mut response = answering.await?;
                call.end(&edge, &mut response);
                Ok::<_, Infallible>(response)
            }
        })
    });
    // Each ends by itself after the signal.
    let (delivery, control) = (tokio::spawn(delivery), tokio::spawn(control));
    shutdown.await;
    let _ = stop.send(());
    let _ = tokio::join!(delivery, control);
    reclaiming.abort();
    orphans.orphans.stop();
    let _ = clearing.await;
}

/// Accepts connections until the signal to stop, and then waits for the open ones.
async fn accept_all<S>(
    listener: TcpListener,
    edge: Arc<Edge>,
    mut stopped: watch::Receiver<()>,
    service: impl Fn(Peer) -> S,
) where
    S: HttpService<Incoming, Error = Infallible> + Send + 'static,
    S::Future: Send,
    S::ResBody: Send + 'static,
    <S::ResBody as hyper::body::Body>::Data: Send,
    <S::ResBody as hyper::body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let connections = GracefulShutdown::new();
    loop {
        let (stream, slot) = tokio::select! {
            _ = stopped.changed() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let peer = Peer { loopback: stream.local_addr().is_ok_and(|it| it.ip().is_loopback()) };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(edge.limits.write_time));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(edge.limits.head_time)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(Box::pin(stream)), service(peer));
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // An error here is a client that went away or didn't speak HTTP. It has had its answer,
            // if there was one to give.
            let _ = connection.await;
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(LAST_ORDERS, connections.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // Nobody closes the semaphore, so there always is a permit.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written in one piece; waiting for more would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, slot);
            }
            Err(_) => sleep(OUT_OF_FILES).await,
        }
    }
}

/// A server in this process, for the tour and the tests.
pub(crate) struct Running {
    pub(crate) delivery: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) edge: Arc<Edge>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    /// Serves `edge` on two free ports of the loopback interface.
    pub(crate) async fn start(mut edge: Edge) -> Result<Self, String> {
        let listeners = Listeners::open("127.0.0.1:0", "127.0.0.1:0").await?;
        let (delivery, control) = listeners.addresses()?;
        edge.listens_on(delivery.port())?;
        let edge = Arc::new(edge);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // An error means that the sender, which could have stopped the server, is gone. This
            // stops the server as well.
            let _ = stopped.await;
        };
        let serving = tokio::spawn(serve(listeners, Arc::clone(&edge), shutdown));
        Ok(Self { delivery, control, edge, stop, serving })
    }

    /// Stops it, and waits until it has. It does not close the index.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.serving.await;
    }
}
