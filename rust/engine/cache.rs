//! Answers that were given, and those that are on their way: both by what was asked, compared in full.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use lru::LruCache;

/// What an entry takes besides its key and its answer: map, list and reference counts.
const OVERHEAD: usize = 160;

/// Answers in at most so many bytes, the one used least recently goes first; and jobs in flight.
#[derive(Debug)]
pub(super) struct Cache<K: Hash + Eq, V, J> {
    kept: LruCache<Arc<K>, (Arc<V>, usize)>,
    bytes: usize,
    limit: usize,
    flying: HashMap<Arc<K>, Arc<J>>,
}

impl<K: Hash + Eq, V, J> Cache<K, V, J> {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: LruCache::unbounded(), bytes: 0, limit, flying: HashMap::new() }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<Arc<V>> {
        self.kept.get(key).map(|(value, _)| Arc::clone(value))
    }

    /// Keeps an answer that takes `bytes` together with its key.
    pub(super) fn keep(&mut self, key: Arc<K>, value: Arc<V>, bytes: usize) {
        let bytes = bytes + OVERHEAD;
        if bytes > self.limit {
            return;
        }
        if let Some((_, (_, freed))) = self.kept.push(key, (value, bytes)) {
            self.bytes -= freed;
        }
        self.bytes += bytes;
        while self.bytes > self.limit {
            let Some((_, (_, freed))) = self.kept.pop_lru() else { break };
            self.bytes -= freed;
        }
    }

    /// The job that answers this already, if any.
    pub(super) fn flying(&self, key: &K) -> Option<Arc<J>> {
        self.flying.get(key).cloned()
    }

    pub(super) fn fly(&mut self, key: Arc<K>, job: Arc<J>) {
        self.flying.insert(key, job);
    }

    /// Forgets a job, unless another one has taken its place.
    pub(super) fn land(&mut self, key: Arc<K>, job: &J) {
        if let Entry::Occupied(entry) = self.flying.entry(key)
            && std::ptr::eq(Arc::as_ptr(entry.get()), job)
        {
            entry.remove();
        }
    }

    /// Answers and bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(answers: usize) -> Cache<&'static str, i32, ()> {
        Cache::new(answers * (10 + OVERHEAD))
    }

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let mut cache = cache(2);
        for (key, value) in [("a", 1), ("b", 2)] {
            cache.keep(Arc::new(key), Arc::new(value), 10);
        }
        assert_eq!(cache.get(&"a").as_deref(), Some(&1));
        cache.keep(Arc::new("c"), Arc::new(3), 10);
        assert_eq!(
            (cache.get(&"b"), cache.get(&"a").as_deref(), cache.get(&"c").as_deref()),
            (None, Some(&1), Some(&3))
        );
        assert_eq!(cache.size().0, 2);
    }

    #[test]
    fn bytes_are_counted_once_per_key_and_never_above_the_limit() {
        let mut cache = cache(3);
        for _ in 0..5 {
            cache.keep(Arc::new("a"), Arc::new(1), 10);
        }
        assert_eq!(cache.size(), (1, 10 + OVERHEAD));
        cache.keep(Arc::new("large"), Arc::new(2), 10_000);
        assert_eq!(cache.size(), (1, 10 + OVERHEAD));
        cache.keep(Arc::new("b"), Arc::new(1), 2 * (10 + OVERHEAD));
        assert_eq!(cache.size().0, 1);
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let mut cache: Cache<_, _, ()> = Cache::new(0);
        cache.keep(Arc::new("a"), Arc::new(1), 0);
        assert_eq!(cache.get(&"a"), None);
    }

    #[test]
    fn only_its_own_flight_lands() {
        let mut cache: Cache<_, (), i32> = Cache::new(0);
        let (first, second) = (Arc::new(1), Arc::new(1));
        cache.fly(Arc::new("a"), Arc::clone(&first));
        cache.fly(Arc::new("a"), Arc::clone(&second));
        cache.land(Arc::new("a"), &first);
        assert!(cache.flying(&"a").is_some_and(|job| Arc::ptr_eq(&job, &second)));
        cache.land(Arc::new("a"), &second);
        assert!(cache.flying(&"a").is_none());
    }
}
