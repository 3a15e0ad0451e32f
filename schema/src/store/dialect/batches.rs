//! Rows arranged for statements that take many at once.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

/// Splits rows, in order, into batches of at most `rows` rows and about `bytes` bytes; a row that is larger alone.
pub(super) fn by_weight<R>(all: Vec<R>, rows: usize, bytes: usize, weight: impl Fn(&R) -> usize) -> Vec<Vec<R>> {
    let mut batches: Vec<Vec<R>> = Vec::new();
    let mut filled = usize::MAX;
    for row in all {
        let heavier = filled.saturating_add(weight(&row));
        match batches.last_mut() {
            Some(batch) if batch.len() < rows && heavier <= bytes => {
                filled = heavier;
                batch.push(row);
            }
            _ => {
                filled = weight(&row);
                batches.push(vec![row]);
            }
        }
    }
    batches
}

/// The rows whose identity is among `ids`, each identity once.
pub(super) fn kept<R, I: Eq + Hash>(rows: Vec<R>, ids: Vec<I>, id: impl Fn(&R) -> I) -> Vec<R> {
    let mut ids: HashSet<I> = ids.into_iter().collect();
    rows.into_iter().filter(|row| ids.remove(&id(row))).collect()
}

/// The rows without those that a later one of the same identity replaces, in the order of the first of each.
pub(super) fn last_of_each<R, I: Eq + Hash>(rows: Vec<R>, id: impl Fn(&R) -> I) -> Vec<R> {
    let mut places: HashMap<I, usize> = HashMap::with_capacity(rows.len());
    let mut last: Vec<R> = Vec::with_capacity(rows.len());
    for row in rows {
        let place = *places.entry(id(&row)).or_insert(last.len());
        match last.get_mut(place) {
            Some(earlier) => *earlier = row,
            None => last.push(row),
        }
    }
    last
}

/// The rows in rounds, one after the other as they came, none of which has an identity twice.
pub(super) fn rounds<R, I: Eq + Hash>(rows: Vec<R>, id: impl Fn(&R) -> I) -> Vec<Vec<R>> {
    let mut seen: HashMap<I, usize> = HashMap::with_capacity(rows.len());
    let mut rounds: Vec<Vec<R>> = Vec::new();
    for row in rows {
        let round = seen.entry(id(&row)).or_insert(0);
        if rounds.len() <= *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(row);
        *round += 1;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_by_number_and_weight() {
        let batches = |rows: &[usize]| by_weight(rows.to_vec(), 3, 10, |weight| *weight);
        assert_eq!(batches(&[]), Vec::<Vec<usize>>::new());
        assert_eq!(batches(&[1, 1, 1, 1]), [vec![1, 1, 1], vec![1]]);
        assert_eq!(batches(&[6, 4, 1, 11, 10, 1]), [vec![6, 4], vec![1], vec![11], vec![10], vec![1]]);
        assert_eq!(batches(&[usize::MAX, 1]), [vec![usize::MAX], vec![1]]);
    }

    #[test]
    fn rows_of_one_identity_are_told_apart() {
        let rows = || vec![(1, 'a'), (2, 'b'), (1, 'c'), (1, 'd'), (3, 'e')];
        let id = |row: &(i32, char)| row.0;
        assert_eq!(kept(rows(), vec![3, 1], id), [(1, 'a'), (3, 'e')]);
        assert_eq!(last_of_each(rows(), id), [(1, 'd'), (2, 'b'), (3, 'e')]);
        assert_eq!(rounds(rows(), id), [vec![(1, 'a'), (2, 'b'), (3, 'e')], vec![(1, 'c')], vec![(1, 'd')]]);
    }
}
