use gpt_load_cluster::{Epoch, lease::Role};

use crate::place::{Place, follows, leads, role};

crate::everywhere!(
    one_leads_and_the_others_know_it,
    a_hand_over_takes_no_time_and_gives_a_greater_epoch,
    an_epoch_that_the_database_has_seen_is_outbid,
    slaves_never_lead,
    who_has_left_does_not_stand_again,
);

async fn one_leads_and_the_others_know_it(place: Place) {
    let a = place.join("a").await;
    assert_eq!(leads(&a).await, Epoch(1));
    let b = place.join("b").await;
    follows(&b, "a").await;
    assert_eq!((a.lease.current(), b.lease.current()), (Some(Epoch(1)), None));
    assert_eq!(a.lease.lead(Epoch(0)).await, Some(Epoch(1)));
    assert_eq!(b.lease.lead(Epoch(0)).await, None);
}

async fn a_hand_over_takes_no_time_and_gives_a_greater_epoch(place: Place) {
    let a = place.join("a").await;
    leads(&a).await;
    let b = place.join("b").await;
    follows(&b, "a").await;
    let began = std::time::Instant::now();
    a.lease.release().await;
    assert_eq!(a.lease.current(), None);
    assert_eq!(leads(&b).await, Epoch(2));
    // Without being told, b would have looked a second later, or three, when the lock frees itself.
    assert!(began.elapsed() < std::time::Duration::from_millis(700), "{:?}", began.elapsed());
    follows(&a, "b").await;
    b.leave().await;
    assert_eq!(leads(&a).await, Epoch(3), "it stands again");
}

async fn an_epoch_that_the_database_has_seen_is_outbid(place: Place) {
    let a = place.join("a").await;
    leads(&a).await;
    let mut watched = a.lease.watch();
    watched.mark_unchanged();
    assert_eq!(a.lease.lead(Epoch(41)).await, Some(Epoch(42)));
    assert_eq!(*watched.borrow_and_update(), Role::Leader(Epoch(42)));
    assert_eq!(a.lease.lead(Epoch(7)).await, Some(Epoch(42)));
    let b = place.join("b").await;
    follows(&b, "a").await;
    a.lease.close().await;
    assert_eq!(leads(&b).await, Epoch(43));
    assert_eq!(a.lease.lead(Epoch(0)).await, None);
}

async fn slaves_never_lead(place: Place) {
    let slave = place.join_slave("slave").await;
    let a = place.join("a").await;
    leads(&a).await;
    follows(&slave, "a").await;
    a.leave().await;
    role(&slave, |role| *role == Role::Follower { leader: None }).await;
    let b = place.join("b").await;
    assert_eq!(leads(&b).await, Epoch(2));
    follows(&slave, "b").await;
    assert_eq!(slave.lease.lead(Epoch(0)).await, None);
}

async fn who_has_left_does_not_stand_again(place: Place) {
    let a = place.join("a").await;
    leads(&a).await;
    a.leave().await;
    let b = place.join("b").await;
    assert_eq!(leads(&b).await, Epoch(2));
    assert_eq!(*a.lease.watch().borrow(), Role::Follower { leader: None });
}
