use super::*;

fn told(json: &str) -> WatchAnswer {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_prefix_ends_before_the_next_key() {
    assert_eq!(store::end_of(b"/graylane/"), b"/graylane0");
    assert_eq!(store::end_of(b"a\xff"), b"b");
    assert_eq!(store::end_of(b"\xff"), [0]);
}

#[test]
fn events_change_the_store_and_move_its_revision() {
    let mut store = Store::new(7, 10);
    // "p/a" is put, "p/b" is deleted.
    store.put(b"b", b"old".to_vec());
    let both = told(
        r#"{"header":{"cluster_id":"7","revision":"12"},"events":[
            {"kv":{"key":"cC9h","value":"bmV3","mod_revision":"11"}},
            {"type":"DELETE","kv":{"key":"cC9i","mod_revision":"12"}}]}"#,
    );
    assert!(take(&both, &mut store, 2).unwrap());
    assert_eq!((store.documents(), store.bytes(), store.revision), (1, 3, 12));
    // Progress without events moves the revision alone; the first answer of a watch does not.
    assert!(!take(&told(r#"{"header":{"cluster_id":"7","revision":"20"},"created":true}"#), &mut store, 2).unwrap());
    assert_eq!(store.revision, 12);
    assert!(!take(&told(r#"{"header":{"cluster_id":"7","revision":"20"}}"#), &mut store, 2).unwrap());
    assert_eq!(store.revision, 20);
}

#[test]
fn what_cannot_be_continued_is_read_again() {
    for json in [
        r#"{"header":{"cluster_id":"7","revision":"12"},"canceled":true,"compact_revision":"11"}"#,
        r#"{"header":{"cluster_id":"8","revision":"12"},"created":true}"#,
        r#"{"header":{"cluster_id":"7","revision":"9"},"created":true}"#,
    ] {
        let taken = take(&told(json), &mut Store::new(7, 10), 2);
        assert!(matches!(taken, Err(EtcdError::Compacted)), "{json}");
    }
}
