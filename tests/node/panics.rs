//! A defect of the gateway in the middle of a request: the log says whose fault it was, and no key or upstream suffers.

use std::{
    net::{IpAddr, Ipv4Addr},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use gpt_load::{
    config::{Config, ConfiguredSettings, SharedConfig},
    policy::limits::Client,
    proxy::{
        exchange::{Admitted, Exchange},
        limit::ConcurrencyLimit,
        pick::Pick,
        table::{Serving, Table},
    },
    upstream::ProxyEnv,
};
use gpt_load_actors::{
    commands::{Command, Reply},
    pool::Want,
    runtime::Runtime,
};
use gpt_load_schema::{
    channel::Channel,
    key::{KeySource, KeyState},
    log::RequestType,
    secret::Secret,
    store::Store,
    time::Timestamp,
};
use serde_json::json;

use crate::support::definition;

#[actix_web::test]
async fn a_panic_in_a_request_is_a_500_of_the_gateway_and_gives_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("DATA_DIR".to_owned(), folder.path().display().to_string())];
    let config = Config::load(folder.path(), environment.into_iter()).unwrap();
    let store = Store::open(config.config.database(), None).await.unwrap();
    let settings = Arc::new(ConfiguredSettings::new(SharedConfig::new(config.config)));
    let table = Arc::new(Table::new(Arc::default(), ProxyEnv::read(|_| None).unwrap(), false));
    let runtime = Runtime::start(store.clone(), settings, Arc::clone(&table) as _).await.unwrap();
    let group = definition("g", Channel::OpenAi, &["http://upstream.example"], json!({}));
    let Reply::Group(group) = runtime.execute(Command::CreateGroup(Box::new(group))).await.unwrap() else { panic!() };
    let values = vec![Secret::from("sk-1")];
    let add = Command::AddKeys { group: group.id, values, state: Some(KeyState::Active), source: KeySource::Manual };
    runtime.execute(add).await.unwrap();

    let route = Arc::clone(table.load().get("g").unwrap());
    let Serving::Standard(standard) = &route.serving else { panic!("a standard group") };
    let limit = ConcurrencyLimit::new(1);
    let admitted = Admitted {
        request_id: uuid::Uuid::now_v7(),
        arrived: Instant::now(),
        method: http::Method::POST,
        client: Client { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), proxy_key: None },
        request_path: "/v1/x".to_owned(),
        user_agent: String::new(),
        entrance: Arc::clone(&route),
        trace: None,
    };
    let mut exchange = Exchange::start(admitted, runtime.clone(), limit.admit().unwrap());
    let want = Want { first_attempt: true, ..Want::default() };
    let lease = route.pool.checkout(&want, Timestamp::now()).unwrap();
    let pick = Pick::of(standard, None, &[], Timestamp::now());
    exchange.begin_attempt(lease, pick, "http://upstream.example".into(), "http://upstream.example/v1/x".to_owned());
    let defect = catch_unwind(AssertUnwindSafe(move || {
        let _in_flight = exchange;
        panic!("a defect");
    }));

    assert!(defect.is_err());
    runtime.flush().await.unwrap();
    let logs = store.recent_logs(None, 10).await.unwrap();
    assert_eq!(logs.len(), 1, "{logs:?}");
    let log = &logs[0];
    assert_eq!((log.request_type, log.status_code, log.class, log.is_success), (RequestType::Final, 500, None, false));
    assert_eq!(limit.in_flight(), 0);
    assert_eq!(standard.balancer.states()[0].consecutive_faults, 0);
    let stats = runtime.stats();
    assert_eq!((stats.outcomes_waiting, stats.outcomes_applied), (0, 1), "the lease came back");
    runtime.stop().await;
}
