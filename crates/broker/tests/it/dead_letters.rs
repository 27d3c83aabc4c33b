//! A message that cannot be decoded or settled goes to the dead letter queue with its cause, and blocks no other.

use broker::{Role, Settings};
use rdkafka::ClientConfig;
use rdkafka::message::{Headers, Message as _, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::kit::{TEST_TIMEOUT, TestProcess, create_topic, next, result_message, settings};

fn header(message: &OwnedMessage, key: &str) -> String {
    let headers = message.headers().expect("a dead letter has headers");
    let value = headers.iter().find(|header| header.key == key).and_then(|header| header.value);
    String::from_utf8(value.expect(key).to_vec()).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_messages_go_to_the_dead_letter_queue_with_their_cause_and_block_nothing() {
    let process = TestProcess::ready(settings()).await;
    let foreign: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &process.settings.bootstrap_servers).create().unwrap();
    let results = format!("{}.results", process.settings.topic_prefix);
    let bad: [(&[u8], &str); 3] = [
        (b"\xff not JSON", "undecodable: "),
        (br#"{"v":99}"#, "unknown version 99"),
        (br#"{"v":1,"id":"no id"}"#, "undecodable: "),
    ];
    for (payload, _) in bad {
        let record = FutureRecord::to(&results).key("k").payload(payload).partition(0);
        foreign.send(record, TEST_TIMEOUT).await.unwrap();
    }
    let mut subscription = process.results();
    let good = result_message("1");
    process.broker.publish_result(&good).await.unwrap();
    let delivery = next(&mut subscription).await;
    assert_eq!(delivery.message, good);
    // A message that its reader rejects goes the same way.
    subscription.reject(delivery.position, "a rule of the database".to_owned());

    let dead = process.content("dlq", 4);
    let causes: Vec<String> = dead.iter().map(|message| header(message, "tasker-error")).collect();
    for (payload, cause) in &bad {
        let letter = dead.iter().find(|letter| letter.payload() == Some(*payload)).expect(cause);
        assert!(header(letter, "tasker-error").starts_with(cause), "{causes:?}");
        assert_eq!(header(letter, "tasker-topic"), results);
        assert_eq!((header(letter, "tasker-partition").as_str(), letter.key()), ("0", Some(&b"k"[..])));
    }
    assert!(causes.contains(&"cannot be settled: a rule of the database".to_owned()), "{causes:?}");
    process.until("all four are counted", |broker| broker.dead_letters() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_waits_for_its_topic() {
    let process = TestProcess::new(Settings { provision: false, ..settings() }, Role::Backend);
    let prefix = process.settings.topic_prefix.clone();
    let (results, dead) = (format!("{prefix}.results"), format!("{prefix}.dlq"));
    create_topic(&process, &results).await;
    let foreign: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &process.settings.bootstrap_servers).create().unwrap();
    foreign.send(FutureRecord::to(&results).key("k").payload("no JSON"), TEST_TIMEOUT).await.unwrap();
    let mut subscription = process.results();
    let only_the_dlq_is_missing = [format!("the topic {dead} does not exist")];
    process
        .until("results can be published", |broker| broker.degraded_reasons() == only_the_dlq_is_missing)
        .await;
    let good = result_message("1");
    process.broker.publish_result(&good).await.unwrap();
    assert_eq!(next(&mut subscription).await.message, good, "the waiting dead letter blocks nothing");
    assert_eq!(process.broker.dead_letters(), 0);

    create_topic(&process, &dead).await;
    process.until("the topic exists", |broker| broker.degraded_reasons().is_empty()).await;
    assert_eq!(process.content("dlq", 1)[0].payload(), Some(&b"no JSON"[..]));
    process.until("the dead letter is counted", |broker| broker.dead_letters() == 1).await;
}
