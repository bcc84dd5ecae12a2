//! The engine with a model whose time is under the test's control.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use super::*;
use crate::pipeline::Work;
use crate::types::{Encoded, Encoding, Logits};

/// A token a word, a window between bars; `slow` waits for the gate, `bad` can't be read, `spoil` and `panic` fail the
/// batch that they are in.
struct Fake {
    gate: Mutex<Receiver<()>>,
    entered: Mutex<Sender<Vec<usize>>>,
    /// Whether the computation was told to stop.
    stopped: AtomicUsize,
    /// What a token takes.
    pace: Duration,
}

struct Bench {
    engine: Engine,
    host: Host<Fake>,
    open: Sender<()>,
    entered: Receiver<Vec<usize>>,
}

fn bench(change: impl FnOnce(&mut Settings), pace: Duration) -> Bench {
    let mut settings = Settings {
        lanes: NonZeroUsize::MIN,
        readers: 1,
        requests: 512,
        batch_tokens: 2_048,
        batch_sequences: 512,
        target: Duration::from_mins(1),
    };
    change(&mut settings);
    let ((open, gate), (seen, entered)) = (channel(), channel());
    let model = Fake { gate: Mutex::new(gate), entered: Mutex::new(seen), stopped: AtomicUsize::new(0), pace };
    let engine = Engine::new(settings, Box::new(|_| ())).unwrap();
    let host = engine.host(Arc::new(model), 1 << 20);
    Bench { engine, host, open, entered }
}

fn plain() -> Bench {
    bench(|_| (), Duration::ZERO)
}

impl Model for Fake {
    type Ask = String;
    type Answer = String;
    /// Windows so far.
    type Draft = usize;

    fn encode(&self, index: usize, ask: &String) -> Result<Encoded> {
        if ask.starts_with("bad") {
            return Err(Error::input(index, "bad"));
        }
        let window = |text: &str| {
            let kind = ["slow", "spoil", "panic"].iter().position(|kind| text.starts_with(kind));
            let ids: Vec<u32> = text.split(' ').map(|word| word.len() as u32).collect();
            let type_ids = vec![kind.map_or(0, |kind| kind as u32 + 1); ids.len()];
            Encoding { ids, type_ids, ..Encoding::default() }
        };
        let windows = ask.split('|').map(window).collect();
        Ok(Encoded { text: ask.as_str().into(), windows, cut: None })
    }

    fn forward(&self, sequences: &[&Encoding], cancelled: &dyn Fn() -> bool) -> Result<Vec<Logits>> {
        lock(&self.entered).send(sequences.iter().map(|sequence| sequence.len()).collect()).unwrap();
        let has = |kind| sequences.iter().any(|sequence| sequence.type_ids[0] == kind);
        if has(1) {
            while lock(&self.gate).recv_timeout(Duration::from_millis(1)).is_err() {
                if cancelled() {
                    self.stopped.fetch_add(1, Ordering::SeqCst);
                    return Err(Error::Interrupted);
                }
            }
        }
        assert!(!has(3), "a panic with a user's text");
        if has(2) {
            return Err(Error::Backend("spoiled".to_owned()));
        }
        std::thread::sleep(self.pace * sequences.iter().map(|sequence| sequence.len() as u32).sum());
        Ok(sequences.iter().map(|sequence| Logits { values: vec![sequence.len() as f32], columns: 1 }).collect())
    }

    fn draft(&self, _: &String, _: &Encoded) -> usize {
        0
    }

    fn add(&self, ask: &String, _: &Encoded, window: &mut usize, logits: Logits) -> Result<String> {
        *window += 1;
        Ok(format!("{}: {}", ask.split('|').nth(*window - 1).unwrap(), logits.values[0]))
    }

    fn join(&self, _: &String, parts: &[Arc<String>]) -> Result<String> {
        Ok(parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(", "))
    }

    fn bytes(&self, ask: &String) -> usize {
        ask.len()
    }

    fn windows(&self, ask: &String, tokens: usize) -> (usize, usize) {
        let windows = ask.split('|').count();
        (windows, tokens.div_ceil(windows))
    }

    fn work(&self, _: usize) -> Work {
        Work { bytes: 0, dense: 0, attention: 0 } // so nothing is assumed
    }

    fn size(&self, answer: &String) -> usize {
        answer.len()
    }
}

impl Bench {
    fn terms() -> Terms {
        Terms { deadline: Instant::now() + Duration::from_mins(1), cache: true, news: News::Reads }
    }

    fn ask<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Ticket<String> {
        self.host.submit(texts.into_iter().map(str::to_owned), Self::terms()).unwrap()
    }

    /// Occupies the only lane until the gate opens.
    fn occupy(&self) -> Ticket<String> {
        let ticket = self.ask(["slow"]);
        assert_eq!(self.entered.recv().unwrap(), [1]);
        ticket
    }
}

/// The ends of all items, as they come.
fn ends(mut ticket: Ticket<String>) -> Vec<(usize, Result<String, Failure>)> {
    let mut found = Vec::new();
    while let Some((index, step)) = ticket.wait() {
        if let Step::Done(result) = step {
            found.push((index, result.map(|done| done.answer.clone())));
        }
    }
    found
}

fn only(ticket: Ticket<String>) -> Result<String, Failure> {
    ends(ticket).swap_remove(0).1
}

#[test]
fn every_caller_gets_its_own_answer() {
    let bench = bench(|settings| settings.lanes = NonZeroUsize::new(3).unwrap(), Duration::from_micros(20));
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let bench = &bench.host;
            scope.spawn(move || {
                for round in 0..50 {
                    let text = format!("{}{}", "word ".repeat((caller * round) % 7), caller * 100 + round % 10);
                    let ticket = bench.submit([text.clone()], Bench::terms()).unwrap();
                    assert_eq!(only(ticket), Ok(format!("{text}: {}", text.split(' ').count())));
                }
            });
        }
    });
    assert_eq!((bench.engine.waiting(), bench.host.shared.requests.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn what_comes_while_the_machine_is_busy_is_one_batch() {
    let bench = plain();
    let first = bench.occupy();
    let later: Vec<_> = ["a", "b b", "c c c"].map(|text| bench.ask([text])).into();
    while bench.engine.waiting() < 3 {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(20)); // until the reader is through
    bench.open.send(()).unwrap();
    assert_eq!(only(first), Ok("slow: 1".to_owned()));
    assert_eq!(bench.entered.recv().unwrap(), [3, 2, 1]);
    assert_eq!(later.into_iter().map(only).collect::<Vec<_>>(), ["a: 1", "b b: 2", "c c c: 3"].map(|t| Ok(t.into())));
}

#[test]
fn a_single_text_does_not_wait_for_a_long_list() {
    let bench = bench(|settings| settings.batch_sequences = 4, Duration::ZERO);
    let first = bench.occupy();
    let texts: Vec<String> = (0..200).map(|number| format!("item{number}")).collect();
    let list = bench.ask(texts.iter().map(String::as_str));
    let single = bench.ask(["single two"]);
    std::thread::sleep(Duration::from_millis(20));
    bench.open.send(()).unwrap();
    assert_eq!(only(first), Ok("slow: 1".to_owned()));
    assert_eq!(bench.entered.recv().unwrap(), [2, 1, 1, 1]);
    assert_eq!((only(single), ends(list).len()), (Ok("single two: 2".to_owned()), 200));
}

#[test]
fn what_nobody_waits_for_is_not_computed_and_what_runs_stops_between_layers() {
    let bench = plain();
    let (first, waiting) = (bench.occupy(), bench.ask(["never computed"]));
    drop((first, waiting));
    while bench.engine.waiting() > 0 || bench.host.model.stopped.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(only(bench.ask(["next"])), Ok("next: 1".to_owned()));
    assert_eq!(bench.entered.recv().unwrap(), [1]);
}

#[test]
fn a_batch_does_not_wait_for_texts_that_nobody_wants() {
    let bench = bench(|settings| settings.readers = 0, Duration::ZERO);
    let first = bench.occupy();
    let (wanted, unwanted) = (bench.ask(["wanted"]), bench.ask(["unwanted"]));
    drop(unwanted);
    bench.open.send(()).unwrap();
    assert!(only(first).is_ok());
    assert_eq!(only(wanted), Ok("wanted: 1".to_owned()));
}

#[test]
fn a_deadline_ends_what_waits_and_what_runs() {
    let bench = plain();
    let terms = Terms { deadline: Instant::now() + Duration::from_millis(30), ..Bench::terms() };
    let running = bench.host.submit(["slow".to_owned()], terms).unwrap();
    let waiting = bench.host.submit(["late".to_owned()], terms).unwrap();
    assert_eq!((only(running), only(waiting)), (Err(Failure::Late), Err(Failure::Late)));
    assert_eq!(only(bench.ask(["next"])), Ok("next: 1".to_owned()));
}

#[test]
fn more_than_the_machine_can_do_in_time_is_refused_but_not_what_is_known() {
    let bench = bench(|settings| settings.target = Duration::from_millis(40), Duration::from_millis(2));
    for text in ["warm up", "warm", "known"] {
        only(bench.ask([text])).unwrap();
    }
    let (mut tickets, mut refused) = (Vec::new(), 0);
    for number in 0..100 {
        match bench.host.submit([format!("text {number} of five words")], Bench::terms()) {
            Ok(ticket) => tickets.push(ticket),
            Err(Refusal::Full(wait)) => refused += usize::from(wait > Duration::ZERO),
            Err(Refusal::Closed) => unreachable!(),
        }
    }
    assert!((2..30).contains(&tickets.len()) && refused == 100 - tickets.len(), "{} taken", tickets.len());
    let known = bench.ask(["known"]);
    assert_eq!((known.hits(), only(known)), (1, Ok("known: 1".to_owned())));
    let start = Instant::now();
    assert!(tickets.into_iter().map(only).all(|answer| answer.is_ok()));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn large_lists_beside_each_other_share_the_machine_and_are_not_refused() {
    let bench = bench(|settings| settings.target = Duration::from_millis(400), Duration::from_micros(100));
    let warm: Vec<String> = (0..40).map(|number| format!("warm up {number}")).collect();
    for text in &warm {
        assert!(only(bench.ask([text.as_str()])).is_ok());
    }
    // Each of them takes longer than the target, and all of them together much longer.
    let list = |number: usize| (0..1_000).map(move |item| format!("list {number} item {item}"));
    let tickets: Vec<_> = (0..6).map(|number| bench.host.submit(list(number), Bench::terms()).unwrap()).collect();
    for ticket in tickets {
        assert!(ends(ticket).into_iter().all(|(_, answer)| answer.is_ok()));
    }
}

#[test]
fn what_would_be_too_late_because_of_others_is_refused_and_what_is_large_itself_is_not() {
    let bench = plain();
    let state = || lock(&bench.host.shared.state);
    state().models[0].1.observe(10, Duration::from_secs(10), 1.0);
    let first = bench.occupy();
    let terms = |seconds| Terms { deadline: Instant::now() + Duration::from_secs(seconds), ..Bench::terms() };
    let list = |name: &'static str| (0..20).map(move |item| format!("{name} {item}"));
    let taken = bench.host.submit(list("large"), terms(10)).unwrap();
    assert!(matches!(bench.host.submit(list("late"), terms(60)), Err(Refusal::Full(_))));
    let patient = bench.host.submit(list("patient"), terms(900)).unwrap();
    drop((taken, patient));
    bench.open.send(()).unwrap();
    assert!(only(first).is_ok());
}

#[test]
fn there_is_a_limit_of_requests() {
    let bench = bench(|settings| settings.requests = 2, Duration::ZERO);
    let (first, second) = (bench.occupy(), bench.ask(["second"]));
    let third = || bench.host.submit(["third".to_owned()], Bench::terms());
    assert!(matches!(third(), Err(Refusal::Full(_))));
    bench.open.send(()).unwrap();
    assert!(only(first).is_ok() && only(second).is_ok());
    assert_eq!(only(third().unwrap()), Ok("third: 1".to_owned()));
}

#[test]
fn the_same_question_in_flight_is_computed_once_and_outlives_its_first_asker() {
    let bench = plain();
    let (first, second) = (bench.occupy(), bench.ask(["other", "slow"]));
    drop(first);
    std::thread::sleep(Duration::from_millis(10));
    bench.open.send(()).unwrap();
    let mut found = ends(second);
    found.sort_by_key(|(index, _)| *index);
    assert_eq!(found, [(0, Ok("other: 1".to_owned())), (1, Ok("slow: 1".to_owned()))]);
    assert_eq!(bench.entered.iter().take(1).collect::<Vec<_>>(), [[1]]);
    assert!(bench.entered.try_recv().is_err());
    assert_eq!(bench.ask(["slow"]).hits(), 1);
}

#[test]
fn without_the_cache_nothing_is_read_from_it_or_written_to_it() {
    let bench = plain();
    let fresh = Terms { cache: false, ..Bench::terms() };
    for _ in 0..2 {
        let ticket = bench.host.submit(["a".to_owned()], fresh).unwrap();
        assert_eq!((ticket.hits(), only(ticket)), (0, Ok("a: 1".to_owned())));
    }
    assert_eq!(bench.host.cached(), (0, 0));
    assert_eq!(bench.entered.try_iter().count(), 2);
}

#[test]
fn an_error_names_the_place_in_its_own_request_and_is_not_kept() {
    let bench = plain();
    let bad = |index| Err(Failure::Error(Error::input(index, "bad")));
    let mut found = ends(bench.ask(["fine", "bad", "bad"]));
    found.sort_by_key(|(index, _)| *index);
    assert_eq!(found, [(0, Ok("fine: 1".to_owned())), (1, bad(1)), (2, bad(2))]);
    assert_eq!(only(bench.ask(["bad"])), bad(0));
    assert_eq!(bench.host.cached().0, 1);
}

#[test]
fn one_sequence_that_spoils_a_batch_fails_alone() {
    let bench = plain();
    let first = bench.occupy();
    let texts = ["a", "spoil", "b", "panic", "c"];
    let tickets = texts.map(|text| bench.ask([text]));
    std::thread::sleep(Duration::from_millis(20));
    bench.open.send(()).unwrap();
    assert!(only(first).is_ok());
    let found: Vec<_> = tickets.into_iter().map(only).collect();
    let failed = |message: &str| Err(Failure::Error(Error::Backend(message.to_owned())));
    assert_eq!(found[1], failed("spoiled"));
    assert_eq!(found[3], failed("internal error"));
    assert!([0, 2, 4].iter().all(|&index| found[index].is_ok()), "{found:?}");
}

#[test]
fn a_closed_engine_tells_who_waits() {
    let bench = plain();
    let (first, second) = (bench.occupy(), bench.ask(["second"]));
    let Bench { engine, host, open, .. } = bench;
    std::thread::scope(|scope| {
        scope.spawn(move || drop(engine));
        assert_eq!(only(second), Err(Failure::Closed));
        open.send(()).unwrap();
    });
    assert_eq!(only(first), Ok("slow: 1".to_owned()));
    assert!(matches!(host.submit(["more".to_owned()], Bench::terms()), Err(Refusal::Closed)));
}

#[test]
fn steps_come_in_order() {
    let bench = plain();
    let mut ticket = bench.ask(["a"]);
    assert!(matches!(ticket.wait(), Some((0, Step::Read(None)))));
    assert!(matches!(ticket.wait(), Some((0, Step::Done(Ok(_))))));
    assert!(ticket.wait().is_none());
    let mut ticket = bench.host.submit(["b".to_owned()], Terms { news: News::Ends, ..Bench::terms() }).unwrap();
    assert!(matches!(ticket.wait(), Some((0, Step::Done(Ok(_))))));
}

/// A machine that computes one window after the other, asked for a text of several of them.
fn windows(lanes: usize, text: &str) -> (Bench, Ticket<String>) {
    let bench = bench(
        |settings| (settings.lanes, settings.batch_sequences) = (NonZeroUsize::new(lanes).unwrap(), 1),
        Duration::ZERO,
    );
    let ticket = bench.host.submit([text.to_owned()], Terms { news: News::Parts, ..Bench::terms() }).unwrap();
    (bench, ticket)
}

/// The next thing that happens, in words.
fn next(ticket: &mut Ticket<String>) -> String {
    match ticket.wait() {
        Some((0, Step::Read(None))) => "read".to_owned(),
        Some((0, Step::Part(part))) => format!("part {part}"),
        Some((0, Step::Done(Ok(done)))) => format!("done {}", done.answer),
        Some((0, Step::Done(Err(failure)))) => format!("{failure:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn parts_of_an_answer_are_told_before_the_last_window_is_computed() {
    let (bench, mut ticket) = windows(1, "a|b b|slow");
    assert_eq!([next(&mut ticket), next(&mut ticket), next(&mut ticket)], ["read", "part a: 1", "part b b: 2"]);
    bench.open.send(()).unwrap();
    assert_eq!(next(&mut ticket), "done a: 1, b b: 2, slow: 1");
    assert!(ticket.wait().is_none());
}

#[test]
fn who_comes_later_is_told_what_others_know_if_it_wants_to() {
    let (bench, mut first) = windows(1, "a|b b|slow");
    (0..3).for_each(|_| drop(next(&mut first)));
    let more = |news| bench.host.submit(["a|b b|slow".to_owned()], Terms { news, ..Bench::terms() }).unwrap();
    let (mut second, whole) = (more(News::Parts), more(News::Reads));
    assert_eq!([next(&mut second), next(&mut second), next(&mut second)], ["read", "part a: 1", "part b b: 2"]);
    bench.open.send(()).unwrap();
    assert_eq!([next(&mut first), next(&mut second)], ["done a: 1, b b: 2, slow: 1"; 2]);
    assert_eq!(only(whole), Ok("a: 1, b b: 2, slow: 1".to_owned()));
    assert_eq!(more(News::Parts).hits(), 1);
}

#[test]
fn windows_that_overtake_others_wait_for_their_turn() {
    let (bench, mut ticket) = windows(2, "slow|b b|c c c");
    let mut entered: Vec<_> = bench.entered.iter().take(3).flatten().collect();
    entered.sort_unstable();
    assert_eq!((entered, next(&mut ticket)), (vec![1, 2, 3], "read".to_owned()));
    bench.open.send(()).unwrap();
    assert_eq!([next(&mut ticket), next(&mut ticket)], ["part slow: 1", "part b b: 2"]);
    assert_eq!(next(&mut ticket), "done slow: 1, b b: 2, c c c: 3");
}

#[test]
fn windows_that_nobody_waits_for_any_more_are_not_computed() {
    let (bench, mut ticket) = windows(1, "a|slow|c c c|d d d d");
    assert_eq!([next(&mut ticket), next(&mut ticket)], ["read", "part a: 1"]);
    assert_eq!(bench.entered.iter().take(2).collect::<Vec<_>>(), [[1], [1]]);
    drop(ticket);
    assert_eq!(only(bench.ask(["next of all"])), Ok("next of all: 3".to_owned()));
    assert_eq!(bench.entered.try_iter().collect::<Vec<_>>(), [[3]]);
    assert_eq!(bench.host.model.stopped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_window_that_fails_ends_what_was_begun() {
    for (text, message) in [("a|spoil", "spoiled"), ("a|panic", "internal error")] {
        let (bench, mut ticket) = windows(1, text);
        assert_eq!([next(&mut ticket), next(&mut ticket)], ["read", "part a: 1"]);
        assert_eq!(next(&mut ticket), format!("{:?}", Failure::Error(Error::Backend(message.to_owned()))));
        assert_eq!(bench.host.cached(), (0, 0));
    }
}
