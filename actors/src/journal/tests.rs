use std::{fs, path::Path, sync::Arc};

use super::*;

fn options(folder: &Path) -> JournalOptions {
    JournalOptions { folder: folder.to_owned(), fsync: Fsync::Never, max_bytes: 1 << 30 }
}

fn open(folder: &Path) -> (Arc<Journal>, Vec<Leftover>) {
    Journal::open(options(folder)).expect("a journal")
}

fn read(journal: &Journal, leftovers: Vec<Leftover>) -> Vec<(Kind, String, Ticket)> {
    leftovers
        .into_iter()
        .flat_map(|leftover| {
            let kind = leftover.kind();
            let records = leftover.read::<String>(journal).expect("readable");
            records.into_iter().map(move |(text, ticket)| (kind, text, ticket))
        })
        .collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a text"))
        .filter(|name| name.contains('-'))
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_not_settled_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, leftovers) = open(folder.path());
    assert!(leftovers.is_empty());
    let settled = journal.append(Kind::Log, &"settled");
    let position = journal.append(Kind::Outcome, &"open").position().expect("kept");
    let _ = journal.append(Kind::Log, &"open too");
    settled.settle();
    drop(journal);

    let (journal, leftovers) = open(folder.path());
    let found = read(&journal, leftovers);
    let texts: Vec<(Kind, &str)> = found.iter().map(|(kind, text, _)| (*kind, text.as_str())).collect();
    assert_eq!(texts, [(Kind::Log, "settled"), (Kind::Log, "open too"), (Kind::Outcome, "open")]);
    assert_eq!(found[2].2.position(), Some(position));
    assert_eq!(journal.stats().replayed, 3);
    let newer = journal.append(Kind::Outcome, &"newer");
    assert!(newer.position() > Some(position), "positions grow over all starts");
    newer.settle();
    found.into_iter().for_each(|(.., ticket)| ticket.settle());
    journal.close();
    assert_eq!(files(folder.path()), [""; 0]);
    assert_eq!(journal.stats().bytes, 0);
}

#[test]
fn positions_grow_also_when_no_file_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut last = None;
    for _ in 0..3 {
        let (journal, _) = open(folder.path());
        let ticket = journal.append(Kind::Outcome, &"one");
        assert!(ticket.position() > last, "{:?} after {last:?}", ticket.position());
        last = ticket.position();
        ticket.settle();
        journal.close();
        assert_eq!(files(folder.path()), [""; 0]);
    }
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let error = Journal::open(options(folder.path())).err().expect("refused");
    assert!(matches!(error, JournalError::InUse(_)), "{error}");
    let node = journal.node().map(str::to_owned);
    drop(journal);
    assert_eq!(open(folder.path()).0.node().map(str::to_owned), node);
}

#[test]
fn a_folder_that_is_a_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("journal");
    fs::write(&file, "").expect("a file");
    let error = Journal::open(options(&file)).err().expect("refused").to_string();
    assert!(error.contains("DATA_DIR") && error.contains(&*file.to_string_lossy()), "{error}");
}

#[test]
fn a_torn_tail_costs_its_record_and_a_damaged_file_is_kept_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    for text in ["first", "second", "third"] {
        let _ = journal.append(Kind::Log, &text);
    }
    drop(journal);
    let file = folder.path().join(&files(folder.path())[0]);
    let whole = fs::read(&file).expect("readable");
    fs::write(&file, &whole[..whole.len() - 2]).expect("writable");

    let (journal, leftovers) = open(folder.path());
    let found = read(&journal, leftovers);
    assert_eq!(found.iter().map(|(_, text, _)| text.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(journal.stats().unreadable, 0, "a torn record was never acknowledged");
    drop((found, journal));

    let mut damaged = whole;
    damaged[frame::MAGIC.len() + frame::HEAD] ^= 1;
    fs::write(&file, &damaged).expect("writable");
    let (journal, leftovers) = open(folder.path());
    let found = read(&journal, leftovers);
    assert_eq!(found.iter().map(|(_, text, _)| text.as_str()).collect::<Vec<_>>(), ["second", "third"]);
    assert_eq!(journal.stats().unreadable, 1);
    found.into_iter().for_each(|(.., ticket)| ticket.settle());
    let left = files(folder.path());
    assert_eq!(left.len(), 1);
    assert!(left[0].ends_with(".damaged"), "{left:?}");
}

#[test]
fn when_it_is_full_the_oldest_log_rows_go_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) =
        Journal::open(JournalOptions { max_bytes: 1 << 20, ..options(folder.path()) }).expect("a journal");
    let text = "x".repeat(10_000);
    let outcome = journal.append(Kind::Outcome, &"mine");
    let rows: Vec<Ticket> = (0..300).map(|_| journal.append(Kind::Log, &text)).collect();
    let JournalStats { bytes, segments, lost, .. } = journal.stats();
    assert!(bytes <= (1 << 20) && bytes > 900_000, "{bytes}");
    assert!((15..=17).contains(&segments), "{segments}");
    assert_eq!(lost, 0, "they are in memory still");
    let spilled = rows.into_iter().map(Ticket::spill).filter(|kept| *kept).count();
    assert!((90..=105).contains(&spilled), "{spilled}");
    outcome.settle();
    let (mut read_again, mut oldest) = (0, Vec::new());
    while let Some(leftover) = journal.take_spilled() {
        let rows = leftover.read::<String>(&journal).expect("readable");
        read_again += rows.len();
        oldest.extend(rows.first().and_then(|(_, ticket)| ticket.position()));
        rows.into_iter().for_each(|(_, ticket)| ticket.settle());
    }
    assert_eq!(read_again, spilled);
    assert!(oldest.is_sorted());
    journal.close();
    assert_eq!((journal.stats().bytes, files(folder.path())), (0, vec![]));
}

#[test]
fn an_idle_segment_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let text = "x".repeat(300_000);
    journal.append(Kind::Log, &text).settle();
    assert_eq!(files(folder.path()).len(), 1);
    journal.sync();
    assert_eq!(files(folder.path()).len(), 0);
    journal.append(Kind::Log, &"small").settle();
    journal.sync();
    assert_eq!(files(folder.path()).len(), 1, "small files are not worth it");
}

#[test]
fn a_disabled_journal_keeps_nothing() {
    let journal = Journal::disabled();
    let ticket = journal.append(Kind::Log, &"x");
    assert_eq!((ticket.position(), journal.node(), journal.stats()), (None, None, JournalStats::default()));
    assert!(!ticket.spill());
    assert!(journal.take_spilled().is_none());
}

#[test]
fn a_failed_write_is_counted_and_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = open(folder.path());
    let path = folder.path().join("gone");
    let inner = journal.inner.as_ref().expect("enabled");
    let (totals, broken) = (journal.totals(), path.clone());
    inner.streams.lock().logs = Stream::new(Kind::Log, broken, totals, 1 << 20, 0);
    assert_eq!(journal.append(Kind::Log, &"x").position(), None);
    assert_eq!(journal.append(Kind::Outcome, &"paused").position(), None);
    assert_eq!(journal.stats().unwritten, 2);
    fs::create_dir(&path).expect("a folder");
    inner.streams.lock().paused_until = Some(Instant::now());
    assert!(journal.append(Kind::Log, &"x").position().is_some());
    assert!(inner.streams.lock().paused_until.is_none());
}
