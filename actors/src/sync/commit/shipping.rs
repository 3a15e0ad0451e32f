//! Ships what waits to the leader, one batch at a time, each as often as it takes until the database has it.

use std::{sync::Arc, time::Duration};

use gpt_load_cluster::uplink::Uplink;
use gpt_load_schema::{
    store::{StoreError, StoreResult},
    watermark::Mark,
};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{Batch, Committer};
use crate::{
    sync::{
        kept_row::KeptRow,
        sender::Sender,
        shipment::{Answer, Reply, Shipment},
    },
    tokens::Tokens,
};

/// A shipment that nobody answered for so long is sent again.
const SEND_AGAIN: Duration = Duration::from_secs(3);
/// How often the database is asked whether it has what nobody confirmed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Wait after an uplink that did not take a shipment.
const UPLINK_AGAIN: Duration = Duration::from_millis(500);

/// What a node of several has to ship with.
pub(crate) struct Shipping {
    uplink: Arc<dyn Uplink>,
    tokens: Arc<Tokens>,
    sender: Mutex<Sender>,
    /// What the process may ship: nothing but its introduction until what its predecessor left is read again.
    is_open: watch::Sender<bool>,
    /// Whether the process has introduced itself, so that nothing of its predecessor is stored any more.
    is_introduced: watch::Sender<bool>,
    /// Proofs of outcomes before this position are needed no more.
    forget_before: Mutex<Option<i64>>,
    replies: mpsc::UnboundedSender<Reply>,
    answers: tokio::sync::Mutex<mpsc::UnboundedReceiver<Reply>>,
    wake: Notify,
}

impl Shipping {
    pub(crate) fn new(
        sender: Sender,
        uplink: Arc<dyn Uplink>,
        tokens: Arc<Tokens>,
        forget_before: Option<i64>,
    ) -> Self {
        let (replies, answers) = mpsc::unbounded_channel();
        Self {
            uplink,
            tokens,
            sender: Mutex::new(sender),
            is_open: watch::Sender::new(false),
            is_introduced: watch::Sender::new(false),
            forget_before: Mutex::new(forget_before),
            replies,
            answers: tokio::sync::Mutex::new(answers),
            wake: Notify::new(),
        }
    }

    /// What the leader said, perhaps to another node.
    pub(crate) fn hear(&self, reply: Reply) {
        if reply.is_about(&self.mark()) {
            // The receiver lives as long as self.
            let _ = self.replies.send(reply);
        }
    }

    /// The mark of what is under way, or next.
    pub(super) fn mark(&self) -> Mark {
        self.sender.lock().mark()
    }

    /// Whether anything but an introduction may go out.
    pub(super) fn is_open(&self) -> bool {
        *self.is_open.borrow()
    }

    /// Divided or lost batches must not be taken for what is shipped instead.
    pub(super) fn renew(&self) {
        self.sender.lock().renew();
    }

    pub(super) fn stored(&self, mark: &Mark) {
        self.sender.lock().stored(mark);
    }

    pub(super) fn forget_before(&self) -> Option<i64> {
        *self.forget_before.lock()
    }

    /// Whether this is the process' first introduction; it is over now.
    pub(super) fn introduced(&self) -> bool {
        *self.forget_before.lock() = None;
        !self.is_introduced.send_replace(true)
    }
}

impl Committer {
    /// Whether another node is to write: nothing is committed here then, but shipped.
    pub(crate) fn follows(&self) -> bool {
        self.shipping.is_some() && self.lease.current().is_none()
    }

    /// Whether the process has yet to introduce itself.
    pub(crate) fn is_owed_an_introduction(&self) -> bool {
        self.shipping.as_ref().is_some_and(|shipping| !shipping.sender.lock().is_introduced())
    }

    /// What a node of several ships with.
    pub(crate) fn shipping(&self) -> Option<&Shipping> {
        self.shipping.as_ref()
    }

    /// Resolves when nothing of an earlier process of this node can be stored any more; at once on a node alone.
    pub(crate) async fn introduced(&self) {
        if let Some(shipping) = &self.shipping {
            // The sender lives as long as self.
            let _ = shipping.is_introduced.subscribe().wait_for(|is_introduced| *is_introduced).await;
        }
    }

    /// What an earlier process left waits like everything else: it may all go.
    pub(crate) fn open(&self) {
        if let Some(shipping) = &self.shipping {
            shipping.is_open.send_replace(true);
            shipping.wake.notify_one();
        }
    }

    /// Resolves when what waits may go; at once on a node alone.
    pub(crate) async fn opened(&self) {
        if let Some(shipping) = &self.shipping {
            // The sender lives as long as self.
            let _ = shipping.is_open.subscribe().wait_for(|is_open| *is_open).await;
        }
    }

    /// Something waits that should not wait long.
    pub(crate) fn hurry(&self) {
        if let Some(shipping) = &self.shipping {
            shipping.wake.notify_one();
        }
    }

    /// Resolves when somebody is in a hurry.
    pub(crate) async fn hurried(&self) {
        match &self.shipping {
            Some(shipping) => shipping.wake.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Introduces the process and ships what waits, until nothing does or this node leads.
    ///
    /// # Errors
    /// When it makes no sense to go on at once; everything still waits then.
    pub(crate) async fn ship(&self) -> StoreResult<()> {
        let Some(shipping) = &self.shipping else { return Ok(()) };
        let _turn = self.turn.lock().await;
        while self.follows()
            && let Some((Some(mark), batch)) = self.next_load()
        {
            self.ship_one(shipping, &mark, &batch).await?;
        }
        Ok(())
    }

    async fn ship_one(&self, shipping: &Shipping, mark: &Mark, batch: &Batch) -> StoreResult<()> {
        let unwritten = |error| StoreError::Internal(format!("a shipment cannot be written: {error}"));
        let token_uses = shipping.tokens.unwritten();
        let payload = {
            let mut shipment = Shipment::new(mark, &batch.deltas).map_err(unwritten)?;
            shipment.rows = batch.logs.iter().map(KeptRow::from).collect();
            shipment.resources = batch.resources.clone();
            shipment.proofs = batch.proofs(self.journal.node()).positions;
            shipment.token_uses = token_uses.clone();
            shipment.forget_before = shipping.forget_before();
            shipment.encode().map_err(unwritten)?
        };
        let mut answers = shipping.answers.lock().await;
        let mut role = self.lease.watch();
        loop {
            role.borrow_and_update();
            if !self.follows() {
                return Ok(());
            }
            let wait = match shipping.uplink.send(payload.clone()).await {
                Ok(()) => SEND_AGAIN,
                Err(error) => {
                    tracing::debug!(%error, "the uplink takes nothing");
                    UPLINK_AGAIN
                }
            };
            let (again, mut look) = (Instant::now() + wait, Instant::now() + LOOK_EVERY);
            let answer = loop {
                tokio::select! {
                    reply = answers.recv() => match reply {
                        Some(reply) if reply.is_about(mark) => break Some(reply.answer),
                        // It is about something earlier.
                        Some(_) => {}
                        None => break None,
                    },
                    _ = role.changed() => break None,
                    () = sleep_until(look) => {
                        look = Instant::now() + LOOK_EVERY;
                        let stored = timeout(LOOK_EVERY, self.store.watermark(&mark.node)).await;
                        if matches!(stored, Ok(Ok(Some(stored))) if mark.is_covered_by(&stored)) {
                            break Some(Answer::Stored);
                        }
                    }
                    () = sleep_until(again) => break None,
                }
            };
            match answer {
                None => {}
                Some(Answer::Stored) => {
                    shipping.tokens.written(&token_uses);
                    return self.stored(Some(mark), batch).await;
                }
                Some(Answer::Gap) => {
                    shipping.renew();
                    return Ok(());
                }
                Some(Answer::Superseded) => return Err(superseded()),
                Some(Answer::Refused(error)) => {
                    let error = StoreError::Internal(error);
                    return self.refused(&mut self.unfinished.lock(), batch, error);
                }
            }
        }
    }
}

/// Somebody else says to be this node, and came later.
pub(super) fn superseded() -> StoreError {
    let text = "another process uses a copy of this node's journal; stop one of them, and remove DATA_DIR/journal of the one \
                that was copied";
    StoreError::Unavailable(text.to_owned())
}
