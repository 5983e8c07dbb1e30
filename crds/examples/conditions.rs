//! Prints the reference page of conditions and reasons; `cargo xtask crds` writes it to its place.

fn main() {
    print!("{}", shoal_crds::conditions_page());
}
