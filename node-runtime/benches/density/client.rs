//! Requests to each of many apps, one after the other, in an order that no cache likes.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::FIRST_PORT;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: app.test\r\nconnection: close\r\n\r\n";

/// What requests took.
#[derive(Default)]
pub struct Times {
    microseconds: Vec<u64>,
    pub errors: usize,
}

impl Times {
    /// So many percent took at most this: microseconds.
    pub fn part(&self, percent: usize) -> u64 {
        let at = self.microseconds.len() * percent / 100;
        self.microseconds.get(at).copied().unwrap_or_default()
    }
}

/// One request to each of the first `apps`.
pub fn each(apps: usize, seed: u64) -> Times {
    ask(shuffled(0..apps, seed))
}

/// One request to each of those that had none.
pub fn rest(from: usize, to: usize) -> Times {
    ask(shuffled(from..to, 3))
}

fn ask(order: Vec<usize>) -> Times {
    let mut times = Times::default();
    for app in order {
        let began = Instant::now();
        match request(FIRST_PORT + u16::try_from(app).unwrap()) {
            Ok(true) => times
                .microseconds
                .push(u64::try_from(began.elapsed().as_micros()).unwrap()),
            _ => times.errors += 1,
        }
    }
    times.microseconds.sort_unstable();
    times
}

/// Until the first bytes of the response, on a connection of its own; whether it is a 200.
fn request(port: u16) -> std::io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    stream.write_all(REQUEST)?;
    let mut answer = [0; 64];
    let read = stream.read(&mut answer)?;
    Ok(answer[..read].starts_with(b"HTTP/1.1 200"))
}

/// Fisher and Yates, with a generator that says the same each time.
fn shuffled(apps: std::ops::Range<usize>, mut seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = apps.collect();
    for at in (1..order.len()).rev() {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(seed >> 33).unwrap() % (at + 1);
        order.swap(at, other);
    }
    order
}
