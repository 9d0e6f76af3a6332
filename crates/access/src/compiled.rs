//! What was made of stored records, kept until they change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_types::limits::COMPILED_IDENTITIES;

/// What was made of one kind of records, by key and version. Bounded: when it is full it starts anew.
pub(crate) struct Compiled<T>(Mutex<HashMap<String, (u64, Arc<T>)>>);

impl<T> Default for Compiled<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Compiled<T> {
    /// What was made of this version of a record, or is made now.
    ///
    /// # Errors
    /// Those of `compile`; nothing is kept of them.
    pub(crate) fn get<E>(&self, key: &str, version: u64, compile: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        if let Some((known, made)) = self.lock().get(key)
            && *known == version
        {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(compile()?);
        let mut all = self.lock();
        if all.len() >= COMPILED_IDENTITIES {
            all.clear();
        }
        all.insert(key.to_owned(), (version, Arc::clone(&made)));
        Ok(made)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (u64, Arc<T>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(compiled: &Compiled<u32>, key: &str, version: u64, value: u32) -> u32 {
        *compiled.get::<()>(key, version, || Ok(value)).unwrap()
    }

    #[test]
    fn a_record_is_compiled_once_a_version() {
        let compiled = Compiled::default();
        assert_eq!((made(&compiled, "a", 1, 10), made(&compiled, "a", 1, 11)), (10, 10));
        assert_eq!((made(&compiled, "a", 2, 12), made(&compiled, "b", 2, 13)), (12, 13));
        assert_eq!(compiled.get("c", 1, || Err("no")), Err("no"));
        assert_eq!(made(&compiled, "c", 1, 14), 14);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let compiled = Compiled::default();
        for number in 0..=COMPILED_IDENTITIES {
            made(&compiled, &number.to_string(), 1, 0);
        }
        assert_eq!(compiled.lock().len(), 1);
    }
}
