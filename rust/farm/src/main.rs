//! The `netrender` command.

fn main() {
    std::process::exit(netrender_farm::cli::run(std::env::args_os().skip(1)));
}
