//! The HTTP interface of the shop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::answer::{Stamp, text};
use super::catalog::{CATEGORIES, Product, product, products};
use super::price::{Fen, quote};
use super::{Shop, orders};

/// The largest order that is read.
const MAX_BODY_BYTES: usize = 64 * 1024;

pub(super) fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/api/v1/sku/{sku_id}", get(sku))
        .route("/api/v1/skus", get(list))
        .route("/api/v1/stock/{sku_id}", get(stock))
        .route("/api/v1/orders", post(orders::create))
        .route("/healthz", get(healthz))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&shop), count))
        .with_state(shop)
}

async fn count(State(shop): State<Arc<Shop>>, request: Request, next: Next) -> Response {
    let number = shop.served.fetch_add(1, Ordering::Relaxed);
    let (takes, fails) = shop.mood.mood().of(number);
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    if fails {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    next.run(request).await
}

/// One product with its price for whoever asks.
#[derive(Serialize)]
struct Offer {
    sku: &'static str,
    name: &'static str,
    category_id: &'static str,
    price_fen: Fen,
    price_yuan: String,
    list_price_yuan: String,
    discount_percent: f32,
    price_engine: &'static str,
    stock: u32,
}

impl Offer {
    fn new(shop: &Shop, product: &'static Product, tier: Option<&str>) -> Offer {
        let quote = quote(shop.edition, product.list_price, tier);
        Offer {
            sku: product.sku,
            name: product.name,
            category_id: product.category,
            price_fen: quote.price,
            price_yuan: quote.price.to_string(),
            list_price_yuan: product.list_price.to_string(),
            discount_percent: f32::from(quote.discount_permille) / 10.0,
            price_engine: quote.engine,
            stock: shop.shelf.left(product),
        }
    }
}

async fn sku(State(shop): State<Arc<Shop>>, Path(sku): Path<String>, headers: HeaderMap) -> Response {
    let stamp = Stamp::new(shop.edition, &headers);
    match product(&sku) {
        Some(product) => stamp.ok(Offer::new(&shop, product, tier(&headers))),
        None => stamp.refuse(StatusCode::NOT_FOUND, format!("no such sku: {sku}")),
    }
}

#[derive(Deserialize)]
struct Filter {
    category_id: Option<String>,
}

#[derive(Serialize)]
struct List {
    category_id: Option<String>,
    category: Option<&'static str>,
    skus: Vec<Offer>,
}

async fn list(State(shop): State<Arc<Shop>>, Query(filter): Query<Filter>, headers: HeaderMap) -> Response {
    let wanted = filter.category_id;
    let of_category = |product: &&Product| wanted.as_deref().is_none_or(|wanted| wanted == product.category);
    let skus =
        products().iter().filter(of_category).map(|product| Offer::new(&shop, product, tier(&headers))).collect();
    let category = CATEGORIES.iter().find(|(id, _)| Some(*id) == wanted.as_deref()).map(|(_, name)| *name);
    Stamp::new(shop.edition, &headers).ok(List { category_id: wanted, category, skus })
}

#[derive(Serialize)]
struct Stock {
    sku: &'static str,
    name: &'static str,
    stock: u32,
}

async fn stock(State(shop): State<Arc<Shop>>, Path(sku): Path<String>, headers: HeaderMap) -> Response {
    let stamp = Stamp::new(shop.edition, &headers);
    match product(&sku) {
        Some(product) => stamp.ok(Stock { sku: product.sku, name: product.name, stock: shop.shelf.left(product) }),
        None => stamp.refuse(StatusCode::NOT_FOUND, format!("no such sku: {sku}")),
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn healthz(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> Response {
    Stamp::new(shop.edition, &headers).ok(Health { status: "ok" })
}

async fn unknown(State(shop): State<Arc<Shop>>, headers: HeaderMap, request: Request) -> Response {
    let path = request.uri().path();
    Stamp::new(shop.edition, &headers).refuse(StatusCode::NOT_FOUND, format!("nothing is served at {path}"))
}

/// The customer's tier, which the new price engine goes by.
pub(super) fn tier(headers: &HeaderMap) -> Option<&str> {
    text(headers, "x-user-tier")
}
