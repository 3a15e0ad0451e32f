use gpt_load_cluster::bus::{Event, Message, Subscription};
use tokio::time::timeout;

use crate::place::{LONG, Place};

crate::everywhere!(all_others_hear_what_one_says_in_order, who_does_not_keep_up_is_told_that_it_missed_something);

/// The next message; `Missed`, which comes with every connection, is passed over.
pub(crate) async fn message(listener: &mut Subscription) -> Message {
    loop {
        match timeout(LONG, listener.next()).await.expect("no message").unwrap() {
            Event::Message(message) => return message,
            Event::Missed => {}
        }
    }
}

async fn all_others_hear_what_one_says_in_order(place: Place) {
    let (a, b, c) = (place.join("a").await, place.join("b").await, place.join("c").await);
    let mut listeners = [a.bus.subscribe(), b.bus.subscribe(), c.bus.subscribe()];
    for node in [&a, &b, &c] {
        node.reachable.clone().wait_for(|reachable| *reachable).await.unwrap();
    }
    for number in 0..100_u8 {
        a.bus.publish("numbers", vec![number, 0, 255].into()).await.unwrap();
    }
    b.bus.publish("end", "".into()).await.unwrap();
    let [of_a, of_b, of_c] = &mut listeners;
    let said = |from: &str, topic: &str, payload: &[u8]| Message {
        from: from.into(),
        topic: topic.into(),
        payload: payload.to_vec().into(),
    };
    for listener in [of_b, of_c] {
        for number in 0..100 {
            assert_eq!(message(listener).await, said("a", "numbers", &[number, 0, 255]));
        }
    }
    assert_eq!(message(of_a).await, said("b", "end", b""), "nobody hears himself");
}

async fn who_does_not_keep_up_is_told_that_it_missed_something(place: Place) {
    let (a, b) = (place.join("a").await, place.join("b").await);
    b.reachable.clone().wait_for(|reachable| *reachable).await.unwrap();
    let (mut slow, mut quick) = (b.bus.subscribe(), b.bus.subscribe());
    let count = gpt_load_cluster::bus::BACKLOG + 10;
    let reading = tokio::spawn(async move {
        for number in 0..count {
            assert_eq!(message(&mut quick).await.payload, number.to_string());
            tokio::task::yield_now().await;
        }
    });
    for number in 0..count {
        a.bus.publish("numbers", number.to_string().into()).await.unwrap();
        tokio::task::yield_now().await;
    }
    reading.await.unwrap();
    assert_eq!(slow.next().await, Some(Event::Missed));
    assert!(matches!(slow.next().await, Some(Event::Message(_))));
}
