//! The wiring: arguments, configuration, daemon.

fn main() {}
