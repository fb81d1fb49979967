//! The server: listens, gives each connection to the routes, and ends in good order.
//!
//! Invariant: no client can hold a connection for long without saying something. HTTP/1 alone, and no parser of our own: a body
//! that nobody read is either drained or the connection is closed, so its bytes never count as the next request.

use super::edge::Edge;
use super::routes::routes;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How much of a head is read, in bytes: room for the longest URL, four times over.
const HEAD_BYTES: usize = 32 << 10;

/// How many connections there may be at a time. Further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 4096;

/// How long requests under way may take to end when the server is told to.
const LAST_ORDERS: Duration = Duration::from_secs(5);

/// How long to wait when a connection can't be accepted because files or memory have run out; others must end first.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// Opens the port.
pub(crate) async fn listen(address: &str) -> Result<TcpListener, String> {
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
    listener: TcpListener,
    edge: Arc<Edge>,
    shutdown: impl Future<Output = ()>,
) {
    let reclaiming = tokio::spawn(Arc::clone(&edge).keep_reclaiming());
    let head_time = edge.limits.head_time;
    let routes = TowerToHyperService::new(routes(edge));
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let connections = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, slot) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_time)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), routes.clone());
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // An error here is a client that went away or didn't speak HTTP. It has had its answer, if there was one to give.
            let _ = connection.await;
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(LAST_ORDERS, connections.shutdown()).await;
    reclaiming.abort();
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
    pub(crate) address: SocketAddr,
    pub(crate) edge: Arc<Edge>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    /// Serves `edge` on a free port of the loopback interface.
    pub(crate) async fn start(edge: Edge) -> Result<Self, String> {
        let listener = listen("127.0.0.1:0").await?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let edge = Arc::new(edge);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // An error says that whoever could have stopped it is gone; that stops it, too.
            let _ = stopped.await;
        };
        let serving = tokio::spawn(serve(listener, Arc::clone(&edge), shutdown));
        Ok(Self { address, edge, stop, serving })
    }

    /// Stops it, and waits until it has.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.serving.await;
    }
}
