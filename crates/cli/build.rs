//! Strips the program: cargo forgets `strip` for a package that has an `opt-level` of its own.

fn main() {
    #[expect(clippy::disallowed_methods, reason = "what cargo tells")]
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    println!("cargo::rerun-if-changed=build.rs");
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--strip-all");
    }
}
