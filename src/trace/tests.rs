use super::*;
use crate::config::{OtlpProtocol, TlsFiles};
use crate::decide::Reason;

fn plan(sample: f64, untrusted: UntrustedTrace) -> TracingPlan {
    TracingPlan {
        otlp: "http://127.0.0.1:9".to_owned(),
        protocol: OtlpProtocol::Http,
        sample,
        untrusted,
        evaluations: 0.0,
        context_id: ContextIdWord::Hashed,
        headers_file: None,
        tls: TlsFiles::default(),
        answer: Duration::from_secs(1),
    }
}

/// A tracer with nobody behind it, and the end of its queue.
fn tracer(plan: TracingPlan, room: usize) -> (Tracer, std::sync::mpsc::Receiver<Item>) {
    let (queue, items) = sync_channel(room);
    let tracer = Tracer {
        sampled_below: ranks(plan.sample),
        told_below: ranks(plan.evaluations),
        plan,
        service: "goods".into(),
        queue,
        flush: mpsc::channel(1).0,
        telemetry: Arc::new(Telemetry::new(1)),
        users: UserHash::with_key(&[7; 32]).unwrap(),
    };
    (tracer, items)
}

/// Numbers that are not alike, the same for every test.
fn draws(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 33
    }
}

fn begin(sample: f64, untrusted: UntrustedTrace, sent: Option<Context>, is_trusted: bool) -> Beginning {
    tracer(plan(sample, untrusted), 1).0.begin(sent, is_trusted, draws(1))
}

const RESTART: UntrustedTrace = UntrustedTrace::Restart;

fn sent(is_sampled: bool) -> Option<Context> {
    Some(Context::new([1; 16], [2; 8], is_sampled))
}

#[test]
fn a_peer_that_is_believed_decides_over_its_trace() {
    for sample in [0.0, 1.0] {
        for (untrusted, is_trusted) in [(RESTART, true), (UntrustedTrace::Follow, false)] {
            let followed = begin(sample, untrusted, sent(true), is_trusted);
            let context = followed.context.unwrap();
            assert_eq!((context.trace, context.is_sampled()), ([1; 16], true));
            assert_ne!(context.span, [2; 8], "the span is our own");
            assert_eq!(followed.passing, Passing::Continued);
            assert_eq!(followed.recorded, Some(Origin { parent: Parent::Remote([2; 8]), link: None }));
            let passed = begin(sample, untrusted, sent(false), is_trusted);
            assert_eq!(passed, Beginning { context: sent(false), passing: Passing::AsIs, recorded: None });
        }
    }
}

#[test]
fn a_stranger_begins_a_trace_of_ours_whatever_it_sent() {
    for flag in [true, false] {
        let ended = begin(0.0, RESTART, sent(flag), false);
        assert_eq!(ended, Beginning { context: None, passing: Passing::Restarted, recorded: None });
        let begun = begin(1.0, RESTART, sent(flag), false);
        let context = begun.context.unwrap();
        assert!(context.trace != [1; 16] && context.is_sampled());
        assert_eq!(begun.recorded, Some(Origin { parent: Parent::None, link: sent(flag) }));
    }
}

#[test]
fn a_trace_that_is_not_chosen_goes_on_as_one_that_nobody_records() {
    let (tracer, _items) = tracer(plan(0.25, RESTART), 1);
    let mut draw = draws(3);
    let mut chosen = 0;
    for _ in 0..10_000 {
        let begun = tracer.begin(None, true, &mut draw);
        let context = begun.context.unwrap();
        assert!(context.trace != [0; 16] && context.span != [0; 8]);
        assert_eq!(context.is_sampled(), begun.recorded.is_some());
        assert_eq!(begun.passing, Passing::Restarted);
        chosen += u32::from(begun.recorded.is_some());
    }
    // Binomial: 2500 with a deviation of 43.
    assert!((2_240..=2_760).contains(&chosen), "{chosen}");
}

#[test]
fn a_share_of_all_takes_all_and_one_of_none_none() {
    let worst = [u64::MAX, 0];
    for draw in worst {
        let all = tracer(plan(1.0, RESTART), 1).0.begin(None, true, || draw);
        assert!(all.recorded.is_some(), "{draw}");
        let none = tracer(plan(0.0, RESTART), 1).0.begin(None, true, || draw);
        assert_eq!(none.recorded, None, "{draw}");
    }
    let told = |share: f64| tracer(TracingPlan { evaluations: share, ..plan(0.0, RESTART) }, 1).0;
    assert!(worst.into_iter().all(|draw| told(1.0).wants_event(None, || draw)));
    assert!(!worst.into_iter().any(|draw| told(0.0).wants_event(None, || draw)));
}

#[test]
fn events_of_one_trace_are_all_told_or_none() {
    let (tracer, _items) = tracer(TracingPlan { evaluations: 0.5, ..plan(0.0, RESTART) }, 1);
    let never = || panic!("the trace decides");
    let low = Context::new([1; 16], [2; 8], false);
    let high = Context::new([0xff; 16], [2; 8], true);
    assert!(tracer.wants_event(Some(low), never));
    assert!(!tracer.wants_event(Some(high), never));
}

#[test]
fn users_leave_by_a_keyed_hash_or_as_it_was_allowed() {
    let named = |context_id| {
        let (tracer, _items) = tracer(TracingPlan { context_id, ..plan(0.0, RESTART) }, 1);
        (tracer.names_users(), tracer.name("u1").map(Cow::into_owned))
    };
    let hash = UserHash::with_key(&[7; 32]).unwrap().hash("u1");
    let hash = String::from_utf8(hash.as_bytes().to_vec()).unwrap();
    assert_eq!(named(ContextIdWord::Hashed), (true, Some(hash)));
    assert_eq!(named(ContextIdWord::Plain), (true, Some("u1".to_owned())));
    assert_eq!(named(ContextIdWord::Absent), (false, None));
}

#[test]
fn what_finds_no_room_is_counted_and_nobody_waits() {
    let (tracer, items) = tracer(plan(1.0, RESTART), 2);
    let evaluation = Evaluation {
        time: 1,
        context: None,
        release: "r",
        lane: "gray",
        reason: Reason::Bucket,
        context_id: None,
        service: "goods",
        version: "v",
        route: "all",
    };
    (0..5).for_each(|_| tracer.tell(0, &evaluation));
    tracer.record(0, Spans { bytes: vec![1, 2], count: 3 });
    let dropped = |signal| tracer.telemetry.otlp().sum(signal, OtlpFate::QueueFull);
    assert_eq!((dropped(OtlpSignal::Events), dropped(OtlpSignal::Spans)), (3, 3));
    assert_eq!(items.try_iter().count(), 2);
    tracer.record(0, Spans { bytes: vec![1, 2], count: 3 });
    assert!(matches!(items.try_recv(), Ok(Item::Spans { count: 3, .. })));
}

#[test]
fn a_request_that_is_not_recorded_allocates_nothing() {
    let (none, _items) = tracer(plan(0.0, RESTART), 1);
    let (few, _more_items) = tracer(plan(1e-9, RESTART), 1);
    let mut draw = draws(5);
    let counted = allocation_counter::measure(|| {
        for sent in [None, sent(false), Context::parse(b"00-nonsense")] {
            assert_eq!(none.begin(sent, true, &mut draw).recorded, None);
            assert_eq!(few.begin(sent, true, &mut draw).recorded, None);
            assert!(!none.wants_event(sent, &mut draw));
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn an_instance_is_named_by_a_random_uuid() {
    let form = regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").unwrap();
    let (first, second) = (instance_id(), instance_id());
    assert!(form.is_match(&first) && form.is_match(&second) && first != second, "{first} {second}");
}
