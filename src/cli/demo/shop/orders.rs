//! Orders: what is asked for, at the price of this version's engine, taken from the common stock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::Shop;
use super::answer::Stamp;
use super::api::tier;
use super::catalog::{Product, product};
use super::price::{Fen, quote};

/// The most lines an order may have, and the most pieces in a line.
const MAX_LINES: usize = 20;
const MAX_PIECES: u32 = 99;

/// What the customer sends.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    /// What the customer expects to pay, in yuan; only told back, the price is the engine's.
    amount: Option<serde_json::Number>,
    items: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    sku_id: String,
    #[serde(default = "one")]
    quantity: u32,
}

fn one() -> u32 {
    1
}

#[derive(Serialize)]
struct Receipt {
    order_id: String,
    items: Vec<Sold>,
    total_fen: Fen,
    total_yuan: String,
    amount: Option<serde_json::Number>,
}

#[derive(Serialize)]
struct Sold {
    sku: &'static str,
    name: &'static str,
    quantity: u32,
    price_fen: Fen,
    price_yuan: String,
    stock: u32,
}

pub(super) async fn create(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    order: Result<Json<Order>, JsonRejection>,
) -> Response {
    let stamp = Stamp::new(shop.edition, &headers);
    let order = match order {
        Ok(Json(order)) => order,
        Err(rejection) => return stamp.refuse(rejection.status(), rejection.body_text()),
    };
    match sell(&shop, order, tier(&headers)) {
        Ok(receipt) => stamp.answer(StatusCode::CREATED, receipt),
        Err((status, error)) => stamp.refuse(status, error),
    }
}

fn sell(shop: &Shop, order: Order, tier: Option<&str>) -> Result<Receipt, (StatusCode, String)> {
    let lines = check(&order)?;
    let mut items = Vec::with_capacity(lines.len());
    let mut total = Fen::new(0);
    for (product, quantity) in lines {
        // Lines before one that is sold out stay taken: a shop would undo them, a demo need not.
        shop.shelf.take(product, quantity).map_err(|few| {
            (StatusCode::CONFLICT, format!("only {} of sku {} left, {quantity} asked for", few.left, product.sku))
        })?;
        let price = quote(shop.edition, product.list_price, tier).price;
        total = total.plus(price.times(quantity));
        items.push(Sold {
            sku: product.sku,
            name: product.name,
            quantity,
            price_fen: price,
            price_yuan: price.to_string(),
            stock: shop.shelf.left(product),
        });
    }
    let number = shop.orders.fetch_add(1, Ordering::Relaxed) + 1;
    let order_id = format!("{}-{number:06}", shop.edition.lane());
    Ok(Receipt { order_id, items, total_fen: total, total_yuan: total.to_string(), amount: order.amount })
}

fn check(order: &Order) -> Result<Vec<(&'static Product, u32)>, (StatusCode, String)> {
    let bad = |error: String| (StatusCode::UNPROCESSABLE_ENTITY, error);
    if order.items.is_empty() || order.items.len() > MAX_LINES {
        return Err(bad(format!("an order has 1 to {MAX_LINES} items, not {}", order.items.len())));
    }
    let resolve = |line: &Line| {
        let product = product(&line.sku_id).ok_or_else(|| bad(format!("no such sku: {}", line.sku_id)))?;
        if !(1..=MAX_PIECES).contains(&line.quantity) {
            return Err(bad(format!("quantity of sku {} has to be 1 to {MAX_PIECES}", line.sku_id)));
        }
        Ok((product, line.quantity))
    };
    order.items.iter().map(resolve).collect()
}
