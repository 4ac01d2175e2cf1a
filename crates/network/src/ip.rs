//! The program `ip`.

use model::Error;
use sys::{Command, Host};

pub(crate) async fn set_link(host: &dyn Host, name: &str, state: &str) -> Result<(), Error> {
    ip(host, &["link", "set", "dev", name, state]).await
}

pub(crate) async fn ip(host: &dyn Host, args: &[&str]) -> Result<(), Error> {
    let command = Command::new("ip").args(args.iter().copied());
    host.run(command).await?.checked("ip")?;
    Ok(())
}
