//! One connection until its end.

use std::pin::pin;
use std::rc::Rc;

use hyper::service::service_fn;
use smol::future::or;
use smol::net::TcpStream;

use super::clients::{Client, Served};
use super::exchange;
use super::slot::ListenerShared;
use crate::io::{Connection, HyperIo, HyperTimer, within};

/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Errors are not reported: only its client cares, and it knows.
pub(super) async fn serve(stream: TcpStream, client: Client, common: &Rc<ListenerShared>) {
    let head_time = common.limits.head_time;
    let connection = match &common.tls {
        None => Connection::Plain(stream),
        Some(tls) => {
            let handshake = within(head_time, tls.accept(stream));
            let stopped = async {
                common.stopped().await;
                None
            };
            match or(handshake, stopped).await {
                Some(Ok(connection)) => connection,
                Some(Err(_)) | None => return,
            }
        }
    };
    let connection = Connection::Watched(Box::new(Served::new(connection, client.clone())));
    let (cut, was_cut) = async_channel::bounded(1);
    let service = service_fn(|request| {
        exchange::answer(request, Rc::clone(common), client.clone(), cut.clone())
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(HyperTimer)
        .header_read_timeout(head_time)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(HyperIo(connection), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let was_cut = async {
        // Nothing is ever sent there.
        let _ = was_cut.recv().await;
    };
    let stopped = async {
        common.stopped().await;
        false
    };
    let mut was_cut = pin!(was_cut);
    let whole = async {
        or(async { _ = connection.as_mut().await }, was_cut.as_mut()).await;
        true
    };
    if !or(whole, stopped).await {
        connection.as_mut().graceful_shutdown();
        or(async { _ = connection.await }, was_cut).await;
    }
}
