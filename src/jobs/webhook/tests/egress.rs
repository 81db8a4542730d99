//! The guard: what may be reached, and that nothing else is even connected to.

use super::*;
use crate::jobs::webhook::NotAccepted;
use crate::jobs::webhook::egress::Refused;
use crate::model::webhook::{DeliveryState, Failure};

/// Addresses that are in somebody's own network, or carry one that is.
const INSIDE: [&str; 20] = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "fd00::1",
];

async fn judge(guard: &Guard, url: &str) -> Result<Vec<SocketAddr>, Refused> {
    let judged = guard.judge(&url.parse().unwrap()).await?;
    Ok(judged.addresses().to_vec())
}

#[tokio::test]
async fn a_public_name_leads_to_the_addresses_that_were_judged() {
    let (resolver, mut asked) = names([("hooks.example", &["8.8.8.8", "2606:4700::1"])]);
    let guard = guard(resolver, []);
    let addresses = judge(&guard, "https://Hooks.Example./x").await.unwrap();
    assert_eq!(
        addresses,
        ["8.8.8.8:443", "[2606:4700::1]:443"].map(|text| text.parse().unwrap())
    );
    assert_eq!(asked.try_recv(), Ok("hooks.example".to_owned()));
}

#[tokio::test]
async fn a_name_is_refused_for_any_of_its_addresses() {
    for inside in INSIDE {
        let (resolver, _) = names([("one.example", &[inside]), ("two.example", &["8.8.8.8", inside])]);
        let guard = guard(resolver, []);
        for url in ["https://one.example/", "http://two.example/"] {
            let refused = Refused::NotPublic(inside.parse().unwrap());
            assert_eq!(judge(&guard, url).await, Err(refused), "{url} {inside}");
        }
    }
}

#[tokio::test]
async fn a_literal_address_is_judged_without_a_resolver() {
    let (resolver, asked) = names([]);
    let guard = guard(resolver, []);
    for inside in INSIDE {
        let address: IpAddr = inside.parse().unwrap();
        let url = format!("http://{}/", SocketAddr::new(address, 80));
        assert_eq!(judge(&guard, &url).await, Err(Refused::NotPublic(address)), "{url}");
    }
    assert_eq!(judge(&guard, "http://8.8.8.8/").await.unwrap().len(), 1);
    assert!(asked.is_empty());
}

#[tokio::test]
async fn only_the_ports_of_the_web_are_open() {
    let (resolver, _) = names([("hooks.example", &["8.8.8.8"])]);
    let guard = guard(resolver, []);
    for port in [22, 25, 6379, 8080] {
        let url = format!("http://hooks.example:{port}/");
        assert_eq!(judge(&guard, &url).await, Err(Refused::Port(port)));
    }
    assert!(judge(&guard, "https://hooks.example:80/").await.is_ok());
}

#[tokio::test]
async fn an_exemption_holds_for_what_it_names_and_nothing_else() {
    let known: [(&str, &[&str]); 3] = [
        ("hooks.internal", &["10.0.0.7"]),
        ("other.internal", &["10.0.0.7"]),
        ("both.example", &["10.0.0.7", "8.8.8.8"]),
    ];
    let by_name = guard(names(known).0, ["hooks.internal"]);
    assert!(judge(&by_name, "http://hooks.internal:8080/").await.is_ok());
    assert!(judge(&by_name, "http://other.internal/").await.is_err());

    let by_port = guard(names(known).0, ["hooks.internal:8080"]);
    assert!(judge(&by_port, "http://hooks.internal:8080/").await.is_ok());
    assert!(judge(&by_port, "http://hooks.internal/").await.is_err());

    let by_block = guard(names(known).0, ["10.0.0.0/8"]);
    assert!(judge(&by_block, "http://other.internal:8080/").await.is_ok());
    assert!(judge(&by_block, "http://10.1.2.3:8080/").await.is_ok());
    assert!(judge(&by_block, "http://both.example/").await.is_ok());
    // The address that is not exempt keeps the rule of ports.
    assert_eq!(
        judge(&by_block, "http://both.example:8080/").await,
        Err(Refused::Port(8080))
    );
}

#[tokio::test]
async fn what_does_not_resolve_is_refused_with_a_sentence() {
    let (resolver, _) = names([("empty.example", &[])]);
    let guard = guard(resolver, []);
    for url in ["https://nowhere.example/", "https://empty.example/"] {
        let refused = judge(&guard, url).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the name of the webhook's host could not be resolved"
        );
    }
}

#[tokio::test]
async fn nothing_is_registered_that_could_not_be_signed_or_sent() {
    let (resolver, _) = names([("hooks.example", &["8.8.8.8"]), ("inside.example", &["10.0.0.1"])]);
    let running = Running::idle(&File::default(), Arc::new(SystemClock), guard(resolver.clone(), []));
    let accepts = async |url: &str| running.outbox.accepts(&url.parse().unwrap()).await;
    assert_eq!(accepts("https://hooks.example/").await, Ok(()));
    for url in [
        "https://inside.example/",
        "http://169.254.169.254/",
        "https://nowhere.example/",
    ] {
        let refused = accepts(url).await.unwrap_err();
        assert!(matches!(refused, NotAccepted::Refused(_)), "{url}");
        // What our names lead to is not a stranger's to know.
        assert!(!refused.to_string().contains("10.0.0.1"), "{refused}");
    }

    let without = Outbox::new(Surroundings {
        store: running.store.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        root: None,
        guard: guard(resolver, []),
    });
    let refused = without
        .accepts(&"https://hooks.example/".parse().unwrap())
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("INTERNAL_CALLBACK_SECRET"), "{refused}");
    assert!(without.secret_of(OwnerId::from_bits(1)).is_none());
}

/// The receiver stands where a careless guard would connect to.
#[tokio::test]
async fn no_socket_is_opened_to_what_is_refused() {
    let receiver = Receiver::ok().await;
    let port = receiver.address.port();
    let (resolver, _) = names([
        ("metadata.example", &["169.254.169.254"]),
        ("loopback.example", &["127.0.0.1"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nat64.example", &["64:ff9b::7f00:1"]),
        // The first one alone would be let through.
        ("both.example", &["8.8.8.8", "127.0.0.1"]),
    ]);
    let running = Running::with(guard(resolver, ["8.8.8.8"]));
    let hosts = ["metadata", "loopback", "mapped", "nat64", "both"].map(|name| format!("{name}.example"));
    for (number, host) in hosts.into_iter().chain(["127.0.0.1".to_owned()]).enumerate() {
        let id = running
            .tell(1, number as u128 + 1, &format!("http://{host}:{port}/"))
            .await;
        let delivery = running.after(id, 1).await;
        assert!(matches!(delivery.state, DeliveryState::GivenUp { .. }), "{host}");
        assert_eq!(delivery.last.unwrap().result, Err(Failure::Refused), "{host}");
    }
    assert_eq!(receiver.unread(), 0);
    running.end().await;
}
