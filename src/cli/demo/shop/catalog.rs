//! What the shop sells: a fixed list, so that every run shows the same goods.

use super::price::Fen;

/// One stock keeping unit.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Product {
    pub(in super::super) sku: &'static str,
    pub(in super::super) category: &'static str,
    pub(in super::super) name: &'static str,
    pub(in super::super) list_price: Fen,
    pub(super) initial_stock: u32,
}

/// The categories, by id and name. The first four digits of a SKU are its category.
pub(in super::super) const CATEGORIES: [(&str, &str); 4] =
    [("1001", "手机 phones"), ("1002", "家电 appliances"), ("1003", "图书 books"), ("1004", "茶 tea")];

/// All products, the most popular first.
pub(in super::super) fn products() -> &'static [Product] {
    &PRODUCTS
}

/// The product with this SKU.
pub(in super::super) fn product(sku: &str) -> Option<&'static Product> {
    PRODUCTS.iter().find(|product| product.sku == sku)
}

const fn item(sku: &'static str, category: &'static str, name: &'static str, fen: u64, initial_stock: u32) -> Product {
    Product { sku, category, name, list_price: Fen::new(fen), initial_stock }
}

/// SKU, category, name, list price in fen, pieces.
const PRODUCTS: [Product; 14] = [
    item("100101", "1001", "无线耳机 Wireless earbuds", 29_900, 1_200),
    item("100102", "1001", "智能手机 Phone 12 Pro", 499_900, 800),
    item("100201", "1002", "电饭煲 Rice cooker", 45_900, 650),
    item("100401", "1004", "龙井茶 Longjing tea 250 g", 16_800, 900),
    item("100103", "1001", "手机壳 Phone case", 3_990, 5_000),
    item("100301", "1003", "三体 The Three-Body Problem", 6_800, 2_400),
    item("100202", "1002", "空气净化器 Air purifier", 129_900, 300),
    item("100402", "1004", "普洱茶 Pu'er tea cake", 23_800, 540),
    item("100302", "1003", "红楼梦 Dream of the Red Chamber", 5_980, 1_800),
    item("100104", "1001", "快充头 65 W charger", 12_900, 2_200),
    item("100203", "1002", "扫地机器人 Robot vacuum", 219_900, 210),
    item("100303", "1003", "论语 The Analects", 2_850, 3_100),
    item("100403", "1004", "茶具 Tea set", 39_900, 150),
    item("100204", "1002", "咖啡机 Coffee machine (sold out)", 89_900, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sku_is_unique_and_belongs_to_the_category_it_starts_with() {
        for (index, product) in products().iter().enumerate() {
            assert!(product.sku.starts_with(product.category), "{}", product.sku);
            assert!(CATEGORIES.iter().any(|(id, _)| *id == product.category), "{}", product.sku);
            assert!(!products()[..index].iter().any(|other| other.sku == product.sku), "{}", product.sku);
        }
    }
}
