use async_trait::async_trait;
use bytes::Bytes;

use super::{frame, server::Server};
use crate::{
    ClusterResult,
    bus::{Bus, Subscription},
};

#[async_trait]
impl Bus for Server {
    async fn publish(&self, topic: &str, payload: Bytes) -> ClusterResult<()> {
        let (channel, frame) = (self.keys.bus(), frame::packed(&self.node, topic, &payload));
        self.ask(move |mut redis| async move {
            redis::cmd("PUBLISH").arg(channel).arg(&frame[..]).query_async(&mut redis).await
        })
        .await
    }

    fn subscribe(&self) -> Subscription {
        Subscription::new(self.signals.events.subscribe())
    }
}
