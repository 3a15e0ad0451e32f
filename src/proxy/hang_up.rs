//! HTTP/2 clients that hang up.
//!
//! actix-http looks at an HTTP/2 stream only when it has something to write, so a client that resets its stream while the
//! provider thinks would go unnoticed. The stream's receiving half tells of the reset when it is asked, but wakes nobody
//! once the request is whole: it is asked regularly. HTTP/1 needs none of this, its dispatcher reads ahead.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often a client is asked: half of the time within which an upstream call must be cancelled.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The client gave up its stream.
#[derive(Debug, thiserror::Error)]
#[error("the client hung up")]
struct HungUp;

/// Asks one client whether it is still there.
struct Watch {
    payload: web::Payload,
    ticks: Interval,
}

impl Watch {
    /// Watches the client whose request body was read from `payload`.
    fn new(payload: web::Payload) -> Self {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { payload, ticks }
    }

    /// Ready when the client is gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Poll::Ready(Some(Err(_))) = Pin::new(&mut self.payload).poll_next(cx) {
                return Poll::Ready(());
            }
            ready!(self.ticks.poll_tick(cx));
        }
    }
}

/// The answer of `serving`; drops it, and later the answer's body, as soon as the client whose whole request was read
/// from `payload` has hung up.
pub async fn cancelled_by_it(payload: web::Payload, serving: impl Future<Output = HttpResponse>) -> HttpResponse {
    let mut watch = Watch::new(payload);
    let response = tokio::select! {
        biased;
        response = serving => response,
        // Nobody receives it.
        () = poll_fn(|cx| watch.poll(cx)) => return HttpResponse::BadRequest().finish(),
    };
    if response.body().size().is_eof() {
        return response;
    }
    response.map_body(|_, body| BoxBody::new(Watched { body, watch }))
}

/// A body that ends with an error when its client has hung up.
struct Watched {
    body: BoxBody,
    watch: Watch,
}

impl MessageBody for Watched {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if let Poll::Ready(item) = Pin::new(&mut self.body).poll_next(cx) {
            return Poll::Ready(item);
        }
        self.watch.poll(cx).map(|()| Some(Err(HungUp.into())))
    }
}
