//! The service on its sockets, from the first moment to the last.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::listen::{Listen, Socket};
use super::otlp::Spans;
use super::{App, Config, Resolver, Wanted};
use crate::error::{Error, Result};

/// Threads that read and write sockets; texts are read and computed on the engine's.
const IO_THREADS: usize = 2;

/// A server that listens and does not answer yet.
pub struct Server {
    socket: Socket,
    /// For metrics alone.
    metrics: Option<Socket>,
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
    /// Binds the sockets and starts the engine.
    ///
    /// # Errors
    /// [`Error::Backend`] when the address can't be bound, [`Error::Parameter`] for models that make no sense.
    pub fn bind(listen: &Listen, config: Config, wanted: Vec<Wanted>) -> Result<Self> {
        let socket = Socket::bind(listen)?;
        let host = if let Listen::Tcp(host, _) = listen { host } else { "127.0.0.1" };
        let metrics =
            config.prometheus_port.map(|port| Socket::bind(&Listen::Tcp(host.to_owned(), port))).transpose()?;
        let app = App::new(config, wanted.iter().map(|one| one.id.clone()).collect())?;
        Ok(Self { socket, metrics, app, wanted, stop: watch::Sender::new(0) })
    }

    /// The port's address, unless it is a socket in the file system.
    pub fn address(&self) -> Option<SocketAddr> {
        self.socket.address()
    }

    /// Where metrics alone are read, if they have a port of their own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.address()
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
        let Self { socket, metrics, app, wanted, stop } = self;
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
            let answers = socket.serve(super::app(&app), stop.subscribe());
            let numbers = async {
                match metrics {
                    Some(socket) => socket.serve(super::metrics_app(&app), stop.subscribe()).await,
                    None => Ok(()),
                }
            };
            let exporting = app.spans.as_ref().and_then(Spans::export);
            let ended = tokio::select! {
                result = async { tokio::try_join!(answers, numbers) } => result.map(drop).map_err(failed),
                error = refused => Err(error),
            };
            if let Some(exporting) = exporting {
                exporting.end().await;
            }
            ended
        });
        runtime.shutdown_timeout(Duration::from_millis(100));
        ended
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
