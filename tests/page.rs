//! The status page of a real controller: what it says is what `herald status` says, and a browser shows it, with its
//! script and without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

#[path = "page/browser.rs"]
mod browser;
#[path = "page/seed.rs"]
mod seed;
#[path = "page/served.rs"]
mod served;
mod support;

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use support::{Cluster, eventually};
use tokio::time;

use self::{
    browser::{Browser, Tab},
    served::Served,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_the_command_line_says() {
    let cluster = Cluster::start().await;
    let served = Served::start(&cluster).await;
    seed::fill(&cluster).await;
    for (path, command) in [
        ("/status.json", &["status", "-o", "json"][..]),
        (
            "/status.json?namespace=shop",
            &["status", "-n", "shop", "-o", "json"],
        ),
        ("/pools.json", &["pools", "-o", "json"]),
    ] {
        eventually(path, async || {
            let told: Value = serde_json::from_slice(&served.herald(command).await.stdout).unwrap();
            let page = served.get(path).await;
            assert_eq!(page.status, 200, "{}", page.body);
            let page: Value = serde_json::from_str(&page.body).unwrap();
            if page == told {
                Ok(())
            } else {
                Err((page, told))
            }
        })
        .await;
    }
    let page = served.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("leads</b>"), "{}", page.body);
    let amiss = served.get("/status.json?amiss&q=exhausted").await;
    let amiss: Value = serde_json::from_str(&amiss.body).unwrap();
    assert_eq!(amiss["services"].as_array().unwrap().len(), 1, "{amiss}");
    assert_eq!(amiss["services"][0]["state"], "PoolExhausted");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_changes_nothing_and_lets_nobody_in_by_a_name() {
    let cluster = Cluster::start().await;
    let served = Served::start(&cluster).await;
    // Until a controller leads, that nobody does is one thing amiss.
    eventually("a page", async || match served.get("/").await {
        page if page.body.contains("All is well") => Ok(()),
        page => Err(page.body),
    })
    .await;
    let page = served.get("/").await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("cache-control"), "no-store");

    assert_eq!(served.ask("POST", "/", "127.0.0.1").await.status, 405);
    assert_eq!(served.ask("GET", "/", "evil.example").await.status, 421);
    assert_eq!(served.ask("GET", "/livez", "any.name").await.status, 200);
    assert_eq!(served.get("/?colour=red").await.status, 400);
    assert_eq!(served.get("/?page=first").await.status, 400);
    assert_eq!(served.get("/nothing").await.status, 404);
    served.stop().await;

    // Reached through loopback all the same, as by `kubectl port-forward`.
    let served = Served::start_at(&cluster, "0.0.0.0:0").await;
    assert_eq!(served.ask("GET", "/", "evil.example").await.status, 421);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_stands_by_shows_the_same_and_says_so() {
    let cluster = Cluster::start().await;
    let leader = cluster.controller();
    cluster.pool("lan", json!({ "addresses": ["10.1.0.1"] }));
    cluster.service("web", json!({}), json!({}));
    cluster.expect("web", &["10.1.0.1"], "Allocated").await;
    let served = Served::start(&cluster).await;
    let page = eventually("a page", async || match served.get("/").await {
        page if page.body.contains("10.1.0.1") => Ok(page.body),
        page => Err(page.body),
    })
    .await;
    let words = format!("<code><bdi>{}</bdi></code> <b>leads</b>", leader.identity);
    assert!(page.contains("stands by"), "{page}");
    assert!(page.contains(&words), "{page}");
    leader.stop().await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_api_server_goes_it_says_so_and_shows_what_it_knew() {
    use herald_apiserver::{Action, Fault};
    let cluster = Cluster::start().await;
    let served = Served::start(&cluster).await;
    seed::fill(&cluster).await;
    let shown = async |words: &str| {
        eventually(words, async || match served.get("/").await.body {
            body if body.contains(words) && body.contains("PoolExhausted") => Ok(()),
            body => Err(body),
        })
        .await;
    };
    shown("storefront").await;
    cluster.api.faults().add(Fault::new(Action::Error {
        code: 503,
        reason: None,
        message: None,
        retry_after_seconds: None,
    }));
    shown("NodeAnnouncements cannot be read, so they are shown as they were").await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_cannot_be_read_is_told_as_such() {
    let cluster = Cluster::bare().await;
    let served = Served::start(&cluster).await;
    let page = served.get("/").await;
    assert_eq!(page.status, 503);
    assert!(page.body.contains("herald crds"), "{}", page.body);
    let told = served.get("/status.json").await;
    assert_eq!(told.status, 503);
    let told: Value = serde_json::from_str(&told.body).unwrap();
    assert!(told["error"].as_str().unwrap().contains("herald crds"));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_it_with_its_script_and_without() {
    let Some(browser) = Browser::find() else {
        assert!(std::env::var_os("CI").is_none(), "chromium is needed");
        eprintln!("skipped: needs chromium (Debian package chromium)");
        return;
    };
    let cluster = Cluster::start().await;
    let served = Served::start(&cluster).await;
    seed::fill(&cluster).await;
    settled(&served).await;
    for scripts in [true, false] {
        let mut tab = browser.open(&served.url("/"), scripts).await;
        // The script looks again after five seconds, and says so.
        let page = match scripts {
            true => live(&mut tab).await,
            false => tab.document().await,
        };
        assert_eq!(tab.console, "", "no refused style, no error");
        let rows = page.matches("data-label=\"Service\"").count();
        assert!(rows >= 14, "{rows} rows: {page}");
        for words in [
            "things amiss</h1>",
            "▲ full",
            "nothing is left to give",
            "#word-PoolExhausted",
            "#word-AddressInUse",
            "#word-Conflict",
            "id=\"word-AddressInUse\"",
            "storefront",
            "node-3",
            "no break",
            "412 ms",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains("<img"), "a message is no markup: {page}");
        assert_eq!(page.contains("class=\"live\""), scripts, "{page}");
    }
    served.stop().await;
}

/// The document once its script has looked again.
async fn live(tab: &mut Tab) -> String {
    let mut last = String::new();
    for _ in 0..300 {
        last = tab.document().await;
        if last.contains("class=\"live\"") {
            return last;
        }
        time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the script never looked again: {last}");
}

/// Writes the picture of the README, and others of the same page beside it to look at.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes docs/status-page.png; then: pngquant --force --ext .png 128 docs/status-page.png"]
async fn the_picture_of_the_documentation() {
    let browser = Browser::find().expect("chromium is needed");
    let cluster = Cluster::start().await;
    let served = Served::start(&cluster).await;
    seed::fill(&cluster).await;
    settled(&served).await;
    let mut tab = browser.open(&served.url("/"), true).await;
    live(&mut tab).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let others = root.join(env!("CARGO_TARGET_TMPDIR"));
    let picture = |name: &str| others.join(format!("status-page-{name}.png"));
    for (path, width, height, scheme) in [
        (root.join("docs/status-page.png"), 1640, 1490, "light"),
        (picture("dark"), 1640, 960, "dark"),
        (picture("narrow"), 400, 4200, "light"),
        (picture("middle"), 1000, 2000, "dark"),
        (picture("wide"), 2000, 1100, "light"),
        (picture("print"), 900, 1900, "print"),
    ] {
        tab.screenshot(&path, width, height, scheme).await;
        println!("{}", path.display());
    }
    served.stop().await;
}

/// The controller has said everything that it will say of the seed.
async fn settled(served: &Served) {
    eventually("a page", async || match served.get("/").await.body {
        body if body.contains("AddressInUse") && body.contains("▲ full") => Ok(()),
        body => Err(body),
    })
    .await;
}
