//! When the turn of a shipment has come: the rule by which each is stored once, however often it arrives. Pure.
//!
//! A process ships one thing at a time and numbers them. What it calls itself, its *incarnation*, sorts after that of every
//! earlier process of the same node. It introduces itself with number 0; from then on nothing of its predecessor is stored
//! any more, so that what the predecessor left in its journal can be counted without counting anything twice.

/// The place of a shipment among all of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The node, by the name of its journal; at most 36 bytes.
    pub node: String,
    /// The process, at most 36 bytes of ASCII; sorts after its predecessors.
    pub incarnation: String,
    /// 0 introduces the process; then each shipment has one more than the one before.
    pub sequence: i64,
}

/// What is to become of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is next: it is stored, and its mark with it.
    Now,
    /// It is stored already.
    Past,
    /// One before it is missing. It happens only when the database has gone back in time; the process has to introduce itself
    /// anew.
    Gap,
    /// A later process of the node has introduced itself: nothing of this one is stored any more.
    Superseded,
}

impl Mark {
    /// Whether it is its turn after the stored mark of its node.
    pub fn turn(&self, stored: Option<&Self>) -> Turn {
        let begins = self.sequence == 0;
        match stored {
            Some(stored) if stored.incarnation > self.incarnation => Turn::Superseded,
            Some(stored) if stored.incarnation == self.incarnation => match self.sequence {
                next if next == stored.sequence.saturating_add(1) => Turn::Now,
                known if known <= stored.sequence => Turn::Past,
                _ => Turn::Gap,
            },
            _ if begins => Turn::Now,
            _ => Turn::Gap,
        }
    }

    /// Whether the stored mark of its node says that it is stored.
    pub fn is_covered_by(&self, stored: &Self) -> bool {
        self.node == stored.node && self.turn(Some(stored)) == Turn::Past
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(incarnation: &str, sequence: i64) -> Mark {
        Mark { node: "n".to_owned(), incarnation: incarnation.to_owned(), sequence }
    }

    #[test]
    fn each_has_its_turn_once_and_in_order() {
        let turns = [
            (None, ("b", 0), Turn::Now),
            (None, ("b", 1), Turn::Gap),
            (Some(("b", 0)), ("b", 0), Turn::Past),
            (Some(("b", 0)), ("b", 1), Turn::Now),
            (Some(("b", 0)), ("b", 2), Turn::Gap),
            (Some(("b", 7)), ("b", 7), Turn::Past),
            (Some(("b", 7)), ("b", 3), Turn::Past),
            (Some(("b", 7)), ("b", 8), Turn::Now),
            (Some(("b", 7)), ("a", 8), Turn::Superseded),
            (Some(("b", 7)), ("a", 0), Turn::Superseded),
            (Some(("b", 7)), ("c", 8), Turn::Gap),
            (Some(("b", 7)), ("c", 0), Turn::Now),
        ];
        for (stored, (incarnation, sequence), turn) in turns {
            let stored = stored.map(|(incarnation, sequence)| mark(incarnation, sequence));
            assert_eq!(mark(incarnation, sequence).turn(stored.as_ref()), turn, "{stored:?} {incarnation} {sequence}");
        }
        assert!(mark("b", 7).is_covered_by(&mark("b", 7)) && !mark("b", 8).is_covered_by(&mark("b", 7)));
        assert!(!mark("a", 7).is_covered_by(&mark("b", 7)));
        assert!(!mark("b", 7).is_covered_by(&Mark { node: "m".to_owned(), ..mark("b", 7) }));
    }
}
