//! Binds the control API to its loopback socket.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

/// Where the API listens, and the server itself to be awaited.
pub async fn serve(addr: SocketAddr, router: Router) -> std::io::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let server = async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the API stopped");
        }
    };
    Ok((addr, server))
}
