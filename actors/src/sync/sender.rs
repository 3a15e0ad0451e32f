//! Numbers what a process ships, one thing at a time ([`gpt_load_schema::watermark`]). Pure.

use gpt_load_schema::watermark::Mark;

/// The process as a sender: what it calls itself, and how far it is.
pub(crate) struct Sender {
    node: String,
    /// Grows with each start of the node.
    run: u32,
    /// How often it has introduced itself anew.
    renewals: u16,
    /// Tells apart processes whose journals are copies of each other.
    salt: u64,
    /// Number of what is to be shipped next, or is under way.
    next: i64,
}

impl Sender {
    /// A process that has yet to introduce itself. `node` is at most 36 bytes.
    pub(crate) const fn new(node: String, run: u32, salt: u64) -> Self {
        Self { node, run, renewals: 0, salt, next: 0 }
    }

    /// The mark of what is to be shipped next, or is under way.
    pub(crate) fn mark(&self) -> Mark {
        let incarnation = format!("{:010}-{:05}-{:016x}", self.run, self.renewals, self.salt);
        Mark { node: self.node.clone(), incarnation, sequence: self.next }
    }

    /// Whether it is the turn of anything but the introduction.
    pub(crate) const fn is_introduced(&self) -> bool {
        self.next > 0
    }

    /// What had `mark` is stored. Whoever hears of something earlier than what is under way has heard it already.
    pub(crate) fn stored(&mut self, mark: &Mark) {
        if *mark == self.mark() {
            self.next += 1;
        }
    }

    /// What is under way will not be shipped as it is: whatever of it is still on its way must not be taken for what is
    /// shipped instead.
    pub(crate) fn renew(&mut self) {
        self.renewals = self.renewals.saturating_add(1);
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, VecDeque};

    use gpt_load_schema::watermark::Turn;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn later_processes_and_introductions_sort_after_earlier_ones() {
        let mut first = Sender::new("n".to_owned(), 9, u64::MAX);
        let mut last = first.mark().incarnation;
        assert!(last.len() <= 36);
        first.stored(&first.mark());
        first.stored(&Mark { sequence: 0, ..first.mark() });
        assert_eq!((first.mark().sequence, first.is_introduced()), (1, true));
        for _ in 0..12 {
            first.renew();
            assert!(first.mark().incarnation > last && !first.is_introduced());
            last = first.mark().incarnation;
        }
        assert!(Sender::new("n".to_owned(), 65_545, 0).mark().incarnation > last);
    }

    /// A record, told from all others of its node.
    type Record = u32;

    /// What the database holds: marks, how often each record was counted, and which records each node's mark proves.
    #[derive(Default)]
    struct Database {
        marks: BTreeMap<String, Mark>,
        counted: BTreeMap<(String, Record), u32>,
    }

    impl Database {
        fn commit(&mut self, mark: &Mark, records: &[Record]) -> Turn {
            let turn = mark.turn(self.marks.get(&mark.node));
            if turn == Turn::Now {
                self.marks.insert(mark.node.clone(), mark.clone());
                for record in records {
                    *self.counted.entry((mark.node.clone(), *record)).or_default() += 1;
                }
            }
            turn
        }
    }

    /// A node: its journal outlives its process.
    struct Node {
        name: String,
        run: u32,
        made: Record,
        journal: BTreeSet<Record>,
        sender: Sender,
        /// Records of an earlier process are in `waiting` again.
        is_open: bool,
        waiting: VecDeque<Record>,
        under_way: Option<Vec<Record>>,
    }

    impl Node {
        fn start(name: String, run: u32, made: Record, journal: BTreeSet<Record>) -> Self {
            let sender = Sender::new(name.clone(), run, 7);
            Self { name, run, made, journal, sender, is_open: false, waiting: VecDeque::new(), under_way: None }
        }

        fn killed(&mut self) {
            let journal = std::mem::take(&mut self.journal);
            *self = Self::start(self.name.clone(), self.run + 1, self.made, journal);
        }

        /// What goes out now.
        fn load(&mut self) -> Option<(Mark, Vec<Record>)> {
            if !self.sender.is_introduced() {
                return Some((self.sender.mark(), Vec::new()));
            }
            if !self.is_open {
                return None;
            }
            if self.under_way.is_none() && !self.waiting.is_empty() {
                let count = self.waiting.len().min(3);
                self.under_way = Some(self.waiting.drain(..count).collect());
            }
            Some((self.sender.mark(), self.under_way.clone()?))
        }

        fn hear(&mut self, mark: &Mark, turn: Turn, database: &Database) {
            if *mark != self.sender.mark() {
                return;
            }
            match turn {
                Turn::Now | Turn::Past => {
                    self.sender.stored(mark);
                    if mark.sequence > 0 {
                        for record in self.under_way.take().unwrap_or_default() {
                            self.journal.remove(&record);
                        }
                    } else {
                        // What the database has proofs of is not owed.
                        let is_stored = |record: &Record| database.counted.contains_key(&(self.name.clone(), *record));
                        self.journal.retain(|record| !is_stored(record));
                        self.waiting.retain(|record| !is_stored(record));
                        self.under_way.take_if(|batch| batch.iter().all(is_stored));
                        if !self.is_open {
                            self.is_open = true;
                            self.waiting = self.journal.iter().copied().collect();
                        }
                    }
                }
                Turn::Gap => self.sender.renew(),
                Turn::Superseded => panic!("nobody has a copy of the journal"),
            }
        }

        /// The batch is divided since the database refuses it: half of it goes first, under another number.
        fn divide(&mut self) {
            if let Some(batch) = self.under_way.take() {
                self.sender.renew();
                batch.into_iter().rev().for_each(|record| self.waiting.push_front(record));
            }
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Make(usize),
        Ship(usize),
        /// The entry at this place of the channel arrives; the flag says whether it stays there to arrive again.
        Arrive(usize, bool),
        LoseEntry(usize),
        Answer(usize, bool),
        LoseAnswer(usize),
        /// The node leads for a moment and commits what it has under way itself.
        CommitItself(usize),
        /// It asks the database how far it is.
        Look(usize),
        Divide(usize),
        Kill(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let node = 0..2_usize;
        let place = 0..64_usize;
        prop_oneof![
            4 => node.clone().prop_map(Step::Make),
            4 => node.clone().prop_map(Step::Ship),
            4 => (place.clone(), any::<bool>()).prop_map(|(place, stays)| Step::Arrive(place, stays)),
            1 => place.clone().prop_map(Step::LoseEntry),
            3 => (place.clone(), any::<bool>()).prop_map(|(place, stays)| Step::Answer(place, stays)),
            1 => place.prop_map(Step::LoseAnswer),
            1 => node.clone().prop_map(Step::CommitItself),
            1 => node.clone().prop_map(Step::Look),
            1 => node.clone().prop_map(Step::Divide),
            1 => node.prop_map(Step::Kill),
        ]
    }

    /// The nodes, whoever leads, and what is on its way between them.
    struct World {
        nodes: Vec<Node>,
        database: Database,
        entries: Vec<(Mark, Vec<Record>)>,
        answers: Vec<(Mark, Turn)>,
    }

    impl World {
        fn new() -> Self {
            let nodes = ["a", "b"].map(|name| Node::start(name.to_owned(), 1, 0, BTreeSet::new()));
            Self { nodes: nodes.into(), database: Database::default(), entries: Vec::new(), answers: Vec::new() }
        }

        fn take(&mut self, step: Step) {
            let Self { nodes, database, entries, answers } = self;
            match step {
                Step::Make(node) => {
                    let node = &mut nodes[node];
                    node.made += 1;
                    node.journal.insert(node.made);
                    node.waiting.push_back(node.made);
                }
                Step::Ship(node) => entries.extend(nodes[node].load()),
                Step::Arrive(place, stays) if !entries.is_empty() => {
                    let place = place % entries.len();
                    let (mark, records) = entries[place].clone();
                    let turn = database.commit(&mark, &records);
                    answers.push((mark, turn));
                    if !stays {
                        entries.remove(place);
                    }
                }
                Step::LoseEntry(place) if !entries.is_empty() => _ = entries.remove(place % entries.len()),
                Step::Answer(place, stays) if !answers.is_empty() => {
                    let place = place % answers.len();
                    let (mark, turn) = answers[place].clone();
                    // Answers to processes of the past find somebody else.
                    if let Some(node) = nodes.iter_mut().find(|node| node.name == mark.node) {
                        node.hear(&mark, turn, database);
                    }
                    if !stays {
                        answers.remove(place);
                    }
                }
                Step::LoseAnswer(place) if !answers.is_empty() => _ = answers.remove(place % answers.len()),
                Step::CommitItself(node) => {
                    if let Some((mark, records)) = nodes[node].load() {
                        let turn = database.commit(&mark, &records);
                        nodes[node].hear(&mark, turn, database);
                    }
                }
                Step::Look(node) => {
                    let node = &mut nodes[node];
                    let mark = node.sender.mark();
                    if database.marks.get(&node.name).is_some_and(|stored| mark.is_covered_by(stored)) {
                        node.hear(&mark, Turn::Past, database);
                    }
                }
                Step::Divide(node) => nodes[node].divide(),
                Step::Kill(node) => nodes[node].killed(),
                _ => {}
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_record_is_counted_once_whatever_becomes_of_messages_and_processes(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut world = World::new();
            for step in steps {
                world.take(step);
                prop_assert!(world.database.counted.values().all(|count| *count == 1), "twice after {step:?}");
            }
            // Nothing goes wrong any more, but what is on its way still arrives late.
            for round in 0..200 {
                for node in 0..2 {
                    world.take(Step::Ship(node));
                }
                world.take(Step::Arrive(round, false));
                world.take(Step::Arrive(usize::MAX, false));
                world.take(Step::Answer(0, false));
                (0..2).for_each(|node| world.take(Step::Look(node)));
            }
            for node in 0..2 {
                for _ in 0..200 {
                    world.take(Step::CommitItself(node));
                }
            }
            prop_assert!(world.database.counted.values().all(|count| *count == 1));
            for node in &world.nodes {
                prop_assert!(node.journal.is_empty() && node.waiting.is_empty() && node.under_way.is_none());
                let counted = world.database.counted.keys().filter(|(name, _)| *name == node.name).count();
                prop_assert_eq!(counted, node.made as usize);
            }
        }
    }
}
