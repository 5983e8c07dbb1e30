//! Prints the manifest of the kinds; `cargo xtask crds` writes it to its place.

fn main() -> Result<(), shoal_crds::yaml::YamlError> {
    print!("{}", shoal_crds::manifest()?);
    Ok(())
}
