//! The command line of the proxy.

use clap::Parser;
use pingora_core::apps::http_app::HttpServer;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::services::listening::Service;
use pingora_proxy::http_proxy_service;
use pingora_storage::control::Control;
use pingora_storage::proxy::Proxy;
use pingora_storage::sites::Sites;
use pingora_storage::storage::Indexed;
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

/// A caching proxy made with Pingora, whose storage is the index.
#[derive(Parser)]
struct Args {
    /// The address of the origin, spoken to in plain HTTP/1.
    #[arg(long)]
    origin: SocketAddr,
    /// A host to serve; may be given several times.
    #[arg(long, required = true)]
    host: Vec<String>,
    /// Serves there.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Purges, flushes and counters there. Do not make it public: nobody is asked for a key.
    #[arg(long, default_value = "127.0.0.1:8081")]
    control: SocketAddr,
    /// Memory for objects, in MiB.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    memory: u32,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln_once(&format!("pingora_storage: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    // Pingora panics if a port is in use.
    for address in [args.listen, args.control] {
        TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    }
    let limit = usize::try_from(args.memory)? << 20;
    let storage: &'static Indexed = Box::leak(Box::new(Indexed::new(limit)));
    let hosts = args.host.iter().map(String::as_str);
    let sites = Arc::new(Sites::new(storage.index(), hosts)?);

    let conf = ServerConf {
        threads: std::thread::available_parallelism()?.get(),
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(5),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let proxy = Proxy::new(Arc::clone(&sites), args.origin, storage, limit / 8);
    let mut delivery = http_proxy_service(&server.configuration, proxy);
    delivery.add_tcp(&args.listen.to_string());
    let control = HttpServer::new_app(Control::new(sites, storage));
    let mut control = Service::new("control".to_owned(), control);
    control.add_tcp(&args.control.to_string());
    server.add_service(delivery);
    server.add_service(control);
    eprintln_once(&format!(
        "delivery on http://{}, control on http://{}",
        args.listen, args.control
    ));
    server.run_forever()
}

#[expect(clippy::print_stderr, reason = "a command line talks to its caller")]
fn eprintln_once(text: &str) {
    eprintln!("{text}");
}
