//! A socket of either kind: bound at once, drained at the end.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcp};
use std::os::unix::net::UnixListener as StdUnix;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tower_http::normalize_path::NormalizePath;

use super::connection;
use crate::error::{Error, Result};

/// Connections that may wait to be accepted. The standard library's 128 are too few for a burst: of those above it,
/// clients try again after a second.
const BACKLOG: i32 = 4_096;
/// How long no connection is accepted after one could not be: there are no file descriptors left, and some will be.
const BREATH: Duration = Duration::from_millis(50);

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A host's name or address, and a port; 0 = any that is free.
    Tcp(String, u16),
    /// A socket in the file system, which is removed at the end.
    Unix(PathBuf),
}

/// What it listens with.
pub(super) enum Socket {
    Tcp(StdTcp),
    Unix(StdUnix, PathBuf),
}

impl Socket {
    /// # Errors
    /// [`Error::Backend`] when the address can't be bound.
    pub(super) fn bind(listen: &Listen) -> Result<Self> {
        let bound = match listen {
            Listen::Tcp(host, port) => StdTcp::bind((host.as_str(), *port)).and_then(|socket| {
                socket.set_nonblocking(true)?;
                SockRef::from(&socket).listen(BACKLOG)?;
                Ok(Self::Tcp(socket))
            }),
            Listen::Unix(path) => StdUnix::bind(path).and_then(|socket| {
                socket.set_nonblocking(true)?;
                SockRef::from(&socket).listen(BACKLOG)?;
                Ok(Self::Unix(socket, path.clone()))
            }),
        };
        bound.map_err(|error| Error::Backend(format!("can't listen on {}: {error}", shown(listen))))
    }

    /// The port's address, unless it is a socket in the file system.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// Answers connections until the first stop, then finishes those that are being answered, until the second.
    pub(super) async fn serve(self, app: NormalizePath<Router>, stop: watch::Receiver<u8>) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => accept(Tcp(TcpListener::from_std(socket)?), app, stop).await,
            Self::Unix(socket, path) => {
                accept(Unix(UnixListener::from_std(socket)?), app, stop).await;
                let _ = std::fs::remove_file(path); // it may have been removed already
            }
        }
        Ok(())
    }
}

fn shown(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(host, port) => format!("{host}:{port}"),
        Listen::Unix(path) => path.display().to_string(),
    }
}

/// A listener of either kind.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    async fn next(&self) -> io::Result<Self::Stream>;
}

struct Tcp(TcpListener);
struct Unix(UnixListener);

impl Accept for Tcp {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.0.accept().await?;
        // Answers are written whole: nothing is won by waiting for more.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Accept for Unix {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.0.accept().await?.0)
    }
}

async fn accept(listener: impl Accept, app: NormalizePath<Router>, mut stop: watch::Receiver<u8>) {
    // Every connection holds a sender: there is nothing to be received but the end of the last one.
    let (open, mut ended) = mpsc::channel::<Infallible>(1);
    {
        let connections = stop.clone();
        let mut stopped = pin!(stop.wait_for(|times| *times > 0));
        loop {
            let stream = tokio::select! {
                stream = listener.next() => stream,
                _ = &mut stopped => break,
            };
            match stream {
                Ok(stream) => {
                    let (answered, open) = (connection::serve(stream, app.clone(), connections.clone()), open.clone());
                    tokio::spawn(async move {
                        answered.await;
                        drop(open);
                    });
                }
                Err(error) => {
                    tracing::warn!(kind = %error.kind(), "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
    drop((listener, open));
    tokio::select! {
        _ = ended.recv() => (),
        _ = stop.wait_for(|times| *times > 1) => (),
    }
}
