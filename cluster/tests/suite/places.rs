//! Where Redis can be: behind TLS, behind sentinels.

use std::{fs, time::Duration};

use gpt_load_cluster::{
    Cluster, ClusterError, NodeIdentity,
    over_redis::{self, RedisOptions},
};
use tokio::time::timeout;

use crate::{
    place::{LONG, leads},
    redis_server::Process,
};

fn options(dsn: &str) -> RedisOptions {
    RedisOptions { dsn: dsn.parse().unwrap(), cluster: "c".into(), extra_ca: None, patience: LONG }
}

fn arguments(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

async fn works(node: &Cluster) {
    leads(node).await;
    let mut reachable = node.reachable.clone();
    timeout(LONG, reachable.wait_for(|reachable| *reachable)).await.expect("listens").unwrap();
    node.uplink.send("entry".into()).await.unwrap();
    assert_eq!(node.uplink.receive(1, LONG).await.unwrap()[0].payload, "entry");
}

#[tokio::test]
async fn a_redis_behind_tls_is_believed_by_its_certificate_only() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let redis = Process::start(|port, folder| {
        fs::write(folder.join("cert"), made.cert.pem()).unwrap();
        fs::write(folder.join("key"), made.signing_key.serialize_pem()).unwrap();
        let folder = folder.display();
        arguments(&format!(
            "--port 0 --tls-port {port} --bind 127.0.0.1 --save --tls-cert-file {folder}/cert --tls-key-file {folder}/key \
             --tls-ca-cert-file {folder}/cert --tls-auth-clients no --user default on >s3cret ~* &* +@all --dir {folder}"
        ))
    })
    .await;
    let dsn = format!("rediss://:s3cret@127.0.0.1:{}", redis.port);
    let refused = over_redis::join(&options(&dsn), NodeIdentity::new("a")).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    let trusting = RedisOptions { extra_ca: Some(made.cert.pem().into_bytes()), ..options(&dsn) };
    works(&over_redis::join(&trusting, NodeIdentity::new("a")).await.unwrap()).await;
}

#[tokio::test]
async fn behind_sentinels_the_server_may_change() {
    let server = |follows: Option<u16>| {
        Process::start(move |port, folder| {
            let follows = follows.map(|port| format!("--replicaof 127.0.0.1 {port}")).unwrap_or_default();
            let secret = "--requirepass s3cret --masterauth s3cret";
            let folder = folder.display();
            arguments(&format!(
                "--port {port} --bind 127.0.0.1 {secret} {follows} --repl-diskless-sync-delay 0 --dir {folder}"
            ))
        })
    };
    let first = server(None).await;
    let second = server(Some(first.port)).await;
    let sentinel = Process::start(|port, folder| {
        let file = folder.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\nsentinel auth-pass main s3cret\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n",
            first.port
        );
        fs::write(&file, text).unwrap();
        vec![file.display().to_string(), "--sentinel".to_owned()]
    })
    .await;
    let dsn = format!("redis+sentinel://:s3cret@127.0.0.1:{}/main", sentinel.port);
    let node = over_redis::join(&options(&dsn), NodeIdentity::new("a")).await.unwrap();
    works(&node).await;
    let before = node.lease.current().unwrap();
    knows_the_second(sentinel.port, second.port).await;
    drop(first);
    let sent = async { while node.uplink.send("after".into()).await.is_err() {} };
    timeout(LONG, sent).await.expect("the second server is not found");
    // When the sentinels are quick, the lease goes on where the second server has it.
    assert!(leads(&node).await >= before);
    assert_eq!(node.uplink.receive(1, LONG).await.unwrap()[0].payload, "after");
    let missing = format!("redis+sentinel://:s3cret@127.0.0.1:{}/other", sentinel.port);
    let refused = over_redis::join(&options(&missing), NodeIdentity::new("b")).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Unavailable(_)) && !refused.to_string().contains("s3cret"), "{refused}");
}

/// Until the sentinel could make the second server the first, which it asks the first about every ten seconds.
async fn knows_the_second(sentinel: u16, second: u16) {
    let client = redis::Client::open(format!("redis://127.0.0.1:{sentinel}")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let known = async {
        loop {
            ticks.tick().await;
            let mut ask = redis::cmd("SENTINEL");
            let told: redis::Value = ask.arg("REPLICAS").arg("main").query_async(&mut connection).await.unwrap();
            let told = format!("{told:?}");
            if told.contains(&format!("127.0.0.1:{second}")) && told.contains("\"ok\"") {
                return;
            }
        }
    };
    timeout(LONG * 2, known).await.expect("the sentinel does not find the second server");
}
