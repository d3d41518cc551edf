//! Connections: bounded in number, of one address and in all, in the size of their headers and in
//! idleness; on stopping, what was begun is finished, for a bounded time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use super::app::App;
use super::protection::Peer;
use super::protection::connections::{Connections, Place};
use super::{metrics, operation_router, router};

/// Open connections: below the usual limit of open files, with room for everything else.
const CONNECTIONS_MAX: usize = 800;
/// Longest time for the headers of a request to arrive, and so for a connection to be idle.
const HEADERS_MAX: Duration = Duration::from_secs(75);
/// Headers of one request.
const HEADERS_COUNT_MAX: usize = 64;
/// Bytes that a connection may hold back, and so the longest head of a request.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Longest time that a client may take nothing of what is sent to it. Whoever streams the log to a
/// client holds a connection, and perhaps a transaction, as long as that.
const STALLED_MAX: Duration = Duration::from_mins(1);
/// How long requests may take to finish once we are told to stop.
const FINISH_MAX: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted, so that a lack of files is no busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The address cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// By us or by somebody else.
    #[error("another program answers at {0}: stop it, or choose another address with --listen")]
    Taken(SocketAddr),
    /// Anything else.
    #[error("cannot listen at {address}: {source}; choose another address with --listen")]
    Other {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Takes an address. To be done before anything else is started.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken(address),
            _ => BindError::Other { address, source },
        })
}

/// Serves everything until told to stop.
pub async fn serve(listener: TcpListener, app: App, stop: watch::Receiver<bool>) {
    let routes = router(app.clone());
    run(listener, app, routes, stop).await;
}

/// Serves health and metrics only, for processes without the role `api`.
pub async fn serve_operation(listener: TcpListener, app: App, stop: watch::Receiver<bool>) {
    let routes = operation_router(app.clone());
    run(listener, app, routes, stop).await;
}

async fn run(listener: TcpListener, app: App, router: Router, mut stop: watch::Receiver<bool>) {
    let upkeep = tokio::spawn(metrics::keep_up(app.metrics.clone()));
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = Connections::new(&app.settings.protection);
    loop {
        tokio::select! {
            // Also when whoever would tell us is gone.
            _ = stop.wait_for(|stop| *stop) => break,
            (stream, address, permit) = next(&listener, &room) => {
                // Who holds too many is hung up on, which costs less than any answer.
                if let Some(place) = connections.take(address) {
                    connect(stream, Peer(address), (place, permit), &router, &graceful);
                }
            }
        }
    }
    drop(listener);
    app.outcomes.close();
    app.tails.close();
    if tokio::time::timeout(FINISH_MAX, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not finish in time and are broken off");
    }
    upkeep.abort();
}

async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, IpAddr, OwnedSemaphorePermit) {
    let permit = Arc::clone(room).acquire_owned().await;
    let permit = permit.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, address.ip(), permit),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn connect(
    stream: TcpStream,
    peer: Peer,
    places: (Place, OwnedSemaphorePermit),
    router: &Router,
    graceful: &GracefulShutdown,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = &error as &dyn std::error::Error, "cannot set nodelay");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALLED_MAX));
    let service = router
        .clone()
        .map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request
        });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_MAX)
        .max_headers(HEADERS_COUNT_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Clients come and go; this is no accident of ours.
            tracing::debug!(error = &error as &dyn std::error::Error, "a connection broke off");
        }
        drop(places);
    });
}
