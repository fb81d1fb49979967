//! An origin that can be made to wait, after it has read a picture and before the client has it.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

type Body = Channel<Bytes, io::Error>;

/// A header with which the origin sends a body in chunks, without its length.
pub const NO_LENGTH: &str = "x-no-length";

/// Where the origin waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The picture is read, and nothing is sent.
    BeforeHeader,
    /// The header and the first half of the body are sent.
    InBody,
}

/// An origin. Clones are the same origin.
#[derive(Clone)]
pub struct Origin {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// How long an answer takes at most, before its header and again in its body.
    latency: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    pictures: HashMap<String, Picture>,
    holds: HashMap<String, Hold>,
    /// Requests by path and query, with the status of the answer.
    asked: Vec<(String, StatusCode)>,
}

#[derive(Clone)]
struct Picture {
    body: Bytes,
    headers: Vec<(&'static str, String)>,
}

struct Hold {
    point: Point,
    reached: oneshot::Sender<()>,
    release: oneshot::Receiver<Ending>,
}

/// How a held answer goes on.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    Whole,
    /// The connection breaks.
    Broken,
}

/// A request that the origin holds, or will hold.
pub struct Held {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<Ending>,
}

impl Held {
    /// Waits until the origin has read the picture and holds the request.
    pub async fn reached(&mut self) {
        (&mut self.reached).await.expect("the origin was not asked");
    }

    pub fn release(self, ending: Ending) {
        self.release.send(ending).expect("the origin does not wait");
    }
}

impl Origin {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origin = Self { address, state: Arc::default(), latency: Arc::default() };
        let served = origin.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let origin = served.clone();
                let service = service_fn(move |request| {
                    let origin = origin.clone();
                    async move { Ok::<_, Infallible>(origin.answer(&request).await) }
                });
                // An error here is a connection that was closed.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        origin
    }

    /// Replaces a picture. `headers` are sent with it.
    pub fn set(&self, path: &str, body: impl Into<Bytes>, headers: &[(&'static str, &str)]) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let picture = Picture { body: body.into(), headers };
        self.state.lock().pictures.insert(path.to_owned(), picture);
    }

    /// Replaces a picture by one whose body is `version`, unless it is newer already.
    pub fn set_newer(&self, path: &str, version: u64) {
        // With leading zeros, the order of the bytes is that of the versions.
        let body = Bytes::from(format!("{version:020}"));
        let mut state = self.state.lock();
        let before = state.pictures.get(path);
        if before.is_none_or(|before| before.body < body) {
            state.pictures.insert(path.to_owned(), Picture { body, headers: Vec::new() });
        }
    }

    /// From now on, answers take up to `latency` before their header, and again in their body.
    pub fn set_latency(&self, latency: Duration) {
        let millis = u64::try_from(latency.as_millis()).unwrap();
        self.latency.store(millis, Ordering::Relaxed);
    }

    async fn wait(&self) {
        let most = self.latency.load(Ordering::Relaxed);
        if most > 0 {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=most))).await;
        }
    }

    /// Holds the next request for `path`.
    pub fn hold(&self, path: &str, point: Point) -> Held {
        let ((reached_sender, reached), (release, release_receiver)) =
            (oneshot::channel(), oneshot::channel());
        let hold = Hold { point, reached: reached_sender, release: release_receiver };
        self.state.lock().holds.insert(path.to_owned(), hold);
        Held { reached, release }
    }

    /// Returns how many requests for `target`, path and query, were answered or are held.
    pub fn asked(&self, target: &str) -> usize {
        self.state.lock().asked.iter().filter(|(asked, _)| asked == target).count()
    }

    /// Returns the statuses of the answers, in order.
    pub fn statuses(&self) -> Vec<u16> {
        self.state.lock().asked.iter().map(|(_, status)| status.as_u16()).collect()
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let (picture, hold, status) = self.read(request);
        self.wait().await;
        let point = hold.as_ref().map(|hold| hold.point);
        let mut ending = Ending::Whole;
        let mut release = None;
        if let Some(Hold { reached, release: receiver, point }) = hold {
            if point == Point::BeforeHeader {
                let _ = reached.send(());
                ending = receiver.await.unwrap_or(Ending::Broken);
            } else {
                release = Some((reached, receiver));
            }
        }
        let (sender, body) = Channel::new(4);
        let mut response = Response::builder().status(status);
        for (name, value) in &picture.headers {
            response = response.header(*name, value);
        }
        if status == StatusCode::OK {
            if picture.headers.iter().all(|(name, _)| *name != NO_LENGTH) {
                response = response.header("content-length", picture.body.len());
            }
            let origin = self.clone();
            tokio::spawn(origin.write(sender, picture.body, release, ending));
        }
        debug_assert!(point != Some(Point::InBody) || status == StatusCode::OK);
        response.body(body).unwrap()
    }

    /// Reads the picture. From here on, the answer is the old one.
    fn read(&self, request: &Request<Incoming>) -> (Picture, Option<Hold>, StatusCode) {
        let mut state = self.state.lock();
        let path = request.uri().path();
        let picture = state.pictures.get(path).cloned();
        let hold = state.holds.remove(path);
        let status = match &picture {
            None => StatusCode::NOT_FOUND,
            Some(picture) => {
                let tag = picture.headers.iter().find(|(name, _)| *name == "etag");
                let known = request.headers().get("if-none-match");
                let same = tag.is_some_and(|(_, tag)| known.is_some_and(|known| known == tag));
                if same { StatusCode::NOT_MODIFIED } else { StatusCode::OK }
            }
        };
        state.asked.push((request.uri().to_string(), status));
        let nothing = || Picture { body: Bytes::new(), headers: Vec::new() };
        (picture.unwrap_or_else(nothing), hold, status)
    }

    async fn write(
        self,
        mut sender: Sender<Bytes, io::Error>,
        body: Bytes,
        hold: Option<(oneshot::Sender<()>, oneshot::Receiver<Ending>)>,
        mut ending: Ending,
    ) {
        let (first, second) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
        if sender.send_data(first).await.is_err() {
            return;
        }
        self.wait().await;
        if let Some((reached, release)) = hold {
            let _ = reached.send(());
            ending = release.await.unwrap_or(Ending::Broken);
        }
        match ending {
            Ending::Whole => drop(sender.send_data(second).await),
            Ending::Broken => sender.abort(io::Error::other("broken on purpose")),
        }
    }
}
