//! The service on a socket: bound at once, drained at the end.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcp};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::{App, Config, Resolver, Wanted, connection};
use crate::error::{Error, Result};

/// Connections that may wait to be accepted. The standard library's 128 are too few for a burst: of those above it,
/// clients try again after a second.
const BACKLOG: i32 = 4_096;
/// How long no connection is accepted after one could not be: there are no file descriptors left, and some will be.
const BREATH: Duration = Duration::from_millis(50);
/// Threads that read and write sockets; texts are read and computed on the engine's.
const IO_THREADS: usize = 2;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A host's name or address, and a port; 0 = any that is free.
    Tcp(String, u16),
    /// A socket in the file system, which is removed at the end.
    Unix(PathBuf),
}

enum Socket {
    Tcp(StdTcp),
    Unix(std::os::unix::net::UnixListener, PathBuf),
}

/// A server that listens and does not answer yet.
pub struct Server {
    socket: Socket,
    app: Arc<App>,
    wanted: Vec<Wanted>,
    stop: watch::Sender<u8>,
}

/// Ends a server from elsewhere.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<u8>);

impl Stopper {
    /// The first time, what is being answered is finished and nothing new is taken; the second time, it is over.
    pub fn stop(&self) {
        self.0.send_modify(|times| *times = times.saturating_add(1));
    }
}

impl Server {
    /// Binds the socket and starts the engine.
    ///
    /// # Errors
    /// [`Error::Backend`] when the address can't be bound, [`Error::Parameter`] for models that make no sense.
    pub fn bind(listen: &Listen, config: Config, wanted: Vec<Wanted>) -> Result<Self> {
        let failed = |error: io::Error| Error::Backend(format!("can't listen on {}: {error}", shown(listen)));
        let socket = match listen {
            Listen::Tcp(host, port) => {
                let socket = StdTcp::bind((host.as_str(), *port)).map_err(failed)?;
                socket.set_nonblocking(true).map_err(failed)?;
                SockRef::from(&socket).listen(BACKLOG).map_err(failed)?;
                Socket::Tcp(socket)
            }
            Listen::Unix(path) => {
                let socket = std::os::unix::net::UnixListener::bind(path).map_err(failed)?;
                socket.set_nonblocking(true).map_err(failed)?;
                SockRef::from(&socket).listen(BACKLOG).map_err(failed)?;
                Socket::Unix(socket, path.clone())
            }
        };
        let app = App::new(config, wanted.iter().map(|one| one.id.clone()).collect())?;
        Ok(Self { socket, app, wanted, stop: watch::Sender::new(0) })
    }

    /// The port's address, unless it is a socket in the file system.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }

    /// What it serves.
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// What ends it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Answers until it is stopped; with `signals`, SIGTERM and SIGINT do that. Models load meanwhile.
    ///
    /// # Errors
    /// The cause, when none of the models can be loaded; [`Error::Backend`] when the system refuses what is needed.
    pub fn run(self, resolve: Resolver, signals: bool) -> Result<()> {
        let Self { socket, app, wanted, stop } = self;
        let failed = |error: io::Error| Error::Backend(format!("the server can't run: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .thread_name("http")
            .enable_all()
            .build()
            .map_err(failed)?;
        let (loaded, result) = tokio::sync::oneshot::channel();
        let loader = Arc::clone(&app);
        let load = move || loaded.send(loader.load(&wanted, &resolve));
        // Not waited for at the end: a download can't be interrupted.
        std::thread::Builder::new().name("loader".to_owned()).spawn(load).map_err(failed)?;
        let ended = runtime.block_on(async {
            if signals {
                listen_for_signals(Stopper(stop.clone())).map_err(failed)?;
            }
            let refused = async {
                match result.await {
                    Ok(Err(error)) => error,
                    _ => std::future::pending().await,
                }
            };
            let serving = async {
                match socket {
                    Socket::Tcp(socket) => {
                        accept(Tcp(TcpListener::from_std(socket)?), &app, stop.subscribe()).await;
                    }
                    Socket::Unix(socket, path) => {
                        accept(Unix(UnixListener::from_std(socket)?), &app, stop.subscribe()).await;
                        let _ = std::fs::remove_file(path); // it may have been removed already
                    }
                }
                io::Result::Ok(())
            };
            tokio::select! {
                result = serving => result.map_err(failed),
                error = refused => Err(error),
            }
        });
        runtime.shutdown_timeout(Duration::from_millis(100));
        ended
    }
}

fn shown(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(host, port) => format!("{host}:{port}"),
        Listen::Unix(path) => path.display().to_string(),
    }
}

fn listen_for_signals(stopper: Stopper) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
            tracing::info!("stopping");
            stopper.stop();
        }
    });
    Ok(())
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

/// Answers connections until the first stop, then finishes those that are being answered, until the second.
async fn accept(listener: impl Accept, app: &Arc<App>, mut stop: watch::Receiver<u8>) {
    let app = super::app(app);
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
