//! What nobody can read is put aside with its cause, and the next message comes.

use broker::{Role, Settings};
use rdkafka::ClientConfig;
use rdkafka::message::{Headers, Message as _, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::kit::{Bench, PATIENCE, make, next, posted, settings};

fn header(message: &OwnedMessage, key: &str) -> String {
    let headers = message.headers().expect("a dead letter has headers");
    let value = headers.iter().find(|header| header.key == key).and_then(|header| header.value);
    String::from_utf8(value.expect(key).to_vec()).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_messages_go_to_the_dead_letters_with_their_cause_and_block_nothing() {
    let bench = Bench::ready(settings()).await;
    let foreign: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &bench.settings.bootstrap_servers).create().unwrap();
    let results = format!("{}.results", bench.settings.topic_prefix);
    let bad: [(&[u8], &str); 3] = [
        (b"\xff not JSON", "undecodable: "),
        (br#"{"v":99}"#, "unknown version 99"),
        (br#"{"v":1,"id":"no id"}"#, "undecodable: "),
    ];
    for (payload, _) in bad {
        let record = FutureRecord::to(&results).key("k").payload(payload).partition(0);
        foreign.send(record, PATIENCE).await.unwrap();
    }
    let mut feed = bench.results();
    let good = posted("1");
    bench.broker.publish_result(&good).await.unwrap();
    let incoming = next(&mut feed).await;
    assert_eq!(incoming.message, good);
    // What its reader calls senseless goes the same way.
    feed.reject(incoming.mark, "a rule of the database".to_owned());

    let dead = bench.content("dlq", 4);
    let causes: Vec<String> = dead.iter().map(|message| header(message, "tasker-error")).collect();
    for (payload, cause) in &bad {
        let letter = dead.iter().find(|letter| letter.payload() == Some(*payload)).expect(cause);
        assert!(header(letter, "tasker-error").starts_with(cause), "{causes:?}");
        assert_eq!(header(letter, "tasker-topic"), results);
        assert_eq!((header(letter, "tasker-partition").as_str(), letter.key()), ("0", Some(&b"k"[..])));
    }
    assert!(causes.contains(&"cannot be settled: a rule of the database".to_owned()), "{causes:?}");
    bench.until("all are counted", |broker| broker.dead_letters() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_waits_until_its_topic_is_there() {
    let bench = Bench::of(Settings { provision: false, ..settings() }, Role::Backend);
    let prefix = bench.settings.topic_prefix.clone();
    let (results, dead) = (format!("{prefix}.results"), format!("{prefix}.dlq"));
    make(&bench, &results).await;
    let foreign: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &bench.settings.bootstrap_servers).create().unwrap();
    foreign.send(FutureRecord::to(&results).key("k").payload("no JSON"), PATIENCE).await.unwrap();
    let mut feed = bench.results();
    let only_dead_is_missing = [format!("the topic {dead} is not there")];
    bench.until("results can be sent", |broker| broker.degraded_reasons() == only_dead_is_missing).await;
    let good = posted("1");
    bench.broker.publish_result(&good).await.unwrap();
    assert_eq!(next(&mut feed).await.message, good, "it holds nothing up");
    assert_eq!(bench.broker.dead_letters(), 0);

    make(&bench, &dead).await;
    bench.until("it is there", |broker| broker.degraded_reasons().is_empty()).await;
    assert_eq!(bench.content("dlq", 1)[0].payload(), Some(&b"no JSON"[..]));
    bench.until("it is counted", |broker| broker.dead_letters() == 1).await;
}
