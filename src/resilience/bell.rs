//! Who was called since somebody last looked: a bit for each lane, so that the merger visits those alone.
//!
//! 64 lanes share a word. A lane rings once when its sleep ends, not for each call, so the word is hardly ever written and
//! costs a worker nothing while calls come in. The first to ring in a word that was silent also knocks, since a merger whom
//! nobody needs sleeps too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The bell of one lane.
#[derive(Debug, Clone)]
pub struct Bell {
    word: Arc<Word>,
    at: u32,
}

/// Makes bells that share words.
#[derive(Debug, Default)]
pub struct BellMaker {
    last: Option<Bell>,
    knock: Knock,
}

/// A word of bells as the merger sees it.
#[derive(Debug)]
pub struct Belfry(Arc<Word>);

#[derive(Debug, Default)]
struct Word {
    rung: AtomicU64,
    knock: Knock,
}

/// Wakes the merger; nobody by default.
#[derive(Clone, Default)]
pub struct Knock(Option<Arc<dyn Fn() + Send + Sync>>);

impl Knock {
    /// Does so by this, which has to be quick: a worker calls it.
    pub fn by(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(wake)))
    }
}

impl fmt::Debug for Knock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Knock").field(&self.0.is_some()).finish()
    }
}

impl Bell {
    /// Tells the merger that there is something to see.
    pub(super) fn ring(&self) {
        let (bit, word) = (1 << self.at, &self.word);
        if word.rung.load(Relaxed) & bit == 0
            && word.rung.fetch_or(bit, Release) == 0
            && let Some(wake) = &word.knock.0
        {
            wake();
        }
    }

    /// The place of the bell in its word, below 64.
    pub fn at(&self) -> u32 {
        self.at
    }

    /// The word that it is part of.
    pub fn belfry(&self) -> Belfry {
        Belfry(self.word.clone())
    }

    /// Which word it is part of: equal for bells of one word, as long as one of them is there.
    pub fn word(&self) -> usize {
        Arc::as_ptr(&self.word) as usize
    }
}

impl BellMaker {
    /// Of bells that knock so.
    pub fn new(knock: Knock) -> Self {
        Self { last: None, knock }
    }

    /// Another bell.
    pub fn bell(&mut self) -> Bell {
        let bell = match &self.last {
            Some(last) if last.at < u64::BITS - 1 => Bell { word: last.word.clone(), at: last.at + 1 },
            _ => Bell { word: Arc::new(Word { rung: AtomicU64::new(0), knock: self.knock.clone() }), at: 0 },
        };
        self.last = Some(bell.clone());
        bell
    }
}

impl Belfry {
    /// The bells that rang since the last time, as bits at their places.
    pub fn rung(&self) -> u64 {
        match self.0.rung.load(Relaxed) {
            0 => 0,
            _ => self.0.rung.swap(0, Acquire),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_heard_once_and_at_its_own_place() {
        let mut maker = BellMaker::default();
        let bells: Vec<Bell> = (0..130).map(|_| maker.bell()).collect();
        for (number, bell) in bells.iter().enumerate() {
            bell.ring();
            bell.ring();
            for first in [0, 64, 128] {
                let expected = if first == number / 64 * 64 { 1 << (number % 64) } else { 0 };
                assert_eq!(bells[first].belfry().rung(), expected, "{number}");
                assert_eq!(bells[first].belfry().rung(), 0);
            }
        }
    }

    #[test]
    fn the_first_who_rings_in_a_silent_word_knocks() {
        let knocks = Arc::new(AtomicU64::new(0));
        let heard = knocks.clone();
        let mut maker = BellMaker::new(Knock::by(move || _ = heard.fetch_add(1, Relaxed)));
        let bells: Vec<Bell> = (0..65).map(|_| maker.bell()).collect();
        let knocked_after = |ring: &[usize]| {
            ring.iter().for_each(|at| bells[*at].ring());
            knocks.load(Relaxed)
        };
        assert_eq!(knocked_after(&[3, 3, 5]), 1);
        assert_eq!(knocked_after(&[64]), 2, "that is another word");
        bells[0].belfry().rung();
        assert_eq!(knocked_after(&[5, 3]), 3);
    }

    #[test]
    fn bells_of_one_word_know_it() {
        let mut maker = BellMaker::default();
        let bells: Vec<Bell> = (0..65).map(|_| maker.bell()).collect();
        assert!(bells[..64].iter().all(|bell| bell.word() == bells[0].word()));
        assert_ne!(bells[64].word(), bells[0].word());
        assert_eq!((bells[63].at(), bells[64].at()), (63, 0));
    }
}
