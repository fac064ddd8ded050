//! The command-line flags.

use clap::Parser;

/// Writes to Redis like a web application, at a steady rate, until it is stopped.
#[derive(Debug, Parser)]
#[command(name = "workload", version)]
pub struct Arguments {
    /// URL of the server: redis://user:password@host:port/database.
    #[arg(
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379"
    )]
    pub url: String,
    /// Operations per second in total, evenly spaced. One operation is one or two commands.
    #[arg(long, default_value = "500", value_parser = positive)]
    pub rate: f64,
    /// Writes about this many keys before the steady load starts.
    #[arg(long, default_value_t = 0)]
    pub seed_keys: u64,
    /// Share of rate limit keys, from 0 to 1, that never get their EXPIRE.
    #[arg(long, default_value = "0.001", value_parser = share)]
    pub forget_expire: f64,
    /// Fills the server to its maxmemory and keeps it full, so that it evicts keys.
    #[arg(long)]
    pub pressure: bool,
    /// Seconds of steady load; by default until SIGINT or SIGTERM.
    #[arg(long, value_parser = positive)]
    pub duration: Option<f64>,
    /// Seed of the random choices; the same number repeats them.
    #[arg(long)]
    pub random_seed: Option<u64>,
    /// Exits after seeding.
    #[arg(long, requires = "seed_keys")]
    pub seed_only: bool,
}

/// Maximum rate and duration: beyond any use, and still a valid `Duration`.
const GREATEST: f64 = 1e9;

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    if (0.001..=GREATEST).contains(&number) {
        Ok(number)
    } else {
        Err("give a number between 0.001 and 1000000000".to_owned())
    }
}

fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    if (0.0..=1.0).contains(&number) {
        Ok(number)
    } else {
        Err("give a share between 0 and 1".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_rate_is_rejected() {
        for text in ["0", "-1", "NaN", "inf", "fast"] {
            assert!(positive(text).is_err(), "{text}");
        }
        assert_eq!(positive("0.5"), Ok(0.5));
    }

    #[test]
    fn a_share_lies_between_none_and_all() {
        for text in ["-0.1", "1.1", "NaN", "half"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert_eq!(share("1"), Ok(1.0));
    }
}
