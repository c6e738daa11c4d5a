//! The program `netrender`.

fn main() {
    std::process::exit(netrender_cli::run(std::env::args_os().skip(1)));
}
