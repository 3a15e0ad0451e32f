use std::{sync::atomic::Ordering, time::Duration};

use gpt_load_schema::{ids::GroupId, log::OutcomeClass};

use super::{Mate, Team, until};

/// Rows that each node records per round.
const ROWS: i64 = 40;

/// What goes wrong after a round, and with which node.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Cut(usize),
    Mend(usize),
    HandOver,
    Kill(usize),
    Lose(usize),
    Double(usize),
    Mute(usize),
}

async fn round(mates: &[Mate], group: GroupId) -> (i64, i64) {
    for mate in mates {
        mate.record(ROWS);
        mate.use_key(group, 1, OutcomeClass::KeyForbidden, None).await;
    }
    let count = i64::try_from(mates.len()).expect("small");
    (ROWS * count, count)
}

/// Whatever goes wrong, at the end every row is stored once and every failure counted once.
async fn through(troubles: &[Trouble]) {
    let team = Team::new().await;
    let mut mates = Vec::new();
    for name in ["a", "b", "c"] {
        mates.push(team.mate(name).await);
    }
    mates[0].leads().await;
    for (setting, value) in [("blacklist_threshold", "0"), ("pool_guard", "false")] {
        mates[0].set(setting, value).await;
    }
    let group = mates[0].group("default", 1).await;
    for mate in &mates {
        until("all have the key", async || mate.has(group, 1)).await;
    }
    let (mut rows, mut failures) = (0, 0);
    for (number, trouble) in troubles.iter().enumerate() {
        let (more, failed) = round(&mates, group).await;
        (rows, failures) = (rows + more, failures + failed);
        match *trouble {
            Trouble::Cut(mate) => mates[mate].line.cut(),
            Trouble::Mend(mate) => mates[mate].line.mend(),
            Trouble::HandOver => {
                for mate in &mates {
                    mate.cluster.lease.release().await;
                }
            }
            Trouble::Kill(mate) => {
                let dir = mates.remove(mate).kill().await;
                mates.push(team.mate_in(&format!("n{number}"), false, dir).await);
            }
            Trouble::Lose(mate) => mates[mate].faults.lose.store(2, Ordering::Release),
            Trouble::Double(mate) => mates[mate].faults.doubles.store(true, Ordering::Release),
            Trouble::Mute(mate) => mates[mate].faults.mute.lock().push("reply"),
        }
        // Long enough for some of it to be under way, and for a lease to run out now and then.
        tokio::time::sleep(Duration::from_millis(400 * (u64::try_from(number).unwrap_or(0) % 4))).await;
    }
    mates.iter().for_each(|mate| mate.line.mend());
    for mate in &mates {
        mate.flush().await;
    }
    assert_eq!(team.rows().await, rows);
    for mate in &mates {
        mate.runtime.stop().await;
    }
    assert_eq!(team.rows().await, rows);
    let key = &mates[0].keys(group).await[0];
    assert_eq!(key.failure_count, failures);
    assert!(mates.iter().all(|mate| mate.runtime.journal().bytes == 0), "nothing is owed");
}

#[actix_rt::test]
async fn nodes_that_are_cut_off_and_come_back() {
    use Trouble::{Cut, Double, HandOver, Lose, Mend, Mute};
    through(&[Cut(1), Mute(0), Mend(1), HandOver, Lose(2), Cut(0), Double(1), Mend(0), HandOver, Cut(2), Mend(2)])
        .await;
}

#[actix_rt::test]
async fn nodes_that_are_killed_and_start_again() {
    use Trouble::{Double, HandOver, Kill, Lose, Mute};
    through(&[Kill(1), Lose(0), Kill(0), Double(1), Kill(2), HandOver, Mute(0), Kill(0), Lose(1), Kill(1)]).await;
}
