//! The shop as its customers meet it, over loopback.

use serde_json::Value;

use super::super::traffic::Connection;
use super::*;

struct Town {
    shops: [OpenShop; 2],
    _closing: watch::Sender<bool>,
}

impl Town {
    async fn open() -> Town {
        let (closing, closes) = watch::channel(false);
        Town { shops: open_both(&closes).await.unwrap(), _closing: closing }
    }

    async fn ask(&self, edition: Edition, request: &str) -> (u16, Value) {
        let shop = self.shops.iter().find(|open| open.shop.edition == edition).unwrap();
        let mut connection = Connection::open(shop.address).await.unwrap();
        let answer = connection.exchange(request.as_bytes()).await.unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    async fn get(&self, edition: Edition, path: &str, headers: &str) -> (u16, Value) {
        self.ask(edition, &format!("GET {path} HTTP/1.1\r\nHost: shop\r\n{headers}\r\n")).await
    }

    async fn order(&self, edition: Edition, body: &str) -> (u16, Value) {
        let head = "POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n";
        self.ask(edition, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await
    }
}

#[tokio::test]
async fn the_two_versions_answer_the_same_question_with_different_prices() {
    let town = Town::open().await;
    let headers = "x-user-tier: VIP\r\nx-gray-lane: gray\r\n";
    let (status, gray) = town.get(Edition::Gray, "/api/v1/sku/100101", headers).await;
    assert_eq!(status, 200);
    assert_eq!(gray["version"], "gray 2.4.1");
    assert_eq!(gray["sku"], "100101");
    assert_eq!(gray["name"], "无线耳机 Wireless earbuds");
    assert_eq!(gray["price_fen"], 23920);
    assert_eq!(gray["price_yuan"], "239.20");
    assert_eq!(gray["stock"], 1200);
    assert_eq!(gray["lane_mark"], "gray");
    let (_, stable) = town.get(Edition::Stable, "/api/v1/sku/100101", "x-user-tier: VIP\r\n").await;
    assert_eq!(stable["version"], "stable 2.4.0");
    assert_eq!(stable["price_yuan"], "299.00");
    assert_eq!(stable["lane_mark"], Value::Null);
}

#[tokio::test]
async fn a_list_is_filtered_by_category() {
    let town = Town::open().await;
    let (_, tea) = town.get(Edition::Stable, "/api/v1/skus?category_id=1004", "").await;
    assert_eq!(tea["category"], "茶 tea");
    let skus: Vec<_> = tea["skus"].as_array().unwrap().iter().map(|offer| offer["sku"].clone()).collect();
    assert_eq!(skus, ["100401", "100402", "100403"]);
    let (_, all) = town.get(Edition::Stable, "/api/v1/skus", "").await;
    assert_eq!(all["skus"].as_array().unwrap().len(), products().len());
    let (status, none) = town.get(Edition::Stable, "/api/v1/skus?category_id=9999", "").await;
    assert_eq!((status, none["skus"].as_array().unwrap().len()), (200, 0));
}

#[tokio::test]
async fn an_order_is_priced_by_the_version_and_taken_from_the_common_stock() {
    let town = Town::open().await;
    let body = r#"{"amount": 596.50, "items": [{"sku_id": "100401", "quantity": 2}, {"sku_id": "100303"}]}"#;
    let (status, receipt) = town.order(Edition::Gray, body).await;
    assert_eq!(status, 201, "{receipt}");
    // (168.00 less 2 %) twice, and 28.50 less 2 %.
    assert_eq!(receipt["total_yuan"], "357.21");
    assert_eq!(receipt["order_id"], "gray-000001");
    assert_eq!(receipt["amount"], 596.5);
    let (_, stock) = town.get(Edition::Stable, "/api/v1/stock/100401", "").await;
    assert_eq!(stock["stock"], 898);
    assert_eq!(town.shops[1].orders(), 1);
    assert_eq!((town.shops[0].served(), town.shops[1].served()), (1, 1));
}

#[tokio::test]
async fn a_bad_order_is_refused_with_the_reason() {
    let town = Town::open().await;
    for (body, status, reason) in [
        ("{", 400, "JSON"),
        (r#"{"items": []}"#, 422, "1 to 20 items, not 0"),
        (r#"{"items": [{"sku_id": "nothing"}]}"#, 422, "no such sku: nothing"),
        (r#"{"items": [{"sku_id": "100101", "quantity": 0}]}"#, 422, "1 to 99"),
        (r#"{"items": [{"sku_id": "100204"}]}"#, 409, "only 0 of sku 100204 left"),
    ] {
        let (got, answer) = town.order(Edition::Stable, body).await;
        assert_eq!(got, status, "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(reason), "{body}: {answer}");
        assert_eq!(answer["version"], "stable 2.4.0");
    }
    assert_eq!(town.shops[0].orders(), 0);
}

#[tokio::test]
async fn unknown_goods_and_paths_are_not_found_and_the_shop_is_healthy() {
    let town = Town::open().await;
    assert_eq!(town.get(Edition::Gray, "/api/v1/sku/nothing", "").await.0, 404);
    assert_eq!(town.get(Edition::Gray, "/api/v1/stock/nothing", "").await.0, 404);
    assert_eq!(town.get(Edition::Gray, "/nothing", "").await.1["error"], "nothing is served at /nothing");
    let (status, health) = town.get(Edition::Gray, "/healthz", "").await;
    assert_eq!((status, &health["status"]), (200, &Value::from("ok")));
}
