//! A command: it exports `wasi:cli/run` and nothing of HTTP.

fn main() {
    println!("I do not serve HTTP.");
}
