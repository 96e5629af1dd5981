//! The stock that both versions sell from, as two versions of one service share one database.

use std::sync::atomic::{AtomicU32, Ordering};

use super::catalog::{Product, products};

/// How many pieces of each product there are.
#[derive(Debug)]
pub(super) struct Shelf {
    /// In the order of [`products`].
    left: Vec<AtomicU32>,
}

/// The pieces that were asked for are not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFew {
    pub(super) left: u32,
}

impl Shelf {
    pub(super) fn filled() -> Shelf {
        Shelf { left: products().iter().map(|product| AtomicU32::new(product.initial_stock)).collect() }
    }

    pub(super) fn left(&self, product: &Product) -> u32 {
        self.place(product).map_or(0, |left| left.load(Ordering::Relaxed))
    }

    /// Takes `quantity` pieces. A product that falls below a tenth of its first stock is delivered anew at once, so
    /// that a demo with visitors can run for days; what was never in stock stays sold out.
    pub(super) fn take(&self, product: &Product, quantity: u32) -> Result<(), TooFew> {
        let Some(place) = self.place(product) else { return Err(TooFew { left: 0 }) };
        let low = product.initial_stock / 10;
        let taken = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            let rest = left.checked_sub(quantity)?;
            Some(if rest < low { product.initial_stock } else { rest })
        });
        taken.map(drop).map_err(|left| TooFew { left })
    }

    fn place(&self, product: &Product) -> Option<&AtomicU32> {
        let index = products().iter().position(|other| other.sku == product.sku)?;
        self.left.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::product;
    use super::*;

    #[test]
    fn pieces_taken_are_gone_until_the_delivery_comes() {
        let shelf = Shelf::filled();
        let tea_set = product("100403").unwrap();
        shelf.take(tea_set, 99).unwrap();
        assert_eq!(shelf.left(tea_set), 51);
        assert_eq!(shelf.take(tea_set, 52), Err(TooFew { left: 51 }));
        shelf.take(tea_set, 36).unwrap();
        assert_eq!(shelf.left(tea_set), 15);
        shelf.take(tea_set, 1).unwrap();
        assert_eq!(shelf.left(tea_set), 150);
    }

    #[test]
    fn what_is_sold_out_stays_sold_out() {
        let shelf = Shelf::filled();
        let coffee_machine = product("100204").unwrap();
        assert_eq!(shelf.take(coffee_machine, 1), Err(TooFew { left: 0 }));
        assert_eq!(shelf.left(coffee_machine), 0);
    }
}
