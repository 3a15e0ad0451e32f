use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A lock, and nodes that ask it over a bad network, each with a clock of its own.
struct World {
    now: Moment,
    rng: StdRng,
    lock: Option<(usize, Moment)>,
    epoch: Epoch,
    nodes: Vec<Node>,
    /// Of 100 questions or answers so many are lost.
    loss: u32,
    /// Longest time that a question or an answer takes, in ms.
    delay: u64,
}

struct Node {
    election: Election,
    is_alive: bool,
    offset: Moment,
    speed: f64,
    asked: Option<Asked>,
    /// It was told that the lock is free, and has not heard it while it asks.
    is_told: bool,
}

struct Asked {
    step: Step,
    seen: Epoch,
    /// By the node's clock.
    at: Moment,
    /// When the lock is asked, by the world's clock; `None` = never, or it was.
    arrives: Option<Moment>,
    answer: Option<(Moment, LockState)>,
}

impl World {
    fn new(seed: u64, nodes: usize, eligible: usize, loss: u32, delay: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = (0..nodes)
            .map(|index| {
                let offset = MS * rng.random_range(0..100_000);
                let election = Election::new(index < eligible, offset);
                Node {
                    election,
                    is_alive: true,
                    offset,
                    speed: rng.random_range(0.95..1.05),
                    asked: None,
                    is_told: false,
                }
            })
            .collect();
        Self { now: Duration::ZERO, rng, lock: None, epoch: Epoch(0), nodes, loss, delay }
    }

    fn clock(&self, node: usize) -> Moment {
        self.nodes[node].offset + self.now.mul_f64(self.nodes[node].speed)
    }

    fn travel(&mut self) -> Option<Moment> {
        (self.rng.random_range(0..100) >= self.loss)
            .then(|| self.now + MS * u32::try_from(self.rng.random_range(0..=self.delay)).unwrap())
    }

    fn holder(&self) -> Option<(usize, Moment)> {
        self.lock.filter(|(_, until)| *until > self.now)
    }

    /// What the real lock does.
    fn serve(&mut self, node: usize, step: Step, above: Epoch) -> LockState {
        match (step, self.holder()) {
            (_, Some((other, until))) if other != node || step == Step::Look => {
                LockState::Theirs { name: other.to_string(), epoch: self.epoch, remaining: until - self.now }
            }
            (Step::Look | Step::Renew, None) => LockState::Free,
            (step, _) => {
                if step == Step::Acquire {
                    self.epoch = Epoch(self.epoch.max(above).0 + 1);
                }
                self.lock = Some((node, self.now + TTL));
                LockState::Ours(self.epoch)
            }
        }
    }

    fn step(&mut self) {
        self.now += MS * 5;
        for node in 0..self.nodes.len() {
            if !self.nodes[node].is_alive {
                continue;
            }
            let clock = self.clock(node);
            self.nodes[node].election.expire(clock);
            if let Some(asked) = &mut self.nodes[node].asked
                && asked.arrives.is_some_and(|arrives| arrives <= self.now)
            {
                asked.arrives = None;
                let (step, above) = (asked.step, asked.seen);
                let answer = self.serve(node, step, above);
                let arrives = self.travel();
                if let (Some(asked), Some(arrives)) = (&mut self.nodes[node].asked, arrives) {
                    asked.answer = Some((arrives, answer));
                }
            }
            let chance = self.rng.random_range(0.0..1.0);
            let now = self.now;
            let Node { election, asked, is_told, .. } = &mut self.nodes[node];
            if let Some(question) = asked.take_if(|asked| {
                asked.answer.as_ref().is_some_and(|(at, _)| *at <= now) || clock >= asked.at + Duration::from_secs(1)
            }) {
                let answer = question.answer.filter(|(at, _)| *at <= now).map(|(_, answer)| answer);
                election.answered(question.step, answer, question.at, clock, chance);
            }
            if asked.is_none() && std::mem::take(is_told) {
                election.freed(clock, chance);
            }
            let (due, step) = election.next();
            if self.nodes[node].asked.is_none() && due <= clock {
                let (arrives, seen) = (self.travel(), self.nodes[node].election.seen());
                self.nodes[node].asked = Some(Asked { step, seen, at: clock, arrives, answer: None });
            }
        }
    }

    /// The node hands over. Nothing is under way when it does.
    fn rest(&mut self, node: usize) {
        while self.nodes[node].asked.is_some() {
            self.step();
        }
        let clock = self.clock(node);
        self.nodes[node].election.rest(clock);
        self.lock = self.lock.filter(|(holder, _)| *holder != node);
        self.nodes.iter_mut().for_each(|node| node.is_told = true);
    }

    fn leaders(&self) -> Vec<(usize, Epoch)> {
        let role = |node: usize| self.nodes[node].election.role(self.clock(node)).epoch().map(|epoch| (node, epoch));
        (0..self.nodes.len()).filter(|node| self.nodes[*node].is_alive).filter_map(role).collect()
    }

    /// Until someone leads; how long that takes.
    fn await_leader(&mut self) -> (Duration, usize) {
        let since = self.now;
        loop {
            self.step();
            if let [(leader, _)] = self.leaders()[..] {
                return (self.now - since, leader);
            }
            assert!(self.now - since < Duration::from_secs(60), "nobody leads");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is lost or late, whoever stops: no two lead at once, and a later leader has a greater epoch.
    #[test]
    fn never_two_leaders(seed: u64, loss in 0_u32..60, delay in 0_u64..1_500) {
        let mut world = World::new(seed, 4, 3, loss, delay);
        let mut last: Option<(usize, Epoch)> = None;
        for _ in 0..12_000 {
            world.step();
            let leaders = world.leaders();
            prop_assert!(leaders.len() <= 1, "{leaders:?}");
            if let Some(&(leader, epoch)) = leaders.first() {
                prop_assert!(leader < 3, "leads though it never may");
                if let Some((other, before)) = last {
                    prop_assert!(epoch > before || (epoch == before && leader == other), "{before:?} then {epoch:?}");
                }
                last = Some((leader, epoch));
            }
            if world.rng.random_range(0..2_000) == 0 {
                let node = world.rng.random_range(0..3);
                world.nodes[node].is_alive ^= true;
            }
            if world.rng.random_range(0..2_000) == 0 {
                let node = world.rng.random_range(0..3);
                if world.nodes[node].is_alive {
                    world.rest(node);
                }
            }
        }
    }

    /// On a good network there is a new leader within 4 s of the death of the old one, and at once after a hand-over.
    #[test]
    fn a_leader_that_dies_is_replaced_soon(seed: u64) {
        let mut world = World::new(seed, 3, 3, 0, 20);
        let (first, leader) = world.await_leader();
        prop_assert!(first <= MS * 100, "{first:?}");
        for _ in 0..400 {
            world.step();
            prop_assert_eq!(world.leaders().len(), 1, "a leader that renews stays");
        }
        world.nodes[leader].is_alive = false;
        let (after_death, next) = world.await_leader();
        prop_assert!(after_death <= Duration::from_secs(4), "{after_death:?}");
        world.rest(next);
        let (after_release, last) = world.await_leader();
        prop_assert!(last != next && after_release <= MS * 200, "{last} after {after_release:?}");
    }
}

#[test]
fn a_leader_believes_for_less_than_the_lock_lasts() {
    let at = Duration::from_millis;
    let mut election = Election::new(true, at(0));
    assert_eq!(election.next(), (at(0), Step::Acquire));
    election.answered(Step::Acquire, Some(LockState::Ours(Epoch(7))), at(0), at(40), 0.5);
    assert_eq!(election.next(), (at(1_000), Step::Renew));
    assert_eq!(election.role(at(2_499)), Role::Leader(Epoch(7)));
    assert_eq!(election.role(at(2_500)), Role::Follower { leader: None });
    election.answered(Step::Renew, None, at(1_000), at(2_000), 0.5);
    assert_eq!(election.next(), (at(2_250), Step::Renew));
    election.answered(Step::Renew, Some(LockState::Ours(Epoch(7))), at(2_250), at(2_600), 0.5);
    assert_eq!(election.role(at(2_600)), Role::Follower { leader: None }, "its time was over before the answer came");
    assert_eq!(election.next().1, Step::Acquire);
}

#[test]
fn an_answer_that_comes_too_late_makes_no_leader() {
    let at = Duration::from_millis;
    let mut election = Election::new(true, at(0));
    election.answered(Step::Acquire, Some(LockState::Ours(Epoch(1))), at(0), at(2_500), 0.0);
    assert_eq!(election.role(at(2_500)), Role::Follower { leader: None });
}

#[test]
fn who_may_not_lead_only_looks() {
    let at = Duration::from_millis;
    let mut election = Election::new(false, at(0));
    assert_eq!(election.next().1, Step::Look);
    let theirs = LockState::Theirs { name: "a".into(), epoch: Epoch(9), remaining: at(2_000) };
    election.answered(Step::Look, Some(theirs), at(0), at(1), 0.5);
    assert_eq!(election.role(at(1_900)), Role::Follower { leader: Some("a".into()) });
    assert_eq!(election.seen(), Epoch(9));
    assert_eq!(election.role(at(2_001)), Role::Follower { leader: None }, "not confirmed");
    election.freed(at(1_950), 0.5);
    assert_eq!(election.next().1, Step::Look);
    election.retire(at(1_960));
    assert_eq!(election.next().1, Step::Look);
}
