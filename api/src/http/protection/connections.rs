//! Connections that are open, by address: so that one machine that says nothing, slowly, cannot
//! hold all that there are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::Settings;
use super::addresses::{Proxies, counted_as};

/// Who holds how many. As large as there are connections.
#[derive(Clone)]
pub(crate) struct Connections {
    held: Arc<Mutex<HashMap<u128, usize>>>,
    max: Option<usize>,
    /// They hold the connections of everybody behind them.
    proxies: Proxies,
}

/// One connection's place; dropped, it is free.
pub(crate) struct Place {
    held: Arc<Mutex<HashMap<u128, usize>>>,
    id: u128,
}

impl Connections {
    pub(crate) fn new(settings: &Settings) -> Self {
        let Settings { connections_per_address: max, proxies, .. } = settings;
        Self { held: Arc::default(), max: *max, proxies: proxies.clone() }
    }

    /// A place for one more connection of this address, if it may have it.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let id = counted_as(address);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(id).or_insert(0);
        let is_bounded = !self.proxies.hold(address);
        if is_bounded && self.max.is_some_and(|max| max <= *count) {
            metrics::counter!("http_connections_refused_total").increment(1);
            return None;
        }
        *count += 1;
        Some(Place { held: Arc::clone(&self.held), id })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = held.entry(self.id) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(max: Option<usize>) -> Connections {
        let proxies = "10.0.0.1".parse().unwrap();
        let settings = Settings { connections_per_address: max, proxies, ..Settings::default() };
        Connections::new(&settings)
    }

    fn take(connections: &Connections, address: &str) -> Option<Place> {
        connections.take(address.parse().unwrap())
    }

    #[test]
    fn an_address_holds_so_many_and_no_more_until_one_is_closed() {
        let connections = connections(Some(2));
        let first = take(&connections, "192.0.2.1").unwrap();
        let _second = take(&connections, "::ffff:192.0.2.1").unwrap();
        assert!(take(&connections, "192.0.2.1").is_none());
        let _of_another = take(&connections, "192.0.2.2").unwrap();
        drop(first);
        let _third = take(&connections, "192.0.2.1").unwrap();
        assert!(take(&connections, "192.0.2.1").is_none());
    }

    #[test]
    fn proxies_of_ours_hold_as_many_as_there_are_and_nobody_is_remembered_who_left() {
        let connections = connections(Some(2));
        let held: Vec<_> = (0..10)
            .map(|_| take(&connections, "10.0.0.1").unwrap())
            .collect();
        drop(held);
        assert!(connections.held.lock().unwrap().is_empty());
    }
}
